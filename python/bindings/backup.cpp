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
  nb::class_<BackupReport>(module, "BackupReport", "What a backup or a restored store holds.")
      .def_prop_ro(
          "path", [](const BackupReport& report) { return SystemPath{report.path}; },
          "Where it is, absolute.")
      .def_ro("bytes", &BackupReport::bytes, "Its size.")
      .def_ro("nodes", &BackupReport::nodes, "Dicts and lists, in every prefix.")
      .def_ro("links", &BackupReport::links, "Links between them.")
      .def_ro("sealed", &BackupReport::sealed,
              "Of restore(): whether a seal proved that not a byte was altered since the backup "
              "was made.")
      .def_prop_ro(
          "replaced", [](const BackupReport& report) { return SystemPath{report.replaced}; },
          "Of restore(): where the store that was there is now, or an empty text.")
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
      "Puts a backup in the place of the store at `path`, which need not exist; the backup stays\n"
      "as it is. The store that is there becomes `<path>.before-restore`, unless told otherwise.\n"
      "CorruptionError where the backup is not whole, ForeignFileError where it is not graven's\n"
      "or too new, BusyError while any process has the store open; nothing is changed then.\n"
      "progress(done, total) is called now and then, with bytes.");
}

}  // namespace graven::python
