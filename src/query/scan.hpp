// SPDX-License-Identifier: MIT
//
// The children of a container in order, some at a time, from one state.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/node/dict_content.hpp"
#include "graph/node/node.hpp"

namespace graven::query {

/// A child. The views are valid until the next page is read.
struct Row {
  std::int64_t position = 0;  // index in a list; in a dict, where it stands in its order
  std::string_view key{};     // of a dict
  jsonb::Element element{};
};

class Scan {
 public:
  static constexpr std::size_t kPage = 512;

  /// Reads the next rows into rows(); false at the end. Each page may be read through another view,
  /// as long as it shows the same state.
  bool next(port::View& view, const graph::NodeRecord& node);
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

 private:
  bool done_ = false;
  std::int64_t from_ = graph::dict_content::kFirst;
  std::size_t start_ = 0;
  std::vector<graph::dict_content::Entry> entries_{};
  std::vector<std::string> items_{};
  std::vector<Row> rows_{};
};

}  // namespace graven::query
