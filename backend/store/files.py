"""Files of adapters, scores and embeddings: written beside, then moved into place, so that none is ever half there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import blake2b, file_digest
from pathlib import Path
from uuid import uuid4

from backend.errors import BackendError
from backend.store import arrays
from backend.store.shards import Shards

_CHECKSUMS = "checksums.json"


class Files:
    """The folder `MODEL_DIR`: projects/<id>/adapters/<n>/, scores/, embeddings/."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def adapter(self, project_id: int, number: int) -> Path:
        """The folder of one adapter version."""
        return self._project(project_id) / "adapters" / str(number)

    def adapters(self, project_id: int) -> list[int]:
        """The adapter versions whose files are kept, newest first."""
        folder = self._project(project_id) / "adapters"
        found = (path.name for path in folder.iterdir()) if folder.exists() else ()
        return sorted((int(name) for name in found if name.isdigit()), reverse=True)

    def scores(self, project_id: int, number: int) -> Shards:
        """What adapter `number` gave for each text."""
        return Shards(self._project(project_id) / "scores" / str(number))

    def embeddings(self, project_id: int, base_model: str) -> Shards:
        """The base model's embedding of each text."""
        readable = "".join(c if c.isalnum() else "_" for c in base_model)[-40:]
        name = f"{readable}-{blake2b(base_model.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
        return Shards(self._project(project_id) / "embeddings" / name)

    def map(self, project_id: int) -> Path:
        """Where each text of the project lies on its map."""
        return self._project(project_id) / "map.safetensors"

    def write_folder(
        self, path: Path, fill: Callable[[Path], None], *, allowed: Callable[[], None] = lambda: None
    ) -> None:
        """Let `fill` write a folder, then move it to `path` in one step, replacing what an earlier try left.

        allowed: called right before that, and may raise.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        beside.mkdir()
        try:
            fill(beside)
            (beside / _CHECKSUMS).write_text(json.dumps(_checksums(beside), indent=1), "utf-8")
            arrays.sync(beside)
            allowed()
            if path.exists():
                shutil.rmtree(path)
            beside.rename(path)
            arrays.sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def damage(self, path: Path) -> str | None:
        """What differs from what `write_folder` wrote; None if nothing does."""
        try:
            expected = json.loads((path / _CHECKSUMS).read_text("utf-8"))
            found = _checksums(path)
        except FileNotFoundError:
            return None if (path / "learner.json").exists() else "its files are gone"  # before there were checksums
        except (OSError, ValueError) as error:
            return f"{_CHECKSUMS} cannot be read ({type(error).__name__})"
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        return f"{', '.join(wrong)} changed since it was written" if wrong else None

    def prune(self, project_id: int, *, keep: set[int]) -> None:
        """Delete the adapters and scores of every version not in `keep`, and what a killed process left beside."""
        for kind in ("adapters", "scores", "embeddings"):
            folder = self._project(project_id) / kind
            for path in folder.iterdir() if folder.exists() else ():
                gone = kind != "embeddings" and (not path.name.isdigit() or int(path.name) not in keep)
                if not path.is_dir():  # as earlier releases kept scores and embeddings
                    path.unlink(missing_ok=True)
                elif gone or path.name.startswith("."):
                    shutil.rmtree(path)
                else:
                    for left in path.glob(".*.safetensors.*"):
                        left.unlink(missing_ok=True)

    def require_room(self, megabytes: int) -> None:
        """Raise `BackendError` if the disk has less free space: a full one stops everything, a low one can be told."""
        free = shutil.disk_usage(self.root).free // 2**20
        if free < megabytes:
            raise BackendError(
                f"the disk of {self.root} has {free} MB left and a round wants {megabytes} free; free some space, or "
                "lower MIN_FREE_MB. Until then the adapter in service serves on"
            )

    def _project(self, project_id: int) -> Path:
        return self.root / "projects" / str(project_id)


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _CHECKSUMS:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = file_digest(file, "sha256").hexdigest()
    return found
