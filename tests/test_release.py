"""The release: one version, complete wheel and source archive. tests/docker installs the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from backend import __version__

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run `python -m build` on a clean copy, without files of earlier builds."""
    folder = tmp_path_factory.mktemp("release")
    for name in ("backend", "strategies"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run([sys.executable, "-m", "build", "--outdir", "dist"], cwd=folder, check=True, capture_output=True)
    return folder / "dist"


def test_the_wheel_holds_every_file_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob(f"label_studio_active_learning-{__version__}-py3-none-any.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    packages = [REPOSITORY / "backend", REPOSITORY / "strategies"]
    ours = {path for package in packages for path in package.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(REPOSITORY)) for path in ours if "__pycache__" not in path.parts}


def test_the_source_archive_can_be_built_from(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[-1] for name in opened.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "backend/store/sql/migrations/env.py"} <= names


def test_the_version_is_written_in_one_place_and_the_changelog_knows_it() -> None:
    (newest,) = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)[:1]
    assert newest == __version__
    assert __version__ not in (REPOSITORY / "pyproject.toml").read_text()
