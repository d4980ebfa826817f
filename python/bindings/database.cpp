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
  nb::class_<Problem>(module, "Problem", "One thing wrong, as check() reports it.")
      .def_ro("node", &Problem::node, "The uid of the node concerned, or an empty text.")
      .def_ro("what", &Problem::what, "What is wrong, in words.")
      .def("__repr__", [](const Problem& problem) {
        return "Problem(node='" + problem.node + "', what='" + problem.what + "')";
      });
  nb::class_<CheckReport>(module, "CheckReport", "What check() found.")
      .def_prop_ro("ok", &CheckReport::ok, "Whether nothing is wrong.")
      .def_ro("problems", &CheckReport::problems, "What is wrong.")
      .def_ro("nodes", &CheckReport::nodes, "Dicts and lists looked at, in every prefix.")
      .def_ro("links", &CheckReport::links, "Links looked at.")
      .def_ro("held", &CheckReport::held, "Nodes that only handles of running processes keep.")
      .def_ro("reclaiming", &CheckReport::reclaiming,
              "Unlinked nodes whose records are still being reclaimed.")
      .def("__repr__", [](const CheckReport& report) {
        return "CheckReport(ok=" + std::string(report.ok() ? "True" : "False") +
               ", nodes=" + std::to_string(report.nodes) +
               ", links=" + std::to_string(report.links) +
               ", problems=" + std::to_string(report.problems.size()) + ")";
      });
}

void bind_repair(nb::module_& module) {
  nb::class_<Repaired>(module, "Repaired", "One thing that repair() did, or could not do.")
      .def_ro("node", &Repaired::node, "The uid of the node concerned, or an empty text.")
      .def_ro("what", &Repaired::what, "In words.")
      .def_prop_ro(
          "bytes",
          [](const Repaired& one) { return nb::bytes(one.bytes.data(), one.bytes.size()); },
          "Of what was lost: the record as it was stored, its first MiB.")
      .def("__repr__", [](const Repaired& one) {
        return "Repaired(node='" + one.node + "', what='" + one.what + "')";
      });
  nb::class_<RepairReport>(module, "RepairReport", "What repair() did.")
      .def_prop_ro("sound", &RepairReport::sound, "Whether there was nothing to repair.")
      .def_ro("mended", &RepairReport::mended, "What was put right.")
      .def_ro("lost", &RepairReport::lost, "What could not be read or told apart, and is gone.")
      .def_ro("left", &RepairReport::left, "What check() still finds.")
      .def_prop_ro(
          "backup", [](const RepairReport& report) { return SystemPath{report.backup}; },
          "The copy made before, or an empty text.")
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
      "The prefix this is the root dict of.");
  type.def("set_prefix", set_prefix, nb::arg("prefix"), nb::arg("require_empty") = false,
           "Makes this object the root dict of another prefix. Handles stay on the old one.");
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
      nb::arg("prefix"), "Whether the store has anything under this prefix.");
  type.def(
      "delete_prefix_immediately",
      [](const DatabaseHandle& self, const std::string& prefix) {
        return with_database(self, [&](const Database& database) {
          return database.delete_prefix_immediately(prefix);
        });
      },
      nb::arg("prefix"),
      "Deletes exactly this prefix, nodes and counters; gives the number of nodes.");
  type.def(
      "delete_prefix_batch",
      [](const DatabaseHandle& self, const std::string& prefix, std::uint64_t count) {
        return with_database(self, [&](const Database& database) {
          return database.delete_prefix_batch(prefix, count);
        });
      },
      nb::arg("prefix"), nb::arg("count") = 500,
      "Deletes up to `count` nodes of a prefix; call again until it gives 0.");
}

void bind_housekeeping(nb::class_<DatabaseHandle, DictHandle>& type) {
  type.def(
      "wait_durable",
      [](const DatabaseHandle& self) {
        with_database(self, [](const Database& database) { database.wait_durable(); });
      },
      "Returns when all that this process has committed survives a loss of power, also with\n"
      "synchronous=\"normal\" (with \"off\" until the next checkpoint only). Not inside a\n"
      "transaction.");
  type.def(
      "collect",
      [](const DatabaseHandle& self) {
        return with_database(self, [](const Database& database) { return database.collect(); });
      },
      "Collects what only gone handles and dead processes held; gives the number of nodes.");
  type.def(
      "maintenance",
      [](const DatabaseHandle& self) -> std::optional<std::string> {
        std::string obstacle =
            with_database(self, [](const Database& database) { return database.maintenance(); });
        return obstacle.empty() ? std::nullopt : std::optional(std::move(obstacle));
      },
      "collect(), then the store's own upkeep where it is due: free pages go back to the file\n"
      "system, in slices between which others write, and the WAL into the file. Returns what kept\n"
      "it from giving back all that was free (who reads an older state, say, by process), or "
      "None.");
  type.def("check", check, nb::arg("progress") = nb::none(),
           nb::sig("def check(self, progress: Callable[[int, int], object] | None = None) -> "
                   "CheckReport"),
           "Looks at everything and writes nothing, while others write.");
  type.def("repair", repair, nb::arg("dry_run") = false, nb::arg("backup") = true,
           nb::arg("progress") = nb::none(),
           nb::sig("def repair(self, dry_run: bool = False, backup: bool = True, progress: "
                   "Callable[[int, int], object] | None = None) -> RepairReport"),
           "Puts right what check() finds, as far as it can be, in one transaction, and looks\n"
           "again. The file is copied to `<file>.before-repair` first, unless told otherwise.\n"
           "dry_run: tells what would be done, and changes nothing. Not inside a transaction.");
  type.def(
      "backup", backup, nb::arg("path"), nb::arg("progress") = nb::none(),
      nb::arg("overwrite") = false, nb::kw_only(), nb::arg("pages_per_step") = 1024,
      nb::arg("pause") = 0.0, nb::arg("allow_network_file_system") = false,
      nb::sig(
          "def backup(self, path: str | bytes | os.PathLike[str], progress: Callable[[int, int], "
          "object] | None = None, overwrite: bool = False, *, pages_per_step: int = 1024, "
          "pause: float = 0.0, allow_network_file_system: bool = False) -> BackupReport"),
      "Copies what is committed into a new file, as one state, while others write; reads the\n"
      "copy back and proves it. The copy is a store of its own in one file; restore() puts it\n"
      "back. progress(done, total) is called between steps, with pages; what it raises ends\n"
      "the backup. Nothing is left of one that failed. A lazy DB, and the lazy Maps that this\n"
      "process has open on the store, are flushed first. Not inside a transaction.");
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
      "What this process has done with the store, and how its file stands.");
  type.def(
      "get_connection_stats",
      [](const DatabaseHandle& self) {
        return to_python(with_database(
            self, [](const Database& database) { return database.connection_stats(); }));
      },
      nb::sig("def get_connection_stats(self) -> dict[str, PoolStats]"),
      "The connections to the file, by pool: 'readers' and 'writer'.");
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
      "Whether this was opened for reading only.");
  type.def_prop_ro(
      "closed", [](const DatabaseHandle& self) { return self.home().database->closed(); },
      "Whether close() was called.");
  type.def(
      "flush",
      [](const DatabaseHandle& self) {
        with_database(self, [](const Database& database) { database.flush(); });
      },
      "Returns when all that was committed before is in the file: at once but with\n"
      "persist='lazy'. What a lazy Map has is none of it: that has a flush() of its own. Not\n"
      "inside a transaction.");
  type.def(
      "close", close,
      "Flushes, and ends this database and its handles. Calling it again does nothing. A\n"
      "transaction begun on it is rolled back, in whichever thread; one of another object is left\n"
      "alone. By the last open DB and Map on the file all is let go of: no descriptor, lock or "
      "-wal\n"
      "is left, whatever is still referenced or in use in other threads, which get ClosedError.");
}

}  // namespace

void bind_database(nb::module_& module) {
  bind_report(module);
  bind_repair(module);
  auto type =
      nb::class_<DatabaseHandle, DictHandle>(module, "Database", "What graven.DB is made of.");
  const std::string signature = signature_of_init<Options>(
      "str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None", kByPosition);
  type.def("__init__", open, nb::arg("path_or_url") = nb::none(), nb::arg("by_position"),
           nb::arg("by_name"), nb::sig(signature.c_str()),
           "Opens the store at a path or URL, or without one that of the environment.");
  type.def(
      "__init__",
      [](DatabaseHandle* self, const DatabaseHandle& other, const std::string& prefix) {
        new (self) DatabaseHandle(place_with_prefix(other, prefix));
      },
      nb::arg("other"), nb::arg("prefix"), "Another prefix of an open store.");

  type.def_prop_ro(
      "root", [](const DatabaseHandle& self) { return make_dict(self.home_ptr(), self.node()); },
      nb::sig("def root(self) -> Dict"), "The root dict, as a Dict and nothing more.");
  bind_lookups(type);
  type.def("why_alive", why_alive, nb::arg("node"),
           nb::sig("def why_alive(self, node: Dict | List) -> list[str]"),
           "The uids of a path from the root to a node, both included; empty when only a\n"
           "handle keeps it.");
  type.def(
      "transaction",
      [](nb::handle self, bool durable) {
        return make_transaction(nb::borrow(self), dict_handle(self.ptr()).home_ptr(), durable);
      },
      nb::kw_only(), nb::arg("durable") = false,
      nb::sig("def transaction(self, *, durable: bool = False) -> Transaction"),
      "A context manager: what its block does is one atomic step that sees its own writes.\n"
      "Any exception rolls it back. Inside another one it is a savepoint. It belongs to the "
      "thread\n"
      "that enters it, which is to leave it too, else it is rolled back; close() of this object\n"
      "rolls it back, whoever calls it, and the rest of the block raises ClosedError.\n\n"
      "durable: the block's end returns when what it did survives a loss of power, whatever\n"
      "`synchronous` says; inside another one, that one's end does. CommitUnknownError when it\n"
      "is committed, but the disk would not say so.");
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
      nb::sig("def snapshot(self) -> Snapshot"), "A consistent, read-only view of this moment.");

  type.def(
      "batch_insert",
      [](const DatabaseHandle& self, nb::handle container, nb::handle rows) {
        return batch_insert(self, container, rows);
      },
      nb::arg("container"), nb::arg("rows"),
      nb::sig("def batch_insert(self, container: Dict | List, rows: Any) -> list[Any]"),
      "Puts many rows in one step, all or nothing, and gives what is there now, in order: into a\n"
      "Dict a mapping or pairs, behind a List's items an iterable.");
  type.def(
      "connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kApart); },
      nb::sig("def connection(self) -> SqlConnection"),
      "SQL, each statement for itself: over the newest state, or as a commit of its own.");
  type.def(
      "read_connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kRead); },
      nb::sig("def read_connection(self) -> SqlConnection"),
      "SQL in one read transaction, from its first statement until the with block ends.");
  type.def(
      "write_connection",
      [](const DatabaseHandle& self) { return make_sql_connection(self, SqlKind::kWrite); },
      nb::sig("def write_connection(self) -> SqlConnection"),
      "SQL in one transaction() of this thread: what the with block does to the graph is part of\n"
      "it. Committed at the block's end, if it was not by commit() or ended by close(), rolled\n"
      "back by an exception; inside another one it is a savepoint.");
  bind_counters(type, "Adds to a counter and gives its new value; atomic across processes.");

  bind_prefixes(type);
  bind_housekeeping(type);
  module.def(
      "database_options",
      [](const nb::args& by_position, const nb::kwargs& by_name) {
        return told(options_from<Options>(by_position, by_name, 0));
      },
      nb::sig("def database_options(**options: Any) -> list[dict[str, Any]]"),
      "What there is to tell of each option of a DB; those given have their values.");
}

}  // namespace graven::python
