"""Checks of the backend: folder, shared storage, base model, processes."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import httpx

from backend.doctor.finding import Finding
from backend.errors import BackendError, ModelError
from backend.learners.base import TrainingOptions
from backend.learners.models.cache import BaseModels
from backend.learners.models.languages import UNKNOWN, unknown_share
from backend.learners.models.loading import is_served, tokenizer_of
from backend.learners.served.prompts import Prompt
from backend.learners.training.lora import lora_config
from backend.options import ProjectOptions
from backend.settings import Settings
from backend.store import Store
from backend.store.workers import SILENT
from backend.targets import Target

ROOM = 2 * 1024**3  # bytes; adapters and scores are small, but a full disk stops all rounds


def disk(folder: Path, *, room: int = ROOM) -> Finding:
    """Check that `folder` is writable and has `room` bytes free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        return Finding(
            "disk",
            "problem",
            f"{folder} cannot be written to ({error.strerror})",
            "give the backend's user write access, mount a volume there, or set MODEL_DIR to another folder",
        )
    free = shutil.disk_usage(folder).free
    if free < room:
        return Finding(
            "disk",
            "problem",
            f"{folder} has {_gib(free)} free, less than {_gib(room)}",
            "free some space or set MODEL_DIR to a larger disk",
        )
    return Finding("disk", "ok", f"{folder} is writable and has {_gib(free)} free")


def shared_storage(store: Store) -> Finding:
    """Check that a file can be written to shared storage and read back."""
    shared = store.files.shared
    assert shared is not None
    began, folder = time.monotonic(), store.files.root / f"doctor-{uuid4().hex}"
    written, back = folder / "probe", folder / "back"
    try:
        folder.mkdir()
        written.write_text("x", "utf-8")
        shared.push(written)
        shared.pull(written, back)
        shared.drop(folder)
    except BackendError as error:
        return Finding("storage", "problem", str(error), "set SHARED_URL and the credentials for that storage")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    milliseconds = 1000 * (time.monotonic() - began)
    return Finding("storage", "ok", f"shared storage writes and reads a file in {milliseconds:.0f} ms")


def model(models: BaseModels, name: str, max_length: int) -> Finding:
    """Check that the base model loads, embeds a text, and takes an adapter."""
    began = time.monotonic()
    if is_served(name):
        return _served(models, name)
    try:
        base = models.get(name)
        base.embed(["a text"], max_length=max_length)
        with base.lock:
            base.adapters.add("trial", lora_config(base, TrainingOptions(), ()))
            base.adapters.drop("trial")
    except RuntimeError as error:  # from torch, such as no memory left on the GPU
        return Finding(
            "model",
            "problem",
            f"{name} does not run: {str(error).splitlines()[0]}",
            "free memory, or choose a smaller model",
        )
    except ModelError as error:
        return Finding(
            "model", "problem", str(error), "set LSAL_BASE_MODEL, or base_model in Extra params, to one that loads"
        )
    seconds = time.monotonic() - began
    size = base.parameters / 1e6
    return Finding("model", "ok", f"{name} loads in {seconds:.0f} s ({size:.0f} M parameters, on {base.device})")


def language(options: ProjectOptions, texts: Sequence[str], project_id: int) -> Finding | None:
    """Check that the base model knows the language of a project's texts; None if that is not to be checked."""
    if is_served(options.base_model) or not texts:
        return None
    try:
        share = unknown_share(tokenizer_of(options.base_model), texts)
    except (ModelError, OSError, ValueError):
        return None  # the check of the model reports it
    if share <= UNKNOWN:
        return Finding("language", "ok", f"{options.base_model} reads the texts", project=project_id)
    return Finding(
        "language", "warning",
        f"{options.base_model} does not know {share:.0%} of the word pieces of the texts, and learns little from them",
        "set base_model in Extra params to multilingual, or to another model of their language",
        project_id,
    )  # fmt: skip


def teacher(models: BaseModels, name: str) -> Finding:
    """Check that the teacher's server answers a prompt with a letter."""
    return _answers(models, name, "teacher", "teacher")


def _served(models: BaseModels, name: str) -> Finding:
    """Check that the server answers a prompt with a letter, and that the embedding model loads."""
    found = _answers(models, name, "model", "base_model")
    try:
        models.embedder(name).embed(["a text"], max_length=8)
    except ModelError as error:
        return Finding("model", "problem", str(error), "see the log of the server")
    return found


def _answers(models: BaseModels, name: str, check: str, option: str) -> Finding:
    began = time.monotonic()
    try:
        served = models.served(name)
        served.require_letters(Prompt(Target("kind", "classification", ("fruit", "tool")), ""), ["an apple"])
    except ModelError as error:
        advice = f"correct OPENAI_BASE_URL, OPENAI_API_KEY, or {option} in Extra params"
        return Finding(check, "problem", str(error), advice)
    milliseconds = 1000 * (time.monotonic() - began)
    return Finding(check, "ok", f"{served.server.address} answers for {served.served_as} ({milliseconds:.0f} ms)")


def web(settings: Settings) -> Finding:
    """Check that the web server answers on this machine."""
    url = f"http://localhost:{settings.port}/health"
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)  # never through a proxy
        if answer.status_code == 200 and "model_class" in answer.json():
            return Finding("web", "ok", f"the web server answers at {url}")
        found = f"another server answers at {url} (status {answer.status_code})"
    except (httpx.HTTPError, ValueError) as error:
        found = f"the web server does not answer at {url} ({type(error).__name__})"
    return Finding(
        "web",
        "warning",
        found,
        "start `lsal serve` or `lsal web`; ignore this if it runs in another container or on another machine",
    )


def worker(folder: Path, store: Store | None) -> Finding:
    """Check that a worker runs: by its lock in `folder`, or with PostgreSQL by the heartbeats in the database."""
    if store is not None and store.database.file is None:
        if alive := store.workers.alive(within=SILENT):
            return Finding("worker", "ok", f"{len(alive)} workers run: {', '.join(sorted(alive))}")
        return Finding("worker", "problem", "no worker has sent a heartbeat recently", "start `lsal worker`")
    path = folder / "worker.lock"
    if path.exists():
        with path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Finding("worker", "ok", "a worker runs")
    return Finding(
        "worker", "problem", f"no worker runs on {folder}, so nothing is trained", "start `lsal serve` or `lsal worker`"
    )


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"
