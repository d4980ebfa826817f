// SPDX-License-Identifier: MIT
//
// Node::repr(): a summary in Python's notation that starts with '@' and does not show the content
// of children. Reads one consistent state. Any thread.
#include <fmt/format.h>

#include <cmath>

#include <graven/integer.hpp>

#include "base/text.hpp"
#include "graph/collector/links.hpp"
#include "graph/handles.hpp"
#include "graph/node/dict_content.hpp"

namespace graven {
namespace graph {
namespace {

using port::View;

/// An integer with at most this many hexadecimal digits is shown in decimal; Python refuses to
/// parse much longer ones.
constexpr std::size_t kDecimal = 3'500;

/// A string quoted as by Python's repr(), except that non-ASCII characters stay as they are.
std::string quoted(std::string_view text) {
  const bool doubled =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  std::string out;
  base::append_quoted(out, text, {doubled ? '"' : '\'', "\nn\rr\tt", "x"},
                      [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
  return out;
}

std::string quoted_bytes(std::string_view bytes) {
  std::string out = "b";
  base::append_quoted(out, bytes, {'\'', "", "x"},
                      [](unsigned char byte) { return byte < 0x20 || byte >= 0x7f; });
  return out;
}

std::string number(double value) {
  if (!std::isfinite(value)) return std::string(base::name_of_odd(value));
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

class Summary {
 public:
  Summary(View& view, const Session& session) : view_(view), session_(session) {}

  std::string of(const NodeRecord& node) {
    const bool dict = node.kind() == NodeKind::kDict;
    std::string out = dict ? "@{" : "@[";
    bool first = true;
    const auto add = [&](std::string_view key, jsonb::Element element) {
      if (!first) out += ", ";
      first = false;
      if (dict) out += quoted(key) + ": ";
      out += child(key, element);
    };
    if (dict) {
      dict_content::each_entry(view_, node, 256, [&](const dict_content::Entry& entry) {
        add(entry.key, jsonb::parse(entry.element));
        return true;
      });
    } else {
      each_element(view_, node, [&](jsonb::Element element) {
        add({}, element);
        return true;
      });
    }
    return out + (dict ? "}" : "]");
  }

 private:
  std::string child(std::string_view key, jsonb::Element element) {
    const Stored stored = read(element, view_);
    const auto* link = std::get_if<Link>(&stored);
    if (link == nullptr) return scalar(stored);
    const std::string& field = session_.options().link_field;
    if (!field.empty() && link->kind == NodeKind::kDict) {
      if (const auto node = find_node(view_, link->id)) {
        require_kind(*node, link->kind);
        if (const auto id = dict_content::find(view_, *node, field)) {
          const Stored value = read(jsonb::parse(*id), view_);
          if (!std::holds_alternative<Link>(value)) {
            const auto* text = std::get_if<std::string>(&value);
            if (text != nullptr && *text == key) return "*";
            return text != nullptr ? *text : scalar(value);
          }
        }
      }
    }
    return uid_of(session_, link->id, link->kind);
  }

  static std::string scalar(const Stored& stored) {
    struct Print {
      std::string operator()(std::nullptr_t) const { return "None"; }
      std::string operator()(bool value) const { return value ? "True" : "False"; }
      std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
      std::string operator()(const BigInt& value) const {
        if (value.hex.size() <= kDecimal) return to_decimal(value);
        const bool negative = value.hex.starts_with('-');
        return (negative ? "-0x" : "0x") + value.hex.substr(negative ? 1 : 0);
      }
      std::string operator()(double value) const { return number(value); }
      std::string operator()(const std::string& value) const { return quoted(value); }
      std::string operator()(const Bytes& value) const { return quoted_bytes(value.data); }
      std::string operator()(const Link&) const { return {}; }
    };
    return std::visit(Print{}, stored);
  }

  View& view_;
  const Session& session_;
};

}  // namespace
}  // namespace graph

std::string Node::repr() const {
  std::string out;
  graph::using_pin(*pin_, [&] {
    (void)graph::current(*pin_);  // also decides whether the node is alive
    pin_->scope().read([&](port::View& view) {
      out = graph::Summary(view, pin_->scope().session()).of(graph::load_node(view, *pin_));
    });
  });
  return out;
}

}  // namespace graven
