// SPDX-License-Identifier: MIT
//
// What a graven.Map tells about itself, and its end.
//
// Called with the GIL held.
#include <string>

#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "map_handle.hpp"

namespace graven::python {

const char* name_of(Persist persist) noexcept {
  return persist == Persist::kWritethrough ? "writethrough"
         : persist == Persist::kLazy       ? "lazy"
                                           : "memory";
}

void bind_map_stats(nb::module_& module) {
  nb::class_<MapStats>(module, "MapStats", "What Map.stats() tells, of one moment.")
      .def_ro("hot_entries", &MapStats::hot_entries, "Keys known in memory, also as missing.")
      .def_ro("hot_bytes", &MapStats::hot_bytes, "Bytes they take up.")
      .def_ro("misses", &MapStats::misses, "Reads that had to go further than memory.")
      .def_ro("warm_entries", &MapStats::warm_entries, "Items in the warm file.")
      .def_ro("warm_bytes", &MapStats::warm_bytes, "Its size on the disk.")
      .def_ro("warm_hits", &MapStats::warm_hits, "Misses that it answered.")
      .def_ro("pending", &MapStats::pending, "Writes that are not in the file yet.")
      .def_ro("pending_bytes", &MapStats::pending_bytes, "Bytes they take up.")
      .def_ro("flushes", &MapStats::flushes, "Flushes that wrote something.")
      .def_ro("failed_flushes", &MapStats::failed_flushes, "Flushes that could not.")
      .def("__repr__", [](const MapStats& stats) {
        return "MapStats(hot_entries=" + std::to_string(stats.hot_entries) +
               ", hot_bytes=" + std::to_string(stats.hot_bytes) +
               ", misses=" + std::to_string(stats.misses) +
               ", warm_entries=" + std::to_string(stats.warm_entries) +
               ", warm_bytes=" + std::to_string(stats.warm_bytes) +
               ", warm_hits=" + std::to_string(stats.warm_hits) +
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
      "flush(), and returns when it survives a loss of power, whatever `synchronous` says.");
  type.def(
      "stats",
      [](const MapHandle& self) {
        return off_gil(self.map, [](const Map& map) { return map.stats(); });
      },
      "What is in memory and what waits for the disk.");
  type.def_prop_ro(
      "name", [](const MapHandle& self) { return self.map.name(); }, "The map's name in its file.");
  type.def_prop_ro(
      "path", [](const MapHandle& self) { return self.place; },
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
        const GilReleased release;
        self.map.close();
      },
      "Flushes, and ends this map. Calling it again does nothing.");
}

}  // namespace graven::python
