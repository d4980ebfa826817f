// SPDX-License-Identifier: MIT
//
// The new rows of an import. They are of one space and in key order; all bodies lie in one string,
// so that a row costs no allocation.
//
// Plain values; no thread owns them.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "port/record.hpp"

namespace graven::port {

/// A row of a space whose records have a pair key and one integer.
struct NewPair {
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t value = 0;

  friend bool operator==(const NewPair&, const NewPair&) = default;
  friend bool operator<(const NewPair& one, const NewPair& other) noexcept {
    return one.a != other.a ? one.a < other.a : one.b < other.b;
  }
};

class NewRows {
 public:
  using Integers = std::array<std::int64_t, kMaxIntegers>;

  /// For a space without names.
  explicit NewRows(Space space) noexcept : space_(space) {}

  /// Adds a row after the others; the bytes appended to bytes() since the last row are its body.
  void add(std::int64_t a, std::int64_t b, const Integers& integers = {}) {
    rows_.push_back({a, b, integers, bytes_.size()});
  }
  std::string& bytes() noexcept { return bytes_; }
  /// Sets the version of all rows.
  void set_version(std::uint64_t version) noexcept { version_ = version; }
  void reserve(std::size_t rows) { rows_.reserve(rows); }
  void clear() noexcept {
    rows_.clear();
    bytes_.clear();
  }

  [[nodiscard]] Space space() const noexcept { return space_; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// Bytes of all bodies.
  [[nodiscard]] std::size_t body_bytes() const noexcept { return bytes_.size(); }
  /// Bytes of memory allocated.
  [[nodiscard]] std::size_t memory() const noexcept {
    return bytes_.capacity() + rows_.capacity() * sizeof(Row);
  }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  [[nodiscard]] std::int64_t a(std::size_t row) const noexcept { return rows_[row].a; }
  [[nodiscard]] std::int64_t b(std::size_t row) const noexcept { return rows_[row].b; }
  [[nodiscard]] const Integers& integers(std::size_t row) const noexcept {
    return rows_[row].integers;
  }
  [[nodiscard]] std::string_view body(std::size_t row) const noexcept {
    const std::size_t begin = row == 0 ? 0 : rows_[row - 1].end;
    return std::string_view(bytes_).substr(begin, rows_[row].end - begin);
  }

  [[nodiscard]] Key key(std::size_t row) const {
    return {.space = space_, .a = rows_[row].a, .b = rows_[row].b};
  }
  [[nodiscard]] Record record(std::size_t row) const {
    return {.version = version_, .integers = rows_[row].integers, .body = std::string(body(row))};
  }
  [[nodiscard]] std::vector<Change> changes() const {
    std::vector<Change> all;
    all.reserve(size());
    for (std::size_t row = 0; row < size(); ++row) all.push_back({key(row), record(row)});
    return all;
  }
  [[nodiscard]] std::optional<Record> find(const Key& key) const {
    if (key.space != space_) return std::nullopt;
    const auto at = std::lower_bound(
        rows_.begin(), rows_.end(), key,
        [](const Row& row, const Key& k) { return row.a != k.a ? row.a < k.a : row.b < k.b; });
    if (at == rows_.end() || at->a != key.a || at->b != key.b) return std::nullopt;
    return record(static_cast<std::size_t>(at - rows_.begin()));
  }

 private:
  struct Row {
    std::int64_t a;
    std::int64_t b;
    Integers integers;
    std::size_t end;  // end of its body in bytes_
  };

  Space space_;
  std::uint64_t version_ = 0;
  std::vector<Row> rows_;
  std::string bytes_;
};

}  // namespace graven::port
