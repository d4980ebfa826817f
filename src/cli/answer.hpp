// SPDX-License-Identifier: MIT
//
// What a verb answers when it is to answer in JSON, and how it complains: one document on standard
// output, an error as one on standard error. And colours, for people on a terminal only.
//
// The main thread's.
#pragma once

#include <graven/data.hpp>

#include <exception>
#include <string>
#include <string_view>

namespace graven::cli {

/// A document, on a line of its own, at once.
void answer(const Data& document);

/// A line on standard error; as JSON an object of `code` and `message`.
void complain(std::string_view code, std::string_view message, bool json);
/// The code of an error of graven's is its own ("busy", "corruption" …).
void complain(const std::exception& error, bool json);

enum class Colour { kRed = 31, kGreen = 32, kYellow = 33 };

/// The text in a colour, where the descriptor is a terminal that shows some and NO_COLOR
/// (no-color.org) is not set.
std::string coloured(Colour colour, std::string_view text, int descriptor = 1);

}  // namespace graven::cli
