# SPDX-License-Identifier: MIT
"""graven keeps a program's dicts and lists in a file.

    from graven import DB

    with DB("state.db") as db:
        db["person"] = {"name": "Ada", "tags": ["a", "b"]}
        assert db["person"]["tags"][0] == "a"

Dict and List (short names: RD and RL) are handles of stored dicts and lists, and are used like dict
and list. Calling one, `db["person"]()`, returns plain, detached data. Map is a flat mapping.
graven.aio has the same for asyncio.
"""

from __future__ import annotations

from collections.abc import ItemsView as _ItemsView
from collections.abc import KeysView as _KeysView
from collections.abc import MutableMapping as _MutableMapping
from collections.abc import MutableSequence as _MutableSequence
from collections.abc import ValuesView as _ValuesView
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from graven import _graven
from graven import log as _log
from graven._graven import (
    BackupReport,
    CheckReport,
    CopyReport,
    Dict,
    List,
    MapStats,
    Problem,
    Repaired,
    RepairReport,
    Snapshot,
    SqlConnection,
    SqlCursor,
    Transaction,
    Transactor,
    copy_store,
    restore,
)
from graven.bulk import BulkImport
from graven.db import DB
from graven.errors import (
    AbortedError,
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
from graven.map import Map
from graven.query import Aggregate, Condition, Explanation, F, Field, Query
from graven.query import avg as avg
from graven.query import count as count
from graven.query import max as max  # noqa: A004
from graven.query import min as min  # noqa: A004
from graven.query import sum as sum  # noqa: A004
from graven.stats import PoolStats, Stats
from graven.watch import Change, Watch

if _TYPE_CHECKING:
    from graven import aio as aio

__version__: str = _graven.__version__

RD = Dict
RL = List

_MutableMapping.register(Dict)
_MutableMapping.register(_graven.FlatMap)
_MutableSequence.register(List)
_KeysView.register(_graven.DictKeys)
_ValuesView.register(_graven.DictValues)
_ItemsView.register(_graven.DictItems)

for _class in (
    *(BackupReport, CheckReport, CopyReport, Dict, List, MapStats, Problem, Snapshot, Transaction),
    *(Transactor, Change, DB, Map, Repaired, RepairReport, Watch),
    *(Aggregate, Condition, Explanation, Field, Query),
):
    _class.__module__ = "graven"
del _class

_log.start()


def __getattr__(name: str) -> _Any:
    # Imported on first use, because importing asyncio takes longer than importing graven.
    if name == "aio":
        import importlib

        return importlib.import_module("graven.aio")
    raise AttributeError(f"module 'graven' has no attribute {name!r}")


# The aggregates have the names of builtins, so `from graven import *` leaves them out.
__all__ = [
    "DB",
    "RD",
    "RL",
    "AbortedError",
    "Aggregate",
    "BackupReport",
    "BadValueError",
    "BulkImport",
    "BusyError",
    "Change",
    "CheckReport",
    "ClosedError",
    "CollectedError",
    "CommitUnknownError",
    "Condition",
    "ConflictError",
    "CopyReport",
    "CorruptionError",
    "Dict",
    "Error",
    "Explanation",
    "F",
    "Field",
    "ForeignFileError",
    "IndexOutOfRange",
    "KeyNotFound",
    "LimitError",
    "List",
    "Map",
    "MapStats",
    "PoolStats",
    "Problem",
    "Query",
    "RepairReport",
    "Repaired",
    "Snapshot",
    "SqlConnection",
    "SqlCursor",
    "Stats",
    "Transaction",
    "Transactor",
    "TransactionExpiredError",
    "UnavailableError",
    "UsageError",
    "Watch",
    "WatchError",
    "WrongTypeError",
    "__version__",
    "copy_store",
    "restore",
]
