"""Every CUDA path of the product once, with figures: for a machine with a GPU, in less than five minutes.

    make gpu                                   # writes benchmarks/results/gpu.md
    python -m benchmarks.gpu --device cpu      # a trial of the script itself on a CPU: few texts, nothing is written

A check that fails has its message in the table, and the script ends with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from backend.demo import tickets
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models import memory
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import by_length, pad
from backend.learners.models.cache import BaseModels
from backend.learners.models.packaged import resolve
from backend.learners.training import parallel
from backend.learners.training.train import train
from backend.rounds.context import Context
from backend.rounds.engine.out_of_memory import with_less_memory
from backend.rounds.steps.score import score
from backend.rounds.steps.train import train as train_step
from backend.store import Store
from backend.targets import Target

TOPIC = Target("topic", "classification", tickets.TOPICS)
_RESULTS = Path(__file__).parent / "results" / "gpu.md"
_CONFIG = f"""<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="single">
{"".join(f'<Choice value="{name}"/>' for name in tickets.TOPICS)}</Choices></View>"""
_LONG = 8  # tickets that are joined to one long text


@dataclass
class Machine:
    """Where it runs, and on how much."""

    device: str
    texts: int  # to embed
    scored: int
    steps: int

    def __post_init__(self) -> None:
        written = tickets.TICKETS.write(4000, seed=1)
        self.labeled = [ticket.text for ticket in written]
        self.labels = [{"topic": ticket.topic} for ticket in written]
        self.base = BaseModel("minilm", device=self.device)

    def many(self, count: int) -> list[str]:
        """Different texts."""
        return [f"{self.labeled[row % len(self.labeled)]} ({row})" for row in range(count)]

    def long(self, count: int) -> list[str]:
        """Texts of some hundred word pieces."""
        return [" ".join(self.labeled[row : row + _LONG]) + f" ({row})" for row in range(count)]

    def seconds(self, function: Callable[[], Any]) -> float:
        """Of one call, until the device is done."""
        self._wait()
        began = time.perf_counter()
        function()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def adapter(self, folder: Path, seed: int = 0, base: BaseModel | None = None) -> LoraLearner:
        """A small one."""
        folder.mkdir()
        options = TrainingOptions(min_steps=self.steps, max_steps=self.steps, seed=seed)
        train(base or self.base, self.labeled[:200], self.labels[:200], [TOPIC], options, folder)
        return LoraLearner.load(base or self.base, folder.name, folder)


def embedding(machine: Machine, _folder: Path) -> str:
    """Embedding of 100,000 texts"""  # noqa: D400, D415
    texts = machine.many(machine.texts)
    seconds = machine.seconds(lambda: machine.base.embed(texts, max_length=256))
    return f"{len(texts):,} texts in {seconds:.1f} s, {len(texts) / seconds:,.0f} a second"


def scoring(machine: Machine, folder: Path) -> str:
    """Scoring with an adapter, against the bare forward pass"""  # noqa: D400, D415
    learner, texts = machine.adapter(folder / "scoring"), machine.many(machine.scored)
    bare = AutoModel.from_pretrained(resolve("minilm")).to(machine.device).eval()
    batches = list(by_length(machine.base.tokenizer, machine.base.tokenize(texts, 256)))

    def forward() -> None:
        with torch.inference_mode(), _autocast(machine):
            for batch in batches:
                bare(
                    input_ids=batch.input_ids.to(machine.device), attention_mask=batch.attention_mask.to(machine.device)
                )

    ratios, speeds = [], []
    for repeat in range(4):  # the first is a warm-up
        bound, ours = machine.seconds(forward), machine.seconds(lambda: learner.score(texts))
        if repeat:
            ratios.append(bound / ours)
            speeds.append(len(texts) / ours)
    return f"{statistics.median(speeds):,.0f} texts a second, {statistics.median(ratios):.2f} of the bare forward pass"


def training(machine: Machine, folder: Path) -> str:
    """Training in bf16, against forward and backward of the bare model"""  # noqa: D400, D415
    steps, texts = 2 * machine.steps, machine.long(200)
    bare = AutoModel.from_pretrained(resolve("minilm")).to(machine.device).train()
    batch = pad(machine.base.tokenizer, machine.base.tokenize(texts[:16], 256), np.arange(16))

    def bound() -> None:
        for _ in range(steps):
            with _autocast(machine):
                found = bare(
                    input_ids=batch.input_ids.to(machine.device), attention_mask=batch.attention_mask.to(machine.device)
                )
            found.last_hidden_state.float().mean().backward()
            bare.zero_grad(set_to_none=True)

    def ours(name: str) -> None:
        (folder / name).mkdir()
        options = TrainingOptions(min_steps=steps, max_steps=steps)
        train(machine.base, texts, machine.labels[:200], [TOPIC], options, folder / name)

    machine.seconds(bound)
    of_bound, of_ours = machine.seconds(bound), machine.seconds(lambda: ours("training"))
    return f"{1000 * of_ours / steps:.0f} ms a step of 16 long texts; {of_ours / of_bound:.2f} times the bare model"


def four_bits(machine: Machine, folder: Path) -> str:
    """A decoder in four bits: train and score"""  # noqa: D400, D415
    if machine.device != "cuda":
        return "needs CUDA"
    torch.cuda.reset_peak_memory_stats()
    base = BaseModel("smollm2:4bit", device=machine.device)
    learner = machine.adapter(folder / "packed", base=base)
    texts = machine.many(1000)
    seconds = machine.seconds(lambda: learner.score(texts))
    used = torch.cuda.max_memory_allocated() / 2**20
    return f"{len(texts) / seconds:,.0f} texts a second, {used:,.0f} MiB at most"


def several_adapters(machine: Machine, folder: Path) -> str:
    """Two adapters on one base model, used at once by two threads"""  # noqa: D400, D415
    learners = [machine.adapter(folder / f"adapter-{seed}", seed) for seed in range(2)]
    texts = machine.many(500)
    alone = [learner.predict(texts)["topic/probs"] for learner in learners]
    found: list[Any] = [None, None]

    def predict(number: int) -> None:
        found[number] = learners[number].predict(texts)["topic/probs"]

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    difference = max(float(np.abs(one - other).max()) for one, other in zip(alone, found, strict=True))
    if difference > 1e-3 or np.allclose(alone[0], alone[1]):
        raise RuntimeError(f"predictions at once differ by {difference:.1e} from those one after the other")
    return f"as one after the other, up to {difference:.0e}"


def out_of_memory(machine: Machine, folder: Path) -> str:
    """Memory runs out in train and in score; the steps go on with halved batches"""  # noqa: D400, D415
    store = Store(folder / "store")
    store.database.migrate()
    store.projects.connect(
        7, label_config=_CONFIG, host="gpu.local",
        options={"base_model": "minilm", "max_steps": 3, "min_steps": 3, "train_batch_size": 64, "class_names": False},
    )  # fmt: skip
    texts = machine.long(300)
    store.of(7).tasks.put_texts(list(enumerate(texts, 1)), seed=0, audit_share=0.0)
    store.of(7).tasks.put_annotations(
        [(task, machine.labels[task - 1], True, False) for task in range(1, 129)]
    )  # fmt: skip
    store.of(7).rounds.begin(1, reason="a check")

    @contextlib.contextmanager
    def no_bar(_title: str) -> Any:
        yield lambda done, total: None

    context = Context(store=store, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    run = replace(context.open(7), number=1)
    context.models.get("minilm")
    shrunk = []
    for name, step in (("train", train_step), ("score", score)):
        with _less_memory(machine):
            version = with_less_memory(name, step, run)
        if name == "train":
            run = replace(run.fresh(), version=version)
        shrunk.append(f"{name}: halved {run.fresh().project.halvings.get(name, 0)} times")
    if machine.device == "cuda" and not {"train", "score"} <= run.fresh().project.halvings.keys():
        raise RuntimeError(f"memory did not run out in both ({', '.join(shrunk)}); lower _SPARE")
    return ", ".join(shrunk)


def several_processes(machine: Machine, folder: Path) -> str:
    """Training in processes of its own by accelerate, on one device and on two"""  # noqa: D400, D415
    found = []
    for count in (1, 2):
        if machine.device == "cuda" and torch.cuda.device_count() < count:
            found.append(f"{count}: this machine has {torch.cuda.device_count()}")
            continue
        config, adapter = folder / f"{count}.yaml", folder / f"processes-{count}"
        kind = ("MULTI_GPU" if count > 1 else "NO") if machine.device == "cuda" else "MULTI_CPU"
        config.write_text(
            f"num_processes: {count}\ndistributed_type: '{kind}'\nuse_cpu: {machine.device == 'cpu'}\n", "utf-8"
        )
        adapter.mkdir()
        options = TrainingOptions(min_steps=machine.steps, max_steps=machine.steps)
        given = machine.labeled[:200], machine.labels[:200], [TOPIC], options, adapter
        seconds = machine.seconds(lambda given=given, config=config: parallel.train(config, "minilm", *given))  # type: ignore[misc]
        found.append(f"{count}: {seconds:.1f} s with the start of the processes")
    return "; ".join(found)


CHECKS = (embedding, scoring, training, four_bits, several_adapters, out_of_memory, several_processes)


def main() -> None:
    """Check, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    transformers_logging.disable_progress_bar()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this machine has no CUDA GPU that torch can use; `--device cpu` tries the script itself")
    sizes = (100_000, 10_000, 50) if arguments.device == "cuda" else (300, 300, 3)
    rows = check(Machine(arguments.device, *sizes))
    written = table(rows, arguments.device)
    print(written)
    if arguments.device == "cuda":
        _RESULTS.write_text(written, "utf-8")
    if any(failed for *_, failed in rows):
        sys.exit("a check failed")


def check(machine: Machine) -> list[tuple[str, str, bool]]:
    """What was checked, what was found, and whether it failed."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for each in CHECKS:
            try:
                found, failed = each(machine, Path(folder)), False
            except Exception as error:  # noqa: BLE001 # the other checks go on
                found, failed = f"FAILED: {type(error).__name__}: {error}", True
            memory.release()
            rows.append((str(each.__doc__), found, failed))
            print(f"{each.__doc__}: {found}", flush=True)
    return rows


def table(rows: Sequence[tuple[str, str, bool]], device: str) -> str:
    """The page."""
    name = torch.cuda.get_device_name(0) if device == "cuda" else platform.machine()
    lines = ["# CUDA", "", f"Written by `make gpu` on {name}, torch {torch.__version__}, minilm in bf16.", "",
             "| check | found |", "|---|---|"]  # fmt: skip
    return "\n".join([*lines, *(f"| {what} | {found} |" for what, found, _ in rows)]) + "\n"


def _autocast(machine: Machine) -> torch.autocast:
    return torch.autocast(machine.device, dtype=torch.bfloat16, enabled=machine.device == "cuda")


@contextlib.contextmanager
def _less_memory(machine: Machine) -> Any:
    """Leave so little of the GPU's memory that full batches do not fit."""
    if machine.device != "cuda":
        yield
        return
    memory.release()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + _SPARE) / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


_SPARE = 400 * 2**20  # bytes, less than a step of 64 long texts needs


if __name__ == "__main__":
    main()
