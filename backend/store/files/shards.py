"""Computed values per text: rows of named arrays, indexed by the text's digest, in shards on disk.

Adding rows costs time proportional to the new rows, not to all; reading loads only the requested rows. Shards are
immutable. A replaced shard is deleted after its replacement is complete; readers then reopen the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from backend.errors import BackendError
from backend.store.files import arrays
from backend.store.files.shared import COPIED, Shared

Array = NDArray[Any]
Digests = Sequence[int] | NDArray[np.int64]

ROWS = 16_384  # per shard: some megabytes
_FEW = 64  # read single rows if fewer than 1 in `_FEW` rows of a shard are needed


class _Shard(NamedTuple):
    path: Path
    digests: NDArray[np.int64]  # (M,) in the order of the rows
    shapes: dict[str, tuple[int, ...]]  # of one row

    @classmethod
    def open(cls, path: Path) -> Self:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()[1:]) for name in file.keys()}  # noqa: SIM118
            return cls(path, file.get_tensor("digests"), shapes)

    def read(self, name: str, rows: NDArray[np.int64]) -> Array:
        with safe_open(self.path, framework="numpy") as file:
            if not len(rows) or len(rows) * _FEW > len(self.digests):
                return np.asarray(file.get_tensor(name)[rows])
            part = file.get_slice(name)
            return np.concatenate([part[int(row) : int(row) + 1] for row in rows])


class _View:
    """A snapshot of the shards of a folder."""

    def __init__(self, folder: Path) -> None:
        self.paths = _paths(folder)
        self.shards: list[_Shard] = []
        self.damaged: list[Path] = []
        for path in self.paths:
            try:
                self.shards.append(_Shard.open(path))
            except FileNotFoundError:  # replaced meanwhile
                continue
            except SafetensorError as error:
                arrays.say_damaged(path, error)
                self.damaged.append(path)
        of_each = [frozenset(shard.shapes) for shard in self.shards]
        self.names = frozenset.intersection(*of_each) - {"digests"} if of_each else frozenset[str]()
        self.ends = np.cumsum([len(shard.digests) for shard in self.shards], dtype=np.int64)

    @cached_property
    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All digests, ascending, and their rows."""
        every = np.concatenate([np.empty(0, np.int64), *(shard.digests for shard in self.shards)])
        order = np.argsort(every, kind="stable")
        return every[order], order

    def rows(self, digests: Digests) -> NDArray[np.int64]:
        wanted = np.asarray(digests, np.int64)
        known, order = self._index
        if not len(known):
            return np.full(len(wanted), -1)
        found = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        return np.where(known[found] == wanted, order[found], -1)

    def found(self, names: Collection[str], digests: Digests) -> tuple[NDArray[np.bool_], dict[str, Array]]:
        rows = self.rows(digests) if self.names >= set(names) else np.full(len(digests), -1)
        there = rows >= 0
        return there, {name: self.at(name, rows[there]) for name in names} if there.any() else {}

    def at(self, name: str, rows: NDArray[np.int64]) -> Array:
        """The named array at the given rows; narrower shards are padded with zeros."""
        width = tuple(max(sizes) for sizes in zip(*(shard.shapes[name] for shard in self.shards), strict=True))
        owner = np.searchsorted(self.ends, rows, side="right")
        out: Array | None = None
        for number in np.unique(owner).tolist() or [0]:
            places = np.flatnonzero(owner == number)
            shard = self.shards[number]
            values = shard.read(name, rows[places] - (self.ends[number] - len(shard.digests)))
            if out is None:
                out = np.zeros((len(rows), *width), values.dtype)
            place: Any = (places, *(slice(size) for size in values.shape[1:]))
            out[place] = values
        assert out is not None
        return out


class Shards:
    """A folder of shards, perhaps a cached copy, as of the first access. Reads are thread-safe."""

    def __init__(self, folder: Path, shared: Shared | None = None) -> None:
        self.folder = folder
        self._shared = shared
        self._seen: _View | None = None

    @property
    def _view(self) -> _View:
        if (seen := self._seen) is None:
            self._refresh()
            seen = self._seen = _View(self.folder)
            if self._shared is not None:
                for path in seen.damaged:  # a copy: fetch it again
                    path.unlink(missing_ok=True)
        return seen

    def __len__(self) -> int:
        return int(self._view.ends[-1]) if self._view.shards else 0

    @property
    def names(self) -> frozenset[str]:
        """Names of the arrays that all shards have."""
        return self._view.names

    def is_current(self) -> bool:
        """Whether no shard was added or removed since the first access."""
        self._refresh()
        return self._view.paths == _paths(self.folder)

    def rows(self, digests: Digests) -> NDArray[np.int64]:
        """The row of each digest, counted over all shards; −1 if missing."""
        return self._view.rows(digests)

    def found(self, names: Collection[str], digests: Digests) -> tuple[NDArray[np.bool_], dict[str, Array]]:
        """Which digests exist, (N,), and the named arrays of those; none exists if a name is missing."""
        for view in (self._view, None):
            try:
                return (view or self._view).found(names, digests)
            except (OSError, SafetensorError):  # a shard was replaced, deleted or damaged meanwhile
                self._seen = None
        return np.zeros(len(digests), np.bool_), {}

    def take(self, name: str, digests: Digests) -> Array:
        """The named array at the given digests, (N, …). Raises `BackendError` if one is missing."""
        view = self._view
        if view.shards and name not in view.names:
            raise BackendError(f"the scores lack '{name}'; the options changed during the round, start another one")
        if not len(digests):
            self._seen = None  # its first shard, whose shape is read, may be replaced by now
            view = self._view
            return view.at(name, np.empty(0, np.int64)) if view.shards else np.empty((0, 0), np.float32)
        there, values = self.found([name], digests)
        if not there.all():
            raise BackendError(
                f"{int((~there).sum())} of {len(there)} texts have no '{name}'; options or texts changed during the "
                "round, start another one"
            )
        return values[name]

    def add(self, digests: Digests, values: Mapping[str, Array]) -> None:
        """Add rows. A last shard that is not full is rewritten together with them."""
        self._seen = None  # another process may have written meanwhile
        view, fresh = self._view, {"digests": np.asarray(digests, np.int64), **values}
        number, gone = 0, list(view.damaged)
        if view.shards:
            last = view.shards[-1]
            number = int(last.path.name.partition("-")[0]) + 1
            if len(last.digests) < ROWS and set(last.shapes) == set(fresh):
                rows, number = np.arange(len(last.digests)), number - 1
                fresh = {name: stacked(last.read(name, rows), array) for name, array in fresh.items()}
                gone.append(last.path)
        for start in range(0, len(fresh["digests"]), ROWS):
            name = f"{number + start // ROWS:06d}-{uuid4().hex[:8]}{COPIED if self._shared is not None else ''}"
            path = self.folder / f"{name}.safetensors"
            part = {name: np.ascontiguousarray(array[start : start + ROWS]) for name, array in fresh.items()}
            arrays.write(path, part, before=partial(self._share, path))
        for path in gone:
            if self._shared is not None:
                self._shared.drop(path)
            path.unlink(missing_ok=True)
        self._seen = None

    def clear(self) -> None:
        """Delete the folder."""
        if self._shared is not None:
            self._shared.drop(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._seen = None

    def _share(self, path: Path, written: Path) -> None:
        if self._shared is not None:
            self._shared.push(written, path)

    def _refresh(self) -> None:
        if self._shared is not None:
            self._shared.refresh(self.folder)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.safetensors"))


def stacked(first: Array, second: Array) -> Array:
    """Concatenate rows; narrower ones are padded with zeros."""
    if first.shape[1:] == second.shape[1:]:
        return np.concatenate([first, second])
    width = tuple(map(max, first.shape[1:], second.shape[1:]))
    wider = [np.pad(a, [(0, 0), *((0, w - n) for w, n in zip(width, a.shape[1:], strict=True))])
             for a in (first, second)]  # fmt: skip
    return np.concatenate(wider)
