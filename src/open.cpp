// SPDX-License-Identifier: MIT
//
// Opens stores by URL (url.hpp), and keeps the table of the stores that this process has open. This
// is the only file that knows every backend.
//
// Always holds: openings of the same file (under any name), with the same settings read_only and
// synchronous, share one Store. So the collector sees all handles of the process. Any thread; the
// table has one lock.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <graven/database.hpp>
#include <graven/map.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/postgres/backend.hpp"
#include "backends/redis/backend.hpp"
#include "backends/redis/embedded/private_server.hpp"
#include "backends/sqlite/backend.hpp"
#include "base/fork.hpp"
#include "base/interrupt.hpp"
#include "base/own_code.hpp"
#include "graph/scope.hpp"
#include "graph/settings.hpp"
#include "map/core.hpp"
#include "store/open.hpp"
#include "url.hpp"

namespace graven {
namespace {

using store::Opened;

/// What is opened: a database or a map. A map also accepts a store that this process has open as a
/// lazy one.
enum class Kind : std::uint8_t { kDatabase, kMap };

/// The open stores, by identity and by those settings in which openings that share must agree.
class Table final : private base::ForkGuard {
 public:
  // Never destroyed: handles may outlive static destruction.
  static Table& get() {
    static auto* table = new Table;
    return *table;
  }

  Opened share(std::unique_ptr<port::Backend> backend, const Options& options, Kind kind) {
    const Place place{backend->facts().identity, options.read_only, options.synchronous};
    // One opening at a time; otherwise two openings could both take the store's lease.
    const auto opening = base::lock(*opening_);
    if (std::optional<Opened> open = find(place, options.persist, kind, backend->facts().name)) {
      return *std::move(open);
    }
    // Make the store (and destroy one that is not needed) without the lock: fork() takes the lock,
    // and then no ForkGuard may be added.
    const bool lazy = options.persist == Persist::kLazy;
    if (lazy) {
      backend = lazy::over(std::move(backend), {.flush_interval = options.flush_interval,
                                                .pending_limit = options.pending_limit,
                                                .patience = options.busy_timeout});
    }
    Opened opened(std::move(backend));
    const std::scoped_lock lock(mutex_);
    stores_[place] = {opened.store, lazy, kind == Kind::kMap};
    return opened;
  }

 private:
  void child_after_fork() noexcept override {
    // Lazy stores remain the parent's.
    std::erase_if(stores_, [](const auto& entry) { return entry.second.lazy; });
  }

  struct Place {
    std::string store;
    bool read_only;
    Synchronous synchronous;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Entry {
    std::weak_ptr<store::Store> store;
    bool lazy = false;
    bool of_map = false;  // a map was the first to open it
  };

  /// The open store to share, if any, with one more user. UsageError if a store in use prevents
  /// this opening.
  std::optional<Opened> find(const Place& place, Persist persist, Kind kind,
                             const std::string& name) {
    struct Open {
      Place where;
      std::shared_ptr<store::Store> store;
      bool is_lazy;
      bool of_map;
    };
    std::vector<Open> open;
    {
      const std::scoped_lock lock(mutex_);
      std::erase_if(stores_, [](const auto& entry) { return entry.second.store.expired(); });
      for (const auto& [where, entry] : stores_) {
        if (where.store == place.store && where.read_only == place.read_only) {
          open.push_back({where, entry.store.lock(), entry.lazy, entry.of_map});
        }
      }
    }
    const bool lazy = persist == Persist::kLazy;
    for (const auto& [where, store, is_lazy, of_map] : open) {
      if (!store || !(is_lazy || lazy || where == place)) continue;
      // A lazy store ends with its last user; the next opening takes the lease again.
      if (is_lazy != lazy && !store->used()) continue;
      try {
        Opened opened(store);
        if (is_lazy == lazy || (is_lazy && kind == Kind::kMap)) return opened;
      } catch (const ClosedError&) {
        continue;
      }
      if (of_map) {
        throw UsageError(fmt::format(
            "{} was first opened by a map in this process, whose store is not lazy: close what is "
            "open there, then open the lazy database before its maps",
            name));
      }
      throw UsageError(fmt::format(
          "{} is open in this process with persist={}: open it with the same here too, or close it "
          "there first",
          name, is_lazy ? "lazy" : "writethrough"));
    }
    return std::nullopt;
  }

  base::ForkRenewed<std::timed_mutex> opening_;
  base::ForkMutex mutex_{base::kForkRankRegistry};
  std::map<Place, Entry> stores_;
  base::ForkEnrolment enrolment_{*this};
};

Opened open_sqlite(const std::string& path, const Options& options, Kind kind) {
  sqlite::Options settings;
  settings.read_only = options.read_only;
  settings.create = options.create;
  settings.allow_network_file_system = options.allow_network_file_system;
  settings.synchronous = options.synchronous == Synchronous::kOff ? sqlite::Synchronous::kOff
                         : options.synchronous == Synchronous::kNormal
                             ? sqlite::Synchronous::kNormal
                             : sqlite::Synchronous::kFull;
  settings.max_readers = readers(options);
  settings.keep_alive = options.keep_alive;
  settings.reader_limit = options.reader_limit;
  settings.checkpoint_pages = options.wal_autocheckpoint;
  settings.checkpoint = static_cast<sqlite::CheckpointMode>(options.checkpoint);
  if (options.cache_mb != 0) settings.cache_bytes = options.cache_mb << 20U;
  settings.mmap_bytes = options.mmap_mb << 20U;
  settings.temp_store_in_memory = options.temp_store == TempStore::kMemory;
  return Table::get().share(sqlite::open(path, settings), options, kind);
}

Opened open_file(const std::string& path, const Options& options, Kind kind) {
  if (options.persist == Persist::kWritethrough) return open_sqlite(path, options, kind);
  if (options.read_only) {
    throw UsageError(path + ": read-only access needs persist=writethrough");
  }
  if (!options.create && options.persist == Persist::kMemory) {
    throw_bad_url(path, "a store in memory is always a new one");
  }
  if (options.persist == Persist::kLazy) return open_sqlite(path, options, kind);
  return Opened(lazy::open(path));
}

Opened open_memory(std::string_view url, Options& options) {
  if (options.read_only) throw_bad_url(url, "a new memory store cannot be read-only");
  if (!options.create) throw_bad_url(url, "a store in memory is always a new one");
  check_options(options);
  return Opened(lazy::open("memory://"));
}

/// The settings of a store on a server; an error shows the URL.
template <class Settings>
auto settings_of(const SplitUrl& split, const std::string& url, const Settings& settings) {
  try {
    return settings(url, split.query);
  } catch (const UsageError& error) {
    throw_bad_url(split.url, error.what());
  }
}

std::unique_ptr<port::Backend> open_redis(const SplitUrl& split, const Options& options) {
  const bool own = split.kind == SplitUrl::Kind::kPrivateRedis;
  redis::Settings settings = settings_of(
      split, own ? "unix:///" : fmt::format("{}{}", split.scheme, split.rest), redis::settings_of);
  settings.read_only = options.read_only;
  settings.create = options.create;
  settings.durable = options.synchronous == Synchronous::kFull;
  if (!own) return redis::open(std::move(settings));
  settings.shown = fmt::format("{}{}", split.scheme, split.rest);
  const auto deadline = std::chrono::steady_clock::now() + options.busy_timeout;
  return redis::open(std::move(settings),
                     redis::join_private_server(path_of(split), options.create, deadline));
}

std::unique_ptr<port::Backend> open_postgres(const SplitUrl& split, const Options& options) {
  postgres::Settings settings =
      settings_of(split, fmt::format("{}{}", split.scheme, split.rest), postgres::settings_of);
  settings.read_only = options.read_only;
  settings.create = options.create;
  if (options.synchronous == Synchronous::kOff) settings.durable = false;
  settings.max_connections = options.pool_size;
  return postgres::open(settings);
}

Opened open_on_server(const SplitUrl& split, const Options& options, Kind kind) {
  if (options.persist != Persist::kWritethrough) {
    throw_bad_url(split.url, "persist=lazy and persist=memory are for stores in files");
  }
  return Table::get().share(split.kind == SplitUrl::Kind::kPostgres ? open_postgres(split, options)
                                                                    : open_redis(split, options),
                            options, kind);
}

/// Opens the store at a URL; sets options from the URL.
Opened open_store(std::string_view url, Options& options, Kind kind) {
  const SplitUrl split = split_url(url, options);
  if (split.kind == SplitUrl::Kind::kMemory) return open_memory(url, options);
  check_options(options);
  if (split.kind == SplitUrl::Kind::kFile) return open_file(path_of(split), options, kind);
  return open_on_server(split, options, kind);
}

void check_memory(std::size_t mebibytes, bool in_memory) {
  constexpr std::size_t kLeast = 16;
  constexpr std::size_t kMost = std::size_t{1} << 30U;
  if (mebibytes == 0) return;
  if (mebibytes < kLeast || mebibytes > kMost) {
    throw UsageError(fmt::format("memory_mb is {}: give 0 (no bound) or from {} to {} MiB",
                                 mebibytes, kLeast, kMost));
  }
  if (in_memory) {
    throw UsageError(
        "memory_mb with persist=memory, which keeps everything in memory: leave it "
        "out, or give a file");
  }
}

void bound_memory(store::Store& store, std::size_t mebibytes) {
  if (mebibytes != 0) store.bound_memory(mebibytes << 20U);
}

void check_slow(std::chrono::milliseconds limit) {
  if (limit.count() < 0) throw UsageError("slow_operation must not be negative");
}

void log_slow(store::Store& store, std::chrono::milliseconds limit) {
  if (limit.count() != 0) store.log_slower_than(limit);
}

}  // namespace

store::Opened store::open(std::string_view url, Options options) {
  return open_store(url, options, Kind::kDatabase);
}

Database::Database(Text url, const Options& options) {
  Options settings = options;
  check_memory(settings.memory_mb, settings.persist == Persist::kMemory);
  check_slow(settings.slow_operation);
  const Opened opened = open_store(url, settings, Kind::kDatabase);
  bound_memory(*opened.store, settings.memory_mb);
  log_slow(*opened.store, settings.slow_operation);
  scope_ = graph::make_live_scope(std::make_shared<graph::Session>(opened.store, settings));
}

Database open_from_environment(Options options) {
  const std::string url = from_environment(options);
  if (url.empty()) {
    throw UsageError(
        "DATABASE_URL is not set: set it to the path or URL of a store, or name one here");
  }
  return Database(url, options);
}

void prepare() {
  base::map_own_code();
  sqlite::prepare();
}

Map::Map(Text url, const MapOptions& options) {
  if (options.hot_capacity == 0) throw UsageError("hot_capacity must be at least 1");
  if (options.flush_interval.count() <= 0) throw UsageError("flush_interval must be positive");
  constexpr std::size_t kLeastWarm = std::size_t{64} << 10U;  // a smaller file would be useless
  if (options.warm_bytes != 0 && options.warm_bytes < kLeastWarm) {
    throw UsageError(fmt::format("warm_bytes must be 0 (none) or at least {}", kLeastWarm));
  }
  check_slow(options.slow_operation);
  MapOptions own = options;
  check_memory(own.memory_mb, own.persist == Persist::kMemory);
  if (own.persist == Persist::kMemory || names_memory(url)) {
    if (!own.create) throw_bad_url(url, "a map in memory is always a new one");
    own.persist = Persist::kMemory;
    session_ = map::open_in_memory(own, map_place(url));
    return;
  }
  Options settings{.read_only = options.read_only,
                   .create = options.create,
                   .synchronous = options.synchronous,
                   .busy_timeout = options.busy_timeout,
                   .slow_operation = options.slow_operation,
                   .allow_network_file_system = options.allow_network_file_system};
  const Opened opened = open_store(url, settings, Kind::kMap);
  bound_memory(*opened.store, own.memory_mb);
  log_slow(*opened.store, settings.slow_operation);
  session_ = map::open(opened.store, own);
}

}  // namespace graven
