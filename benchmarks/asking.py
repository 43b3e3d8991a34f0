"""Cost of model outputs beyond probabilities: gradient lengths and committees.

    python -m benchmarks.asking [--texts 100] [--repeats 3] [--threads 2]

Expected gradient length is compared with a lower bound, the batched forward and backward passes of training, and with
one backward pass per text, as in other libraries. A committee is compared with scoring by one model. The variants
alternate within each repeat.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from backend.demo import tickets
from backend.learners.base import CommitteeOptions, GradientOptions, TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import Batch, by_length
from backend.learners.training.train import train
from backend.targets import Target
from benchmarks.measure import measure

TOPIC = Target("topic", "classification", tickets.TOPICS)
_ALONE = 100  # texts, one by one: each costs the same, so fewer suffice
_TOP_K = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    texts = [ticket.text for ticket in tickets.TICKETS.write(arguments.texts, seed=1)]
    base = BaseModel("minilm")
    with tempfile.TemporaryDirectory() as name:
        gradients(base, texts, Path(name), arguments.repeats)
        committees(base, texts, Path(name), arguments.repeats)
    memory()


def gradients(base: BaseModel, texts: list[str], folder: Path, repeats: int) -> None:
    """Expected gradient length, compared with its bound and with one text at a time."""
    classifier = _trained(base, folder / "plain", None)
    batches = list(by_length(base.tokenizer, base.tokenize(texts, classifier.max_length)))
    parameters = [p for n, p in base.adapters.model.named_parameters() if f".{classifier.adapter}." in n]

    def passes(batch: Batch, labels: int) -> None:
        base.adapters.activate(classifier.adapter)
        for parameter in parameters:
            parameter.requires_grad_(True)
        logits = classifier.heads[0].linear(base.pooled(batch))
        ranked = logits.detach().topk(labels, dim=1).indices
        for rank in range(labels):
            loss = torch.nn.functional.cross_entropy(logits, ranked[:, rank], reduction="sum")
            torch.autograd.grad(loss, parameters, retain_graph=rank + 1 < labels)
        for parameter in parameters:
            parameter.requires_grad_(False)

    def alone() -> int:
        for text in texts[:_ALONE]:
            passes(next(by_length(base.tokenizer, base.tokenize([text], classifier.max_length))), 1)
        return _ALONE

    def bound(labels: int) -> Callable[[], int]:
        def run() -> int:
            for batch in batches:
                passes(batch, labels)
            return len(texts)

        return run

    def lengths(options: GradientOptions) -> Callable[[], int]:
        def run() -> int:
            classifier.score(texts, ["gradient_lengths"], gradient=options)
            return len(texts)

        return run

    def probabilities() -> int:
        classifier.score(texts)
        return len(texts)

    _compare(
        "gradient lengths",
        {
            "bound: forward and 1 backward": bound(1),
            "egl, pseudo": lengths(GradientOptions()),
            f"bound: forward and {_TOP_K} backwards": bound(_TOP_K),
            f"egl, expected over {_TOP_K}": lengths(GradientOptions(label="expected", top_k=_TOP_K)),
            "egl, pseudo, head alone": lengths(GradientOptions(parameters="head")),
            "probabilities alone": probabilities,
            "one backward pass per text": alone,
        },
        repeats,
    )


def committees(base: BaseModel, texts: list[str], folder: Path, repeats: int) -> None:
    """Committees, compared with one model."""
    kinds: dict[str, Callable[[], int]] = {}
    sizes = {"bootstrap": 10, "dropout": 10, "views": 2, "lora": 5}
    for kind, members in sizes.items():
        options = CommitteeOptions(kind=kind, members=members)  # type: ignore[arg-type]
        classifier = _trained(base, folder / kind, options)

        def one(classifier: LoraLearner = classifier) -> int:
            classifier.score(texts)
            return len(texts)

        def all_of_them(classifier: LoraLearner = classifier) -> int:
            classifier.score(texts, ["probs", "committee_probs"])
            return len(texts)

        kinds.setdefault("one model", one)
        kinds[f"{kind}, {members} members"] = all_of_them
    _compare("committees", kinds, repeats)


def memory() -> None:
    """Memory of five adapters on one base model, compared with the size of the base model and of their weights."""
    base = BaseModel("minilm")
    with tempfile.TemporaryDirectory() as name:
        _trained(base, Path(name) / "lora", CommitteeOptions(kind="lora", members=5))
        one, five = (measure(prepare_members, name, wanted) for wanted in ("probs", "committee_probs"))
        weights = sum(p.stat().st_size for p in Path(name).rglob("adapter_model.safetensors"))
    model = base.parameters * 4
    print(f"\nbase model {model / 1e6:.0f} MB, the 5 adapters {weights / 1e6:.1f} MB on disk")
    print(f"scoring 200 texts takes, beyond the loaded base model: with 1 model {one.extra / 1e6:.0f} MB, "
          f"with 5 members {five.extra / 1e6:.0f} MB")  # fmt: skip


def prepare_members(folder: str, wanted: str) -> Callable[[], None]:
    """Load the base model; the call scores with the committee."""
    torch.set_num_threads(2)
    base = BaseModel("minilm")
    texts = [ticket.text for ticket in tickets.TICKETS.write(200, seed=1)]
    base.embed(texts, max_length=256)

    def call() -> None:
        LoraLearner.load(base, "measured", Path(folder) / "lora").score(texts, [wanted])

    return call


def _trained(base: BaseModel, folder: Path, committee: CommitteeOptions | None) -> LoraLearner:
    folder.mkdir()
    written = tickets.TICKETS.write(64, seed=2)
    options = TrainingOptions(min_steps=4, max_steps=4, committee=committee)
    train(base, [t.text for t in written], [{"topic": t.topic} for t in written], [TOPIC], options, folder)
    return LoraLearner.load(base, folder.name, folder)


def _compare(title: str, kinds: dict[str, Callable[[], int]], repeats: int) -> None:
    """Milliseconds per text, and the ratio of each kind to the first."""
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repeat in range(repeats + 1):  # the first is a warm-up
        for kind, run in kinds.items():
            started = time.perf_counter()
            count = run()
            if repeat:
                found[kind].append((time.perf_counter() - started) / count * 1000)
    first = statistics.median(next(iter(found.values())))
    print(f"\n| {title} | ms per text | min to max | × {next(iter(found))} |\n|---|---|---|---|")
    for kind, each in found.items():
        middle = statistics.median(each)
        print(f"| {kind} | {middle:.2f} | {min(each):.2f} to {max(each):.2f} | {middle / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
