// SPDX-License-Identifier: MIT
//
// Watcher: what graven.Watch and DB.wait() are made of. It sleeps without the GIL. And paths as
// texts, for graven/paths.py.
//
// Called with the GIL held.
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <graven/path.hpp>
#include <graven/watch.hpp>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "handles.hpp"

namespace graven::python {
namespace {

struct Watcher {
  HomePtr home;
  Watch watch;
  bool busy = false;  // while a next() goes on without the GIL
};

void open(Watcher* self, nb::handle database, const std::string& path) {
  HomePtr home = dict_handle(database.ptr()).home_ptr();
  if (!home->database) throw UsageError("a watch needs a DB, not a view of it");
  Watch watch = [&] {
    const GilReleased release;
    return Watch(*home->database, path);
  }();
  new (self) Watcher{std::move(home), std::move(watch)};
}

/// (path, value, deleted), or None when the time is up.
nb::object next(Watcher& self, double seconds) {
  if (std::isnan(seconds)) throw BadValueError("a timeout must be a number of seconds, not NaN");
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  std::optional<Change> change = [&] {
    const InUse in_use(self.busy, "this watch");
    const GilReleased release;
    return self.watch.next(timeout);
  }();
  if (!change) return nb::none();
  const bool deleted = !change->value.has_value();
  nb::object value = deleted ? nb::none() : to_python(*change->value, self.home);
  return nb::make_tuple(str_from(change->path), std::move(value), deleted);
}

void bind_paths(nb::module_& module) {
  module.def(
      "parse_path", [](const std::string& text) { return parse_path(text); }, nb::arg("text"),
      nb::sig("def parse_path(text: str) -> list[str]"), "The steps of a path.");
  module.def(
      "format_path",
      [](const std::vector<std::string>& steps) {
        return steps.empty() ? std::string() : format_path(steps);
      },
      nb::arg("steps"), nb::sig("def format_path(steps: Sequence[str]) -> str"),
      "The path of these steps.");
  module.def(
      "parse_index", [](const std::string& step) { return parse_index(step); }, nb::arg("step"),
      "The index that a step means in a list; None if it is not a number.");
}

}  // namespace

void bind_watch(nb::module_& module) {
  bind_paths(module);
  nb::class_<Watcher>(module, "Watcher", nb::is_final(), "The base of graven.Watch.")
      .def("__init__", open, nb::arg("database"), nb::arg("path"),
           nb::sig("def __init__(self, database: Database, path: str) -> None"))
      .def("next", next, nb::arg("seconds"),
           nb::sig("def next(self, seconds: float) -> tuple[str, Any, bool] | None"),
           "The next change as (path, value, deleted); None after the given time.")
      .def(
          "stop",
          [](const Watcher& self) {
            const GilReleased release;
            self.watch.stop();
          },
          "Ends a waiting next(); later calls return at once.");
}

}  // namespace graven::python
