// SPDX-License-Identifier: MIT
//
// The tables and their columns in SQL, from port::schema(): what every statement is made of. A
// table has `part` in front of the columns that port::schema() names; names and bodies are bytea.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "port/range.hpp"
#include "port/record.hpp"

namespace graven::postgres {

/// An identifier in double quotes.
std::string quoted(std::string_view name);
/// A text in single quotes.
std::string literal(std::string_view text);

std::string join(const std::vector<std::string>& parts, std::string_view between);

/// `text` with each `{name}` replaced.
std::string filled(std::string text,
                   const std::vector<std::pair<std::string_view, std::string>>& values);

/// Every space, in the order in which a batch is applied.
std::vector<port::Space> every_space();

/// Columns of the key without `part`; and of the record.
std::vector<std::string> key_columns(port::Space space);
std::vector<std::string> value_columns(port::Space space);

std::string create_table(const std::string& schema, port::Space space);

/// How a range is read.
enum class Form : std::uint8_t {
  kUp,    ///< within one `a` (or the ids), from the least key
  kDown,  ///< from the greatest
  kSpan,  ///< several `a`
};
inline constexpr Form kForms[] = {Form::kUp, Form::kDown, Form::kSpan};
Form form_of(const port::Range& range) noexcept;
/// Whether ranges of the space can have the form.
bool has_form(port::Space space, Form form) noexcept;
/// k.name of a range of names: from it on it is read, itself included; kDown: what is below it.
std::string end_name(const port::Range& range);
/// k.hi: the greatest number of a range of numbers; 1 if a range of names has the empty name.
std::int64_t highest(const port::Range& range);

/// Conditions on the table `t`; `k` has a, b, name, or a, a_to, lo, hi, name.
std::string is_key(port::Space space);
std::string in_range(port::Space space, Form form);
std::string range_order(port::Space space, Form form);

/// A row's columns from the table `t`: a, b, name, version, i0, i1, i2, i3, body. `version` is null
/// where there is no row (of an outer join) only.
std::string row_columns(port::Space space);

}  // namespace graven::postgres
