// SPDX-License-Identifier: MIT
//
// JSON answers, error messages, colours. See answer.hpp. Used by the main thread.
#include "cli/answer.hpp"

#include <graven/error.hpp>

#include <cstdlib>
#include <new>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/console.hpp"
#include "cli/json_writer.hpp"
#include "cli/path.hpp"

namespace graven::cli {
namespace {

std::string_view code_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return name(known->code());
  if (dynamic_cast<const NotFound*>(&error) != nullptr) return "not_found";
  if (dynamic_cast<const Interrupted*>(&error) != nullptr) return "interrupted";
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return "out_of_memory";
  return "error";
}

}  // namespace

void answer(const Data& document) {
  Output out;
  out.line(to_json_text(document));
  out.flush();
}

void complain(std::string_view code, std::string_view message, bool json) {
  if (json) {
    std::string line = "{\"code\": ";
    base::append_json(line, code);
    line += ", \"message\": ";
    base::append_json(line, message);
    note(line + "}");
  } else {
    note(fmt::format("{} {}", coloured(Colour::kRed, "graven:", 2), message));
  }
}

void complain(const std::exception& error, bool json) {
  const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  complain(code_of(error), memory ? "out of memory" : error.what(), json);
}

std::string coloured(Colour colour, std::string_view text, int descriptor) {
  const char* no = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if ((no != nullptr && *no != '\0') || !is_terminal(descriptor) || terminal == nullptr ||
      std::string_view(terminal) == "dumb") {
    return std::string(text);
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", static_cast<int>(colour), text);
}

}  // namespace graven::cli
