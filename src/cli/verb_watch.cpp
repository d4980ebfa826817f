// SPDX-License-Identifier: MIT
//
// The verb watch: prints a line for each change of a place in a database, by any process, until a
// signal, a count or a time limit. Used by the main thread.
//
// Always holds: a line is written before it waits for the next change. If the reader of the output
// is gone, the command ends even if nothing changes.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/json_writer.hpp"
#include "cli/partial.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct WatchOptions {
  Where where{};
  std::string path{};
  std::uint64_t count = 0;  // 0: until interrupted
  double timeout = 0;       // seconds; 0: none
  bool json = false;
};

using Clock = std::chrono::steady_clock;

bool reader_has_gone() {
  pollfd output{.fd = 1, .events = 0, .revents = 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

std::string shown(const Change& change) {
  const std::string name = format_path(parse_path(change.path));
  return fmt::format("{}  {}", name, change.value ? describe(*change.value) : "deleted");
}

std::string as_json(const Change& change) {
  if (!change.value) {
    return to_json_text(Data::dict({{"path", change.path}, {"deleted", true}}));
  }
  const Node* node = node_of(*change.value);
  return to_json_text(
      Data::dict({{"path", change.path},
                  {"value", node != nullptr ? node->materialize() : Data(*change.value)}}));
}

int run_watch(const WatchOptions& options) {
  const InterruptGuard guard;
  const Database db = open_database(options.where, Access::kRead);
  const Watch watch(db, options.path);
  note(fmt::format("watching {}", format_path(parse_path(options.path))));
  std::optional<Clock::time_point> end;
  if (options.timeout > 0) {
    end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(options.timeout));
  }
  constexpr std::chrono::milliseconds kLook{50};
  Output out;
  std::uint64_t seen = 0;
  while (InterruptGuard::signal() == 0) {
    auto patience = kLook;
    if (end) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*end - Clock::now());
      if (left.count() <= 0) return seen != 0 ? kDone : kNotFound;
      patience = std::min(patience, left);
    }
    const std::optional<Change> change = watch.next(patience);
    if (!change) {
      if (reader_has_gone()) throw OutputClosed();
      continue;
    }
    try {
      out.line(options.json ? as_json(*change) : shown(*change));
    } catch (const CollectedError&) {
      continue;  // changed again meanwhile: reported next
    }
    out.flush();
    if (++seen == options.count) break;
  }
  return kDone;
}

}  // namespace

void declare_watch(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "watch", "Print each change at a path when it is committed, by any process",
      "Watches the value at PATH and, if it is a dict or list, its direct entries, nothing\n"
      "deeper. Changes that follow each other quickly may be reported as one. Ends with Ctrl-C\n"
      "or SIGTERM (status 0), after --count changes, or after --timeout (status 1 if there was\n"
      "no change).\n"
      "Examples:\n"
      "  graven watch state.db tasks\n"
      "  graven watch state.db queue --json | while read -r change; do ...; done\n"
      "  graven watch state.db tasks/T1/done --count 1 --timeout 60",
      run_watch);
  verb.where(options.where);
  verb.path(options.path, "What to watch; it need not exist yet (default: the root)");
  verb.value("-n,--count", options.count, "Changes to print (default: until Ctrl-C)").named("N");
  verb.value("-t,--timeout", options.timeout, "Seconds to wait (default: for ever)")
      .named("S")
      .between(0.0, 366.0 * 86400);
  verb.json(options.json, "One JSON document for each change: path, and value or deleted");
}

}  // namespace graven::cli
