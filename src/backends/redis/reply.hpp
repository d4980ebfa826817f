// SPDX-License-Identifier: MIT
//
// Commands to a Redis server as lists of byte strings, and its replies.
//
// Plain values; a reply or a reader is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct valkeyReader;

namespace graven::redis {

/// A command: its name and arguments, which may hold any bytes.
class Command {
 public:
  explicit Command(std::string_view name) { add(name); }
  Command& add(std::string_view argument) & {
    arguments_.emplace_back(argument);
    return *this;
  }
  Command& add(std::int64_t number) & { return add(std::to_string(number)); }
  template <class Argument>
  Command&& add(const Argument& argument) && {
    add(argument);
    return std::move(*this);
  }
  [[nodiscard]] const std::vector<std::string>& arguments() const noexcept { return arguments_; }

 private:
  std::vector<std::string> arguments_;
};

struct ReplyNode;

/// A view of a reply, or of one part of it; valid as long as the Reply it came from.
class ReplyPart {
 public:
  explicit ReplyPart(const ReplyNode* of) noexcept : of_(of) {}

  [[nodiscard]] bool nil() const noexcept;
  /// An error of the server, such as "NOSCRIPT …".
  [[nodiscard]] bool error() const noexcept;
  [[nodiscard]] bool integer() const noexcept;
  [[nodiscard]] bool array() const noexcept;  ///< also RESP3's sets, maps (as pairs) and pushes
  [[nodiscard]] bool push() const noexcept;   ///< something that the server sent by itself
  [[nodiscard]] std::int64_t number() const noexcept;    ///< 0 if it is none; parses a text too
  [[nodiscard]] std::string_view text() const noexcept;  ///< of a string, status or error; else ""
  [[nodiscard]] std::size_t size() const noexcept;       ///< of an array; else 0
  /// A part of an array; a nil part beyond its end.
  [[nodiscard]] ReplyPart operator[](std::size_t at) const noexcept;

 private:
  const ReplyNode* of_;  // nullptr: nil
};

/// A reply, with what it consists of.
class Reply {
 public:
  explicit Reply(ReplyNode* of) noexcept : of_(of) {}
  [[nodiscard]] ReplyPart part() const noexcept { return ReplyPart(of_.get()); }
  [[nodiscard]] ReplyPart operator[](std::size_t at) const noexcept { return part()[at]; }

 private:
  struct Free {
    void operator()(ReplyNode* reply) const noexcept;
  };
  std::unique_ptr<ReplyNode, Free> of_;
};

/// Cuts what a server sends into replies, with libvalkey's parser.
class ReplyReader {
 public:
  ReplyReader();

  /// Where the next bytes are to be written: at least `least`.
  std::span<char> room(std::size_t least);
  /// So many were written there.
  void received(std::size_t bytes) noexcept;
  /// The next whole reply or push; nothing if there is none yet. std::invalid_argument says what is
  /// wrong if the bytes are none.
  std::optional<Reply> next();

 private:
  struct Free {
    void operator()(valkeyReader* reader) const noexcept;
  };
  std::unique_ptr<valkeyReader, Free> reader_;
};

}  // namespace graven::redis
