"""Train in several processes, as a configuration of accelerate says: on all GPUs of a host, or of several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from backend.children import end_with_parent
from backend.errors import ModelError
from backend.learners import memory
from backend.learners.base import CommitteeOptions, Progress, TrainingOptions, no_progress
from backend.targets import Target, Values

_LOOK = 0.5  # seconds
_JOB, _DONE, _FAILED = "job.json", "progress", "failed-{}"


def train(
    config: Path,
    base_model: str,
    texts: Sequence[str],
    values: Sequence[Values],
    targets: Sequence[Target],
    options: TrainingOptions,
    folder: Path,
    *,
    warm_start: Path | None = None,
    frozen_view: tuple[Sequence[str], Sequence[Values]] | None = None,
    progress: Progress = no_progress,
) -> None:
    """As `training.train`, by processes of their own. config: what `accelerate config` wrote.

    Raises `ModelError` with what the first of them said that failed, `MemoryError` if that was for want of memory.
    """
    with tempfile.TemporaryDirectory(prefix=".job.", dir=folder.parent) as name:
        job = Path(name)
        (job / _JOB).write_text(
            json.dumps({
                "base_model": base_model, "folder": str(folder.absolute()),
                "texts": list(texts), "values": list(values), "targets": [target.as_json() for target in targets],
                "options": asdict(options),
                "warm_start": None if warm_start is None else str(warm_start.absolute()), "frozen_view": frozen_view,
            }), "utf-8",
        )  # fmt: skip
        program = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
        process = subprocess.Popen(
            [*program, "-m", "backend.learners.parallel", str(job)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=end_with_parent,
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        )  # fmt: skip
        try:
            said = _wait(process, job, progress)
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            _raise(job, process.returncode, said)


def _wait(process: subprocess.Popen[str], job: Path, progress: Progress) -> str:
    """Show how far it is until it ends; what it wrote to its standard error."""
    while True:
        try:
            return process.communicate(timeout=_LOOK)[1]
        except subprocess.TimeoutExpired:
            with suppress(OSError, ValueError):
                done, total = map(int, (job / _DONE).read_text("utf-8").split())
                progress(done, total)


def _raise(job: Path, code: int, said: str) -> None:
    failed = sorted(job.glob(_FAILED.format("*")))
    if failed:
        kind, message = json.loads(failed[0].read_text("utf-8"))
        raise MemoryError(message) if kind == "memory" else ModelError(message)
    if "SIGKILL" in said or "exitcode: -9" in said.replace(" ", ""):  # by the system, for its memory
        raise MemoryError("a training process was killed")
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    raise ModelError(f"accelerate could not run the training (exit code {code}: {last}); check ACCELERATE_CONFIG")


def main(job: Path) -> None:
    """One of the processes."""
    from accelerate import PartialState  # type: ignore[import-untyped]

    from backend.learners import training
    from backend.learners.base_model import BaseModel
    from backend.learners.team import Team

    state = PartialState()  # joins the others
    told: dict[str, Any] = json.loads((job / _JOB).read_text("utf-8"))
    options = TrainingOptions(**told["options"])
    if options.committee is not None:
        options = replace(options, committee=CommitteeOptions(**told["options"]["committee"]))

    def progress(done: int, total: int) -> None:
        if state.is_main_process:
            beside = job / f".{_DONE}"
            beside.write_text(f"{done} {total}", "utf-8")
            beside.replace(job / _DONE)

    try:
        with tempfile.TemporaryDirectory() as aside:  # all have the same in the end; one of them writes it
            training.train(
                BaseModel(told["base_model"], device=str(state.device)), told["texts"], told["values"],
                [Target.from_json(each) for each in told["targets"]], options,
                Path(told["folder"]) if state.is_main_process else Path(aside),
                warm_start=Path(told["warm_start"]) if told["warm_start"] else None, frozen_view=told["frozen_view"],
                team=Team(state.process_index, state.num_processes), progress=progress,
            )  # fmt: skip
    except Exception as error:
        if memory.ran_out(error) or isinstance(error, ModelError):
            kind = "memory" if memory.ran_out(error) else "model"
            (job / _FAILED.format(state.process_index)).write_text(json.dumps([kind, str(error)]), "utf-8")
        raise
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
