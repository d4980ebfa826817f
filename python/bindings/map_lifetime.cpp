// SPDX-License-Identifier: MIT
//
// What a graven.Map tells about itself, and its end.
//
// Called with the GIL held.
#include <cstdint>
#include <string>

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include "bind.hpp"
#include "map_handle.hpp"
#include "path.hpp"

namespace graven::python {

namespace {

struct Figure {
  const char* name;
  std::uint64_t MapStats::*value;
  const char* about;
};

constexpr Figure kFigures[] = {
    {"hot_entries", &MapStats::hot_entries, "Keys in memory, also those known to be missing."},
    {"hot_bytes", &MapStats::hot_bytes, "Bytes that they take up."},
    {"hot_hits", &MapStats::hot_hits, "Reads that memory answered."},
    {"misses", &MapStats::misses, "Reads that memory could not answer."},
    {"evictions", &MapStats::evictions, "Keys dropped from memory to make room for others."},
    {"warm_entries", &MapStats::warm_entries, "Items in the warm file."},
    {"warm_bytes", &MapStats::warm_bytes, "The size of the warm file on the disk."},
    {"warm_hits", &MapStats::warm_hits, "Reads that the warm file answered."},
    {"warm_misses", &MapStats::warm_misses, "Reads that the warm file could not answer."},
    {"store_hits", &MapStats::store_hits, "Reads that found their key in the store."},
    {"store_misses", &MapStats::store_misses, "Reads that found no such key in the store."},
    {"pending", &MapStats::pending, "Writes that are not in the file yet."},
    {"pending_bytes", &MapStats::pending_bytes, "Bytes that they take up."},
    {"flushes", &MapStats::flushes, "Flushes that wrote something."},
    {"failed_flushes", &MapStats::failed_flushes, "Flushes that failed."},
};

}  // namespace

void bind_map_stats(nb::module_& module) {
  auto type = nb::class_<MapStats>(
      module, "MapStats",
      "The result of Map.stats(): the figures of this process since the map was opened.\n"
      "\n"
      "A read asks memory, the pending writes, the warm file and the store in this order, until\n"
      "one has the answer. Each key of a batch counts.");
  for (const Figure& figure : kFigures) type.def_ro(figure.name, figure.value, figure.about);
  type.def("__repr__", [](const MapStats& stats) {
    std::string text;
    for (const Figure& figure : kFigures) {
      text += text.empty() ? "MapStats(" : ", ";
      text += figure.name;
      text += "=" + std::to_string(stats.*figure.value);
    }
    return text + ")";
  });
}

void bind_map_lifetime(nb::class_<MapHandle>& type) {
  type.def(
      "flush",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.flush(); }); },
      "Returns when everything that was written before is in the file.");
  type.def(
      "wait_durable",
      [](const MapHandle& self) { off_gil(self.map, [](const Map& map) { map.wait_durable(); }); },
      "Calls flush(), and returns when the writes survive a power failure, also with\n"
      "synchronous=\"normal\" (with \"off\" only until the next checkpoint).");
  type.def(
      "stats",
      [](const MapHandle& self) {
        return off_gil(self.map, [](const Map& map) { return map.stats(); });
      },
      "What is in memory, what answered the reads, and what waits for the disk.");
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
      "The path or URL that was opened.");
  type.def_prop_ro(
      "persist", [](const MapHandle& self) { return option_name(self.persist); },
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
      "Flushes, and closes this map. Calling it again does nothing.");
}

}  // namespace graven::python
