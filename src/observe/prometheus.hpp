// SPDX-License-Identifier: MIT
//
// Prometheus' text exposition format (version 0.0.4): families of samples with HELP and TYPE.
//
// Always holds: a family's samples are together, below its header. Names are literals of the
// caller; label values are escaped here. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/stats.hpp>

namespace graven::observe {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  /// Every sample begins with these labels.
  explicit Exposition(Labels labels) : labels_(std::move(labels)) {}

  /// Families of one sample each:
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, help, "counter");
    sample(name, {}, value);
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, help, "gauge");
    sample(name, {}, value);
  }
  void histogram(std::string_view name, std::string_view help, const Histogram& value) {
    family(name, help, "histogram");
    sample(name, {}, value);
  }

  /// A family of several samples: its header, then each sample.
  void family(std::string_view name, std::string_view help, std::string_view type);
  void sample(std::string_view name, const Labels& labels, std::uint64_t value);
  void sample(std::string_view name, const Labels& labels, double value);
  void sample(std::string_view name, const Labels& labels, const Histogram& value);

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void put(std::string_view name, std::string_view suffix, const Labels& labels,
           std::string_view le, std::string_view value);

  const Labels labels_;
  std::string text_{};
};

}  // namespace graven::observe
