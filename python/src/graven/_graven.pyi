# SPDX-License-Identifier: MIT
"""graven's core; use it through the package graven."""

import os
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    ValuesView,
)
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, NoReturn, SupportsIndex, TypeVar, overload

from typing_extensions import Self

from graven.stats import PoolStats, Stats

T = TypeVar("T")
__version__: str

class DictIterator(Iterator[Any]):
    """Steps through one consistent state of a Dict."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

class ListIterator(Iterator[Any]):
    """Steps through a List."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

class DictKeys(KeysView[str]):
    """The keys of a Dict, oldest first, as they are now: a set."""

    def __reversed__(self) -> Iterator[str]:
        """The same, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether no element is in both."""

class DictValues(ValuesView[Any]):
    """The values of a Dict, oldest first, as they are now."""

    def __reversed__(self) -> Iterator[Any]:
        """The same, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

class DictItems(ItemsView[str, Any]):
    """
    The (key, value) pairs of a Dict, oldest first, as they are now: a set.
    """

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        """The same, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether no element is in both."""

class Dict(MutableMapping[str, Any]):
    """
    A dict in a database: Dict(db, data) makes one that nothing links yet.

    It is used like a plain dict with str keys. Calling it gives everything below it as
    plain, detached Python data. Every change is one atomic, durable step.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __call__(self) -> dict[str, Any]:
        """Everything below as plain, detached data; shared parts and cycles are kept."""

    def __eq__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __init__(
        self,
        db: Dict,
        data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        /,
        **kwargs: Any,
    ) -> None:
        """A new dict in the store of `db` (a DB or a Transactor)."""

    def __or__(self, value: Dict | dict[str, Any], /) -> dict[str, Any]: ...
    def __ror__(self, value: dict[str, Any], /) -> dict[str, Any]: ...
    def __ior__(self, value: Mapping[str, Any] | Iterable[tuple[str, Any]], /) -> Self: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: str, /) -> Any: ...
    def __setitem__(self, key: str, value: Any, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def get(self, key: str, default: Any = None, /) -> Any:
        """The value under a key, or the default."""

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """The value under a key, or the default after storing it, in one step."""

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """
        Sets the entries of a mapping, an iterable of pairs and keywords, in one step.
        """

    @overload
    def pop(self, key: str, /) -> Any:
        """Removes a key and gives its value."""

    @overload
    def pop(self, key: str, default: Any, /) -> Any: ...
    def popitem(self) -> tuple[str, Any]:
        """Removes and gives the newest entry."""

    def clear(self) -> None:
        """Removes everything."""

    def copy(self) -> dict[str, Any]:
        """A plain dict of the keys and values; nested values stay handles."""

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /) -> Any:
        """
        Replaces the value under a key by function(value) as one atomic step, also across
        processes, and gives the new one. With a default, function(default) for a missing key.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /, default: Any) -> Any: ...
    def keys(self) -> DictKeys:
        """A live view of the keys."""

    def values(self) -> DictValues:
        """A live view of the values."""

    def items(self) -> DictItems:
        """A live view of the (key, value) pairs."""

    def __reversed__(self) -> Iterator[str]:
        """The keys, newest first."""

    @property
    def uid(self) -> str:
        """
        The identity of this node: the same in every process, never given out again.
        """

    @property
    def refcount(self) -> int:
        """The number of distinct containers that link here."""

    @property
    def backrefs(self) -> dict[str, int]:
        """
        The uid of every container that links here, and how many times it does.
        """

    def exists(self) -> bool:
        """Whether the node is still there: false once it was collected."""

    def __copy__(self) -> Any:
        """As copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """All of it as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """WrongTypeError: a handle cannot be pickled."""

class List(MutableSequence[Any]):
    """
    A list in a database: List(db, items) makes one that nothing links yet.

    It is used like a plain list. Calling it gives everything below it as plain, detached
    Python data. Every change is one atomic, durable step.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __call__(self) -> list[Any]:
        """Everything below as plain, detached data; shared parts and cycles are kept."""

    def __lt__(self, value: List | list[Any], /) -> bool: ...
    def __le__(self, value: List | list[Any], /) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __gt__(self, value: List | list[Any], /) -> bool: ...
    def __ge__(self, value: List | list[Any], /) -> bool: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __init__(self, db: Dict, items: Iterable[Any] = (), /) -> None:
        """A new list in the store of `db` (a DB or a Transactor)."""

    def __add__(self, value: List | list[Any], /) -> list[Any]: ...
    def __radd__(self, value: list[Any], /) -> list[Any]: ...
    def __mul__(self, value: SupportsIndex, /) -> list[Any]: ...
    def __rmul__(self, value: SupportsIndex, /) -> list[Any]: ...
    def __iadd__(self, value: Iterable[Any], /) -> Self: ...
    def __imul__(self, value: SupportsIndex, /) -> Self: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Any]: ...
    @overload
    def __setitem__(self, index: SupportsIndex, value: Any, /) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Any], /) -> None: ...
    def __delitem__(self, index: SupportsIndex | slice, /) -> None: ...
    def __contains__(self, value: object, /) -> bool: ...
    def append(self, value: Any, /) -> None:
        """Adds a value at the end."""

    def extend(self, values: Iterable[Any], /) -> None:
        """Adds all values of an iterable at the end, in one step."""

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        """Adds a value before an index."""

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Removes and gives an item, the last one by default."""

    def remove(self, value: Any, /) -> None:
        """Removes the first item equal to a value."""

    def clear(self) -> None:
        """Removes everything."""

    def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex = ..., /) -> int:
        """
        The first index of an item equal to a value; ValueError when there is none.
        """

    def count(self, value: Any, /) -> int:
        """How many items equal a value."""

    def reverse(self) -> None:
        """Turns the order around."""

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: object = False) -> None:
        """Sorts in place as list.sort() does: stable, as one atomic step."""

    def copy(self) -> list[Any]:
        """A plain list of the items; nested values stay handles."""

    def __reversed__(self) -> Iterator[Any]:
        """The items from last to first."""

    @property
    def uid(self) -> str:
        """
        The identity of this node: the same in every process, never given out again.
        """

    @property
    def refcount(self) -> int:
        """The number of distinct containers that link here."""

    @property
    def backrefs(self) -> dict[str, int]:
        """
        The uid of every container that links here, and how many times it does.
        """

    def exists(self) -> bool:
        """Whether the node is still there: false once it was collected."""

    def __copy__(self) -> Any:
        """As copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """All of it as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """WrongTypeError: a handle cannot be pickled."""

class BackupReport:
    """What a backup or a restored store holds."""

    @property
    def path(self) -> str:
        """Where it is, absolute."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def nodes(self) -> int:
        """Dicts and lists, in every prefix."""

    @property
    def links(self) -> int:
        """Links between them."""

    @property
    def sealed(self) -> bool:
        """
        Of restore(): whether a seal proved that not a byte was altered since the backup was made.
        """

    @property
    def replaced(self) -> str:
        """Of restore(): where the store that was there is now, or an empty text."""

    def __repr__(self) -> str: ...

def restore(
    backup: str | bytes | os.PathLike[str],
    path: str | bytes | os.PathLike[str],
    progress: Callable[[int, int], object] | None = None,
    keep_replaced: bool = True,
    *,
    allow_network_file_system: bool = False,
) -> BackupReport:
    """
    Puts a backup in the place of the store at `path`, which need not exist; the backup stays
    as it is. The store that is there becomes `<path>.before-restore`, unless told otherwise.
    CorruptionError where the backup is not whole, ForeignFileError where it is not graven's
    or too new, BusyError while any process has the store open; nothing is changed then.
    progress(done, total) is called now and then, with bytes.
    """

class Problem:
    """One thing wrong, as check() reports it."""

    @property
    def node(self) -> str:
        """The uid of the node concerned, or an empty text."""

    @property
    def what(self) -> str:
        """What is wrong, in words."""

    def __repr__(self) -> str: ...

class CheckReport:
    """What check() found."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""

    @property
    def problems(self) -> list[Problem]:
        """What is wrong."""

    @property
    def nodes(self) -> int:
        """Dicts and lists looked at, in every prefix."""

    @property
    def links(self) -> int:
        """Links looked at."""

    @property
    def held(self) -> int:
        """Nodes that only handles of running processes keep."""

    @property
    def reclaiming(self) -> int:
        """Unlinked nodes whose records are still being reclaimed."""

    def __repr__(self) -> str: ...

class Repaired:
    """One thing that repair() did, or could not do."""

    @property
    def node(self) -> str:
        """The uid of the node concerned, or an empty text."""

    @property
    def what(self) -> str:
        """In words."""

    @property
    def bytes(self) -> bytes:
        """Of what was lost: the record as it was stored, its first MiB."""

    def __repr__(self) -> str: ...

class RepairReport:
    """What repair() did."""

    @property
    def sound(self) -> bool:
        """Whether there was nothing to repair."""

    @property
    def mended(self) -> list[Repaired]:
        """What was put right."""

    @property
    def lost(self) -> list[Repaired]:
        """What could not be read or told apart, and is gone."""

    @property
    def left(self) -> list[Repaired]:
        """What check() still finds."""

    @property
    def backup(self) -> str:
        """The copy made before, or an empty text."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing was changed."""

    def __repr__(self) -> str: ...

class Database(Dict):
    """What graven.DB is made of."""

    @overload
    def __init__(
        self,
        path_or_url: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        prefix: str | None = None,
        link_field: str | None = None,
        *,
        persist: str = "writethrough",
        flush_interval: float = 1.0,
        pending_limit: int = 268435456,
        memory_mb: int = 0,
        read_only: bool = False,
        create: bool = True,
        new_prefix: bool = False,
        synchronous: str = "normal",
        busy_timeout: float = 30.0,
        transaction_limit: float = 60.0,
        slow_operation: float = 0.0,
        allow_network_file_system: bool = False,
        pool_size: int = 10,
        separate_read_write: bool = False,
        keep_alive: float = 300.0,
        reader_limit: float = 0.0,
        wal: bool = True,
        wal_autocheckpoint: int = 4000,
        checkpoint: str = "truncate",
        cache_mb: int = 0,
        mmap_mb: int = 0,
        temp_store: str = "file",
    ) -> None:
        """
        Opens the store at a path or URL, or without one that of the environment.
        """

    @overload
    def __init__(self, other: Database, prefix: str) -> None:
        """Another prefix of an open store."""

    @property
    def root(self) -> Dict:
        """The root dict, as a Dict and nothing more."""

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List of a uid of this prefix; KeyNotFound when there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter, 0 when missing."""

    def why_alive(self, node: Dict | List) -> list[str]:
        """
        The uids of a path from the root to a node, both included; empty when only a
        handle keeps it.
        """

    def transaction(self, *, durable: bool = False) -> Transaction:
        """
        A context manager: what its block does is one atomic step that sees its own writes.
        Any exception rolls it back. Inside another one it is a savepoint. It belongs to the thread
        that enters it, which is to leave it too, else it is rolled back; close() of this object
        rolls it back, whoever calls it, and the rest of the block raises ClosedError.

        durable: the block's end returns when what it did survives a loss of power, whatever
        `synchronous` says; inside another one, that one's end does. CommitUnknownError when it
        is committed, but the disk would not say so.
        """

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction()."""

    def transactor(self) -> Transactor:
        """
        An optimistic transaction: watch(), multi(), execute(), or transact(function).
        """

    def snapshot(self) -> Snapshot:
        """A consistent, read-only view of this moment."""

    def batch_insert(self, container: Dict | List, rows: Any) -> list[Any]:
        """
        Puts many rows in one step, all or nothing, and gives what is there now, in order: into a
        Dict a mapping or pairs, behind a List's items an iterable.
        """

    def connection(self) -> SqlConnection:
        """
        SQL, each statement for itself: over the newest state, or as a commit of its own.
        """

    def read_connection(self) -> SqlConnection:
        """
        SQL in one read transaction, from its first statement until the with block ends.
        """

    def write_connection(self) -> SqlConnection:
        """
        SQL in one transaction() of this thread: what the with block does to the graph is part of
        it. Committed at the block's end, if it was not by commit() or ended by close(), rolled
        back by an exception; inside another one it is a savepoint.
        """

    def incr(self, counter: str, by: int = 1) -> int:
        """Adds to a counter and gives its new value; atomic across processes."""

    def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and gives its new value."""

    @property
    def prefix(self) -> str:
        """The prefix this is the root dict of."""

    def set_prefix(self, prefix: str, require_empty: bool = False) -> None:
        """
        Makes this object the root dict of another prefix. Handles stay on the old one.
        """

    def new_prefix(self) -> str:
        """A name that no prefix of this store has."""

    def prefixes(self) -> list[str]:
        """The names of all prefixes of this store."""

    def prefix_in_use(self, prefix: str) -> bool:
        """Whether the store has anything under this prefix."""

    def delete_prefix_immediately(self, prefix: str) -> int:
        """
        Deletes exactly this prefix, nodes and counters; gives the number of nodes.
        """

    def delete_prefix_batch(self, prefix: str, count: int = 500) -> int:
        """Deletes up to `count` nodes of a prefix; call again until it gives 0."""

    def wait_durable(self) -> None:
        """
        Returns when all that this process has committed survives a loss of power, also with
        synchronous="normal" (with "off" until the next checkpoint only). Not inside a
        transaction.
        """

    def collect(self) -> int:
        """
        Collects what only gone handles and dead processes held; gives the number of nodes.
        """

    def maintenance(self) -> str | None:
        """
        collect(), then the store's own upkeep where it is due: free pages go back to the file
        system, in slices between which others write, and the WAL into the file. Returns what kept
        it from giving back all that was free (who reads an older state, say, by process), or None.
        """

    def check(self, progress: Callable[[int, int], object] | None = None) -> CheckReport:
        """Looks at everything and writes nothing, while others write."""

    def repair(
        self,
        dry_run: bool = False,
        backup: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> RepairReport:
        """
        Puts right what check() finds, as far as it can be, in one transaction, and looks
        again. The file is copied to `<file>.before-repair` first, unless told otherwise.
        dry_run: tells what would be done, and changes nothing. Not inside a transaction.
        """

    def backup(
        self,
        path: str | bytes | os.PathLike[str],
        progress: Callable[[int, int], object] | None = None,
        overwrite: bool = False,
        *,
        pages_per_step: int = 1024,
        pause: float = 0.0,
        allow_network_file_system: bool = False,
    ) -> BackupReport:
        """
        Copies what is committed into a new file, as one state, while others write; reads the
        copy back and proves it. The copy is a store of its own in one file; restore() puts it
        back. progress(done, total) is called between steps, with pages; what it raises ends
        the backup. Nothing is left of one that failed. A lazy DB, and the lazy Maps that this
        process has open on the store, are flushed first. Not inside a transaction.
        """

    def size_on_disk(self) -> int:
        """The size of the store's files in bytes."""

    def stats(self) -> Stats:
        """What this process has done with the store, and how its file stands."""

    def get_connection_stats(self) -> dict[str, PoolStats]:
        """The connections to the file, by pool: 'readers' and 'writer'."""

    def metrics(self) -> str:
        """
        stats() and get_connection_stats() in Prometheus' text format, for the program to serve.
        """

    @property
    def name(self) -> str:
        """The path or URL of the store."""

    @property
    def read_only(self) -> bool:
        """Whether this was opened for reading only."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def flush(self) -> None:
        """
        Returns when all that was committed before is in the file: at once but with
        persist='lazy'. What a lazy Map has is none of it: that has a flush() of its own. Not
        inside a transaction.
        """

    def close(self) -> None:
        """
        Flushes, and ends this database and its handles. Calling it again does nothing. A
        transaction begun on it is rolled back, in whichever thread; one of another object is left
        alone. By the last open DB and Map on the file all is let go of: no descriptor, lock or -wal
        is left, whatever is still referenced or in use in other threads, which get ClosedError.
        """

def database_options(**options: Any) -> list[dict[str, Any]]:
    """
    What there is to tell of each option of a DB; those given have their values.
    """

class Transaction:
    """The context manager of DB.transaction()."""

    def __enter__(self) -> Database:
        """Begins; gives the DB."""

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Commits, or rolls back when the block raised."""

class Transactor(Dict):
    """
    An optimistic transaction, and the root dict as it sees it.

    Reads come from one moment and see its own writes; execute() commits them if nothing it
    read was changed by anyone else. For one thread at a time.
    """

    def watch(self, *nodes: Dict | List) -> None:
        """
        Starts afresh. Without arguments any change to the prefix is a conflict, not
        only one to what is read; with nodes also a change to those.
        """

    def multi(self) -> None:
        """Marks where the writes begin, for programs that have such a point."""

    def execute(self, *, durable: bool = False) -> None:
        """
        Commits everything written, atomically; WatchError on a conflict, with nothing changed.
        durable: returns when it survives a loss of power.
        """

    def discard(self) -> None:
        """Drops everything written and starts afresh."""

    def transact(self, function: Callable[[], T], /, *, durable: bool = False) -> T:
        """
        Runs function() and executes, again on a conflict; always ends. Gives what
        the function returned the last time. durable: as for execute().
        """

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List of a uid of this prefix; KeyNotFound when there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter, 0 when missing."""

    def incr(self, counter: str, by: int = 1) -> int:
        """Adds to a counter and gives its new value."""

    def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and gives its new value."""

class Snapshot(Dict):
    """
    The root dict as it was when the snapshot was made. It keeps that state from being
    cleaned up: close it, or use it in a with statement.
    """

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List of a uid of this prefix; KeyNotFound when there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter, 0 when missing."""

    def close(self) -> None:
        """Lets go of the state; its handles raise ClosedError from then on."""

    def __enter__(self) -> Snapshot: ...
    def __exit__(self, *exception: object) -> None: ...

def parse_path(text: str) -> list[str]:
    """The steps of a path."""

def format_path(steps: Sequence[str]) -> str:
    """The path of these steps."""

def parse_index(step: str) -> int | None:
    """The index that a step means in a list; None when it is no number."""

class Watcher:
    """What graven.Watch is made of."""

    def __init__(self, database: Database, path: str) -> None: ...
    def next(self, seconds: float) -> tuple[str, Any, bool] | None:
        """The next change as (path, value, deleted); None when the time is up."""

    def stop(self) -> None:
        """Ends a next() that is waiting, and all later ones at once."""

class Cancellation:
    """Ends what one thread waits for in graven."""

    def __init__(self) -> None: ...
    def cancel(self) -> None:
        """Once and for all. Any thread."""

    @property
    def cancelled(self) -> bool:
        """Whether cancel() was called."""

    def run(self, function: Callable[[], T], /) -> T:
        """
        What function() gives. Once cancelled, what it waits for raises AbortedError.
        """

class BulkImportBase:
    """What graven.BulkImport is made of."""

    def __init__(
        self,
        database: Database,
        cache_mb: int = 512,
        progress: Callable[[str, int, int], object] | None = None,
    ) -> None: ...
    def begin_phase(self, name: str) -> None:
        """Begins a phase; phase() does it and ends it."""

    def end_phase(self, commit: bool) -> None:
        """Ends it: commits it, or rolls it back."""

    def advance(self, done: int, total: int = 0) -> bool:
        """
        Between two whole steps of a phase: reports progress. False once abort() was called: leave
        the phase's block then, and what it has done is committed.
        """

    def abort(self) -> None:
        """Asks for the end, from any thread."""

    @property
    def aborted(self) -> bool:
        """Whether abort() was called."""

    @property
    def phases(self) -> list[tuple[str, float, bool, int]]:
        """
        Those that have ended: name, seconds, whether committed, how much was done.
        """

    def finish(self, in_haste: bool = False) -> bool:
        """
        Restores the settings, empties the WAL, makes statistics. False where a reader kept the
        WAL from being emptied. in_haste: waits for nobody for long.
        """

class SqlCursor:
    """The rows of one statement, as tuples."""

    def __iter__(self) -> SqlCursor: ...
    def __next__(self) -> tuple[Any, ...]: ...
    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None."""

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Up to `size` further rows."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All further rows."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    @property
    def rowcount(self) -> int:
        """How many rows an INSERT, UPDATE or DELETE changed."""

    @property
    def lastrowid(self) -> int:
        """The rowid of the last row inserted."""

class SqlConnection:
    """
    SQL on the store's file, for tables of the program's own beside graven's, which can only
    be read. Used by the thread that made it: a second one at the same time gets UsageError.
    """

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> SqlCursor:
        """
        Runs one statement. Values come in order for `?` or by name for `:name`: None, bool,
        int, float, str, bytes.
        """

    def executemany(self, sql: str, rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> int:
        """Runs it once for each row of values; gives the number of rows changed."""

    def commit(self) -> None:
        """Of write_connection(): commits, and ends it."""

    def close(self) -> None:
        """Ends it; what is not committed is rolled back."""

    def __enter__(self) -> SqlConnection: ...
    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...

class MapIterator(Iterator[Any]):
    """Steps through a Map in order of its keys."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

class MapStats:
    """
    What Map.stats() tells, of one moment: of this process, since the map was opened.

    A read asks memory, what is pending, the warm file and the store, until one knows; each
    key of a batch counts.
    """

    @property
    def hot_entries(self) -> int:
        """Keys known in memory, also as missing."""

    @property
    def hot_bytes(self) -> int:
        """Bytes they take up."""

    @property
    def hot_hits(self) -> int:
        """Reads answered from there."""

    @property
    def misses(self) -> int:
        """Reads that had to go further than memory."""

    @property
    def evictions(self) -> int:
        """Keys dropped from memory to make room."""

    @property
    def warm_entries(self) -> int:
        """Items in the warm file."""

    @property
    def warm_bytes(self) -> int:
        """Its size on the disk."""

    @property
    def warm_hits(self) -> int:
        """Reads that it answered."""

    @property
    def warm_misses(self) -> int:
        """Reads that it could not answer."""

    @property
    def store_hits(self) -> int:
        """Reads that found their key in the store."""

    @property
    def store_misses(self) -> int:
        """Reads that found there is no such key."""

    @property
    def pending(self) -> int:
        """Writes that are not in the file yet."""

    @property
    def pending_bytes(self) -> int:
        """Bytes they take up."""

    @property
    def flushes(self) -> int:
        """Flushes that wrote something."""

    @property
    def failed_flushes(self) -> int:
        """Flushes that could not."""

    def __repr__(self) -> str: ...

class FlatMap(MutableMapping[str, Any]):
    """What graven.Map is made of."""

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __eq__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __init__(
        self,
        path_or_url: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        name: str = "main",
        persist: str = "writethrough",
        hot_capacity: int = 1000000,
        flush_interval: float = 1.0,
        *,
        pending_limit: int = 268435456,
        warm_bytes: int = 67108864,
        memory_mb: int = 0,
        read_only: bool = False,
        create: bool = True,
        synchronous: str = "normal",
        busy_timeout: float = 30.0,
        slow_operation: float = 0.0,
        allow_network_file_system: bool = False,
    ) -> None:
        """Opens a map of the store at a path or URL."""

    def __or__(self, value: FlatMap | dict[str, Any], /) -> dict[str, Any]: ...
    def __ror__(self, value: dict[str, Any], /) -> dict[str, Any]: ...
    def __ior__(self, value: Mapping[str, Any] | Iterable[tuple[str, Any]], /) -> Self: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: str, /) -> Any: ...
    def __setitem__(self, key: str, value: Any, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def get(self, key: str, default: Any = None, /) -> Any:
        """The value under a key, or the default."""

    def get_many(self, keys: Iterable[str], default: Any = None) -> list[Any]:
        """
        The values of many keys, of one state of the map; the default where there is none.
        """

    def copy(self) -> dict[str, Any]:
        """A plain dict of all that is in the map."""

    def set(self, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """
        Sets a key. After its time to live, in seconds, it is gone again; without one it
        stays, also if it had one before.
        """

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """The value under a key, or the default after storing it, in one step."""

    def update(
        self, other: Any = (), /, *, ttl: float | timedelta | None = None, **kwargs: Any
    ) -> None:
        """
        Sets the entries of a mapping, an iterable of pairs and keywords, in one step.
        ttl: as in set(), for each of them; a key of that name goes in the mapping.
        """

    def bulk_insert(
        self,
        entries: Mapping[str, Any] | Iterable[tuple[str, Any]],
        /,
        ttl: float | timedelta | None = None,
    ) -> None:
        """update() under another name."""

    @overload
    def pop(self, key: str, /) -> Any:
        """Removes a key and gives its value."""

    @overload
    def pop(self, key: str, default: Any, /) -> Any: ...
    def popitem(self) -> tuple[str, Any]:
        """Removes and gives the entry with the first key."""

    def delete_many(self, keys: Iterable[str], /) -> int:
        """Removes those keys that are there, in one step; gives how many were."""

    def clear(self) -> None:
        """Removes everything."""

    def incr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """
        Adds to the number under a key and gives the sum, as one step that no other thread comes
        between, nor, with persist="writethrough", another process. Integers are exact and may be
        of any size. A missing key counts as `default`. A key that is there keeps its time to
        live; `ttl` is for one that is made. WrongTypeError where there is no number.
        """

    def decr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """
        Subtracts from the number under a key and gives the difference, as incr() adds.
        """

    def add(self, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """
        Sets a key if it is not there, as one step like incr(); False where it is.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /) -> Any:
        """
        Replaces the value under a key by function(value), as one step like incr(), and gives
        the new one. With a default, function(default) for a missing key. The key keeps its time
        to live. Nothing is locked while the function runs: it may use the map, and it runs again
        where others have changed the value meanwhile, so it should have no other effect.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /, default: Any) -> Any: ...
    def flush(self) -> None:
        """Returns when all that was written before is in the file."""

    def wait_durable(self) -> None:
        """
        flush(), and returns when it survives a loss of power, also with
        synchronous="normal" (with "off" until the next checkpoint only).
        """

    def stats(self) -> MapStats:
        """What is in memory, who answered reads, what waits for the disk."""

    def metrics(self) -> str:
        """stats() in Prometheus' text format, for the program to serve."""

    @property
    def name(self) -> str:
        """The map's name in its file."""

    @property
    def path(self) -> str:
        """The path or URL it was opened at."""

    @property
    def persist(self) -> str:
        """'writethrough', 'lazy' or 'memory'."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def close(self) -> None:
        """Flushes, and ends this map. Calling it again does nothing."""

    def __copy__(self) -> Any:
        """As copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """All of it as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """WrongTypeError: a handle cannot be pickled."""

def map_options(**options: Any) -> list[dict[str, Any]]:
    """
    What there is to tell of each option of a Map; those given have their values.
    """

def iterate_map(map: FlatMap, part: str, /) -> Iterator[Any]:
    """Steps through the 'keys', 'values' or 'items'."""

def peek(map: FlatMap, key: str, missing: Any, unknown: Any, /) -> Any:
    """
    The value under a key or `missing`; `unknown` if the store would have to be waited for.
    """

def peek_many(map: FlatMap, keys: Iterable[str], default: Any, /) -> list[Any] | None:
    """get_many(), or None if the store would have to be waited for."""

def try_set(map: FlatMap, key: str, value: Any, /) -> bool:
    """Sets a key if nothing needs to be waited for."""

def log_to(read: object, level: int) -> None:
    """
    From now on lines of log, of that level or worse, go to a pipe that does not block.

    The first makes it, and has `read` called with its reading end, in a thread of its own.
    """

def log_to_nobody() -> bool:
    """No more lines; whether the pipe was read, which now comes to its end."""

def log_in_child() -> None:
    """After a fork: the first line makes another pipe."""

def log_dropped() -> int:
    """How many lines found the pipe full."""
