// SPDX-License-Identifier: MIT
//
// What a graven.Map tells about itself, and its end.
//
// Called with the GIL held.
#include <string>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "map_handle.hpp"
#include "path.hpp"

namespace graven::python {

const char* name_of(Persist persist) noexcept {
  return persist == Persist::kWritethrough ? "writethrough"
         : persist == Persist::kLazy       ? "lazy"
                                           : "memory";
}

void bind_map_stats(nb::module_& module) {
  nb::class_<MapStats>(
      module, "MapStats",
      "What Map.stats() tells, of one moment: of this process, since the map was opened.\n\n"
      "A read asks memory, what is pending, the warm file and the store, until one knows; each\n"
      "key of a batch counts.")
      .def_ro("hot_entries", &MapStats::hot_entries, "Keys known in memory, also as missing.")
      .def_ro("hot_bytes", &MapStats::hot_bytes, "Bytes they take up.")
      .def_ro("hot_hits", &MapStats::hot_hits, "Reads answered from there.")
      .def_ro("misses", &MapStats::misses, "Reads that had to go further than memory.")
      .def_ro("evictions", &MapStats::evictions, "Keys dropped from memory to make room.")
      .def_ro("warm_entries", &MapStats::warm_entries, "Items in the warm file.")
      .def_ro("warm_bytes", &MapStats::warm_bytes, "Its size on the disk.")
      .def_ro("warm_hits", &MapStats::warm_hits, "Reads that it answered.")
      .def_ro("warm_misses", &MapStats::warm_misses, "Reads that it could not answer.")
      .def_ro("store_hits", &MapStats::store_hits, "Reads that found their key in the store.")
      .def_ro("store_misses", &MapStats::store_misses, "Reads that found there is no such key.")
      .def_ro("pending", &MapStats::pending, "Writes that are not in the file yet.")
      .def_ro("pending_bytes", &MapStats::pending_bytes, "Bytes they take up.")
      .def_ro("flushes", &MapStats::flushes, "Flushes that wrote something.")
      .def_ro("failed_flushes", &MapStats::failed_flushes, "Flushes that could not.")
      .def("__repr__", [](const MapStats& stats) {
        return "MapStats(hot_entries=" + std::to_string(stats.hot_entries) +
               ", hot_bytes=" + std::to_string(stats.hot_bytes) +
               ", hot_hits=" + std::to_string(stats.hot_hits) +
               ", misses=" + std::to_string(stats.misses) +
               ", evictions=" + std::to_string(stats.evictions) +
               ", warm_entries=" + std::to_string(stats.warm_entries) +
               ", warm_bytes=" + std::to_string(stats.warm_bytes) +
               ", warm_hits=" + std::to_string(stats.warm_hits) +
               ", warm_misses=" + std::to_string(stats.warm_misses) +
               ", store_hits=" + std::to_string(stats.store_hits) +
               ", store_misses=" + std::to_string(stats.store_misses) +
               ", pending=" + std::to_string(stats.pending) +
               ", pending_bytes=" + std::to_string(stats.pending_bytes) +
               ", flushes=" + std::to_string(stats.flushes) +
               ", failed_flushes=" + std::to_string(stats.failed_flushes) + ")";
      });
}

void bind_map_lifetime(nb::class_<MapHandle>& type) {
  type.def(
      "flush",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.flush(); }); },
      "Returns when all that was written before is in the file.");
  type.def(
      "wait_durable",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.wait_durable(); }); },
      "flush(), and returns when it survives a loss of power, also with\n"
      "synchronous=\"normal\" (with \"off\" until the next checkpoint only).");
  type.def(
      "stats",
      [](const MapHandle& self) {
        return off_gil(self.map, [](const Map& map) { return map.stats(); });
      },
      "What is in memory, who answered reads, what waits for the disk.");
  type.def(
      "metrics",
      [](const MapHandle& self) {
        return off_gil(self.map, [](const Map& map) { return map.metrics(); });
      },
      "stats() in Prometheus' text format, for the program to serve.");
  type.def_prop_ro(
      "name", [](const MapHandle& self) { return self.map.name(); }, "The map's name in its file.");
  type.def_prop_ro(
      "path", [](const MapHandle& self) { return SystemPath{self.place}; },
      "The path or URL it was opened at.");
  type.def_prop_ro(
      "persist", [](const MapHandle& self) { return name_of(self.persist); },
      nb::sig("def persist(self) -> str"), "'writethrough', 'lazy' or 'memory'.");
  type.def_prop_ro(
      "closed", [](const MapHandle& self) { return self.map.closed(); },
      "Whether close() was called.");
  type.def(
      "close",
      [](const MapHandle& self) {
        self.kept.clear();
        const GilReleased release;
        self.map.close();
      },
      "Flushes, and ends this map. Calling it again does nothing.");
}

}  // namespace graven::python
