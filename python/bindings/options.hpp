// SPDX-License-Identifier: MIT
//
// Options of DB and Map as Python gives them: keyword arguments, times in seconds, enumerators by
// name; and what Python shows of them. Which there are: <graven/option_fields.hpp>.
//
// Called with the GIL held.
#pragma once

#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <graven/graven.hpp>

namespace nb = nanobind;

namespace graven::python {

inline std::chrono::milliseconds milliseconds(double seconds, const char* option) {
  if (!(seconds >= 0 && seconds <= kMostSeconds)) {
    throw UsageError(std::string(option) + " must be a number of seconds from 0 to 1e9");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

inline int pages_from(std::int64_t pages) {
  if (pages < 1 || pages > std::numeric_limits<int>::max()) {
    throw UsageError("pages_per_step must be at least 1 and less than 2 ** 31");
  }
  return static_cast<int>(pages);
}

/// What is of another type is no argument of the function's, which graven/arguments.py then tells.
template <class T>
T argument(nb::handle given) {
  T value{};
  if (!nb::try_cast(given, value)) throw nb::next_overload();
  return value;
}

inline void take(nb::handle given, const OptionField& /*of*/, bool& option) {
  option = argument<bool>(given);
}

inline void take(nb::handle given, const OptionField& /*of*/, std::string& option) {
  if (!given.is_none() || !option.empty()) option = argument<std::string>(given);
}

inline void take(nb::handle given, const OptionField& of, std::chrono::milliseconds& option) {
  option = milliseconds(argument<double>(given), of.name);
}

inline void take(nb::handle given, const OptionField& of, std::integral auto& option) {
  const auto number = argument<std::int64_t>(given);
  if (number < of.least) {
    throw UsageError(
        std::string(of.name) + " must " +
        (of.least == 0 ? "not be negative" : "be at least " + std::to_string(of.least)));
  }
  option = static_cast<std::remove_reference_t<decltype(option)>>(number);
}

template <class Enumeration>
requires std::is_enum_v<Enumeration>
void take(nb::handle given, const OptionField& of, Enumeration& option) {
  const auto name = argument<std::string>(given);
  std::string all;
  std::size_t at = 0;
  for (const std::string_view each : kOptionNames<Enumeration>) {
    if (each == name) {
      option = static_cast<Enumeration>(at);
      return;
    }
    const bool last = ++at == kOptionNames<Enumeration>.size();
    all.append(at == 1 ? "'" : last ? " or '" : ", '").append(each).append("'");
  }
  throw UsageError(std::string(of.name) + " must be " + all + ", not '" + name + "'");
}

/// What is of the file is anything whose text, or truth, a URL could carry.
inline void take_text(nb::handle given, const OptionField& of, Options& options, bool truth) {
  const nb::object text =
      truth ? nb::str(nb::cast<bool>(nb::bool_(given)) ? "on" : "off") : nb::str(given);
  std::string utf8;
  if (!nb::try_cast(text, utf8)) {
    throw BadValueError(std::string("a setting's name or value is no text that UTF-8 can hold: ") +
                        of.name);
  }
  options.set(of.name, utf8);
}

/// The options given by position, in the order of their declaration, and by name.
template <class All>
All options_from(const nb::args& by_position, const nb::kwargs& by_name,
                 std::size_t most_by_position) {
  All options;
  std::size_t at = 0;
  std::size_t known = 0;
  each_option(options, [&](const OptionField& of, auto& option) {
    nb::object given;
    if (at < by_position.size()) given = by_position[at];
    ++at;
    if (by_name.contains(of.name)) {
      if (given) throw nb::next_overload();  // twice
      given = by_name[of.name];
      ++known;
    }
    if (!given) return;
    if constexpr (std::is_same_v<All, Options>) {
      if (of.of_file) {
        return take_text(given, of, options, std::is_same_v<decltype(option), bool&>);
      }
    }
    take(given, of, option);
  });
  if (by_position.size() > most_by_position || known != by_name.size()) throw nb::next_overload();
  return options;
}

/// An option's value as Python gives it.
template <class Value>
nb::object shown(const Value& value) {
  if constexpr (std::is_same_v<Value, std::chrono::milliseconds>) {
    return nb::float_(std::chrono::duration<double>(value).count());
  } else if constexpr (std::is_enum_v<Value>) {
    return nb::cast(option_name(value));
  } else if constexpr (std::is_same_v<Value, std::string>) {
    return value.empty() ? nb::none() : nb::cast(value);
  } else {
    return nb::cast(value);
  }
}

/// The signature of what opens `path`, and takes options of which so many may be given by position.
template <class All>
std::string signature_of_init(const std::string& path, std::size_t most_by_position) {
  std::string text = "def __init__(self, path_or_url: " + path;
  each_option(All(), [&](const OptionField& of, const auto& value) {
    const nb::object initial = shown(value);
    const char* type = initial.is_none() ? "str | None" : Py_TYPE(initial.ptr())->tp_name;
    if (most_by_position-- == 0) text += ", *";
    text.append(", ").append(of.name).append(": ").append(type).append(" = ");
    text += nb::repr(initial).c_str();
  });
  // Those that Python's classes take themselves: redis_clients.py.
  return text +
         ", redis: object | None = None, redis_adapter: Callable[..., object] | None = None, "
         "redis_kwargs: Mapping[str, object] | None = None) -> None";
}

/// For docstrings, docs/options.md and tests: what there is to tell of each option.
template <class All>
nb::list told(const All& options) {
  nb::list list;
  each_option(options, [&]<class Value>(const OptionField& of, const Value& value) {
    nb::dict each;
    each["name"] = of.name;
    each["help"] = of.help;
    each["value"] = shown(value);
    each["unit"] = std::is_same_v<Value, std::chrono::milliseconds> ? "seconds" : of.unit;
    each["least"] = of.least;
    each["most"] = of.most;
    each["variable"] = std::is_same_v<All, Options> ? of.variable : "";
    each["of_file"] = of.of_file;
    nb::list names;
    if constexpr (std::is_enum_v<Value>) {
      for (const std::string_view name : kOptionNames<Value>) names.append(name);
    }
    each["names"] = names;
    list.append(each);
  });
  return list;
}

}  // namespace graven::python
