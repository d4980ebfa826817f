// SPDX-License-Identifier: MIT
//
// Groups of rows, and what is computed of each.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <graven/query.hpp>

#include "base/integer.hpp"
#include "query/reader.hpp"

namespace graven::query {

/// What one aggregate knows of one group.
class Total {
 public:
  /// `name` is the aggregate's, for errors.
  void take(Aggregate::Kind kind, const Datum& datum, const std::string& name);
  [[nodiscard]] Data::Item result(Aggregate::Kind kind) const;

 private:
  void add(const Datum& datum);
  [[nodiscard]] double sum() const;

  std::uint64_t count_ = 0;
  std::int64_t whole_ = 0;                 // the integers …
  std::optional<base::Integer> beyond_{};  // … and those that made it overflow
  double real_ = 0;
  double lost_ = 0;  // what rounding has taken from real_
  bool any_real_ = false;
  Scalar best_ = nullptr;
};

class Groups {
 public:
  using Named = std::pair<std::string, Aggregate>;
  static constexpr std::size_t kMost = 1'000'000;

  Groups(const std::vector<std::string>& names, const std::vector<Field>& fields,
         const std::vector<Named>& aggregates)
      : names_(names), fields_(fields), aggregates_(aggregates) {}

  void take(Reader& reader, const Datum& row);
  /// The list that Query::group_by() returns.
  [[nodiscard]] Data finish() const;

 private:
  struct Group {
    std::vector<Data::Item> key;
    std::vector<Total> totals;
  };

  const std::vector<std::string>& names_;
  const std::vector<Field>& fields_;
  const std::vector<Named>& aggregates_;
  std::unordered_map<std::string, std::size_t> places_{};
  std::vector<Group> groups_{};
  std::string identity_{};
  std::vector<Datum> key_{};
};

}  // namespace graven::query
