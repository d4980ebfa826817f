# SPDX-License-Identifier: MIT
"""The programs in README.md and docs/ run as they stand there."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_snippet(snippet: tuple[str, str], run_snippet: Callable[[tuple[str, str]], None]) -> None:
    run_snippet(snippet)
