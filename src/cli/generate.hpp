// SPDX-License-Identifier: MIT
//
// Generates the man page and the shell completions from the declared verbs and options, so that
// none is missing. Used by the main thread.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace graven::cli {

/// `format`: man, bash or zsh; UsageError for any other.
std::string generate(const CLI::App& app, std::string_view format);

}  // namespace graven::cli
