// SPDX-License-Identifier: MIT
//
// What graven logs, into a pipe: a thread that has something to say, with or without the GIL,
// writes a line and goes on; graven/log.py reads them at its leisure. The first line makes the
// pipe and the thread that reads it: most programs never have them. Nobody waits for the GIL, and
// there is no lock that a fork or a finalizer could leave taken.
//
// Always holds: a line is written with one write() of at most PIPE_BUF bytes, so lines of
// several threads do not mix; where the pipe is full, it is dropped.
//
// The sink: any thread. The rest with the GIL held.
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <graven/log.hpp>

#include "base/text.hpp"
#include "bind.hpp"

namespace graven::python {
namespace {

constexpr std::size_t kLongestValue = 700;
constexpr std::size_t kLongestLine = PIPE_BUF;

std::atomic<std::uint64_t> dropped{0};

/// A list: level, event, key, value, key, value ... What would make it too long is left out.
std::string to_line(const LogRecord& record) {
  std::string line = "[" + std::to_string(static_cast<int>(record.level)) + ",";
  base::append_json(line, record.event);
  for (const LogField& field : record.fields) {
    std::string more = ",";
    base::append_json(more, field.key);
    more += ',';
    const std::string_view value = field.value;
    base::append_json(more, value.substr(0, kLongestValue));
    if (line.size() + more.size() + 2 > kLongestLine) break;
    line += more;
  }
  return line + "]\n";
}

/// Where lines go, from the first one on. Never destroyed: who writes may not have the GIL.
class Pipe {
 public:
  /// `read` is called with the reading end, in a thread of its own.
  explicit Pipe(PyObject* read) : read_(read) {}

  void write(std::string_view line) noexcept {
    const Ends* ends = this->ends();
    if (ends == nullptr || ::write(ends->writing, line.data(), line.size()) < 0) {
      dropped.fetch_add(1, std::memory_order_relaxed);
    }
    start_reading();
  }

  /// Drops lines from now on, and has the reading end, whether it is read. The writing end is given
  /// to nobody else while a write may be under way: it becomes that of a pipe without a reader.
  bool cut() noexcept {
    const bool read = reading_.exchange(true);
    static Ends nowhere;
    Ends* ends = nullptr;
    if (ends_.compare_exchange_strong(ends, &nowhere)) return read;
    if (const std::optional<Ends> other = make()) {
      ::dup3(other->writing, ends->writing, O_CLOEXEC);
      other->close();
    }
    return read;
  }

  /// In the child of a fork, whose pipe is not to be the parent's.
  void renew() noexcept {
    if (const Ends* ends = ends_.exchange(nullptr)) {
      ends->close();
      delete ends;
    }
    reading_ = false;
  }

 private:
  struct Ends {
    int reading = -1;
    int writing = -1;

    void close() const noexcept {
      ::close(reading);
      ::close(writing);
    }
  };

  static std::optional<Ends> make() noexcept {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return std::nullopt;
    ::fcntl(pipe[1], F_SETFL, O_NONBLOCK);
    return Ends{pipe[0], pipe[1]};
  }

  /// nullptr where there are no descriptors left.
  const Ends* ends() noexcept {
    Ends* there = ends_.load();
    if (there != nullptr) return there;
    const std::optional<Ends> made = make();
    if (!made) return nullptr;
    auto* mine = new (std::nothrow) Ends(*made);
    if (mine != nullptr && ends_.compare_exchange_strong(there, mine)) return mine;
    made->close();
    delete mine;
    return there;
  }

  // Not a std::thread: Python ends a thread that outlives it with pthread_exit().
  void start_reading() noexcept {
    if (reading_.load(std::memory_order_relaxed) || ends_.load() == nullptr) return;
    if (reading_.exchange(true)) return;
    pthread_t thread{};
    if (::pthread_create(&thread, nullptr, read_in_this_thread, this) == 0) {
      ::pthread_detach(thread);
    } else {
      reading_ = false;  // the next line tries again
    }
  }

  static void* read_in_this_thread(void* self) {
    const auto& pipe = *static_cast<Pipe*>(self);
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject* result = PyObject_CallFunction(pipe.read_, "i", pipe.ends_.load()->reading);
    if (result == nullptr) PyErr_WriteUnraisable(pipe.read_);
    Py_XDECREF(result);
    PyGILState_Release(state);
    return nullptr;
  }

  PyObject* const read_;
  std::atomic<Ends*> ends_{nullptr};
  std::atomic<bool> reading_{false};
};

Pipe* current = nullptr;

void log_to(const nb::object& read, int level) {
  if (current != nullptr) current->cut();
  current = new Pipe(nb::object(read).release().ptr());
  set_log_sink(
      [pipe = current](const LogRecord& record) {
        const int error = errno;
        pipe->write(to_line(record));
        errno = error;
      },
      static_cast<LogLevel>(level));
}

bool log_to_nobody() {
  set_log_sink({});
  Pipe* pipe = std::exchange(current, nullptr);
  return pipe != nullptr && pipe->cut();
}

void log_in_child() {
  if (current != nullptr) current->renew();
}

}  // namespace

void bind_log(nb::module_& module) {
  module.def(
      "log_to", log_to, nb::arg("read"), nb::arg("level"),
      "From now on, log lines of this level or a higher one go to a pipe that does not block.\n"
      "\n"
      "The first line makes the pipe and starts a thread that calls `read` with its reading\n"
      "end.");
  module.def("log_to_nobody", log_to_nobody,
             "Stops the log lines and ends the pipe; returns whether somebody read the pipe.");
  module.def("log_in_child", log_in_child, "After a fork: the first line makes a new pipe.");
  module.def(
      "log_dropped", [] { return dropped.load(); },
      "The number of lines that were dropped because the pipe was full.");
}

}  // namespace graven::python
