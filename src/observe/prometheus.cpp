// SPDX-License-Identifier: MIT
//
// Lines of the exposition format. One thread at a time.
#include "observe/prometheus.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace graven::observe {
namespace {

/// Appends a label value. (HELP texts are literals and need no escapes.) The format is UTF-8; if a
/// value is not (a path, perhaps), its bytes beyond ASCII are written as \xff.
void append_label(std::string& text, std::string_view value) {
  const bool foreign = base::invalid_utf8(value).has_value();
  base::append_quoted(text, value, {'"', "\nn", "\\x"}, [foreign](unsigned char byte) {
    return byte == '\n' || (foreign && byte >= 0x80);
  });
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view help, std::string_view type) {
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::sample(std::string_view name, const Labels& labels, std::uint64_t value) {
  put(name, "", labels, "", fmt::format("{}", value));
}

void Exposition::sample(std::string_view name, const Labels& labels, double value) {
  put(name, "", labels, "", fmt::format("{}", value));
}

void Exposition::sample(std::string_view name, const Labels& labels, const Histogram& value) {
  for (const Histogram::Bucket& bucket : value.buckets) {
    put(name, "_bucket", labels, fmt::format("{:.12g}", bucket.le),
        fmt::format("{}", bucket.count));
  }
  put(name, "_bucket", labels, "+Inf", fmt::format("{}", value.count));
  put(name, "_sum", labels, "", fmt::format("{:.9f}", value.sum));
  put(name, "_count", labels, "", fmt::format("{}", value.count));
}

void Exposition::put(std::string_view name, std::string_view suffix, const Labels& labels,
                     std::string_view le, std::string_view value) {
  text_ += name;
  text_ += suffix;
  char before = '{';
  const auto label = [&](std::string_view key, std::string_view of) {
    text_ += before;
    text_ += key;
    text_ += '=';
    append_label(text_, of);
    before = ',';
  };
  for (const auto& [key, of] : labels_) label(key, of);
  for (const auto& [key, of] : labels) label(key, of);
  if (!le.empty()) label("le", le);
  if (before == ',') text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

}  // namespace graven::observe
