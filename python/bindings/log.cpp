// SPDX-License-Identifier: MIT
//
// What graven logs, into a pipe: a thread that has something to say, with or without the GIL,
// writes a line and goes on; graven/log.py reads them at its leisure, in a thread that the first
// line starts: most programs never have one. Nobody waits for the GIL, and there is no lock that a
// fork or a finalizer could leave taken.
//
// Always holds: a line is written with one write() of at most PIPE_BUF bytes, so lines of
// several threads do not mix; where the pipe is full, it is dropped.
//
// The sink: any thread. The rest with the GIL held.
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

#include <graven/log.hpp>

#include "bind.hpp"

namespace graven::python {
namespace {

constexpr std::size_t kLongestValue = 700;
constexpr std::size_t kLongestLine = PIPE_BUF;

std::atomic<std::uint64_t> dropped{0};

void append_quoted(std::string& json, std::string_view text) {
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned char>(c));
      json += escape.data();
    } else {
      json += c;
    }
  }
  json += '"';
}

/// A list: level, event, key, value, key, value ... What would make it too long is left out.
std::string to_line(const LogRecord& record) {
  std::string line = "[" + std::to_string(static_cast<int>(record.level)) + ",";
  append_quoted(line, record.event);
  for (const LogField& field : record.fields) {
    std::string more = ",";
    append_quoted(more, field.key);
    more += ',';
    const std::string_view value = field.value;
    append_quoted(more, value.substr(0, kLongestValue));
    if (line.size() + more.size() + 2 > kLongestLine) break;
    line += more;
  }
  return line + "]\n";
}

/// What reads the pipe. Never destroyed: who writes may not have the GIL.
struct Reader {
  PyObject* read;
  std::atomic<bool> started{false};
};

void* read_in_this_thread(void* reader) {
  const PyGILState_STATE state = PyGILState_Ensure();
  PyObject* read = static_cast<Reader*>(reader)->read;
  PyObject* result = PyObject_CallNoArgs(read);
  if (result == nullptr) PyErr_WriteUnraisable(read);
  Py_XDECREF(result);
  PyGILState_Release(state);
  return nullptr;
}

// Not a std::thread: Python ends a thread that outlives it with pthread_exit().
void start(Reader& reader) {
  if (reader.started.load(std::memory_order_relaxed) || reader.started.exchange(true)) return;
  pthread_t thread{};
  if (::pthread_create(&thread, nullptr, read_in_this_thread, &reader) == 0) {
    ::pthread_detach(thread);
  } else {
    reader.started = false;  // the next line tries again
  }
}

Reader* current = nullptr;

/// Whether the last pipe's reader was started.
bool log_to(int descriptor, int level, const nb::object& read) {
  const bool started = current != nullptr && current->started;
  current = nullptr;
  if (descriptor < 0) {
    set_log_sink({});
    return started;
  }
  current = new Reader{nb::object(read).release().ptr()};
  set_log_sink(
      [descriptor, reader = current](const LogRecord& record) {
        const std::string line = to_line(record);
        const int error = errno;
        if (::write(descriptor, line.data(), line.size()) < 0) {
          dropped.fetch_add(1, std::memory_order_relaxed);
        }
        start(*reader);
        errno = error;
      },
      static_cast<LogLevel>(level));
  return started;
}

}  // namespace

void bind_log(nb::module_& module) {
  module.def("log_to", log_to, nb::arg("descriptor"), nb::arg("level"), nb::arg("read").none(),
             "Lines of log go to a pipe that does not block (-1: nowhere).\n\n"
             "The first has `read` called, in a thread of its own. Returns whether that of the\n"
             "pipe before was called.");
  module.def(
      "log_dropped", [] { return dropped.load(); }, "How many lines found the pipe full.");
}

}  // namespace graven::python
