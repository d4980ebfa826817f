// SPDX-License-Identifier: MIT
//
// What graven logs, into a pipe: a thread that has something to say, with or without the GIL,
// writes a line and goes on; graven/log.py reads them at its leisure. Nobody waits for the GIL,
// and there is no lock that a fork or a finalizer could leave taken.
//
// Always holds: a line is written with one write() of at most PIPE_BUF bytes, so lines of
// several threads do not mix; where the pipe is full, it is dropped.
//
// The sink: any thread. The rest with the GIL held.
#include <limits.h>
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

void log_to(int descriptor, int level) {
  if (descriptor < 0) return set_log_sink({});
  set_log_sink(
      [descriptor](const LogRecord& record) {
        const std::string line = to_line(record);
        const int error = errno;
        if (::write(descriptor, line.data(), line.size()) < 0) {
          dropped.fetch_add(1, std::memory_order_relaxed);
        }
        errno = error;
      },
      static_cast<LogLevel>(level));
}

}  // namespace

void bind_log(nb::module_& module) {
  module.def("log_to", log_to, nb::arg("descriptor"), nb::arg("level"),
             "Lines of log go to a pipe that does not block; -1: nowhere.");
  module.def(
      "log_dropped", [] { return dropped.load(); }, "How many lines found the pipe full.");
}

}  // namespace graven::python
