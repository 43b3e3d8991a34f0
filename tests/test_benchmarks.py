"""Benchmarks are not run by tests, but what they measure with must still be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if "results" not in path.parts
)


@pytest.mark.parametrize("module", MODULES)
def test_every_benchmark_finds_what_it_imports(module: str) -> None:
    importlib.import_module(module)
