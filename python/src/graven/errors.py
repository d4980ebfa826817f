# SPDX-License-Identifier: MIT
"""What graven raises.

Every error is a graven.Error with a stable `code`, and also the builtin exception one would
catch: a missing key is a KeyError, a value that cannot be stored a TypeError or a ValueError.
Whatever raises has changed nothing; CommitUnknownError alone exists to say that it cannot know.
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
    """The root of graven's exceptions."""

    code = "error"


class UsageError(Error, RuntimeError):
    """The call itself is wrong here: a write in a snapshot, a bad option or URL."""

    code = "usage"


class WrongTypeError(Error, TypeError):
    """A value or key of a type that graven does not store."""

    code = "wrong_type"


class BadValueError(Error, ValueError):
    """The type is right, the value is not: a lone surrogate, a bad prefix."""

    code = "bad_value"


class KeyNotFound(Error, KeyError):
    """The key is not in the dict."""

    code = "key_not_found"


class IndexOutOfRange(Error, IndexError):
    """The index is not in the list."""

    code = "index_out_of_range"


class ConflictError(Error, RuntimeError):
    """Something a transactor read was changed by someone else."""

    code = "conflict"


class WatchError(ConflictError):
    """execute() found a conflict; nothing was written, and one may try again."""


class BusyError(Error, TimeoutError):
    """The store's write lock was not to be had in time."""

    code = "busy"


class UnavailableError(Error, OSError):
    """The store cannot be reached or written: a full disk, an I/O error."""

    code = "unavailable"


class CommitUnknownError(Error, OSError):
    """A commit failed, and it could not be found out whether it is durable."""

    code = "commit_unknown"


class CorruptionError(Error):
    """What is stored contradicts itself."""

    code = "corruption"


class CollectedError(Error, ReferenceError):
    """The node a handle stands for is gone."""

    code = "collected"


class ClosedError(Error, ValueError):
    """The database was closed."""

    code = "closed"


class ForeignFileError(Error, ValueError):
    """The file is not graven's, or of a newer format."""

    code = "foreign"


class LimitError(Error, ValueError):
    """A documented limit would be exceeded."""

    code = "limit"


class TransactionExpiredError(Error, TimeoutError):
    """A transaction outlived its time limit and was rolled back."""

    code = "transaction_expired"


class AbortedError(Error):
    """A bulk import was asked to end."""

    code = "aborted"


for _name in __all__:
    globals()[_name].__module__ = "graven"
del _name
