"""The compose files, read and merged by podman-compose, which needs no engine for that but asks one for its version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.docker.image import REPOSITORY


def read(folder: Path, *files: str, **environment: str) -> dict[str, Any]:
    """The services as they would be started. Raises `ValueError` with what podman-compose refuses."""
    engine = folder / "podman"
    engine.write_text("#!/bin/sh\necho podman version 5.4.0\n")
    engine.chmod(0o755)
    chosen = [argument for file in files for argument in ("-f", str(REPOSITORY / "docker" / file))]
    program = Path(sys.executable).with_name("podman-compose")
    done = subprocess.run(
        [program, "--podman-path", engine, *chosen, "config"],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services
