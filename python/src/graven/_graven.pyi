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
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ClassVar, NoReturn, SupportsIndex, TypeVar, overload

from typing_extensions import Self

from graven.query import Condition, Field, Query
from graven.stats import PoolStats, Stats

T = TypeVar("T")
__version__: str

class DictIterator(Iterator[Any]):
    """Iterates over one consistent state of a Dict."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

class ListIterator(Iterator[Any]):
    """Iterates over a List."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

class DictKeys(KeysView[str]):
    """A live view of the keys of a Dict, oldest first; it is a set."""

    def __reversed__(self) -> Iterator[str]:
        """The same in reverse order, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether no element is in both."""

class DictValues(ValuesView[Any]):
    """A live view of the values of a Dict, oldest first."""

    def __reversed__(self) -> Iterator[Any]:
        """The same in reverse order, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

class DictItems(ItemsView[str, Any]):
    """
    A live view of the (key, value) pairs of a Dict, oldest first; it is a set.
    """

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        """The same in reverse order, newest first."""

    @property
    def mapping(self) -> Dict:
        """The Dict that this is a view of."""

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether no element is in both."""

class Dict(MutableMapping[str, Any]):
    """
    A dict in a database. Dict(db, data) makes a new one that nothing links yet.

    It is used like a plain dict with str keys. Calling it returns everything below it as
    plain, detached Python data. Each change is atomic.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __call__(self) -> dict[str, Any]:
        """Returns everything below as plain, detached data; shared parts and cycles are kept."""

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
        """
        Returns the value under a key, or stores the default and returns it, in one step.
        """

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """
        Sets the entries of a mapping, an iterable of pairs and keywords, in one step.
        """

    @overload
    def pop(self, key: str, /) -> Any:
        """Removes a key and returns its value."""

    @overload
    def pop(self, key: str, default: Any, /) -> Any: ...
    def popitem(self) -> tuple[str, Any]:
        """Removes the newest entry and returns it."""

    def clear(self) -> None:
        """Removes everything."""

    def copy(self) -> dict[str, Any]:
        """
        A plain dict of the keys and values; nested dicts and lists stay handles.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /) -> Any:
        """
        Replaces the value under a key by function(value) in one atomic step, also across
        processes, and returns the new value. With a default, a missing key gets
        function(default).
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

    def where(self, condition: Condition | Field | Callable[[Any], Any] | None = None, /) -> Query:
        """
        The values that satisfy a condition, `where(F.age >= 18)`: a Query, which reads nothing yet.

        A function of a row, `where(lambda u: u.age > 18)`, is called for each row in Python.
        None: all.
        """

    @property
    def uid(self) -> str:
        """
        The name of this node: the same in every process, and never used for another node.
        """

    @property
    def refcount(self) -> int:
        """The number of different containers that link to this node."""

    @property
    def backrefs(self) -> dict[str, int]:
        """
        The uid of each container that links to this node, with its number of links.
        """

    def exists(self) -> bool:
        """Whether the node still exists; false after it was collected."""

    def __copy__(self) -> Any:
        """The same as copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """Everything below as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Raises WrongTypeError: a handle cannot be pickled."""

class List(MutableSequence[Any]):
    """
    A list in a database. List(db, items) makes a new one that nothing links yet.

    It is used like a plain list. Calling it returns everything below it as plain, detached
    Python data. Each change is atomic.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __call__(self) -> list[Any]:
        """Returns everything below as plain, detached data; shared parts and cycles are kept."""

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
        """Removes an item, by default the last one, and returns it."""

    def remove(self, value: Any, /) -> None:
        """Removes the first item equal to a value."""

    def clear(self) -> None:
        """Removes everything."""

    def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex = ..., /) -> int:
        """
        The first index of an item equal to a value; ValueError if there is none.
        """

    def count(self, value: Any, /) -> int:
        """The number of items that equal a value."""

    def reverse(self) -> None:
        """Reverses the order of the items."""

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: object = False) -> None:
        """Sorts in place like list.sort(): stable, in one atomic step."""

    def copy(self) -> list[Any]:
        """A plain list of the items; nested dicts and lists stay handles."""

    def __reversed__(self) -> Iterator[Any]:
        """The items from last to first."""

    def where(self, condition: Condition | Field | Callable[[Any], Any] | None = None, /) -> Query:
        """
        The values that satisfy a condition, `where(F.age >= 18)`: a Query, which reads nothing yet.

        A function of a row, `where(lambda u: u.age > 18)`, is called for each row in Python.
        None: all.
        """

    @property
    def uid(self) -> str:
        """
        The name of this node: the same in every process, and never used for another node.
        """

    @property
    def refcount(self) -> int:
        """The number of different containers that link to this node."""

    @property
    def backrefs(self) -> dict[str, int]:
        """
        The uid of each container that links to this node, with its number of links.
        """

    def exists(self) -> bool:
        """Whether the node still exists; false after it was collected."""

    def __copy__(self) -> Any:
        """The same as copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """Everything below as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Raises WrongTypeError: a handle cannot be pickled."""

class BackupReport:
    """Describes a backup or a restored store."""

    @property
    def path(self) -> str:
        """The absolute path."""

    @property
    def bytes(self) -> int:
        """The size in bytes."""

    @property
    def nodes(self) -> int:
        """The number of dicts and lists, in all prefixes."""

    @property
    def links(self) -> int:
        """The number of links between them."""

    @property
    def sealed(self) -> bool:
        """
        From restore(): whether a seal proved that no byte was changed since the backup was
        made.
        """

    @property
    def replaced(self) -> str:
        """
        From restore(): the path of the store that was replaced, or an empty text.
        """

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
    Replaces the store at `path` by a backup. The store need not exist, and the backup is
    not changed. The replaced store becomes `<path>.before-restore`, unless keep_replaced is
    false. Raises CorruptionError if the backup is not complete, ForeignFileError if it is
    not graven's or has a newer format, BusyError while a process has the store open; in
    these cases nothing is changed. progress(done, total) is called from time to time, with
    bytes.
    """

class CopyReport:
    """Describes the copy of a store."""

    @property
    def records(self) -> int:
        """The number of records."""

    @property
    def bytes(self) -> int:
        """The size of their keys and contents in bytes."""

    @property
    def prefixes(self) -> int:
        """The number of prefixes."""

    @property
    def nodes(self) -> int:
        """The number of dicts and lists, in all prefixes."""

    @property
    def maps(self) -> int:
        """The number of maps."""

    @property
    def items(self) -> int:
        """The number of items of maps."""

    @property
    def counters(self) -> int:
        """The number of counters."""

    @property
    def digest(self) -> str:
        """
        A hash of all keys and contents, 32 hexadecimal digits; both stores have it.
        """

    @property
    def collected(self) -> int:
        """
        The number of dicts and lists that were then removed from the copy: only running
        programs kept them, or they were pending deletion.
        """

    @property
    def same_uids(self) -> bool:
        """Whether uids are the same in both stores."""

    def __repr__(self) -> str: ...

def copy_store(
    source: str | bytes | os.PathLike[str],
    target: str | bytes | os.PathLike[str],
    progress: Callable[[int, int], object] | None = None,
) -> CopyReport:
    """
    Copies everything in one store into another one, of the same kind or not, while programs
    write the source: all prefixes and maps, as one state. Both are paths or URLs. The target
    is created if it is missing. Raises UsageError if something is in it, and BusyError while
    another process copies into it; then nothing is changed. A copy that did not end cannot
    be opened; copying again starts it over. What a lazy store has not flushed is not copied.
    progress(done, total) is called from time to time, with records; while it copies, total
    is 0, while it compares it is known.
    """

class Problem:
    """A problem that check() found."""

    @property
    def node(self) -> str:
        """The uid of the node, or an empty text."""

    @property
    def what(self) -> str:
        """A description of the problem."""

    def __repr__(self) -> str: ...

class CheckReport:
    """The result of check()."""

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""

    @property
    def problems(self) -> list[Problem]:
        """The problems."""

    @property
    def nodes(self) -> int:
        """The number of dicts and lists that were checked, in all prefixes."""

    @property
    def links(self) -> int:
        """The number of links that were checked."""

    @property
    def held(self) -> int:
        """The number of nodes that only handles of running processes keep."""

    @property
    def reclaiming(self) -> int:
        """The number of nodes pending deletion."""

    def __repr__(self) -> str: ...

class Repaired:
    """Something that repair() did, or could not do."""

    @property
    def node(self) -> str:
        """The uid of the node, or an empty text."""

    @property
    def what(self) -> str:
        """A description."""

    @property
    def bytes(self) -> bytes:
        """If something was lost: the record as it was stored, its first MiB."""

    def __repr__(self) -> str: ...

class RepairReport:
    """The result of repair()."""

    @property
    def sound(self) -> bool:
        """Whether there was nothing to repair."""

    @property
    def mended(self) -> list[Repaired]:
        """What was repaired."""

    @property
    def lost(self) -> list[Repaired]:
        """What could not be read or identified, and is lost."""

    @property
    def left(self) -> list[Repaired]:
        """What check() still finds."""

    @property
    def backup(self) -> str:
        """The path of the copy made before the repair, or an empty text."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing was changed."""

    def __repr__(self) -> str: ...

class Database(Dict):
    """The base class of graven.DB."""

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
        redis: object | None = None,
        redis_adapter: Callable[..., object] | None = None,
        redis_kwargs: Mapping[str, object] | None = None,
    ) -> None:
        """
        Opens the store at a path or URL; without one, the store that the environment names.
        """

    @overload
    def __init__(self, other: Database, prefix: str) -> None:
        """Opens another prefix of an open store."""

    @property
    def root(self) -> Dict:
        """The root dict, as a plain Dict."""

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List with this uid in this prefix; KeyNotFound if there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter; 0 if it is missing."""

    def why_alive(self, node: Dict | List) -> list[str]:
        """
        The uids of a path from the root to a node, both included; empty if only a handle keeps
        the node.
        """

    def transaction(self, *, durable: bool = False) -> Transaction:
        """
        A context manager. Its block is one atomic step, which sees its own writes. An exception
        rolls it back. Inside another transaction it is a savepoint. It belongs to the thread
        that enters it; if another thread leaves it, it is rolled back. close() of this object,
        called by any thread, rolls it back, and the rest of the block raises ClosedError.

        durable: the block ends when its changes survive a power failure, whatever `synchronous`
        is; inside another transaction, the end of the outer one waits. Raises
        CommitUnknownError if the changes are committed, but the disk did not confirm it.
        """

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction()."""

    def transactor(self) -> Transactor:
        """
        An optimistic transaction: watch(), multi(), execute(), or transact(function).
        """

    def snapshot(self) -> Snapshot:
        """A consistent, read-only view of the current state."""

    def batch_insert(self, container: Dict | List, rows: Any) -> list[Any]:
        """
        Inserts many rows in one step, all or none. A Dict takes a mapping or pairs; a List
        takes an iterable and appends its items. Returns the stored values in order.
        """

    def connection(self) -> SqlConnection:
        """
        A connection for SQL. Each statement reads the newest state, or is a commit by itself.
        """

    def read_connection(self) -> SqlConnection:
        """
        A connection for SQL in one read transaction, from its first statement to the end of the
        with block.
        """

    def write_connection(self) -> SqlConnection:
        """
        A connection for SQL in one transaction() of this thread. Changes of the graph in the
        with block are part of it. The end of the block commits it, unless commit() or close()
        has ended it before; an exception rolls it back. Inside another transaction it is a
        savepoint.
        """

    def incr(self, counter: str, by: int = 1) -> int:
        """Adds to a counter and returns its new value; atomic across processes."""

    def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and returns its new value."""

    @property
    def prefix(self) -> str:
        """The prefix whose root dict this is."""

    def set_prefix(self, prefix: str, require_empty: bool = False) -> None:
        """
        Makes this object the root dict of another prefix. Handles stay with the old prefix.
        """

    def new_prefix(self) -> str:
        """A name that no prefix of this store has."""

    def prefixes(self) -> list[str]:
        """The names of all prefixes of this store."""

    def prefix_in_use(self, prefix: str) -> bool:
        """Whether the store has this prefix."""

    def delete_prefix_immediately(self, prefix: str) -> int:
        """
        Deletes this prefix with its nodes and counters; returns the number of nodes.
        """

    def delete_prefix_batch(self, prefix: str, count: int = 500) -> int:
        """
        Deletes up to `count` nodes of a prefix; call it again until it returns 0.
        """

    def wait_durable(self) -> None:
        """
        Returns when everything that this process has committed survives a power failure, also
        with synchronous="normal" (with "off" only until the next checkpoint). Not inside a
        transaction.
        """

    def collect(self) -> int:
        """
        Collects nodes that only deleted handles and dead processes kept; returns their number.
        """

    def maintenance(self) -> str | None:
        """
        Calls collect(), then cleans up the store where that is needed: gives free pages back to
        the file system, in slices between which others can write, and moves the WAL into the
        file. Returns what prevented it from giving back all free space (for example which
        process reads an older state), or None.
        """

    def check(self, progress: Callable[[int, int], object] | None = None) -> CheckReport:
        """Checks everything, while others write. It changes nothing."""

    def repair(
        self,
        dry_run: bool = False,
        backup: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> RepairReport:
        """
        Repairs what check() finds, as far as possible, in one transaction, and checks again.
        The file is copied to `<file>.before-repair` first, unless `backup` is false. dry_run:
        reports what would be done, and changes nothing. Not inside a transaction.
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
        Copies one committed state into a new file, while others write; then reads the copy back
        and checks it. The copy is a separate store in one file; restore() puts it back.
        progress(done, total) is called between steps, with pages; an exception from it ends the
        backup. A failed backup leaves no file. A lazy DB, and the lazy Maps that this process
        has open on the store, are flushed first. Not inside a transaction.
        """

    def size_on_disk(self) -> int:
        """The size of the store's files in bytes."""

    def stats(self) -> Stats:
        """What this process has done with the store, and the state of its file."""

    def get_connection_stats(self) -> dict[str, PoolStats]:
        """The connections to the file for each pool: 'readers' and 'writer'."""

    def metrics(self) -> str:
        """
        stats() and get_connection_stats() in Prometheus' text format, for the program to serve.
        """

    @property
    def name(self) -> str:
        """The path or URL of the store."""

    @property
    def read_only(self) -> bool:
        """Whether this was opened read-only."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def flush(self) -> None:
        """
        Returns when everything that was committed before is in the file; only with
        persist='lazy' is there something to wait for. Changes of a lazy Map are not included:
        it has its own flush(). Not inside a transaction.
        """

    def close(self) -> None:
        """
        Flushes, and closes this database and its handles. Calling it again does nothing. A
        transaction that was begun on it is rolled back, in any thread; a transaction of another
        object is not. Closing the last open DB or Map of the file releases everything: no
        descriptor, lock or -wal is left, also if objects are still referenced or in use in
        other threads, which get ClosedError.
        """

def database_options(**options: Any) -> list[dict[str, Any]]:
    """
    A description of each option of a DB; the given options have the given values.
    """

class Transaction:
    """The context manager of DB.transaction()."""

    def __enter__(self) -> Database:
        """Begins the transaction; returns the DB."""

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Commits, or rolls back if the block raised an exception."""

class Transactor(Dict):
    """
    An optimistic transaction, and the root dict as it sees it.

    Reads see one state and the transaction's own writes. execute() commits the writes if
    nobody changed what was read. For one thread at a time.
    """

    def watch(self, *nodes: Dict | List) -> None:
        """
        Starts again. Without arguments any change in the prefix is a conflict, not only a
        change of what was read; with nodes, a change of these nodes is a conflict too.
        """

    def multi(self) -> None:
        """Says that the writes begin here, for programs that have such a point."""

    def execute(self, *, durable: bool = False) -> None:
        """
        Commits all writes atomically; raises WatchError on a conflict, and then nothing is
        changed. durable: returns when the changes survive a power failure.
        """

    def discard(self) -> None:
        """Drops all writes and starts again."""

    def transact(self, function: Callable[[], T], /, *, durable: bool = False) -> T:
        """
        Calls function() and execute(), and repeats both on a conflict. After three conflicts it
        holds the writer lock, so that no further conflict is possible. Returns the result of
        the last call of the function. durable: as for execute().
        """

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List with this uid in this prefix; KeyNotFound if there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter; 0 if it is missing."""

    def incr(self, counter: str, by: int = 1) -> int:
        """Adds to a counter and returns its new value."""

    def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and returns its new value."""

class Snapshot(Dict):
    """
    The root dict as it was when the snapshot was made. While it is open, that state cannot
    be cleaned up: close it, or use it in a with statement.
    """

    def get_via_uid(self, uid: str) -> Any:
        """
        The Dict or List with this uid in this prefix; KeyNotFound if there is none.
        """

    def count(self, counter: str) -> int:
        """The value of a counter; 0 if it is missing."""

    def close(self) -> None:
        """Releases the state; its handles raise ClosedError afterwards."""

    def __enter__(self) -> Snapshot: ...
    def __exit__(self, *exception: object) -> None: ...

def parse_path(text: str) -> list[str]:
    """The steps of a path."""

def format_path(steps: Sequence[str]) -> str:
    """The path of these steps."""

def parse_index(step: str) -> int | None:
    """The index that a step means in a list; None if it is not a number."""

class Watcher:
    """The base of graven.Watch."""

    def __init__(self, database: Database, path: str) -> None: ...
    def next(self, seconds: float) -> tuple[str, Any, bool] | None:
        """The next change as (path, value, deleted); None after the given time."""

    def stop(self) -> None:
        """Ends a waiting next(); later calls return at once."""

class Cancellation:
    """Ends the waits of one thread in graven."""

    def __init__(self) -> None: ...
    def cancel(self) -> None:
        """Cancels, finally. Any thread may call it."""

    @property
    def cancelled(self) -> bool:
        """Whether cancel() was called."""

    def run(self, function: Callable[[], T], /) -> T:
        """Returns function(). After cancel(), a wait in it raises AbortedError."""

class BulkImportBase:
    """The base class of graven.BulkImport."""

    def __init__(
        self,
        database: Database,
        cache_mb: int = 512,
        progress: Callable[[str, int, int], object] | None = None,
    ) -> None: ...
    def begin_phase(self, name: str) -> None:
        """Begins a phase; phase() calls it, and ends the phase too."""

    def end_phase(self, commit: bool) -> None:
        """Ends the phase: commits it, or rolls it back."""

    def advance(self, done: int, total: int = 0) -> bool:
        """
        Reports progress between two complete steps of a phase. Returns False after abort() was
        called: then leave the block of the phase, and its changes are committed.
        """

    def abort(self) -> None:
        """Asks the import to end. Any thread may call it."""

    @property
    def aborted(self) -> bool:
        """Whether abort() was called."""

    @property
    def phases(self) -> list[tuple[str, float, bool, int]]:
        """
        The phases that have ended: name, seconds, whether committed, how much was done.
        """

    def finish(self, in_haste: bool = False) -> bool:
        """
        Restores the settings, empties the WAL and updates the statistics of the query planner.
        Returns False if a reader prevented emptying the WAL. in_haste: does not wait long for
        others.
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
    SQL on the store's file, for the program's own tables. graven's tables can only be read.
    A connection belongs to the thread that made it: if two threads use it at the same time,
    the second one gets UsageError.
    """

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> SqlCursor:
        """
        Runs one statement. Values are given in order for `?`, or by name for `:name`: None,
        bool, int, float, str, bytes.
        """

    def executemany(self, sql: str, rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> int:
        """
        Runs a statement once for each row of values; returns the number of changed rows.
        """

    def commit(self) -> None:
        """For write_connection(): commits, and ends the connection."""

    def close(self) -> None:
        """Ends the connection; uncommitted changes are rolled back."""

    def __enter__(self) -> SqlConnection: ...
    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...

class MapIterator(Iterator[Any]):
    """Iterates over a Map in the order of its keys."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...

def iterate_map(
    map: FlatMap,
    part: str,
    *,
    prefix: str = "",
    start: str | None = None,
    stop: str | None = None,
    reverse: bool = False,
    limit: int | None = None,
) -> Iterator[Any]:
    """Iterates over the 'keys', 'values' or 'items' of a range."""

class MapStats:
    """
    The result of Map.stats(): the figures of this process since the map was opened.

    A read asks memory, the pending writes, the warm file and the store in this order, until
    one has the answer. Each key of a batch counts.
    """

    @property
    def hot_entries(self) -> int:
        """Keys in memory, also those known to be missing."""

    @property
    def hot_bytes(self) -> int:
        """Bytes that they take up."""

    @property
    def hot_hits(self) -> int:
        """Reads that memory answered."""

    @property
    def misses(self) -> int:
        """Reads that memory could not answer."""

    @property
    def evictions(self) -> int:
        """Keys dropped from memory to make room for others."""

    @property
    def warm_entries(self) -> int:
        """Items in the warm file."""

    @property
    def warm_bytes(self) -> int:
        """The size of the warm file on the disk."""

    @property
    def warm_hits(self) -> int:
        """Reads that the warm file answered."""

    @property
    def warm_misses(self) -> int:
        """Reads that the warm file could not answer."""

    @property
    def store_hits(self) -> int:
        """Reads that found their key in the store."""

    @property
    def store_misses(self) -> int:
        """Reads that found no such key in the store."""

    @property
    def pending(self) -> int:
        """Writes that are not in the file yet."""

    @property
    def pending_bytes(self) -> int:
        """Bytes that they take up."""

    @property
    def flushes(self) -> int:
        """Flushes that wrote something."""

    @property
    def failed_flushes(self) -> int:
        """Flushes that failed."""

    def __repr__(self) -> str: ...

class FlatMap(MutableMapping[str, Any]):
    """The base class of graven.Map."""

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __eq__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __init__(
        self,
        path_or_url: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
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
        redis: object | None = None,
        redis_adapter: Callable[..., object] | None = None,
        redis_kwargs: Mapping[str, object] | None = None,
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
        The values of many keys, all of one state of the map; the default for a missing key.
        """

    def first(self) -> tuple[str, Any] | None:
        """The (key, value) pair with the first key, or None if the map is empty."""

    def last(self) -> tuple[str, Any] | None:
        """The (key, value) pair with the last key, or None if the map is empty."""

    def ttl(self, key: str) -> float | None:
        """
        How many seconds a key will live; None if it stays. KeyNotFound if it is missing.
        """

    def copy(self) -> dict[str, Any]:
        """A plain dict of everything in the map."""

    def set(self, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """
        Sets a key. After its time to live, in seconds, the key is removed; without one it
        stays, also if it had one before.
        """

    def setdefault(
        self, key: str, default: Any = None, /, ttl: float | timedelta | None = None
    ) -> Any:
        """
        Returns the value under a key, or stores the default and returns it, in one step.
        `ttl` is for a new key.
        """

    def touch(self, key: str, ttl: float | timedelta | None) -> bool:
        """
        Gives a key a new time to live, in seconds from now; with None the key stays. Returns
        False if it is missing.
        """

    def expire_at(self, key: str, when: float | datetime) -> bool:
        """
        Lets a key expire at a time: a datetime, or seconds since 1970 as of time.time(). If
        that has passed, the key is removed. Returns False if it is missing.
        """

    def update(
        self, other: Any = (), /, *, ttl: float | timedelta | None = None, **kwargs: Any
    ) -> None:
        """
        Sets the entries of a mapping, an iterable of pairs and keywords, in one step. ttl: as
        in set(), for each of them; a key with the name `ttl` must be in the mapping.
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
        """Removes a key and returns its value."""

    @overload
    def pop(self, key: str, default: Any, /) -> Any: ...
    def popitem(self) -> tuple[str, Any]:
        """Removes the entry with the first key and returns it."""

    def pop_many(self, keys: Iterable[str], default: Any = None) -> list[Any]:
        """
        Removes the given keys in one step and returns their values; the default for a missing
        key.
        """

    def delete_many(self, keys: Iterable[str], /) -> int:
        """Removes the given keys in one step; returns how many of them existed."""

    def clear(self) -> None:
        """Removes everything."""

    def incr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """
        Adds to the number under a key and returns the sum, in one step: no change of another
        thread, or with persist="writethrough" of another process, comes between. Integers are
        exact and have any size. A missing key counts as `default`. An existing key keeps its
        time to live; `ttl` is for a new key. Raises WrongTypeError if the value is not a
        number.
        """

    def decr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """
        Subtracts from the number under a key and returns the difference, like incr().
        """

    def add(self, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """
        Sets a key if it is missing, in one step like incr(); returns False if it exists.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /) -> Any:
        """
        Replaces the value under a key by function(value), in one step like incr(), and returns
        the new value. With a default, a missing key gets function(default). The key keeps its
        time to live. No lock is held while the function runs: it may use the map. It runs again
        if others changed the value in the meantime, so it should have no side effects.
        """

    @overload
    def update_with(self, key: str, function: Callable[[Any], Any], /, default: Any) -> Any: ...
    def flush(self) -> None:
        """Returns when everything that was written before is in the file."""

    def wait_durable(self) -> None:
        """
        Calls flush(), and returns when the writes survive a power failure, also with
        synchronous="normal" (with "off" only until the next checkpoint).
        """

    def stats(self) -> MapStats:
        """
        What is in memory, what answered the reads, and what waits for the disk.
        """

    def metrics(self) -> str:
        """stats() in Prometheus' text format, for the program to serve."""

    @property
    def name(self) -> str:
        """The map's name in its file."""

    @property
    def path(self) -> str:
        """The path or URL that was opened."""

    @property
    def persist(self) -> str:
        """'writethrough', 'lazy' or 'memory'."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def close(self) -> None:
        """Flushes, and closes this map. Calling it again does nothing."""

    def __copy__(self) -> Any:
        """The same as copy()."""

    def __deepcopy__(self, memo: object, /) -> Any:
        """Everything below as plain, detached data."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Raises WrongTypeError: a handle cannot be pickled."""

def map_options(**options: Any) -> list[dict[str, Any]]:
    """
    A description of each option of a Map; the given options have the given values.
    """

def peek(map: FlatMap, key: str, missing: Any, unknown: Any, /) -> Any:
    """
    The value under a key or `missing`; `unknown` if the answer needs a wait for the store.
    """

def peek_many(map: FlatMap, keys: Iterable[str], default: Any, /) -> list[Any] | None:
    """get_many(), or None if the answer needs a wait for the store."""

def try_set(map: FlatMap, key: str, value: Any, /) -> bool:
    """Sets a key if that needs no wait; returns whether it did."""

def log_to(read: object, level: int) -> None:
    """
    From now on, log lines of this level or a higher one go to a pipe that does not block.

    The first line makes the pipe and starts a thread that calls `read` with its reading
    end.
    """

def log_to_nobody() -> bool:
    """
    Stops the log lines and ends the pipe; returns whether somebody read the pipe.
    """

def log_in_child() -> None:
    """After a fork: the first line makes a new pipe."""

def log_dropped() -> int:
    """The number of lines that were dropped because the pipe was full."""

class QueryCondition:
    """What graven.Condition holds."""

    def both(self, arg: QueryCondition, /) -> QueryCondition: ...
    def either(self, arg: QueryCondition, /) -> QueryCondition: ...
    def inverted(self) -> QueryCondition: ...
    def text(self) -> str: ...

class QueryField:
    """What graven.Field holds."""

    def __init__(self) -> None: ...
    def key(self, key: str) -> QueryField: ...
    def index(self, arg: int, /) -> QueryField: ...
    def test(self, sign: str, value: Any) -> QueryCondition: ...
    def compare(self, arg0: str, arg1: QueryField, /) -> QueryCondition: ...
    def test_in(self, values: Iterable[Any]) -> QueryCondition: ...
    def exists(self) -> QueryCondition: ...
    def is_none(self) -> QueryCondition: ...
    def truth(self) -> QueryCondition: ...
    def any(self, arg: QueryCondition, /) -> QueryCondition: ...
    def text(self) -> str: ...
    def steps(self) -> list[str | int]: ...

def parse_condition(text: str) -> QueryCondition:
    """The condition that a text means."""

def parse_field(text: str) -> QueryField:
    """The field that a text means."""

class QueryPages:
    """The results of one run of a query."""

    def rows(self, keys: bool) -> list[Any]: ...
    def rows_and_plain(self) -> list[tuple[Any, Any, Any]]: ...
    def fields(self, fields: Sequence[QueryField]) -> list[dict[str, Any]]: ...
    def plain(self) -> list[Any]: ...

class QueryPlan:
    """What graven.Query holds."""

    def __init__(self, container: Dict | List) -> None: ...
    def where(self, arg: QueryCondition, /) -> QueryPlan: ...
    def order_by(self, arg: Sequence[str], /) -> QueryPlan: ...
    def limit(self, arg: int, /) -> QueryPlan: ...
    def offset(self, arg: int, /) -> QueryPlan: ...
    def count(self) -> int: ...
    def exists(self) -> bool: ...
    def pages(self) -> QueryPages: ...
    def group_by(
        self, fields: Sequence[str], aggregates: Sequence[tuple[str, tuple[str, str]]]
    ) -> list[dict[str, Any]]: ...
    def update(self, fields: dict[str, Any]) -> int: ...
    def erase(self) -> int: ...
    def explain(self) -> tuple[str, str, int, int, int]: ...
