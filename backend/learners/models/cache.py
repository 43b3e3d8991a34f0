"""Base models by name: loaded in this process, or behind a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from backend.errors import ModelError
from backend.learners.base import Learner
from backend.learners.learner import LoraLearner
from backend.learners.models import memory as memory_of_device
from backend.learners.models.base_model import BaseModel
from backend.learners.models.loading import is_served, path_of
from backend.learners.served.learner import ServedLearner
from backend.learners.served.model import EMBEDDER, Memory, Meter, ServedModel
from backend.learners.served.server import Server


class BaseModels:
    """LRU cache of base models in memory: each is loaded on first use and shared by all callers.

    most: capacity. Beyond it the least recently used model is dropped from the cache, and `let_go` is called with its
    name. Callers that still hold a reference keep it in memory.
    """

    def __init__(self, most: int = 4, server: Server | None = None) -> None:
        self._most = most
        self._server = server  # of models named openai:…
        self._lock = threading.Lock()  # guards the two below; never held during loading
        self._loaded: dict[str, BaseModel] = {}  # most recently used last
        self._loading: dict[str, threading.Lock] = {}
        self.let_go: Callable[[str], None] = lambda _name: None
        self.at_work: Callable[[], None] = lambda: None  # called for each batch that a model reads

    def get(self, name: str) -> BaseModel:
        """The base model of this name. Raises `ModelError` if it cannot be loaded."""
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:
            if (found := self.used(name)) is None:
                self._keep(self._most - 1)
                found = BaseModel(name)
                found.at_work = self._note_work
                with self._lock:
                    self._loaded[name] = found
                self._keep(self._most)  # another thread may have loaded one meanwhile
        return found

    def fetch(self, name: str) -> None:
        """Download or unpack a base model unless that was done. Raises `ModelError` if that fails."""
        if not is_served(name):
            path_of(name)

    def used(self, name: str) -> BaseModel | None:
        """The model if it is in memory, else None. Marks it as most recently used."""
        with self._lock:
            if (found := self._loaded.pop(name, None)) is not None:
                self._loaded[name] = found
            return found

    def embedder(self, name: str) -> BaseModel:
        """The model that embeds texts for this base model: itself, or a local one if it is behind a server."""
        return self.get(EMBEDDER if is_served(name) else name)

    def served(self, name: str, meter: Meter | None = None, *, embedder: str = EMBEDDER) -> ServedModel:
        """The model behind the server. meter: of its calls. embedder: the base model that cuts and embeds texts.

        Raises `ModelError` if OPENAI_BASE_URL is not set.
        """
        if self._server is None:
            raise ModelError(
                f"base model '{name}' is behind a server; set OPENAI_BASE_URL to its address, such as "
                "http://vllm:8000/v1, for web server and worker"
            )
        return ServedModel(name, self._server, partial(self.get, embedder), meter)

    def learner(
        self, name: str, adapter: str, folder: Path, memory: Memory | None = None, meter: Meter | None = None
    ) -> Learner:
        """Load what was trained into a folder, with the base model of this name.

        adapter: its name in memory. memory: cache of a served model's answers. meter: of its calls.
        """
        if is_served(name):
            return ServedLearner.load(self.served(name, meter), folder, memory)
        return LoraLearner.load(self.get(name), adapter, folder)

    def forget(self, name: str) -> None:
        """Drop a model from the cache."""
        with self._lock:
            there = self._loaded.pop(name, None) is not None
        if there:
            self.let_go(name)

    def clear(self) -> None:
        """Drop all models."""
        self._keep(0)
        memory_of_device.release()

    def _note_work(self) -> None:
        self.at_work()

    def _keep(self, most: int) -> None:
        with self._lock:
            gone = list(self._loaded)[: max(0, len(self._loaded) - most)]
            for name in gone:
                del self._loaded[name]
        for name in gone:
            self.let_go(name)
