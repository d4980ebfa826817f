// SPDX-License-Identifier: MIT
//
// How a verb answers in JSON (one document on standard output), and how errors are written (one
// line or JSON document on standard error). Also colours, on a terminal only.
//
// Used by the main thread.
#pragma once

#include <graven/data.hpp>

#include <exception>
#include <string>
#include <string_view>

namespace graven::cli {

/// Writes a document on one line and flushes.
void answer(const Data& document);

/// Writes an error to standard error: one line, or with `json` an object of `code` and `message`.
void complain(std::string_view code, std::string_view message, bool json);
/// The code of a graven error is that of its Errc ("busy", "corruption" …).
void complain(const std::exception& error, bool json);

enum class Colour { kRed = 31, kGreen = 32, kYellow = 33 };

/// The text in colour, if the descriptor is a terminal that supports it and NO_COLOR (no-color.org)
/// is not set; else unchanged.
std::string coloured(Colour colour, std::string_view text, int descriptor = 1);

}  // namespace graven::cli
