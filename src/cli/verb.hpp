// SPDX-License-Identifier: MIT
//
// How a verb declares itself: its name, its help texts, and its options, each bound to a member of
// the verb's own struct. Only command_line.cpp knows the parser.
//
// Always holds: every verb takes --json. The name of an argument (DATABASE, FILE, PATH …) also says
// what its values are; completion uses that (generate.cpp).
//
// Used by the main thread, before a verb runs.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace graven::cli {

/// A database and a keyspace in it (empty: "main").
struct Where {
  std::string database{};
  std::string prefix{};
};

/// A declared option or argument; valid as long as the command line.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required();
  /// The name of its value in the help.
  Option named(const char* value);
  Option between(double least, double most);
  template <std::integral Number>
  Option between(Number least, Number most) {
    return within(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most));
  }
  /// The value is a number with a unit: 30s, 15m, 1h, 1d. The target is in seconds.
  Option as_time();
  Option excludes(Option other);
  Option needs(Option other);

 private:
  Option within(std::int64_t least, std::int64_t most);

  CLI::Option* option_;
};

class Verb {
 public:
  explicit Verb(CLI::App* app) : app_(app) {}

  Option flag(const char* names, bool& target, const char* about);
  /// Names with a leading '-' make an option, other names an argument.
  Option value(const char* names, std::string& target, const char* about);
  Option value(const char* names, int& target, const char* about);
  Option value(const char* names, double& target, const char* about);
  Option value(const char* names, std::uint64_t& target, const char* about);
  Option value(const char* names, std::optional<std::uint64_t>& target, const char* about);

  // Options that several verbs have.
  Option database(std::string& target, const char* about = "File or URL of the database");
  void where(Where& target);
  Option path(std::string& target, const char* about) { return value("PATH", target, about); }
  /// Every verb has it: answers and errors are JSON.
  Option json(bool& target, const char* about);
  /// For a verb whose answer is always JSON.
  Option json(const char* about);

 private:
  CLI::App* app_;
};

/// Collects the verbs' declarations.
class Verbs {
 public:
  virtual ~Verbs() = default;

  /// Adds a verb, which `run` carries out. Returns it with its options, which `run` will get.
  template <class Options>
  std::pair<Verb, Options&> add(const char* name, const char* about, const char* more,
                                int (*run)(const Options&)) {
    const auto options = std::make_shared<Options>();
    return {declare(name, about, more, [run, options] { return run(*options); }), *options};
  }

 protected:
  virtual Verb declare(const char* name, const char* about, const char* more,
                       std::function<int()> run) = 0;
};

}  // namespace graven::cli
