# SPDX-License-Identifier: MIT
"""graven keeps a program's dictionaries and lists alive on disk.

    from graven import DB

    with DB("state.db") as db:
        db["person"] = {"name": "Ada", "tags": ["a", "b"]}
        assert db["person"]["tags"][0] == "a"

Dict and List (RD and RL for short) are handles on stored nodes and are used like dict and
list; calling one, `db["person"]()`, gives plain, detached data.
"""

from __future__ import annotations

from collections.abc import ItemsView as _ItemsView
from collections.abc import KeysView as _KeysView
from collections.abc import MutableMapping as _MutableMapping
from collections.abc import MutableSequence as _MutableSequence
from collections.abc import ValuesView as _ValuesView

from graven import _graven
from graven._graven import CheckReport, Dict, List, Problem, Snapshot, Transaction, Transactor
from graven.db import DB
from graven.errors import (
    BadValueError,
    BusyError,
    ClosedError,
    CollectedError,
    CommitUnknownError,
    ConflictError,
    CorruptionError,
    Error,
    ForeignFileError,
    IndexOutOfRange,
    KeyNotFound,
    LimitError,
    TransactionExpiredError,
    UnavailableError,
    UsageError,
    WatchError,
    WrongTypeError,
)

__version__: str = _graven.__version__

RD = Dict
RL = List

_MutableMapping.register(Dict)
_MutableSequence.register(List)
_KeysView.register(_graven.DictKeys)
_ValuesView.register(_graven.DictValues)
_ItemsView.register(_graven.DictItems)

for _class in (CheckReport, Dict, List, Problem, Snapshot, Transaction, Transactor, DB):
    _class.__module__ = "graven"
del _class

__all__ = [
    "DB",
    "RD",
    "RL",
    "BadValueError",
    "BusyError",
    "CheckReport",
    "ClosedError",
    "CollectedError",
    "CommitUnknownError",
    "ConflictError",
    "CorruptionError",
    "Dict",
    "Error",
    "ForeignFileError",
    "IndexOutOfRange",
    "KeyNotFound",
    "LimitError",
    "List",
    "Problem",
    "Snapshot",
    "Transaction",
    "Transactor",
    "TransactionExpiredError",
    "UnavailableError",
    "UsageError",
    "WatchError",
    "WrongTypeError",
    "__version__",
]
