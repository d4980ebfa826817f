// SPDX-License-Identifier: MIT
//
// graven.restore() and what it and DB.backup() report.
//
// Called with the GIL held, which is released around the work.
#include <string>

#include <nanobind/stl/string.h>

#include <graven/backup.hpp>

#include "bind.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "path.hpp"
#include "progress.hpp"

namespace graven::python {
namespace {

BackupReport restore_backup(const SystemPath& backup, const SystemPath& path,
                            const nb::object& progress, bool keep_replaced,
                            bool allow_network_file_system) {
  const RestoreOptions options{.progress = progress_of(progress),
                               .keep_replaced = keep_replaced,
                               .allow_network_file_system = allow_network_file_system};
  const GilReleased release;
  return restore(backup.bytes, path.bytes, options);
}

}  // namespace

void bind_backup(nb::module_& module) {
  nb::class_<BackupReport>(module, "BackupReport", "Describes a backup or a restored store.")
      .def_prop_ro(
          "path", [](const BackupReport& report) { return SystemPath{report.path}; },
          "The absolute path.")
      .def_ro("bytes", &BackupReport::bytes, "The size in bytes.")
      .def_ro("nodes", &BackupReport::nodes, "The number of dicts and lists, in all prefixes.")
      .def_ro("links", &BackupReport::links, "The number of links between them.")
      .def_ro(
          "sealed", &BackupReport::sealed,
          "From restore(): whether a seal proved that no byte was changed since the backup was\n"
          "made.")
      .def_prop_ro(
          "replaced", [](const BackupReport& report) { return SystemPath{report.replaced}; },
          "From restore(): the path of the store that was replaced, or an empty text.")
      .def(
          "__repr__",
          [](const BackupReport& report) {
            const nb::object path = nb::cast(SystemPath{report.path});
            return owned(PyUnicode_FromFormat("BackupReport(path=%R, bytes=%llu, nodes=%llu)",
                                              path.ptr(),
                                              static_cast<unsigned long long>(report.bytes),
                                              static_cast<unsigned long long>(report.nodes)));
          },
          nb::sig("def __repr__(self) -> str"));
  module.def(
      "restore", restore_backup, nb::arg("backup"), nb::arg("path"),
      nb::arg("progress") = nb::none(), nb::arg("keep_replaced") = true, nb::kw_only(),
      nb::arg("allow_network_file_system") = false,
      nb::sig("def restore(backup: str | bytes | os.PathLike[str], path: str | bytes | "
              "os.PathLike[str], "
              "progress: Callable[[int, int], object] | None = None, keep_replaced: bool = True, "
              "*, allow_network_file_system: bool = False) -> BackupReport"),
      "Replaces the store at `path` by a backup. The store need not exist, and the backup is\n"
      "not changed. The replaced store becomes `<path>.before-restore`, unless keep_replaced is\n"
      "false. Raises CorruptionError if the backup is not complete, ForeignFileError if it is\n"
      "not graven's or has a newer format, BusyError while a process has the store open; in\n"
      "these cases nothing is changed. progress(done, total) is called from time to time, with\n"
      "bytes.");
}

}  // namespace graven::python
