"""A test runs every command and program in README and docs, or a comment in the page states why none can."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import strategies
from backend import __version__
from backend.cli import app
from strategies import Pool
from strategies.registry import _found
from tests.conftest import labeled_sentences

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
EXCUSE = "<!-- not run by a test: "
# Start of a command: the file that runs it, and a string in that file as proof.
RUN = {
    "make test": (".ci/run", "make test"),
    "make demo": ("tests/backend/test_demo.py", "KINDS"),
    "make install": (".ci/run", "make test"),
    ".venv/bin/lsal serve": ("tests/real.py", '"serve"'),
    ".venv/bin/lsal simulate": ("tests/test_commands.py", "def test_simulations_of_the_docs_run"),
    "lsal simulate": ("tests/test_commands.py", "def test_simulations_of_the_docs_run"),
    "lsal doctor": ("tests/label_studio/test_doctor.py", '"doctor"'),
    ".venv/bin/lsal review": ("tests/label_studio/test_review.py", '"review"'),
    ".venv/bin/lsal finish": ("tests/label_studio/test_finish.py", '"finish"'),
    ".venv/bin/lsal find": ("tests/label_studio/test_find.py", '"find"'),
    ".venv/bin/lsal estimate": ("tests/label_studio/test_served.py", '"estimate"'),
    ".venv/bin/lsal duplicates": ("tests/label_studio/test_find.py", '"duplicates"'),
    ".venv/bin/lsal export": ("tests/label_studio/test_finish.py", '"export"'),
    ".venv/bin/lsal merge": ("tests/label_studio/test_finish.py", '"merge"'),
    ".venv/bin/lsal predict": ("tests/label_studio/test_finish.py", '"predict"'),
    "lsal backup": ("tests/label_studio/faults/test_commands.py", '"backup"'),
    "lsal restore": ("tests/label_studio/faults/test_commands.py", '"restore"'),
    "lsal rollback": ("tests/label_studio/faults/test_commands.py", '"rollback"'),
    ".venv/bin/python -m build": ("tests/test_release.py", '"build"'),
    "USE_DEFAULT_BANNED_SUBNETS": ("backend/demo/label_studio.py", '"USE_DEFAULT_BANNED_SUBNETS": "false"'),
    "export DATABASE_URL": ("tests/label_studio/faults/test_several_workers.py", "DATABASE_URL=new_database()"),
    "export SCORING": ("tests/backend/pool/test_cluster.py", "RAY_ADDRESS"),
    "export SHARED_URL": ("tests/backend/store/files/test_shared.py", "s3://{bucket}/team"),
    "export OPENAI_BASE_URL": ("tests/label_studio/test_served.py", "OPENAI_BASE_URL=f"),
    "export LABEL_STUDIO_URL": ("tests/real.py", '"LABEL_STUDIO_URL"'),
}


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and text of each code block of a language, without those marked as not run."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in re.finditer(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            excused = EXCUSE in text[: block.start()].rstrip().rsplit("\n", 1)[-1]
            found += [] if excused else [(page.name, block[2])]
    return found


def commands() -> list[tuple[str, str]]:
    joined = [(page, block.replace("\\\n", " ")) for page, block in blocks("bash")]
    lines = [(page, line.split("  #")[0].strip()) for page, block in joined for line in block.splitlines()]
    return [(page, line) for page, line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_is_run_by_a_test(page: str, command: str) -> None:
    known = [where for start, where in RUN.items() if re.match(rf"{re.escape(start)}(\s|=|$)", command)]
    assert known, f"{page}: name the test that runs it in RUN, or write before it '{EXCUSE}why -->'"
    path, proof = known[0]
    assert proof in (REPOSITORY / path).read_text("utf-8")


@pytest.mark.parametrize("command", [each for _, each in commands() if re.match(r"(\.venv/bin/)?lsal ", each)])
def test_every_command_of_ours_is_spelled_as_the_program_takes_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *arguments = shlex.split(re.sub(r"\$\(.*?\)", "today", command))[1:]
    monkeypatch.chdir(tmp_path)
    for each in arguments:
        if Path(each).suffix in (".jsonl", ".csv"):  # must be there
            Path(each).touch()
    program = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    program.make_context(name, arguments)


@pytest.mark.parametrize("command", [each for _, each in commands() if "lsal simulate" in each])
def test_simulations_of_the_docs_run(command: str, tmp_path: Path, tiny_encoder: Path) -> None:
    rows = [{"text": text, "label": label} for text, label in labeled_sentences(90)]
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "test.csv").write_text("text,label\n" + "\n".join(f"{each['text']},{each['label']}" for each in rows))
    arguments = shlex.split(command)[1:]
    # Small batches and a single seed: there are few texts.
    small = ["--seeds", "1", "--batch", "6", "--rounds", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "backend", *arguments, *small], cwd=tmp_path, check=False, capture_output=True,
        env={**os.environ, "LSAL_BASE_MODEL": str(tiny_encoder), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert (tmp_path / "out" / "curves.html").exists()


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, f"lsal {__version__}")


def test_help_and_mistakes_do_not_wait_for_libraries() -> None:
    code = "import sys; from backend.cli import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert {"numpy", "pydantic", "sqlalchemy", "torch"}.isdisjoint(done.stdout.split())


def test_mistakes_show_before_the_libraries_that_train_are_imported(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\na pear,fruit\na saw,tool\n")
    simulate = "simulate --train texts.csv --out out --strategy"
    expected = {
        "finish 7": "project 7 is not known here",
        "export 7": "project 7 is not known here",
        "export 7 --format xml": "'xml' is not one of",
        "predict 7 texts.csv": "project 7 is not known here",
        "estimate 7": "project 7 is not known here",
        "find 7 --text pear": "project 7 is not known here",
        "review 7": "project 7 is not known here",
        "first 7 1": "project 7 is not known here",
        f"{simulate} best --test texts.csv --rounds 1 --batch 1": "strategy 'best' is unknown",
        f"{simulate} margin --test texts.csv": "10 rounds of 50 labels need 500 texts; there are 2",
        f"{simulate} margin --extra-params margin": "--extra-params is not JSON",
    }
    code = (
        "import sys; from typer.testing import CliRunner; from backend.cli import app\n"
        "for each in sys.argv[1:]:\n"
        "    done = CliRunner().invoke(app, each.split()); print(repr(f'{done.output} {done.exception}'))\n"
        "print({'torch', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *expected], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={**os.environ, "MODEL_DIR": str(tmp_path / "models"), "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
    )  # fmt: skip
    *answers, heavy = done.stdout.splitlines()
    for answer, (command, message) in zip(answers, expected.items(), strict=True):
        assert message in answer, command
    assert heavy == "set()"


def test_the_strategy_of_contributing_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for page, block in blocks("python") if page == "CONTRIBUTING.md"]
    (entry,) = [block for page, block in blocks("toml") if page == "CONTRIBUTING.md"]
    (tmp_path / "least_typical.py").write_text(code)
    metadata = tmp_path / "somebody-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    group, name = re.findall(r'"([\w.]+)"', entry)[0], re.findall(r"^(\w+) = ", entry, re.MULTILINE)[0]
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = least_typical:create\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    _found.cache_clear()
    try:
        rows = np.random.default_rng(0).normal(size=(30, 4))
        pool = Pool(size=30, embeddings=rows)
        found = strategies.get("least_typical").select(pool, 5, np.random.default_rng(0))
    finally:
        _found.cache_clear()
    far = np.linalg.norm(rows - rows.mean(axis=0), axis=1)
    assert found.indices.tolist() == np.argsort(-far)[:5].tolist()


def test_the_python_of_the_docs_compiles() -> None:
    for page, block in blocks("python"):
        compile(block, page, "exec")
