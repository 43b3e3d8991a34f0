"""The Dockerfile's own steps, done in folders of this machine: no engine is needed, and no layer is one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dockerfile_parse import DockerfileParser

REPOSITORY = Path(__file__).parents[2]
ROOT = os.geteuid() == 0
ANYBODY = 12345  # a user that the image has never heard of, as OpenShift picks them


class Image:
    """What building the Dockerfile gives: a fresh venv in place of each stage's Python, and paths below `root`."""

    def __init__(self, root: Path, **build_arguments: str) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        self.healthcheck: list[str] = []
        self._arguments = build_arguments
        self._python = _python(root)
        self._stage = 0
        self._folder = Path("/")
        for step in DockerfileParser(path=str(REPOSITORY / "docker/Dockerfile")).structure:
            name, value = step["instruction"], step["value"]
            if hasattr(self, f"_{name.lower()}"):
                getattr(self, f"_{name.lower()}")(value)
            else:
                assert name in ("COMMENT", "VOLUME", "USER", "EXPOSE"), f"{name} is not known here"
        self.built = time.time()

    def run(self, command: list[str], log: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command as the image would: its environment, a user who may write to /data and /tmp only."""
        output = subprocess.PIPE if log is None else log.open("ab")
        user = {"user": ANYBODY, "group": 0, "extra_groups": []} if ROOT else {}
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program is not None, f"{command[0]} is not in the image"
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [program, *command[1:]],
            env={**self.environment, **environment},
            cwd=self.path("/data"),
            stdout=output,
            stderr=subprocess.STDOUT,
            **user,
        )

    def path(self, inside: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / inside.lstrip("/")

    def _from(self, _value: str) -> None:
        self._stage += 1
        venv = self.root / f"stage{self._stage}"
        subprocess.run([self._python, "-m", "venv", venv], check=True)
        self.environment = {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
        if self._python.is_relative_to(self.root):  # a copy looks for its libraries where the original was
            self.environment["LD_LIBRARY_PATH"] = str(self.root / "python/lib")
        for name in ("wheels", "src", "data", "tmp"):
            self.path(name).mkdir(exist_ok=True)
        self.path("tmp").chmod(0o1777)

    def _arg(self, value: str) -> None:
        name, default = value.split("=", 1)
        self.environment[name] = self._arguments.get(name, default)

    def _env(self, value: str) -> None:
        for pair in shlex.split(value):
            name, text = pair.split("=", 1)
            text = re.sub(r"\$\{(\w+)\}", lambda found: self.environment[found[1]], text)
            self.environment[name] = str(self.path(text)) if re.match(r"/(data|tmp)\b", text) else text

    def _workdir(self, value: str) -> None:
        self._folder = self.path(value)

    def _copy(self, value: str) -> None:
        *sources, target = value.split()
        for source in sources:
            if (REPOSITORY / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(REPOSITORY / source, self._folder / target, ignore=ignored)
            else:
                shutil.copy(REPOSITORY / source, self._folder / target)

    def _run(self, value: str) -> None:
        script = re.sub(r"--mount=\S+", "", value)
        script = re.sub(r"(?<= )/(?=(wheels|data)\b)", f"{self.root}/", script)
        if not ROOT:  # only root may give folders away
            script = script.replace("-o 1000 -g 0", "")
        settings = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "SSL_", "REQUESTS_"))
        }
        subprocess.run(["sh", "-ec", script], env={**settings, **self.environment}, cwd=self._folder, check=True)

    def _healthcheck(self, value: str) -> None:
        self.healthcheck = json.loads(value[value.index("CMD") + 3 :])

    def _cmd(self, value: str) -> None:
        self.command = json.loads(value)  # fails unless it is the exec form: a shell would swallow SIGTERM


def _python(root: Path) -> Path:
    """A Python that every user may run: this one, or a copy if it lies in somebody's home."""
    prefix = Path(sys.base_prefix)
    if not ROOT or all(folder.stat().st_mode & 0o5 == 0o5 for folder in [prefix, *prefix.parents]):
        return prefix / "bin/python3"
    ignored = shutil.ignore_patterns("site-packages", "test", "__pycache__", "share", "include")
    shutil.copytree(prefix, root / "python", symlinks=True, ignore=ignored)
    return root / "python/bin/python3"
