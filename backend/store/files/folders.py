"""The folder MODEL_DIR: adapters, and what was computed with them. Everything but the adapters can be recomputed."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path

from backend.errors import BackendError
from backend.store.files import arrays
from backend.store.files.adapter_files import AdapterFiles
from backend.store.files.shards import Shards
from backend.store.files.shared import COPIED, Shared


class Files:
    """projects/<id>/adapters/<n>/, scores/<n>/, embeddings/<base model>/, map/; a cache of shared storage, if any."""

    def __init__(self, root: Path, shared_url: str | None = None) -> None:
        self.root = root
        self.shared = Shared(shared_url, root) if shared_url else None

    def adapters(self, project_id: int) -> AdapterFiles:
        """The adapters of a project."""
        return AdapterFiles(self._project(project_id) / "adapters", self.shared)

    def scores(self, project_id: int, number: int, head: int = 0) -> Shards:
        """The outputs of adapter `number` for each text, with its own head, 0, or with a refitted one."""
        name = f"{number}-h{head}" if head else str(number)
        return Shards(self._project(project_id) / "scores" / name, self.shared)

    def embeddings(self, project_id: int, base_model: str) -> Shards:
        """The base model's embedding of each text."""
        readable = "".join(c if c.isalnum() else "_" for c in base_model)[-40:]
        name = f"{readable}-{blake2b(base_model.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
        return Shards(self._project(project_id) / "embeddings" / name, self.shared)

    def map(self, project_id: int) -> dict[str, arrays.Array] | None:
        """The positions of the project's texts on its map; None if there is no map."""
        folder = self._project(project_id) / "map"
        if self.shared is not None:
            self.shared.refresh(folder)
        found = max(folder.glob("[!.]*"), default=None)
        drawn = arrays.read(found) if found is not None else None
        if found is not None and drawn is None and self.shared is not None:
            found.unlink(missing_ok=True)  # a damaged copy: fetch it again
        return drawn

    def put_map(self, project_id: int, drawn: Mapping[str, arrays.Array]) -> None:
        """Replace the map."""
        folder = self._project(project_id) / "map"
        former = list(folder.glob("*"))
        shared = self.shared
        path = folder / f"{time.time_ns():020d}{COPIED if shared is not None else ''}.safetensors"
        if shared is None:
            arrays.write(path, drawn)
        else:
            arrays.write(path, drawn, before=lambda written: shared.push(written, path))
        for old in former:
            if self.shared is not None:
                self.shared.drop(old)
            old.unlink(missing_ok=True)

    def prune(self, project_id: int, *, keep: set[int]) -> None:
        """Delete adapters and scores of every version not in `keep`, and temporary files of killed processes."""
        self.adapters(project_id).prune(keep)
        scores = self._project(project_id) / "scores"
        there = {name.partition("/")[0] for name in self.shared.names(scores)} if self.shared is not None else set()
        for name in there | {path.name for path in scores.glob("*")}:
            # Newer versions belong to another worker, if it has just taken this project over.
            if not name.isdigit() or (int(name) not in keep and int(name) < max(keep, default=math.inf)):
                Shards(scores / name, self.shared).clear()
        for path in self._project(project_id).rglob(".*.safetensors.*"):
            if self.shared is None or arrays.was_left(path):  # otherwise it may be a copy that is being fetched
                path.unlink(missing_ok=True)

    def forget_copies(self, project_id: int, numbers: Collection[int]) -> None:
        """Delete the local copies of versions that are in shared storage."""
        if self.shared is None:
            return
        for number in numbers:
            for path in (self.adapters(project_id).path(number), self.scores(project_id, number).folder):
                shutil.rmtree(path, ignore_errors=True)

    def forget(self, project_id: int) -> None:
        """Delete all files of a project."""
        folder = self._project(project_id)
        if self.shared is not None:
            self.shared.drop(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def require_room(self, megabytes: int) -> None:
        """Raise `BackendError` if the disk has less free space, before a full disk stops everything."""
        free = shutil.disk_usage(self.root).free // 2**20
        if free < megabytes:
            raise BackendError(
                f"the disk of {self.root} has {free} MB left and a round wants {megabytes} free; free some space, or "
                "lower MIN_FREE_MB. Until then the adapter in service serves on"
            )

    def _project(self, project_id: int) -> Path:
        return self.root / "projects" / str(project_id)
