// SPDX-License-Identifier: MIT
//
// Reads conditions and fields from text; the grammar is described at graven::parse_condition().
// UsageError, which shows the text and points at the place. Any thread.
#pragma once

#include <string_view>

#include "query/expression.hpp"

namespace graven::query {

/// Null for "true".
ExpressionPtr parse_expression(std::string_view text);
Path parse_path(std::string_view text);

}  // namespace graven::query
