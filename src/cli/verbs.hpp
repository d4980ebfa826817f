// SPDX-License-Identifier: MIT
//
// The verbs of the command line, and what they share: statuses, and opening a database. Each
// declares its options beside its code; command_line.cpp calls the declarations, and main.cpp
// turns exceptions into messages.
//
// Statuses: 0 done, 1 nothing there (or check found problems), 2 wrong usage or an error, which
// is an exception here.
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
  kChange,  // the database must be there
  kCreate,  // a new one is made when it is not
};

/// UnavailableError when it must be there and is not; NotFound for a prefix that must.
Database open_database(const Where& where, Access access,
                       std::chrono::milliseconds slow_operation = std::chrono::milliseconds(0));
/// UnavailableError where a URL names a file that is not there.
void require_file(const std::string& database);
/// The file of a URL; empty where it names none.
std::string file_of(const std::string& url);
/// The same for a verb that works on the file without opening a database by the URL: UsageError
/// where it names none, for options that opening would refuse, and as require_other_output().
std::string require_named_file(const std::string& database);
/// UsageError where what is printed would go into a file of a database, which that would destroy.
/// `file`: one whose files are recognised wherever they are linked.
void require_other_output(const std::string& file = {});

/// For storing at a path: a new database cannot have what lies on the way to a long one.
inline Access access_to(const std::vector<std::string>& path, bool parents) {
  return path.size() <= 1 || parents ? Access::kCreate : Access::kChange;
}

void declare_get(Verbs& verbs);
void declare_set(Verbs& verbs);
void declare_del(Verbs& verbs);
void declare_ls(Verbs& verbs);
void declare_tree(Verbs& verbs);
void declare_dump(Verbs& verbs);
void declare_load(Verbs& verbs);
void declare_check(Verbs& verbs);
void declare_repair(Verbs& verbs);
void declare_backup(Verbs& verbs);
void declare_restore(Verbs& verbs);
void declare_maintenance(Verbs& verbs);
void declare_doctor(Verbs& verbs);
void declare_collect(Verbs& verbs);
void declare_why(Verbs& verbs);
void declare_stats(Verbs& verbs);
void declare_top(Verbs& verbs);
void declare_watch(Verbs& verbs);
void declare_serve(Verbs& verbs);

}  // namespace graven::cli
