// SPDX-License-Identifier: MIT
//
// The man page and the shells' completions, made of the command line itself, so that they have
// every verb and option there is. The main thread's.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace graven::cli {

/// `format` is man, bash or zsh; UsageError for another.
std::string generate(const CLI::App& app, std::string_view format);

}  // namespace graven::cli
