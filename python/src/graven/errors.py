# SPDX-License-Identifier: MIT
"""The exceptions of graven.

Each error is a graven.Error with a stable `code`, and also the matching builtin exception: a
missing key is a KeyError, a value that cannot be stored is a TypeError or a ValueError. A call that
raises has changed nothing, except with CommitUnknownError: there it is not known.
"""

from __future__ import annotations

__all__ = [
    "AbortedError",
    "BadValueError",
    "BusyError",
    "ClosedError",
    "CollectedError",
    "CommitUnknownError",
    "ConflictError",
    "CorruptionError",
    "Error",
    "ForeignFileError",
    "IndexOutOfRange",
    "KeyNotFound",
    "LimitError",
    "TransactionExpiredError",
    "UnavailableError",
    "UsageError",
    "WatchError",
    "WrongTypeError",
]


class Error(Exception):
    """The base class of graven's exceptions."""

    code = "error"


class UsageError(Error, RuntimeError):
    """The call is not allowed here, or wrong: a write in a snapshot, a bad option or URL."""

    code = "usage"


class WrongTypeError(Error, TypeError):
    """A value or key of a type that graven does not store."""

    code = "wrong_type"


class BadValueError(Error, ValueError):
    """The type is right, but the value is not: a lone surrogate, a bad prefix."""

    code = "bad_value"


class KeyNotFound(Error, KeyError):
    """The key is not in the dict."""

    code = "key_not_found"


class IndexOutOfRange(Error, IndexError):
    """The index is not in the list."""

    code = "index_out_of_range"


class ConflictError(Error, RuntimeError):
    """Somebody changed what a transactor had read."""

    code = "conflict"


class WatchError(ConflictError):
    """execute() found a conflict; nothing was written. Try again."""


class BusyError(Error, TimeoutError):
    """The write lock of the store was not free in time."""

    code = "busy"


class UnavailableError(Error, OSError):
    """The store cannot be reached or written: a full disk, an I/O error."""

    code = "unavailable"


class CommitUnknownError(Error, OSError):
    """A commit failed, and it is not known whether it is durable."""

    code = "commit_unknown"


class CorruptionError(Error):
    """The stored data is damaged: it contradicts itself."""

    code = "corruption"


class CollectedError(Error, ReferenceError):
    """The node of the handle was collected."""

    code = "collected"


class ClosedError(Error, ValueError):
    """The database was closed."""

    code = "closed"


class ForeignFileError(Error, ValueError):
    """The file is not graven's, or has a newer format."""

    code = "foreign"


class LimitError(Error, ValueError):
    """A documented limit would be exceeded."""

    code = "limit"


class TransactionExpiredError(Error, TimeoutError):
    """A transaction took longer than its time limit and was rolled back."""

    code = "transaction_expired"


class AbortedError(Error):
    """A bulk import was aborted."""

    code = "aborted"


for _name in __all__:
    globals()[_name].__module__ = "graven"
del _name
