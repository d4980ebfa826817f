// SPDX-License-Identifier: MIT
//
// Two SQLite libraries in one program: the one in graven, and the system's, which locks its files
// the POSIX way. And a connection of either.
#pragma once

#include <chrono>
#include <dlfcn.h>
#include <stdexcept>
#include <string>

#include <sqlite3.h>

namespace graven::test {

/// A SQLite by its functions.
struct Library {
  decltype(&sqlite3_open_v2) open;
  decltype(&sqlite3_close) close;
  decltype(&sqlite3_exec) execute;
  decltype(&sqlite3_errmsg) message;
  decltype(&sqlite3_busy_timeout) busy_timeout;
};

inline const Library& ours() {
  static const Library library{sqlite3_open_v2, sqlite3_close, sqlite3_exec, sqlite3_errmsg,
                               sqlite3_busy_timeout};
  return library;
}

inline const Library& theirs() {
  static const Library library = [] {
    void* loaded = ::dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    if (loaded == nullptr) throw std::runtime_error(::dlerror());
    const auto find = [&]<typename F>(F& function, const char* name) {
      function = reinterpret_cast<F>(::dlsym(loaded, (std::string("sqlite3_") + name).c_str()));
    };
    Library made{};
    find(made.open, "open_v2");
    find(made.close, "close");
    find(made.execute, "exec");
    find(made.message, "errmsg");
    find(made.busy_timeout, "busy_timeout");
    return made;
  }();
  return library;
}

class Connection {
 public:
  explicit Connection(const std::string& path, const Library& library = ours(),
                      std::chrono::milliseconds patience = std::chrono::milliseconds(10'000),
                      int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
      : library_(library) {
    code = library.open(path.c_str(), &handle_, flags, nullptr);
    wait_for(patience);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(); }

  void close() {
    if (handle_ != nullptr) library_.close(handle_);
    handle_ = nullptr;
  }
  void wait_for(std::chrono::milliseconds patience) {
    library_.busy_timeout(handle_, static_cast<int>(patience.count()));
  }
  int run(const std::string& sql) {
    return code = library_.execute(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  /// The last value of the answer, or "error: …".
  std::string ask(const std::string& sql) {
    std::string answer;
    code = library_.execute(
        handle_, sql.c_str(),
        [](void* into, int, char** values, char**) {
          *static_cast<std::string*>(into) = values[0] == nullptr ? "" : values[0];
          return 0;
        },
        &answer, nullptr);
    return code == SQLITE_OK ? answer : std::string("error: ") + library_.message(handle_);
  }

  int code = SQLITE_OK;

 private:
  const Library& library_;
  sqlite3* handle_ = nullptr;
};

}  // namespace graven::test
