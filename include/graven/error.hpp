// SPDX-License-Identifier: MIT
//
// The errors that graven throws: one hierarchy under graven::Error. Every error has a stable code
// (Errc) and a message that says what happened, to which key or file, and what to do about it.
// Subclasses exist only where a caller can react differently.
//
// A call that throws has changed nothing: a mutation takes effect as a whole or not at all. The
// only exception is CommitUnknownError: then the change may be stored or not.
//
// Errors are values: any thread may catch, copy and keep them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace graven {

/// Stable codes of errors; the numbers never change their meaning.
enum class Errc : std::uint16_t {
  kUsage = 1,        ///< the call is not allowed here (a write in a snapshot, a bad option)
  kWrongType = 2,    ///< a value or key of a type graven does not store, or a dict used as a list
  kBadValue = 3,     ///< the type is right, the value is not (a lone surrogate, a key too long)
  kKeyNotFound = 4,  ///< the key is not in the container
  kIndexOutOfRange = 5,      ///< the index is not in the list
  kConflict = 6,             ///< something a transactor read was changed by someone else
  kBusy = 7,                 ///< the store's write lock was not free in time
  kUnavailable = 8,          ///< the store cannot be reached or written (full disk, I/O error)
  kCommitUnknown = 9,        ///< a commit failed and it is not known whether it is durable
  kCorruption = 10,          ///< the stored data contradicts itself
  kCollected = 11,           ///< the node of a handle was collected
  kClosed = 12,              ///< the database was closed
  kForeign = 13,             ///< the file is not graven's, or of a newer format
  kLimit = 14,               ///< a documented limit would be exceeded
  kTransactionExpired = 15,  ///< a transaction exceeded its time limit and was rolled back
  kAborted = 16,             ///< a bulk import or a wait was asked to end
};

/// The stable name of a code: "busy" for kBusy.
std::string_view name(Errc code) noexcept;

/// The root of the hierarchy. Derives from std::runtime_error: what() is the message, UTF-8.
class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message);
  [[nodiscard]] Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

/// Declares `Type`, an Error of one fixed code.
#define GRAVEN_DECLARE_ERROR(Type, errc)                                  \
  class Type : public Error {                                             \
   public:                                                                \
    explicit Type(const std::string& message) : Error(errc, message) {}   \
                                                                          \
   protected:                                                             \
    Type(Errc code, const std::string& message) : Error(code, message) {} \
  }

GRAVEN_DECLARE_ERROR(UsageError, Errc::kUsage);
GRAVEN_DECLARE_ERROR(WrongTypeError, Errc::kWrongType);
GRAVEN_DECLARE_ERROR(BadValueError, Errc::kBadValue);
GRAVEN_DECLARE_ERROR(KeyNotFound, Errc::kKeyNotFound);
GRAVEN_DECLARE_ERROR(IndexOutOfRange, Errc::kIndexOutOfRange);
GRAVEN_DECLARE_ERROR(ConflictError, Errc::kConflict);
GRAVEN_DECLARE_ERROR(BusyError, Errc::kBusy);
GRAVEN_DECLARE_ERROR(UnavailableError, Errc::kUnavailable);
GRAVEN_DECLARE_ERROR(CommitUnknownError, Errc::kCommitUnknown);
GRAVEN_DECLARE_ERROR(CorruptionError, Errc::kCorruption);
GRAVEN_DECLARE_ERROR(CollectedError, Errc::kCollected);
GRAVEN_DECLARE_ERROR(ClosedError, Errc::kClosed);
GRAVEN_DECLARE_ERROR(ForeignFileError, Errc::kForeign);
GRAVEN_DECLARE_ERROR(LimitError, Errc::kLimit);
GRAVEN_DECLARE_ERROR(TransactionExpiredError, Errc::kTransactionExpired);
GRAVEN_DECLARE_ERROR(AbortedError, Errc::kAborted);

#undef GRAVEN_DECLARE_ERROR

}  // namespace graven
