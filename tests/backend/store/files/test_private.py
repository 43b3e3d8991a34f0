"""Other users of the machine read nothing of the backend's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli.build import new_store
from backend.settings import Settings


@pytest.fixture(autouse=True)
def open_to_all() -> Iterator[None]:
    """As most systems are: new files can be read by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]}


def test_new_files_are_private(tmp_path: Path) -> None:
    store = new_store(Settings(model_dir=tmp_path / "data"))
    (store.files.root / "projects").mkdir()
    assert modes(tmp_path / "data") == {0}


def test_those_of_an_earlier_release_become_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    new_store(Settings(model_dir=folder)).database.close()
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    theirs = folder / "lost+found"
    theirs.mkdir()
    theirs.chmod(0o755)
    new_store(Settings(model_dir=folder))
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*") if path != theirs} == {0}
    assert theirs.stat().st_mode & 0o777 == 0o755
