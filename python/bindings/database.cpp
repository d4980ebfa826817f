// SPDX-License-Identifier: MIT
//
// graven.DB: the root dict of one prefix, and what one can do with the graph under it.
//
// Always holds: the DB object is a Dict, its root, so reading and writing through it cost what
// they cost through any Dict. set_prefix() gives it another root and keeps the old one: handles
// made before stay on their prefix, and close() ends them all.
//
// Called with the GIL held, which is released around every use of the store.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "options.hpp"
#include "path.hpp"
#include "progress.hpp"
#include "sessions.hpp"
#include "stats.hpp"

namespace graven::python {
namespace {

Place<Dict> open_place(const std::optional<SystemPath>& url, const Options& options) {
  const GilReleased release;
  Database database = url ? Database(url->bytes, options) : open_from_environment(options);
  Dict root = database.root();
  return {std::make_shared<Home>(std::move(database)), std::move(root)};
}

Place<Dict> place_with_prefix(const DictHandle& of, const std::string& prefix) {
  Home& home = of.home();
  return off_gil(home, [&]() -> Place<Dict> {
    Database database = home.database->with_prefix(prefix);
    Dict root = database.root();
    return {std::make_shared<Home>(std::move(database)), std::move(root)};
  });
}

struct DatabaseHandle : DictHandle {
  explicit DatabaseHandle(Place<Dict> first)
      : DictHandle(std::move(first.home), std::move(first.node)) {}

  std::vector<std::unique_ptr<const Place<Dict>>> later;  // of set_prefix(), oldest first
};

/// A member function of Database, called off the GIL.
template <class Call>
auto with_database(const DatabaseHandle& self, Call&& call) {
  const HomePtr home = self.home_ptr();
  return off_gil(*home, [&] { return call(*home->database); });
}

constexpr std::size_t kByPosition = 2;  // prefix, link_field

void open(DatabaseHandle* self, const std::optional<SystemPath>& url, const nb::args& by_position,
          const nb::kwargs& by_name) {
  const auto options = options_from<Options>(by_position, by_name, kByPosition);
  new (self) DatabaseHandle(open_place(url, options));
}

void set_prefix(DatabaseHandle& self, const std::string& prefix, bool require_empty) {
  if (require_empty && with_database(self, [&](const Database& database) {
        return database.prefix_in_use(prefix);
      })) {
    throw BadValueError("the prefix '" + prefix + "' is in use already");
  }
  self.later.push_back(std::make_unique<const Place<Dict>>(place_with_prefix(self, prefix)));
  self.place.store(self.later.back().get(), std::memory_order_release);
}

void close(DatabaseHandle& self) {
  std::vector<HomePtr> homes{self.own.home};
  for (const auto& place : self.later) homes.push_back(place->home);
  const GilReleased release;
  for (const HomePtr& home : homes) home->database->close();
}

CheckReport check(const DatabaseHandle& self, const nb::object& progress) {
  const Progress report = progress_of(progress);
  return with_database(self, [&](const Database& database) { return database.check(report); });
}

RepairReport repair(const DatabaseHandle& self, bool dry_run, bool backup,
                    const nb::object& progress) {
  const RepairOptions options{
      .dry_run = dry_run, .backup = backup, .progress = progress_of(progress)};
  return with_database(self, [&](const Database& database) { return database.repair(options); });
}

BackupReport backup(const DatabaseHandle& self, const SystemPath& path, const nb::object& progress,
                    bool overwrite, std::int64_t pages_per_step, double pause,
                    bool allow_network_file_system) {
  const BackupOptions options{.progress = progress_of(progress),
                              .pages_per_step = pages_from(pages_per_step),
                              .pause = milliseconds(pause, "pause"),
                              .overwrite = overwrite,
                              .allow_network_file_system = allow_network_file_system};
  return with_database(
      self, [&](const Database& database) { return database.backup(path.bytes, options); });
}

std::vector<std::string> why_alive(const DatabaseHandle& self, nb::handle node) {
  const Node* of = nullptr;
  if (is_dict_handle(node.ptr())) {
    of = &dict_handle(node.ptr()).node();
  } else if (is_list_handle(node.ptr())) {
    of = &list_handle(node.ptr()).node();
  } else {
    throw WrongTypeError("why_alive() takes a Dict or a List");
  }
  return with_database(self, [&](const Database& database) { return database.why_alive(*of); });
}

void bind_report(nb::module_& module) {
  nb::class_<Problem>(module, "Problem", "A problem that check() found.")
      .def_ro("node", &Problem::node, "The uid of the node, or an empty text.")
      .def_ro("what", &Problem::what, "A description of the problem.")
      .def("__repr__", [](const Problem& problem) {
        return "Problem(node='" + problem.node + "', what='" + problem.what + "')";
      });
  nb::class_<CheckReport>(module, "CheckReport", "The result of check().")
      .def_prop_ro("ok", &CheckReport::ok, "Whether there are no problems.")
      .def_ro("problems", &CheckReport::problems, "The problems.")
      .def_ro("nodes", &CheckReport::nodes,
              "The number of dicts and lists that were checked, in all prefixes.")
      .def_ro("links", &CheckReport::links, "The number of links that were checked.")
      .def_ro("held", &CheckReport::held,
              "The number of nodes that only handles of running processes keep.")
      .def_ro("reclaiming", &CheckReport::reclaiming, "The number of nodes pending deletion.")
      .def("__repr__", [](const CheckReport& report) {
        return "CheckReport(ok=" + std::string(report.ok() ? "True" : "False") +
               ", nodes=" + std::to_string(report.nodes) +
               ", links=" + std::to_string(report.links) +
               ", problems=" + std::to_string(report.problems.size()) + ")";
      });
}

void bind_repair(nb::module_& module) {
  nb::class_<Repaired>(module, "Repaired", "Something that repair() did, or could not do.")
      .def_ro("node", &Repaired::node, "The uid of the node, or an empty text.")
      .def_ro("what", &Repaired::what, "A description.")
      .def_prop_ro(
          "bytes",
          [](const Repaired& one) { return nb::bytes(one.bytes.data(), one.bytes.size()); },
          "If something was lost: the record as it was stored, its first MiB.")
      .def("__repr__", [](const Repaired& one) {
        return "Repaired(node='" + one.node + "', what='" + one.what + "')";
      });
  nb::class_<RepairReport>(module, "RepairReport", "The result of repair().")
      .def_prop_ro("sound", &RepairReport::sound, "Whether there was nothing to repair.")
      .def_ro("mended", &RepairReport::mended, "What was repaired.")
      .def_ro("lost", &RepairReport::lost, "What could not be read or identified, and is lost.")
      .def_ro("left", &RepairReport::left, "What check() still finds.")
      .def_prop_ro(
          "backup", [](const RepairReport& report) { return SystemPath{report.backup}; },
          "The path of the copy made before the repair, or an empty text.")
      .def_ro("dry_run", &RepairReport::dry_run, "Whether nothing was changed.")
      .def("__repr__", [](const RepairReport& report) {
        return "RepairReport(mended=" + std::to_string(report.mended.size()) +
               ", lost=" + std::to_string(report.lost.size()) +
               ", left=" + std::to_string(report.left.size()) + ")";
      });
}

void bind_prefixes(nb::class_<DatabaseHandle, DictHandle>& type) {
  type.def_prop_ro(
      "prefix",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.prefix(); });
      },
      "The prefix whose root dict this is.");
  type.def("set_prefix", set_prefix, nb::arg("prefix"), nb::arg("require_empty") = false,
           "Makes this object the root dict of another prefix. Handles stay with the old prefix.");
  type.def(
      "new_prefix",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.new_prefix(); });
      },
      "A name that no prefix of this store has.");
  type.def(
      "prefixes",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.prefixes(); });
      },
      "The names of all prefixes of this store.");
  type.def(
      "prefix_in_use",
      [](const DatabaseHandle& self, const std::string& prefix) {
        return with_database(
            self, [&](const Database& database) { return database.prefix_in_use(prefix); });
      },
      nb::arg("prefix"), "Whether the store has this prefix.");
  type.def(
      "delete_prefix_immediately",
      [](const DatabaseHandle& self, const std::string& prefix) {
        return with_database(self, [&](const Database& database) {
          return database.delete_prefix_immediately(prefix);
        });
      },
      nb::arg("prefix"),
      "Deletes this prefix with its nodes and counters; returns the number of nodes.");
  type.def(
      "delete_prefix_batch",
      [](const DatabaseHandle& self, const std::string& prefix, std::uint64_t count) {
        return with_database(self, [&](const Database& database) {
          return database.delete_prefix_batch(prefix, count);
        });
      },
      nb::arg("prefix"), nb::arg("count") = 500,
      "Deletes up to `count` nodes of a prefix; call it again until it returns 0.");
}

void bind_housekeeping(nb::class_<DatabaseHandle, DictHandle>& type) {
  type.def(
      "wait_durable",
      [](const DatabaseHandle& self) {
        with_database(self, [](const Database& database) { database.wait_durable(); });
      },
      "Returns when everything that this process has committed survives a power failure, also\n"
      "with synchronous=\"normal\" (with \"off\" only until the next checkpoint). Not inside a\n"
      "transaction.");
  type.def(
      "collect",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.collect(); });
      },
      "Collects nodes that only deleted handles and dead processes kept; returns their number.");
  type.def(
      "maintenance",
      [](const DatabaseHandle& self) -> std::optional<std::string> {
        std::string obstacle =
            with_database(self, [](const Database& database) { return database.maintenance(); });
        return obstacle.empty() ? std::nullopt : std::optional(std::move(obstacle));
      },
      "Calls collect(), then cleans up the store where that is needed: gives free pages back to\n"
      "the file system, in slices between which others can write, and moves the WAL into the\n"
      "file. Returns what prevented it from giving back all free space (for example which\n"
      "process reads an older state), or None.");
  type.def("check", check, nb::arg("progress") = nb::none(),
           nb::sig("def check(self, progress: Callable[[int, int], object] | None = None) -> "
                   "CheckReport"),
           "Checks everything, while others write. It changes nothing.");
  type.def(
      "repair", repair, nb::arg("dry_run") = false, nb::arg("backup") = true,
      nb::arg("progress") = nb::none(),
      nb::sig("def repair(self, dry_run: bool = False, backup: bool = True, progress: "
              "Callable[[int, int], object] | None = None) -> RepairReport"),
      "Repairs what check() finds, as far as possible, in one transaction, and checks again.\n"
      "The file is copied to `<file>.before-repair` first, unless `backup` is false. dry_run:\n"
      "reports what would be done, and changes nothing. Not inside a transaction.");
  type.def(
      "backup", backup, nb::arg("path"), nb::arg("progress") = nb::none(),
      nb::arg("overwrite") = false, nb::kw_only(), nb::arg("pages_per_step") = 1024,
      nb::arg("pause") = 0.0, nb::arg("allow_network_file_system") = false,
      nb::sig(
          "def backup(self, path: str | bytes | os.PathLike[str], progress: Callable[[int, int], "
          "object] | None = None, overwrite: bool = False, *, pages_per_step: int = 1024, "
          "pause: float = 0.0, allow_network_file_system: bool = False) -> BackupReport"),
      "Copies one committed state into a new file, while others write; then reads the copy back\n"
      "and checks it. The copy is a separate store in one file; restore() puts it back.\n"
      "progress(done, total) is called between steps, with pages; an exception from it ends the\n"
      "backup. A failed backup leaves no file. A lazy DB, and the lazy Maps that this process\n"
      "has open on the store, are flushed first. Not inside a transaction.");
  type.def(
      "size_on_disk",
      [](const DatabaseHandle& self) {
        return with_database(self,
                             [](const Database& database) { return database.size_on_disk(); });
      },
      "The size of the store's files in bytes.");
  type.def(
      "stats",
      [](const DatabaseHandle& self) {
        return to_python(
            with_database(self, [](const Database& database) { return database.stats(); }));
      },
      nb::sig("def stats(self) -> Stats"),
      "What this process has done with the store, and the state of its file.");
  type.def(
      "get_connection_stats",
      [](const DatabaseHandle& self) {
        return to_python(with_database(
            self, [](const Database& database) { return database.connection_stats(); }));
      },
      nb::sig("def get_connection_stats(self) -> dict[str, PoolStats]"),
      "The connections to the file for each pool: 'readers' and 'writer'.");
  type.def(
      "metrics",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.metrics(); });
      },
      "stats() and get_connection_stats() in Prometheus' text format, for the program to serve.");
  type.def_prop_ro(
      "name",
      [](const DatabaseHandle& self) {
        return SystemPath{
            with_database(self, [](const Database& database) { return database.name(); })};
      },
      "The path or URL of the store.");
  type.def_prop_ro(
      "read_only",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.read_only(); });
      },
      "Whether this was opened read-only.");
  type.def_prop_ro(
      "closed", [](const DatabaseHandle& self) { return self.home().database->closed(); },
      "Whether close() was called.");
  type.def(
      "flush",
      [](const DatabaseHandle& self) {
        with_database(self, [](const Database& database) { database.flush(); });
      },
      "Returns when everything that was committed before is in the file; only with\n"
      "persist='lazy' is there something to wait for. Changes of a lazy Map are not included:\n"
      "it has its own flush(). Not inside a transaction.");
  type.def(
      "close", close,
      "Flushes, and closes this database and its handles. Calling it again does nothing. A\n"
      "transaction that was begun on it is rolled back, in any thread; a transaction of another\n"
      "object is not. Closing the last open DB or Map of the file releases everything: no\n"
      "descriptor, lock or -wal is left, also if objects are still referenced or in use in\n"
      "other threads, which get ClosedError.");
}

}  // namespace

void bind_database(nb::module_& module) {
  bind_report(module);
  bind_repair(module);
  auto type =
      nb::class_<DatabaseHandle, DictHandle>(module, "Database", "The base class of graven.DB.");
  const std::string signature = signature_of_init<Options>(
      "str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None", kByPosition);
  type.def("__init__", open, nb::arg("path_or_url") = nb::none(), nb::arg("by_position"),
           nb::arg("by_name"), nb::sig(signature.c_str()),
           "Opens the store at a path or URL; without one, the store that the environment names.");
  type.def(
      "__init__",
      [](DatabaseHandle* self, const DatabaseHandle& other, const std::string& prefix) {
        new (self) DatabaseHandle(place_with_prefix(other, prefix));
      },
      nb::arg("other"), nb::arg("prefix"), "Opens another prefix of an open store.");

  type.def_prop_ro(
      "root", [](const DatabaseHandle& self) { return make_dict(self.home_ptr(), self.node()); },
      nb::sig("def root(self) -> Dict"), "The root dict, as a plain Dict.");
  bind_lookups(type);
  type.def(
      "why_alive", why_alive, nb::arg("node"),
      nb::sig("def why_alive(self, node: Dict | List) -> list[str]"),
      "The uids of a path from the root to a node, both included; empty if only a handle keeps\n"
      "the node.");
  type.def(
      "transaction",
      [](nb::handle self, bool durable) {
        return make_transaction(nb::borrow(self), dict_handle(self.ptr()).home_ptr(), durable);
      },
      nb::kw_only(), nb::arg("durable") = false,
      nb::sig("def transaction(self, *, durable: bool = False) -> Transaction"),
      "A context manager. Its block is one atomic step, which sees its own writes. An exception\n"
      "rolls it back. Inside another transaction it is a savepoint. It belongs to the thread\n"
      "that enters it; if another thread leaves it, it is rolled back. close() of this object,\n"
      "called by any thread, rolls it back, and the rest of the block raises ClosedError.\n"
      "\n"
      "durable: the block ends when its changes survive a power failure, whatever `synchronous`\n"
      "is; inside another transaction, the end of the outer one waits. Raises\n"
      "CommitUnknownError if the changes are committed, but the disk did not confirm it.");
  type.def_prop_ro(
      "in_transaction",
      [](const DatabaseHandle& self) {
        return with_database(self,
                             [](const Database& database) { return database.in_transaction(); });
      },
      "Whether this thread is inside a transaction().");
  type.def(
      "transactor",
      [](const DatabaseHandle& self) {
        return make_transactor(
            with_database(self, [](const Database& database) { return database.transactor(); }));
      },
      nb::sig("def transactor(self) -> Transactor"),
      "An optimistic transaction: watch(), multi(), execute(), or transact(function).");
  type.def(
      "snapshot",
      [](const DatabaseHandle& self) {
        return make_snapshot(
            with_database(self, [](const Database& database) { return database.snapshot(); }));
      },
      nb::sig("def snapshot(self) -> Snapshot"),
      "A consistent, read-only view of the current state.");

  type.def(
      "batch_insert",
      [](const DatabaseHandle& self, nb::handle container, nb::handle rows) {
        return batch_insert(self, container, rows);
      },
      nb::arg("container"), nb::arg("rows"),
      nb::sig("def batch_insert(self, container: Dict | List, rows: Any) -> list[Any]"),
      "Inserts many rows in one step, all or none. A Dict takes a mapping or pairs; a List\n"
      "takes an iterable and appends its items. Returns the stored values in order.");
  type.def(
      "connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kApart); },
      nb::sig("def connection(self) -> SqlConnection"),
      "A connection for SQL. Each statement reads the newest state, or is a commit by itself.");
  type.def(
      "read_connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kRead); },
      nb::sig("def read_connection(self) -> SqlConnection"),
      "A connection for SQL in one read transaction, from its first statement to the end of the\n"
      "with block.");
  type.def(
      "write_connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kWrite); },
      nb::sig("def write_connection(self) -> SqlConnection"),
      "A connection for SQL in one transaction() of this thread. Changes of the graph in the\n"
      "with block are part of it. The end of the block commits it, unless commit() or close()\n"
      "has ended it before; an exception rolls it back. Inside another transaction it is a\n"
      "savepoint.");
  bind_counters(type, "Adds to a counter and returns its new value; atomic across processes.");

  bind_prefixes(type);
  bind_housekeeping(type);
  module.def(
      "database_options",
      [](const nb::args& by_position, const nb::kwargs& by_name) {
        return told(options_from<Options>(by_position, by_name, 0));
      },
      nb::sig("def database_options(**options: Any) -> list[dict[str, Any]]"),
      "A description of each option of a DB; the given options have the given values.");
}

}  // namespace graven::python
