"""A real Label Studio and `lsal serve`, for measurements of the whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from backend.demo.label_studio import LabelStudioServer

_LABEL_STUDIO_PORT = 8181


class Running(NamedTuple):
    """Both programs."""

    label_studio: LabelStudioServer
    http: httpx.Client  # with the owner's token
    backend: subprocess.Popen[bytes]
    folder: Path  # the backend's


@contextmanager
def running(port: int, **environment: str) -> Iterator[Running]:
    """Start both; LABEL_STUDIO names the program. Killed at the end. port: of the backend."""
    program = Path(os.environ.get("LABEL_STUDIO", ".venv-label-studio/bin/label-studio")).absolute()
    with tempfile.TemporaryDirectory() as name, LabelStudioServer(program, Path(name) / "ls", _LABEL_STUDIO_PORT) as ls:
        folder = Path(name) / "backend"
        environment = {
            **os.environ, "LABEL_STUDIO_URL": ls.url, "LABEL_STUDIO_API_KEY": ls.owner.token,
            "MODEL_DIR": str(folder), "PORT": str(port), **environment,
        }  # fmt: skip
        backend = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve"], env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while True:
                with suppress(httpx.HTTPError):
                    httpx.get(f"http://localhost:{port}/health", timeout=1).raise_for_status()
                    break
                time.sleep(0.5)
            with httpx.Client(
                base_url=ls.url, headers={"Authorization": f"Token {ls.owner.token}"}, timeout=300
            ) as http:
                yield Running(ls, http, backend, folder)
        finally:
            os.killpg(backend.pid, signal.SIGKILL)
            backend.wait()
