# SPDX-License-Identifier: MIT
"""graven stats and graven top: what they show of a file, also while others write it."""

import json
import os
import pty
import select
import signal
import time

import pytest


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write"}}')
    return graven


def test_stats(filled):
    text = filled.run("stats", "state.db")
    assert text.startswith("file          state.db (read-only here)\n")
    assert "readers       0 of 64 connections in use" in text or "readers" in text
    stats = json.loads(filled.run("stats", "state.db", "--json"))
    size = sum(
        os.path.getsize(filled.folder / name)
        for name in ("state.db", "state.db-wal")
        if (filled.folder / name).exists()
    )
    assert stats["file"]["size_bytes"] == size
    assert stats["file"]["read_only"] is True
    assert stats["writes"]["commits"] == 0
    assert {"count", "sum", "p50", "p90", "p99", "p999", "max"} == set(stats["reads"])
    assert [pool["name"] for pool in stats["connections"]] == ["readers", "writer"]
    assert set(stats["errors"]) > {"busy", "corruption", "key_not_found"}
    assert "no database" in filled.error("stats", "other.db")


def test_top_prints_lines_where_there_is_no_terminal(filled):
    out = filled.run("top", "state.db", "--interval", "0.05", "--count", "3")
    lines = out.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert " commits/s=" in line and " wal=" in line and " owners=0" in line
    assert "\x1b" not in out
    filled.error("top", "state.db", "--interval", "0")


def test_top_counts_what_others_commit(filled):
    top = filled.start("top", "state.db", "--interval", "0.2", stdout=-1)
    try:
        first = top.stdout.readline().decode()
        before = int(first.split(" commits=")[1].split()[0])
        for number in range(3):
            filled.set(f"n{number}", "1")
        deadline = time.monotonic() + 20
        now = before
        while now < before + 3 and time.monotonic() < deadline:
            now = int(top.stdout.readline().decode().split(" commits=")[1].split()[0])
        assert now >= before + 3
    finally:
        top.send_signal(signal.SIGINT)
        assert top.wait(10) == 0
        top.stdout.close()


def test_top_on_a_terminal_draws_a_screen_and_ends_at_once(filled):
    reading, terminal = pty.openpty()
    top = filled.start("top", "state.db", "--interval", "60", stdout=terminal)
    os.close(terminal)
    try:
        shown = b""
        deadline = time.monotonic() + 20
        while b"Ctrl-C ends" not in shown and time.monotonic() < deadline:
            if select.select([reading], [], [], 1)[0]:
                shown += os.read(reading, 65536)
        assert b"\x1b[2J" in shown and b"commits/s" in shown
    finally:
        top.send_signal(signal.SIGTERM)
        assert top.wait(10) == 0
        os.close(reading)
