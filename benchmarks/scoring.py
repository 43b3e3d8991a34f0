"""Scoring speed of a pool, compared with an upper bound and with prediction text by text.

    python -m benchmarks.scoring [--texts 5000] [--repeats 3] [--threads 2]

The bound is the base model's forward pass on batches that are tokenised, sorted and padded beforehand. Scoring is all
that a round does: tokenise, sort, pad, forward with the LoRA adapter, head, softmax, and the result file. "One by one"
is how Label Studio's official BERT example predicts: one call of tokenizer and model per text. The variants alternate
within each repeat, so that changes of the machine's speed affect all of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from backend.demo import tickets
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import by_length
from backend.learners.models.packaged import resolve
from backend.learners.training.train import train
from backend.pool import local
from backend.pool.texts import given
from backend.store.files.folders import Files
from backend.store.texts import TaskText, digest
from backend.targets import Target

TOPIC = Target("topic", "classification", tickets.TOPICS)
_ONE_BY_ONE = 300  # texts: each costs the same, so fewer suffice


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()

    written = tickets.TICKETS.write(arguments.texts, seed=1)
    texts = [ticket.text for ticket in written]
    base = BaseModel("minilm")
    bare = AutoModel.from_pretrained(resolve("minilm")).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "adapter"
        folder.mkdir()
        options = TrainingOptions(min_steps=2, max_steps=2)
        labels = [ticket.topic for ticket in written[:32]]
        train(base, texts[:32], [{"topic": label} for label in labels], [TOPIC], options, folder)
        classifier = LoraLearner.load(base, "benchmark", folder)
        ids = base.tokenize(texts, options.max_length)
        batches = list(by_length(base.tokenizer, ids))
        pieces = sum(map(len, ids))
        tasks = [TaskText(number, text, digest(text)) for number, text in enumerate(texts)]

        def bound() -> int:
            with torch.inference_mode():
                for batch in batches:
                    bare(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
            return len(texts)

        def ours() -> int:
            with tempfile.TemporaryDirectory() as fresh:
                local.score(Files(Path(fresh)).scores(1, 1), classifier, given(tasks), {})
            return len(texts)

        def one_by_one() -> int:
            with torch.inference_mode():
                for text in texts[:_ONE_BY_ONE]:
                    encoded = base.tokenizer(text, padding=True, truncation=True, return_tensors="pt")
                    hidden = bare(**encoded).last_hidden_state.mean(dim=1)
                    torch.softmax(classifier.heads[0].linear(hidden), dim=-1).numpy()
            return _ONE_BY_ONE

        kinds = {"bound (bare forward)": bound, "scoring": ours, "one by one": one_by_one}
        speeds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for repeat in range(arguments.repeats + 1):  # the first is a warm-up
            for kind, run in kinds.items():
                speed = _texts_a_second(run)
                if repeat:
                    speeds[kind].append(speed)
    middle = {kind: statistics.median(found) for kind, found in speeds.items()}
    print(f"{len(texts)} texts, {pieces / len(texts):.0f} word pieces each, {arguments.threads} threads, "
          f"median of {arguments.repeats}")  # fmt: skip
    print("| kind | texts/s | min to max |\n|---|---|---|")
    for kind, found in speeds.items():
        print(f"| {kind} | {middle[kind]:.0f} | {min(found):.0f} to {max(found):.0f} |")
    print(f"scoring / bound: {middle['scoring'] / middle['bound (bare forward)']:.2f}")
    print(f"scoring / one by one: {middle['scoring'] / middle['one by one']:.1f}")


def _texts_a_second(run: Callable[[], int]) -> float:
    started = time.perf_counter()
    return run() / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
