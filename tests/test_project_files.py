"""Files for contributors: Makefile, hooks, workflows, templates and CITATION.cff agree with each other and the code."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend import __version__

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
YAML = [
    *sorted((REPOSITORY / ".github").rglob("*.yml")),
    REPOSITORY / ".pre-commit-config.yaml",
    REPOSITORY / "CITATION.cff",
]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (REPOSITORY / "Makefile").read_text("utf-8")
ACTION = re.compile(r"[\w-]+/[\w-]+@(?:release/)?v\d+")  # pinned by major version


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def recipe(target: str) -> list[str]:
    """Commands of a target as they are run from the root of the repository."""
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in lines.splitlines()]


def make(venv: Path, *arguments: str) -> str:
    """Commands that make would run, with its environment at `venv`."""
    command = ["make", "--dry-run", f"VENV={venv}", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True).stdout


def jobs() -> list[Any]:
    found = [(path.stem, *named) for path in WORKFLOWS for named in load(path)["jobs"].items()]
    return [pytest.param(job, id=f"{workflow}-{name}") for workflow, name, job in found]


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


def commands(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


@pytest.mark.parametrize("target", ["install", "demo", "reference", "translations", "smollm2"])
def test_the_product_is_installed_without_the_development_dependencies(target: str, tmp_path: Path) -> None:
    assert "--editable ." in make(tmp_path, target)
    assert "--group dev" not in make(tmp_path, target)


@pytest.mark.parametrize(
    "target",
    [
        "test",
        "develop",
        "lint",
        "types",
        "docs",
        "unit",
        "format",
        "coverage",
        "test-browser",
        "faults",
        "soak",
        "audit",
    ],
)
def test_what_needs_development_dependencies_installs_them_after_the_product(target: str, tmp_path: Path) -> None:
    _, rest = make(tmp_path, target).split("--editable .")
    assert "--group dev" in rest


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_both_parts_are_installed_again_when_a_requirement_changes(changed: str, tmp_path: Path) -> None:
    for stamp in (".product", ".done"):
        (tmp_path / stamp).touch()
    assert "pip install" not in make(tmp_path, "develop")
    again = make(tmp_path, "develop", f"--what-if={changed}")
    assert "--editable ." in again
    assert "--group dev" in again


def test_every_direct_dependency_is_pinned() -> None:
    pins = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    }
    needed = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    assert [each for each in needed if re.split(r"[\[<>=]", each)[0].lower() not in pins] == []


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_the_file_is_yaml(path: Path) -> None:
    assert isinstance(load(path), dict)


@pytest.mark.parametrize(
    "path",
    [*YAML, *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
     REPOSITORY / ".github/pull_request_template.md"],
    ids=lambda path: path.name,
)  # fmt: skip
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"(?:`|run: |^)make ([a-z][\w-]*)", path.read_text("utf-8"), re.MULTILINE)) <= targets


def test_the_hooks_run_what_lint_and_types_run() -> None:
    (local,) = load(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    prose = hooks.pop("prose")["entry"].split()
    assert sorted(hook["entry"] for hook in hooks.values()) == sorted(recipe("lint") + recipe("types"))
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in hooks.values())
    assert prose[:3] == [".venv/bin/python", "-m", "pytest"]
    assert (REPOSITORY / prose[-1]).exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_reads_only_unless_a_job_needs_more(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("job", jobs())
def test_a_job_has_a_timeout_and_pinned_actions(job: dict[str, Any]) -> None:
    if "uses" in job:  # a workflow of this repository, whose jobs have timeouts
        assert "workflow_call" in load(REPOSITORY / job["uses"])[True]  # YAML 1.1 reads the key `on` as true
    else:
        assert 0 < job["timeout-minutes"] <= 180
    for step in job.get("steps", []):
        assert "run" in step or ACTION.fullmatch(step["uses"]), step


def test_the_tests_run_on_the_oldest_supported_python() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    matrix = load(REPOSITORY / ".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"][0] == oldest


def test_the_workflow_publishes_the_site_that_make_docs_builds() -> None:
    path = REPOSITORY / ".github/workflows/docs.yml"
    (build,) = recipe("docs")
    assert build.replace(".venv/bin/", "") in commands(path)
    site = re.findall(r"^site_dir: (.+)$", (REPOSITORY / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert [step["with"]["path"] for step in steps(path) if "upload-pages" in step.get("uses", "")] == site


def test_the_release_removes_the_git_address_and_nothing_else(tmp_path: Path) -> None:
    (script,) = [each for each in commands(REPOSITORY / ".github/workflows/release.yml") if "pyproject.toml" in each]
    (tmp_path / "pyproject.toml").write_bytes((REPOSITORY / "pyproject.toml").read_bytes())
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True)
    released = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))
    extras = dict(PROJECT["project"]["optional-dependencies"])
    removed = [name for name, needed in extras.items() if any("git+" in each for each in needed)]
    kept = {name: needed for name, needed in extras.items() if name not in removed}
    assert removed
    assert released == {**PROJECT, "project": {**PROJECT["project"], "optional-dependencies": kept}}


def test_the_release_compares_the_tag_with_the_version() -> None:
    (script,) = [each for each in commands(REPOSITORY / ".github/workflows/release.yml") if "GITHUB_REF_NAME" in each]
    for tag, expected in ((f"v{__version__}", 0), ("v99.0.0", 1), (f"v{__version__}rc1", 1)):
        environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": tag}
        done = subprocess.run(["sh", "-ec", script], cwd=REPOSITORY, env=environment, check=False)
        assert done.returncode == expected


def test_the_citation_is_that_of_the_package() -> None:
    citation = load(REPOSITORY / "CITATION.cff")
    assert str(citation["version"]) == __version__
    assert citation["title"] == PROJECT["project"]["name"]
    assert citation["license"] == PROJECT["project"]["license"]
