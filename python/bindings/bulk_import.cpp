// SPDX-License-Identifier: MIT
//
// graven.BulkImport's foundation (the context managers are Python: graven/bulk.py), and
// DB.batch_insert().
//
// Called with the GIL held, which is released around every use of the store.
#include <chrono>
#include <string>
#include <utility>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "sessions.hpp"

namespace graven::python {
namespace {

struct ImportHandle {
  HomePtr home;
  BulkImport import;
};

/// Called off the GIL.
template <class Call>
auto with_import(const ImportHandle& self, Call&& call) {
  return off_gil(*self.home, [&] { return call(self.import); });
}

void begin(ImportHandle* self, const DictHandle& database, std::int64_t cache_mb,
           const nb::object& progress) {
  if (cache_mb < 0) throw UsageError("cache_mb must not be negative");
  BulkOptions options{.cache_mb = static_cast<std::size_t>(cache_mb)};
  if (!progress.is_none()) {
    options.progress = [progress](std::string_view phase, std::uint64_t done, std::uint64_t total) {
      const GilHeld gil;
      const nb::object name = str_from(phase);
      or_stay([&] { progress(name, done, total); });
    };
  }
  const HomePtr home = database.home_ptr();
  // The callback holds Python objects: it is moved, not copied, and made and gone under the GIL.
  new (self) ImportHandle{
      home, off_gil(*home, [&] { return BulkImport(*home->database, std::move(options)); })};
}

nb::list phases(const ImportHandle& self) {
  nb::list all;
  for (const BulkImport::Phase& phase : self.import.phases()) {
    all.append(nb::make_tuple(phase.name, phase.seconds, phase.committed, phase.done));
  }
  return all;
}

}  // namespace

nb::object batch_insert(const DictHandle& database, nb::handle container, nb::handle rows) {
  const HomePtr home = database.home_ptr();
  if (is_dict_handle(container.ptr())) {
    const Dict& dict = dict_handle(container.ptr()).node();
    const Data data = entries_from(rows.ptr(), nullptr);
    return to_python_list(off_gil(*home, [&] { return home->database->batch_insert(dict, data); }),
                          home);
  }
  if (is_list_handle(container.ptr())) {
    const ListHandle& list = list_handle(container.ptr());
    const Data data = items_from(rows.ptr(), Destination::after(list));
    return to_python_list(
        off_gil(*home, [&] { return home->database->batch_insert(list.node(), data); }), home);
  }
  throw WrongTypeError("batch_insert() takes a Dict or a List to put the rows into");
}

void bind_bulk_import(nb::module_& module) {
  nb::class_<ImportHandle>(module, "BulkImportBase", "The base class of graven.BulkImport.")
      .def("__init__", begin, nb::arg("database"), nb::arg("cache_mb") = 512,
           nb::arg("progress") = nb::none(),
           nb::sig("def __init__(self, database: Database, cache_mb: int = 512, "
                   "progress: Callable[[str, int, int], object] | None = None) -> None"))
      .def(
          "begin_phase",
          [](const ImportHandle& self, const std::string& name) {
            with_import(self, [&](const BulkImport& import) { import.begin_phase(name); });
          },
          nb::arg("name"), "Begins a phase; phase() calls it, and ends the phase too.")
      .def(
          "end_phase",
          [](const ImportHandle& self, bool commit) {
            with_import(self, [&](const BulkImport& import) { import.end_phase(commit); });
          },
          nb::arg("commit"), "Ends the phase: commits it, or rolls it back.")
      .def(
          "advance",
          [](const ImportHandle& self, std::uint64_t done, std::uint64_t total) {
            return self.import.advance(done, total);
          },
          nb::arg("done"), nb::arg("total") = 0,
          "Reports progress between two complete steps of a phase. Returns False after abort() "
          "was\n"
          "called: then leave the block of the phase, and its changes are committed.")
      .def(
          "abort", [](const ImportHandle& self) { self.import.abort(); },
          "Asks the import to end. Any thread may call it.")
      .def_prop_ro(
          "aborted", [](const ImportHandle& self) { return self.import.aborted(); },
          "Whether abort() was called.")
      .def_prop_ro(
          "phases", phases, nb::sig("def phases(self) -> list[tuple[str, float, bool, int]]"),
          "The phases that have ended: name, seconds, whether committed, how much was done.")
      .def(
          "finish",
          [](const ImportHandle& self, bool in_haste) {
            return with_import(self, [&](const BulkImport& import) {
              return in_haste ? import.finish(std::chrono::milliseconds(100)) : import.finish();
            });
          },
          nb::arg("in_haste") = false,
          "Restores the settings, empties the WAL and updates the statistics of the query "
          "planner.\n"
          "Returns False if a reader prevented emptying the WAL. in_haste: does not wait long for\n"
          "others.");
}

}  // namespace graven::python
