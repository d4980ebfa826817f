// SPDX-License-Identifier: MIT
//
// The verbs of the command line and what they share: exit statuses, and opening a database. Each
// verb declares its options next to its code; command_line.cpp calls the declarations, and main.cpp
// turns exceptions into messages.
//
// Exit statuses: 0 done, 1 nothing there (or check found problems), 2 wrong usage or an error (an
// exception here), 3 a dump without what is damaged.
//
// Called from the main thread, one verb per process.
#pragma once

#include <graven/graven.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "cli/verb.hpp"

namespace graven::cli {

inline constexpr int kDone = 0;
inline constexpr int kNotFound = 1;
inline constexpr int kFailed = 2;
inline constexpr int kIncomplete = 3;  // a dump without what is damaged

enum class Access {
  kRead,    // changes nothing, not even the store's bookkeeping
  kChange,  // the database must exist
  kCreate,  // creates the database if it does not exist
};

/// UnavailableError if the database must exist and does not; NotFound for a missing prefix.
Database open_database(const Where& where, Access access,
                       std::chrono::milliseconds slow_operation = std::chrono::milliseconds(0));
/// UnavailableError if the URL names a file that does not exist.
void require_file(const std::string& database);
/// The file that a URL names; empty if none.
std::string file_of(const std::string& url);
/// The same for a verb that uses the file without opening the URL. UsageError if the URL names no
/// file or has options that opening would refuse; also throws like require_other_output().
std::string require_named_file(const std::string& database);
/// Whether a URL names a store that is neither in a file nor in memory.
bool on_server(const std::string& url);
/// UsageError for such a store: the verb needs a file. Says what does the same there.
void require_in_file(const std::string& database, const char* verb);
/// UsageError if standard output or standard error is a file of a database, which the output would
/// destroy. `file`: a database whose files are recognised under any name.
void require_other_output(const std::string& file = {});

/// Access for storing at a path: a new database cannot contain the parents of a longer path.
inline Access access_to(const std::vector<std::string>& path, bool parents) {
  return path.size() <= 1 || parents ? Access::kCreate : Access::kChange;
}

void declare_get(Verbs& verbs);
void declare_set(Verbs& verbs);
void declare_del(Verbs& verbs);
void declare_ls(Verbs& verbs);
void declare_tree(Verbs& verbs);
void declare_query(Verbs& verbs);
void declare_dump(Verbs& verbs);
void declare_load(Verbs& verbs);
void declare_check(Verbs& verbs);
void declare_repair(Verbs& verbs);
void declare_backup(Verbs& verbs);
void declare_restore(Verbs& verbs);
void declare_copy(Verbs& verbs);
void declare_maintenance(Verbs& verbs);
void declare_doctor(Verbs& verbs);
void declare_collect(Verbs& verbs);
void declare_why(Verbs& verbs);
void declare_stats(Verbs& verbs);
void declare_top(Verbs& verbs);
void declare_watch(Verbs& verbs);
void declare_serve(Verbs& verbs);

}  // namespace graven::cli
