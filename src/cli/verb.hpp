// SPDX-License-Identifier: MIT
//
// How a verb declares itself: its name, what the help says of it, and its options, each bound to
// a member of a struct of its own. What parses them stays behind command_line.cpp.
//
// Always holds: every verb takes --json; what an argument is called (DATABASE, FILE, PATH …)
// says also what may stand for it, which completion goes by (generate.cpp).
//
// Used by the main thread, before anything runs.
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

/// Which database, and which keyspace in it (empty: "main").
struct Where {
  std::string database{};
  std::string prefix{};
};

/// An option or argument that was declared; lives as long as the command line.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required();
  /// What the help calls its value.
  Option named(const char* value);
  Option between(double least, double most);
  template <std::integral Number>
  Option between(Number least, Number most) {
    return within(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most));
  }
  /// The target is in seconds, and the value a number with a unit: 30s, 15m, 1h, 1d.
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
  /// Names that begin with '-' make an option, another name an argument.
  Option value(const char* names, std::string& target, const char* about);
  Option value(const char* names, int& target, const char* about);
  Option value(const char* names, double& target, const char* about);
  Option value(const char* names, std::uint64_t& target, const char* about);
  Option value(const char* names, std::optional<std::uint64_t>& target, const char* about);

  // What many have alike.
  Option database(std::string& target, const char* about = "File or URL of the database");
  void where(Where& target);
  Option path(std::string& target, const char* about) { return value("PATH", target, about); }
  /// Every verb has it: its answer, and its errors, are JSON.
  Option json(bool& target, const char* about);
  /// For a verb whose answer is JSON anyway.
  Option json(const char* about);

 private:
  CLI::App* app_;
};

/// Where verbs declare themselves.
class Verbs {
 public:
  virtual ~Verbs() = default;

  /// A verb that `run` carries out, and the options it will be given.
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
