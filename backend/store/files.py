"""Files of adapters, scores and embeddings: written beside, then moved into place, so that none is ever half there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

Array = NDArray[Any]


class Files:
    """The folder `MODEL_DIR`: projects/<id>/adapters/<n>/, scores/, embeddings/."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def adapter(self, project_id: int, number: int) -> Path:
        """The folder of one adapter version."""
        return self._project(project_id) / "adapters" / str(number)

    def scores(self, project_id: int, number: int) -> Path:
        """What adapter `number` gave for each text."""
        return self._project(project_id) / "scores" / f"{number}.safetensors"

    def embeddings(self, project_id: int, base_model: str) -> Path:
        """The base model's embedding of each text."""
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in base_model)
        return self._project(project_id) / "embeddings" / f"{name}.safetensors"

    def write_folder(self, path: Path, fill: Callable[[Path], None]) -> None:
        """Let `fill` write a folder, then move it to `path` in one step, replacing what an earlier try left."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        beside.mkdir()
        try:
            fill(beside)
            _sync(beside)
            if path.exists():
                shutil.rmtree(path)
            beside.rename(path)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def write_arrays(self, path: Path, arrays: Mapping[str, Array]) -> None:
        """Write named arrays to `path` in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            save_file(dict(arrays), beside)
            _sync(beside)
            beside.replace(path)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)

    def read_arrays(self, path: Path, names: Collection[str] | None = None) -> dict[str, Array] | None:
        """The named arrays of a file, or all of them; None if there is no such file."""
        if not path.exists():
            return None
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys() if names is None or name in names}  # noqa: SIM118 (not a dict)

    def prune(self, project_id: int, *, keep: set[int]) -> None:
        """Delete the adapters and scores of every version not in `keep`, and what a killed process left beside."""
        for kind in ("adapters", "scores"):
            folder = self._project(project_id) / kind
            for path in folder.iterdir() if folder.exists() else ():
                number = path.name.removesuffix(".safetensors")
                if not number.isdigit() or int(number) not in keep:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _project(self, project_id: int) -> Path:
        return self.root / "projects" / str(project_id)


def _sync(path: Path) -> None:
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file():
            with each.open("rb") as file:
                os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
