# SPDX-License-Identifier: MIT
"""The peers with a storage engine or a server of another kind: how each is used."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from .peer import Peer


class Shelve(Peer):
    # On GNU dbm where Python has it (python3-gdbm), the fastest shelve can have. A store writes
    # into the file without waiting for the disk, so normal and lazy are the same. full is a
    # sync() after each: dbm's flag "s" does not sync what GNU dbm has mapped.
    name = "shelve"

    @classmethod
    def load(cls) -> str:
        for name in ("dbm.gnu", "dbm.ndbm", "dbm.dumb"):  # as dbm.open() chooses
            try:
                import_module(name)
            except ImportError:
                continue
            if name == "dbm.dumb":
                cls.lacks = {"delete": "dbm.dumb writes its whole index anew with each"}
            return f"on {name}, Python {platform.python_version()}"
        raise ImportError("this Python has no dbm")

    def __init__(self, path: Path, mode: str) -> None:
        import shelve

        self.mode = mode
        self.store = shelve.open(str(path))  # noqa: SIM115

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        store = self.store
        if self.mode == "full":
            for key, value in items:
                store[key] = value
                store.sync()
        else:
            super().write(items)

    def flush(self) -> None:
        self.store.sync()


class Lmdb(Peer):
    # Bytes only, so text is encoded and decoded here. Reads: one transaction for the stretch.
    # lazy: one write transaction until flush(). normal: a transaction for each write, without
    # sync (process-crash safe as its manual says). full: its default.
    name = "lmdb"
    package = "lmdb"

    @classmethod
    def load(cls) -> str:
        import lmdb

        return f"{lmdb.__version__}, LMDB {'.'.join(map(str, lmdb.version()))}"

    def __init__(self, path: Path, mode: str) -> None:
        import lmdb

        self.mode = mode
        self.store = lmdb.open(str(path), subdir=False, map_size=2**32, sync=mode == "full")
        self.writing: Any = None

    def read(self, keys: Sequence[str]) -> None:
        with self.store.begin() as transaction:
            get = transaction.get
            for key in keys:
                get(key.encode()).decode()

    def read_many(self, keys: Sequence[str]) -> Any:
        with self.store.begin() as transaction, transaction.cursor() as cursor:
            return [value.decode() for _, value in cursor.getmulti([k.encode() for k in keys])]

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        if self.mode == "lazy":
            if self.writing is None:
                self.writing = self.store.begin(write=True)
            put = self.writing.put
            for key, value in items:
                put(key.encode(), value.encode())
        else:
            begin = self.store.begin
            for key, value in items:
                with begin(write=True) as transaction:
                    transaction.put(key.encode(), value.encode())

    def write_all(self, mapping: Mapping[str, str]) -> None:
        with self.store.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti((k.encode(), v.encode()) for k, v in mapping.items())

    def items(self) -> Iterable[tuple[str, str]]:
        with self.store.begin() as transaction, transaction.cursor() as cursor:
            for key, value in cursor:
                yield key.decode(), value.decode()

    def delete(self, keys: Sequence[str]) -> None:
        begin = self.store.begin
        for key in keys:
            with begin(write=True) as transaction:
                transaction.delete(key.encode())

    def flush(self) -> None:
        if self.writing is not None:
            self.writing.commit()
            self.writing = None

    def close(self) -> None:
        self.flush()
        self.store.close()


class Rocksdict(Peer):
    # Its default write options (the log goes to the kernel at once) are the class "normal";
    # lazy: no log, flush() writes the table; full: the log is synced. Many writes at once: a
    # WriteBatch.
    name = "rocksdict"
    package = "rocksdict"

    @classmethod
    def load(cls) -> str:
        from importlib.metadata import version

        import rocksdict  # noqa: F401

        return version("rocksdict")

    def __init__(self, path: Path, mode: str) -> None:
        from rocksdict import Rdict, WriteOptions

        self.store = Rdict(str(path))
        options = WriteOptions()
        options.sync = mode == "full"
        options.disable_wal = mode == "lazy"
        self.store.set_write_options(options)

    def read_many(self, keys: Sequence[str]) -> Any:
        return self.store.get(list(keys))

    def write_all(self, mapping: Mapping[str, str]) -> None:
        from rocksdict import WriteBatch

        batch = WriteBatch()
        for key, value in mapping.items():
            batch.put(key, value)
        self.store.write(batch)

    def flush(self) -> None:
        self.store.flush()


class Zodb(Peer):
    # An OOBTree under the root, as its guide advises for large mappings. A FileStorage syncs
    # every commit and has no other way, so it has lazy (one commit at the end) and full.
    name = "ZODB"
    package = "ZODB"
    lacks: ClassVar[Mapping[str, str]] = {"normal": "FileStorage syncs every commit"}

    @classmethod
    def load(cls) -> str:
        from importlib.metadata import version

        import transaction  # noqa: F401
        import ZODB  # noqa: F401

        return version("ZODB")

    def __init__(self, path: Path, mode: str) -> None:
        import transaction
        import ZODB
        import ZODB.FileStorage
        from BTrees.OOBTree import OOBTree

        self.mode = mode
        self.commit = transaction.commit
        self.database = ZODB.DB(
            ZODB.FileStorage.FileStorage(str(path)), cache_size=1_000_000, cache_size_bytes=0
        )
        self.connection = self.database.open()
        root = self.connection.root()
        if "data" not in root:
            root["data"] = OOBTree()
            self.commit()
        self.store = root["data"]

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        store, commit = self.store, self.commit
        if self.mode == "full":
            for key, value in items:
                store[key] = value
                commit()
        else:
            super().write(items)

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.store.update(mapping)
        self.commit()

    def flush(self) -> None:
        self.commit()

    def close(self) -> None:
        self.commit()
        self.connection.close()
        self.database.close()


class Redis(Peer):
    # A server of its own on a unix socket, with the append-only file: normal writes it before
    # the answer (appendfsync no), full syncs it before the answer (always); lazy has no such
    # file and saves a snapshot on flush(). Many at once: a pipeline without MULTI, MGET.
    name = "redis"
    package = "redis"
    slow = True

    @classmethod
    def load(cls) -> str:
        import redis

        program = shutil.which("redis-server")
        if program is None:
            raise ImportError("no redis-server on this machine (Debian: redis-server)")
        words = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        server = next(word[2:] for word in words.split() if word.startswith("v="))
        return f"{redis.__version__}, server {server}"

    def __init__(self, path: Path, mode: str) -> None:
        import redis

        path.mkdir(exist_ok=True)
        # A socket's path is limited to 107 bytes.
        self.sockets = tempfile.TemporaryDirectory(prefix="graven-redis-")
        socket = f"{self.sockets.name}/s"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", str(path)]
        command += ["--save", "", "--appendonly", "no" if mode == "lazy" else "yes"]
        command += ["--appendfsync", "always" if mode == "full" else "no", "--daemonize", "no"]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.store = redis.Redis(unix_socket_path=socket, decode_responses=True)
        until = time.monotonic() + 30
        while True:
            try:
                self.store.ping()
                break
            except redis.exceptions.ConnectionError:  # also while it loads
                if self.server.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise
                time.sleep(0.002)

    def read(self, keys: Sequence[str]) -> None:
        get = self.store.get
        for key in keys:
            get(key)

    def read_many(self, keys: Sequence[str]) -> Any:
        return self.store.mget(keys)

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        put = self.store.set
        for key, value in items:
            put(key, value)

    def write_all(self, mapping: Mapping[str, str]) -> None:
        pipeline = self.store.pipeline(transaction=False)
        for number, (key, value) in enumerate(mapping.items(), 1):
            pipeline.set(key, value)
            if number % 10_000 == 0:
                pipeline.execute()
        pipeline.execute()

    def items(self) -> Iterable[tuple[str, str]]:
        keys: list[str] = []
        for key in self.store.scan_iter(count=1000):
            keys.append(key)
            if len(keys) == 1000:
                yield from zip(keys, self.store.mget(keys))
                keys = []
        if keys:
            yield from zip(keys, self.store.mget(keys))

    def delete(self, keys: Sequence[str]) -> None:
        delete = self.store.delete
        for key in keys:
            delete(key)

    def flush(self) -> None:
        self.store.save()

    def stop(self) -> None:
        if self.server.poll() is None:
            self.server.terminate()
            self.server.wait(30)
        self.sockets.cleanup()

    def close(self) -> None:
        self.store.close()
        self.stop()


PEERS: list[type[Peer]] = [Shelve, Lmdb, Rocksdict, Zodb, Redis]
