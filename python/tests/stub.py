# SPDX-License-Identifier: MIT
"""python/bindings/make_stub.py as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any


def make_stub() -> Any:
    script = Path(__file__).resolve().parents[1] / "bindings" / "make_stub.py"
    spec = importlib.util.spec_from_file_location("make_stub", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
