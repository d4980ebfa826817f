// SPDX-License-Identifier: MIT
//
// One trip that reads: everything is asked for first, then read in one state of the partition, in
// one MULTI.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/redis/core.hpp"
#include "port/range.hpp"

namespace graven::redis {

/// What one commit has replaced, or a part of it.
struct Undone {
  std::uint64_t clock = 0;
  std::uint64_t piece = 0;     ///< of the commit, from 0
  std::uint64_t previous = 0;  ///< in piece 0: the history before the commit
  std::vector<port::Change> changes{};
};

class Reading {
 public:
  Reading(Core& core, const port::Partition& partition);

  // Each returns the place of its answer.
  std::size_t ask_record(const port::Key& key);
  /// Of a space whose keys are ordered, or narrow().
  std::size_t ask_rows(const port::Range& range, std::size_t limit);
  /// Of a space whose keys are ordered, or narrow().
  std::size_t ask_count(const port::Range& range);
  /// Of a space whose keys are not ordered.
  std::size_t ask_keys(const port::Range& range);
  /// Makes commits keep what they replace from now on.
  void ask_hold() { hold_ = true; }
  /// Whether that was done, after run().
  [[nodiscard]] bool held() const { return held_; }
  /// What commits after this clock have replaced.
  void ask_undone(std::uint64_t clock) { undone_after_ = clock; }
  /// The last entries of the log.
  void ask_log(std::uint64_t last) { log_last_ = last; }

  /// Asks the server. UnavailableError; also where the store was deleted.
  port::StateVersion run(Deadline deadline);

  [[nodiscard]] std::optional<port::Record> record(std::size_t place) const;
  [[nodiscard]] std::vector<port::Row> rows(std::size_t place) const;
  [[nodiscard]] std::uint64_t count(std::size_t place) const;
  [[nodiscard]] std::vector<port::Key> keys(std::size_t place) const;  ///< in order
  [[nodiscard]] std::vector<Undone> undone() const;
  [[nodiscard]] std::vector<port::LogEntry> log() const;

 private:
  struct Asked {
    port::Key key{};
    port::Range range{};
    std::size_t limit = 0;
    std::size_t answer = 0;  // its place in the transaction's answers
    std::size_t within = 0;  // and there
  };

  void add_records(std::vector<Command>& commands);
  std::vector<Command> commands();
  void ask(const std::vector<Command>& commands, bool with_text, Deadline deadline);
  void ask_in_script(const std::vector<Command>& commands, Deadline deadline);
  void add_range(const Asked& asked);
  std::size_t ask_ids(const port::Range& range, std::size_t limit);
  [[nodiscard]] std::vector<port::Row> rows_of_ids(std::size_t place) const;
  [[nodiscard]] ReplyPart answer(const Asked& asked) const { return answers()[asked.answer]; }
  [[nodiscard]] ReplyPart answers() const;

  Core& core_;
  const port::Partition partition_;
  const Names names_;
  bool hold_ = false;
  bool held_ = false;
  std::optional<std::uint64_t> undone_after_;
  std::optional<std::uint64_t> log_last_;
  std::vector<Command> commands_;  // without the records and the script
  std::vector<Asked> asked_;
  std::map<std::size_t, std::vector<std::size_t>> records_;  // by segment, places in asked_
  std::vector<std::size_t> ranges_;                          // places in asked_
  Call read_{.script = Script::kRead, .keys = {}, .arguments = {"0"}};
  std::size_t head_at_ = 0;
  std::size_t undone_at_ = 0;
  std::size_t log_at_ = 0;
  std::vector<Reply> replies_;
  bool together_ = false;  // the answers are parts of the last reply
};

}  // namespace graven::redis
