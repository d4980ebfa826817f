// SPDX-License-Identifier: MIT
//
// The mapping of fault.hpp. Pure functions; any thread.
#include "backends/sqlite/vfs/fault.hpp"

#include <graven/error.hpp>

#include <cerrno>
#include <cstring>
#include <new>
#include <sys/resource.h>
#include <system_error>

#include <sqlite3.h>

namespace graven::sqlite {

std::string describe(const Fault& fault) {
  std::string text = fault.message;
  if (text.empty()) text = sqlite3_errstr(fault.code);
  if (fault.code != fault.primary()) text += ", SQLite code " + std::to_string(fault.code);
  if (fault.system != 0) text += ": " + std::generic_category().message(fault.system);
  return text;
}

void refuse_if_out_of_files(int error, const std::string& path) {
  std::string limit;
  switch (error) {
    case EMFILE: {
      struct rlimit files {};
      ::getrlimit(RLIMIT_NOFILE, &files);
      limit =
          "this process has as many open files as it is allowed (" +
          std::to_string(files.rlim_cur) +
          ", RLIMIT_NOFILE); close some, for example snapshots and iterations, or raise the limit";
      break;
    }
    case ENFILE:
      limit =
          "all processes together have as many open files as they are allowed (fs.file-max); end "
          "some, or raise the limit";
      break;
    case ENOMEM:
      limit = "the system has no memory to open a file; free some";
      break;
    default:
      return;
  }
  throw UnavailableError(path + " could not be opened: " + limit);
}

void throw_fault(const Fault& fault, const std::string& path) {
  refuse_if_out_of_files(fault.system, path);
  switch (fault.primary()) {
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    case SQLITE_BUSY:
    case SQLITE_PROTOCOL:
      throw BusyError(path + " is locked by another process (" + describe(fault) +
                      "); try again, or find the process that holds it");
    case SQLITE_FULL:
      throw UnavailableError("the disk that holds " + path +
                             " is full; nothing was changed. Free some space and try again");
    case SQLITE_IOERR:
      throw UnavailableError(path + " could not be read or written (" + describe(fault) +
                             "); check the disk and the system's log");
    case SQLITE_CORRUPT:
      throw CorruptionError(path + " is damaged (" + describe(fault) +
                            "); run `graven check` on it and restore a backup");
    case SQLITE_NOTADB:
      throw ForeignFileError(path +
                             " is not a SQLite database, so not a graven store; "
                             "give another path or move the file away");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw UnavailableError(path + " could not be opened (" + describe(fault) +
                             "); check that it exists and its permissions");
    case SQLITE_READONLY:
      if (fault.code == SQLITE_READONLY_ROLLBACK || fault.code == SQLITE_READONLY_RECOVERY ||
          fault.code == SQLITE_READONLY_CANTINIT) {
        throw UnavailableError(path +
                               " was not closed cleanly and has to be recovered, which "
                               "needs write access; open it for writing once");
      }
      throw UnavailableError(path + " cannot be written (" + describe(fault) +
                             "); check its permissions and whether it was moved or deleted");
    case SQLITE_INTERRUPT:
      throw ClosedError(path + " was closed while it was being read; open it again");
    case SQLITE_TOOBIG:
      throw LimitError("a record is larger than SQLite can store in " + path);
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      throw CorruptionError(path + " does not have the tables of a graven store (" +
                            describe(fault) + "); another program changed it");
    default:
      throw UnavailableError(path + ": " + describe(fault));
  }
}

}  // namespace graven::sqlite
