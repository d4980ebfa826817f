# SPDX-License-Identifier: MIT
"""The interpreter ends while daemon threads are in calls of graven that take long, or in functions
that these call: such a thread stays where it is. (Up to 3.13 Python ends a thread that wants the
GIL then by unwinding its stack, which is no way out of C++.)
"""

from __future__ import annotations

import subprocess
import sys

import pytest

import graven

WORKING = """
import sys, threading, time
import graven
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.3)
sys.modules['slow'] = Slow()  # the interpreter takes its time to end
path = {path!r}
db = graven.DB(path, 'main')
table = graven.Map(path)
def busy(*_):
    for n in range(300_000):  # longer than a thread keeps the GIL when others want it
        pass
    return 1
def work():
    own = f'{{path}}.{{threading.get_ident()}}'
    while True:
        {work}
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""
WORK = {
    "check": "db.check()",
    "check, told": "db.check(busy)",
    "repair": "db.repair()",
    "backup": "db.backup(own, overwrite=True)",
    "backup, told": "db.backup(own, busy, overwrite=True, pages_per_step=10)",
    "restore": "graven.restore(path + '.backup', own, keep_replaced=False)",
    "restore, told": "graven.restore(path + '.backup', own, busy, keep_replaced=False)",
    "update_with": "db.update_with('n', busy)",
    "sort": "db['l'].sort(key=busy)",
    "transact": "db.transactor().transact(busy)",
    "update_with of a map": "table.update_with('n', busy)",
    "batch_insert": "db.batch_insert(db['l'], (busy() for n in range(100)))",
    "cancellation": "graven._graven.Cancellation().run(busy)",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("filled") / "s.db")
    with graven.DB(path) as db, graven.Map(path) as table:
        db.update({str(n): {} for n in range(20_000)})
        db.update({"n": 1, "l": [3, 1, 2]})
        table["n"] = 1
        db.backup(path + ".backup")
    return path


@pytest.mark.parametrize("name", WORK)
def test_the_interpreter_ends_while_daemon_threads_work(filled: str, name: str) -> None:
    program = WORKING.format(path=filled, work=WORK[name])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_interpreter_ends_after_asyncio_while_a_call_goes_on(filled: str) -> None:
    program = (
        "import asyncio, graven\nfrom graven import aio\n"
        "async def main():\n"
        f"    db = await aio.DB.open({filled!r})\n"
        "    calls = [asyncio.ensure_future(db.run(graven.DB.check)) for _ in range(4)]\n"
        "    await asyncio.sleep(0.02)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
