// SPDX-License-Identifier: MIT
//
// Builds replies from what libvalkey's parser finds. See reply.hpp.
#include "backends/redis/reply.hpp"

#include <charconv>
#include <new>
#include <stdexcept>
#include <valkey/read.h>

namespace graven::redis {

/// A reply, or a part of one.
struct ReplyNode {
  int type = VALKEY_REPLY_NIL;
  std::int64_t integer = 0;
  std::string text{};
  std::vector<std::unique_ptr<ReplyNode>> parts{};
};

namespace {

/// The whole part of a number; 0 beyond 64 bits.
std::int64_t whole(double number) noexcept {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  return number >= -kEnd && number < kEnd ? static_cast<std::int64_t>(number) : 0;
}

/// Makes the node of a task, a part of its parent's; nullptr without memory.
template <class Fill>
void* make(const valkeyReadTask* task, int type, const Fill& fill) noexcept {
  try {
    auto made = std::make_unique<ReplyNode>();
    made->type = type;
    fill(*made);
    ReplyNode* node = made.get();
    if (task->parent == nullptr) return made.release();
    static_cast<ReplyNode*>(task->parent->obj)->parts.push_back(std::move(made));
    return node;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void* make_text(const valkeyReadTask* task, char* text, std::size_t size) {
  // A verbatim string begins with its format: "txt:".
  const std::size_t format = task->type == VALKEY_REPLY_VERB ? 4 : 0;
  return make(task, task->type,
              [&](ReplyNode& node) { node.text.assign(text + format, size - format); });
}

void* make_parts(const valkeyReadTask* task, std::size_t size) {
  constexpr std::size_t kMost = 1024;  // the server may promise more than it sends
  return make(task, task->type,
              [&](ReplyNode& node) { node.parts.reserve(size < kMost ? size : kMost); });
}

void* make_integer(const valkeyReadTask* task, long long value) {
  return make(task, VALKEY_REPLY_INTEGER, [&](ReplyNode& node) { node.integer = value; });
}

void* make_double(const valkeyReadTask* task, double value, char* text, std::size_t size) {
  return make(task, VALKEY_REPLY_DOUBLE, [&](ReplyNode& node) {
    node.integer = whole(value);
    node.text.assign(text, size);
  });
}

void* make_nil(const valkeyReadTask* task) {
  return make(task, VALKEY_REPLY_NIL, [](ReplyNode&) {});
}

void* make_bool(const valkeyReadTask* task, int value) {
  return make(task, VALKEY_REPLY_BOOL, [&](ReplyNode& node) { node.integer = value != 0; });
}

void free_node(void* node) { delete static_cast<ReplyNode*>(node); }

constinit valkeyReplyObjectFunctions makers{make_text, make_parts, make_integer, make_double,
                                            make_nil,  make_bool,  free_node};

}  // namespace

bool ReplyPart::nil() const noexcept { return of_ == nullptr || of_->type == VALKEY_REPLY_NIL; }

bool ReplyPart::error() const noexcept { return of_ != nullptr && of_->type == VALKEY_REPLY_ERROR; }

bool ReplyPart::integer() const noexcept {
  return of_ != nullptr && (of_->type == VALKEY_REPLY_INTEGER || of_->type == VALKEY_REPLY_BOOL);
}

bool ReplyPart::array() const noexcept {
  if (of_ == nullptr) return false;
  return of_->type == VALKEY_REPLY_ARRAY || of_->type == VALKEY_REPLY_MAP ||
         of_->type == VALKEY_REPLY_SET || push();
}

bool ReplyPart::push() const noexcept { return of_ != nullptr && of_->type == VALKEY_REPLY_PUSH; }

std::int64_t ReplyPart::number() const noexcept {
  if (integer() || (of_ != nullptr && of_->type == VALKEY_REPLY_DOUBLE)) return of_->integer;
  const std::string_view digits = text();
  const char* end = digits.data() + digits.size();
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), end, value);
  return read.ec == std::errc() && read.ptr == end ? value : 0;
}

std::string_view ReplyPart::text() const noexcept {
  return of_ != nullptr ? std::string_view(of_->text) : std::string_view();
}

std::size_t ReplyPart::size() const noexcept { return array() ? of_->parts.size() : 0; }

ReplyPart ReplyPart::operator[](std::size_t at) const noexcept {
  return ReplyPart(at < size() ? of_->parts[at].get() : nullptr);
}

void Reply::Free::operator()(ReplyNode* reply) const noexcept { delete reply; }

ReplyReader::ReplyReader() : reader_(::valkeyReaderCreateWithFunctions(&makers)) {
  if (!reader_) throw std::bad_alloc();
}

std::span<char> ReplyReader::room(std::size_t least) {
  char* to = nullptr;
  std::size_t size = 0;
  if (::valkeyReaderGetReadBuf(reader_.get(), &to, &size, least) != VALKEY_OK) {
    throw std::bad_alloc();
  }
  return {to, size};
}

void ReplyReader::received(std::size_t bytes) noexcept {
  ::valkeyReaderCommitRead(reader_.get(), bytes);
}

std::optional<Reply> ReplyReader::next() {
  for (;;) {
    void* found = nullptr;
    if (::valkeyReaderGetReply(reader_.get(), &found) != VALKEY_OK) {
      if (reader_->err == VALKEY_ERR_OOM) throw std::bad_alloc();
      throw std::invalid_argument(reader_->errstr);
    }
    if (found == nullptr) return std::nullopt;
    Reply reply(static_cast<ReplyNode*>(found));
    // Attributes only come before what they are about.
    if (static_cast<ReplyNode*>(found)->type != VALKEY_REPLY_ATTR) return reply;
  }
}

void ReplyReader::Free::operator()(valkeyReader* reader) const noexcept {
  ::valkeyReaderFree(reader);
}

}  // namespace graven::redis
