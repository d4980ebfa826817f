// SPDX-License-Identifier: MIT
//
// Map::metrics(): the numbers of stats() in Prometheus' text format. Any thread.
#include <graven/map.hpp>

#include "observe/prometheus.hpp"

namespace graven {

std::string Map::metrics() const {
  const MapStats stats = this->stats();
  observe::Exposition out(observe::Exposition::Labels{{"map", name()}});
  out.gauge("graven_map_hot_entries", "Keys in memory, also those known to be missing.",
            stats.hot_entries);
  out.gauge("graven_map_hot_bytes", "Bytes that the keys in memory take up.", stats.hot_bytes);
  out.counter("graven_map_hot_hits_total", "Reads answered from memory.", stats.hot_hits);
  out.counter("graven_map_misses_total", "Reads that memory could not answer.", stats.misses);
  out.counter("graven_map_evictions_total", "Keys dropped from memory to make room for others.",
              stats.evictions);
  out.gauge("graven_map_warm_entries", "Items in the warm file.", stats.warm_entries);
  out.gauge("graven_map_warm_bytes", "Size of the warm file.", stats.warm_bytes);
  out.counter("graven_map_warm_hits_total", "Reads answered by the warm file.", stats.warm_hits);
  out.counter("graven_map_warm_misses_total", "Reads that the warm file could not answer.",
              stats.warm_misses);
  out.counter("graven_map_store_hits_total", "Reads that found their key in the store.",
              stats.store_hits);
  out.counter("graven_map_store_misses_total", "Reads that found no such key in the store.",
              stats.store_misses);
  out.gauge("graven_map_pending_writes", "Writes that are not in the file yet.", stats.pending);
  out.gauge("graven_map_pending_bytes", "Bytes of the writes that are not in the file yet.",
            stats.pending_bytes);
  out.counter("graven_map_flushes_total", "Flushes that wrote something.", stats.flushes);
  out.counter("graven_map_flushes_failed_total", "Flushes that failed.", stats.failed_flushes);
  return out.take();
}

}  // namespace graven
