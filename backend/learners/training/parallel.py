"""Data-parallel training in several processes on this machine, one per GPU, configured by accelerate."""

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
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners.base import CommitteeOptions, Progress, TrainingOptions, no_progress
from backend.learners.models import memory
from backend.runtime.parent_death import end_with_parent
from backend.targets import Target, Values

_POLL = 0.5  # seconds
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
    unlabeled: NDArray[Any] | None = None,
    soft: tuple[Sequence[str], Sequence[Values]] = ((), ()),
    progress: Progress = no_progress,
) -> None:
    """As `training.train`, in separate processes. config: a file written by `accelerate config`.

    Raises `ModelError` with the message of the first process that failed, or `MemoryError` if memory ran out.
    """
    with tempfile.TemporaryDirectory(prefix=".job.", dir=folder.parent) as name:
        job = Path(name)
        (job / _JOB).write_text(
            json.dumps({
                "base_model": base_model, "folder": str(folder.absolute()),
                "texts": list(texts), "values": list(values), "targets": [target.as_json() for target in targets],
                "options": asdict(options),
                "warm_start": None if warm_start is None else str(warm_start.absolute()), "frozen_view": frozen_view,
                "unlabeled": None if unlabeled is None else unlabeled.tolist(), "soft": soft,
            }), "utf-8",
        )  # fmt: skip
        launch = _launch_settings(config)
        visible = {} if launch.gpus is None else {"CUDA_VISIBLE_DEVICES": launch.gpus}
        process = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(launch.processes),
             "-m", __name__, str(job), "cpu" if launch.cpu else "gpu", str(launch.processes)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=end_with_parent,
            env={**os.environ, **visible, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        )  # fmt: skip
        try:
            stderr = _wait(process, job, progress)
        finally:
            process.terminate()  # torch.distributed.run passes it on to its workers
            process.wait()
        if process.returncode:
            _raise(job, process.returncode, stderr)


class _Launch(NamedTuple):
    processes: int
    cpu: bool
    gpus: str | None  # comma-separated indices; None: all


def _launch_settings(config: Path) -> _Launch:
    """The settings of the file that apply here. Raises `ModelError` for settings that are not supported."""
    try:
        found = yaml.safe_load(config.read_text("utf-8"))
        processes, kind = int(found["num_processes"]), str(found.get("distributed_type", "NO"))
        machines, gpus = int(found.get("num_machines", 1)), str(found.get("gpu_ids", "all"))
        cpu = bool(found.get("use_cpu", False)) or kind == "MULTI_CPU"
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"ACCELERATE_CONFIG {config} cannot be read ({type(error).__name__}); create it with `accelerate config`"
        ) from None
    if machines != 1 or kind not in ("NO", "MULTI_GPU", "MULTI_CPU"):
        raise ModelError(
            f"ACCELERATE_CONFIG {config} sets {kind} on {machines} machines; training runs on one machine, with "
            "MULTI_GPU or MULTI_CPU"
        )
    there = torch.cuda.device_count()
    if not cpu and processes > there:
        raise ModelError(f"ACCELERATE_CONFIG {config} needs {processes} GPUs; this machine has {there}")
    return _Launch(processes, cpu, None if gpus == "all" else gpus)


def _wait(process: subprocess.Popen[str], job: Path, progress: Progress) -> str:
    """Report progress until the process ends. Returns its standard error."""
    while True:
        try:
            return process.communicate(timeout=_POLL)[1]
        except subprocess.TimeoutExpired:
            with suppress(OSError, ValueError):
                done, total = map(int, (job / _DONE).read_text("utf-8").split())
                progress(done, total)


def _raise(job: Path, code: int, stderr: str) -> None:
    failed = sorted(job.glob(_FAILED.format("*")))
    if failed:
        kind, message = json.loads(failed[0].read_text("utf-8"))
        raise MemoryError(message) if kind == "memory" else ModelError(message)
    words = " ".join(stderr.split())
    if code == -9 or "SIGKILL" in stderr or "exitcode: -9" in words.replace("exitcode  :", "exitcode:"):
        raise MemoryError("a training process was killed")  # SIGKILL: most probably out of memory
    raise ModelError(f"a training process ended with code {code} and no error message; see the system's log")


def main(job: Path, *, cpu: bool, processes: int) -> None:
    """Run one of the training processes."""
    from accelerate import PartialState  # type: ignore[import-untyped]

    from backend.learners.models.base_model import BaseModel
    from backend.learners.training.distributed import Team
    from backend.learners.training.train import train as train_here

    rank = os.environ.get("RANK", "0")
    try:
        state = PartialState(cpu=cpu)  # joins the process group
        if state.num_processes != processes:
            raise ModelError(f"{state.num_processes} training processes started, but {processes} were expected")
        work: dict[str, Any] = json.loads((job / _JOB).read_text("utf-8"))
        state.wait_for_everyone()
        if state.is_main_process:
            (job / _JOB).unlink()  # it holds texts, which must not stay on disk after a kill
        options = TrainingOptions(**work["options"])
        if options.committee is not None:
            options = replace(options, committee=CommitteeOptions(**work["options"]["committee"]))

        unlabeled = None if work["unlabeled"] is None else np.array(work["unlabeled"], np.float32)

        def progress(done: int, total: int) -> None:
            if state.is_main_process:
                with suppress(OSError):
                    (job / f".{_DONE}").write_text(f"{done} {total}", "utf-8")
                    (job / f".{_DONE}").replace(job / _DONE)

        with tempfile.TemporaryDirectory() as aside:  # all processes end with equal weights; rank 0 keeps its files
            train_here(
                BaseModel(work["base_model"], device=str(state.device)), work["texts"], work["values"],
                [Target.from_json(each) for each in work["targets"]], options,
                Path(work["folder"]) if state.is_main_process else Path(aside),
                warm_start=Path(work["warm_start"]) if work["warm_start"] else None, frozen_view=work["frozen_view"],
                unlabeled=unlabeled, soft=work["soft"], team=Team(state.process_index, state.num_processes),
                progress=progress,
            )  # fmt: skip
        state.wait_for_everyone()
    except Exception as error:
        kind, message = "model", f"training failed in a separate process ({type(error).__name__})"
        if isinstance(error, OSError):
            message = f"training failed in a separate process ({type(error).__name__}: {error.strerror})"
        if isinstance(error, ModelError):
            message = str(error)
        if memory.ran_out(error):
            kind = "memory"
        (job / _FAILED.format(rank)).write_text(json.dumps([kind, message]), "utf-8")
        raise
    state.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), cpu=sys.argv[2] == "cpu", processes=int(sys.argv[3]))
