// SPDX-License-Identifier: MIT
//
// The socket of a connection to a server: finds the host, connects, waits.
//
// Always holds: the descriptor does not block and is closed on exec. Waits end at their deadline
// and can be interrupted; looking up a host's name, too.
//
// Used by one thread at a time.
#pragma once

#include <string>
#include <utility>

#include "backends/redis/settings.hpp"
#include "base/interrupt.hpp"

namespace graven::redis {

/// The connection failed or has ended; the text says why. Connection turns it into Unreached or
/// Lost.
struct Broken {
  std::string why;
};

class Socket {
 public:
  /// Connects to the first address of the host that answers. Broken.
  Socket(const Settings& settings, base::Deadline deadline);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  /// What the socket is to be ready for.
  struct For {
    bool reading = false;
    bool writing = false;
  };
  enum class Woken { kReady, kWake, kDeadline };
  /// Waits for either, or until `wake` (-1: none) can be read.
  Woken wait(For what, base::Deadline deadline, int wake = -1) const;

  /// The number of bytes sent; 0 if it would block. Broken.
  std::size_t send(const char* bytes, std::size_t size) const;
  /// The number of bytes received; 0 if it would block. Broken, also at the end.
  std::size_t receive(char* to, std::size_t room) const;

  enum class Incoming { kNothing, kSomething, kEnd };
  /// What could be received now.
  [[nodiscard]] Incoming incoming() const noexcept;

  void close() noexcept;

 private:
  int descriptor_ = -1;
};

}  // namespace graven::redis
