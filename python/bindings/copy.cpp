// SPDX-License-Identifier: MIT
//
// graven.copy_store() and what it reports.
//
// Called with the GIL held, which is released around the work.
#include <string>

#include <nanobind/stl/string.h>

#include <graven/copy.hpp>

#include "bind.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "path.hpp"
#include "progress.hpp"

namespace graven::python {
namespace {

CopyReport copy_store(const SystemPath& source, const SystemPath& target,
                      const nb::object& progress) {
  const CopyOptions options{.progress = progress_of(progress)};
  const GilReleased release;
  return graven::copy_store(source.bytes, target.bytes, options);
}

}  // namespace

void bind_copy(nb::module_& module) {
  nb::class_<CopyReport>(module, "CopyReport", "Describes the copy of a store.")
      .def_ro("records", &CopyReport::records, "The number of records.")
      .def_ro("bytes", &CopyReport::bytes, "The size of their keys and contents in bytes.")
      .def_ro("prefixes", &CopyReport::prefixes, "The number of prefixes.")
      .def_ro("nodes", &CopyReport::nodes, "The number of dicts and lists, in all prefixes.")
      .def_ro("maps", &CopyReport::maps, "The number of maps.")
      .def_ro("items", &CopyReport::items, "The number of items of maps.")
      .def_ro("counters", &CopyReport::counters, "The number of counters.")
      .def_ro("digest", &CopyReport::digest,
              "A hash of all keys and contents, 32 hexadecimal digits; both stores have it.")
      .def_ro("collected", &CopyReport::collected,
              "The number of dicts and lists that were then removed from the copy: only running\n"
              "programs kept them, or they were pending deletion.")
      .def_ro("same_uids", &CopyReport::same_uids, "Whether uids are the same in both stores.")
      .def(
          "__repr__",
          [](const CopyReport& report) {
            return "CopyReport(records=" + std::to_string(report.records) +
                   ", nodes=" + std::to_string(report.nodes) + ", digest='" + report.digest + "')";
          },
          nb::sig("def __repr__(self) -> str"));
  module.def(
      "copy_store", copy_store, nb::arg("source"), nb::arg("target"),
      nb::arg("progress") = nb::none(),
      nb::sig("def copy_store(source: str | bytes | os.PathLike[str], target: str | bytes | "
              "os.PathLike[str], progress: Callable[[int, int], object] | None = None) -> "
              "CopyReport"),
      "Copies everything in one store into another one, of the same kind or not, while programs\n"
      "write the source: all prefixes and maps, as one state. Both are paths or URLs. The target\n"
      "is created if it is missing. Raises UsageError if something is in it, and BusyError while\n"
      "another process copies into it; then nothing is changed. A copy that did not end cannot\n"
      "be opened; copying again starts it over. What a lazy store has not flushed is not copied.\n"
      "progress(done, total) is called from time to time, with records; while it copies, total\n"
      "is 0, while it compares it is known.");
}

}  // namespace graven::python
