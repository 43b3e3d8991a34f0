"""What labels add to a language model behind a server: its answers alone, with heads, and small models.

    make smollm2
    python -m benchmarks.served --data FOLDER [--seeds 3]

FOLDER holds trec6/ and sst2/ with train.jsonl and test.jsonl each. SmolLM2-135M-Instruct in this process stands for a
large language model on a server. It is very small, so its answers alone are weak. Labels are drawn at random. Half an
hour of two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.heads import linear
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.packaged import resolve
from backend.learners.served.learner import ServedLearner
from backend.learners.served.model import ServedModel
from backend.learners.served.server import FirstTokens, Message, Tokens
from backend.learners.served.training import train as train_served
from backend.learners.training.train import train
from backend.rounds.served.answer_cache import cached_answers
from backend.runtime.libraries import quiet_libraries
from backend.store import Store
from backend.targets import Target

Found = dict[tuple[str, int, str], list[float]]  # by data, labels and arm: accuracy per seed

_RESULTS = Path(__file__).parent / "results" / "served.md"
_LABELS, _TEST, _BATCH = (20, 50, 100, 200), 300, 32
_NAMES = {
    "sst2": {"negative": "negative", "positive": "positive"},
    "trec6": {
        "ABBR": "an abbreviation", "DESC": "a description or reason", "ENTY": "a thing", "HUM": "a person or group",
        "LOC": "a place", "NUM": "a number or date",
    },
}  # fmt: skip
_INSTRUCTIONS = {
    "sst2": "The text is from a film review. Is it positive or negative?",
    "trec6": "The text is a question. What is asked for?",
}


class _InProcess:
    """In-process replacement for `Server`: texts of one prompt share the cache of their common beginning."""

    digest = "in this process"

    def __init__(self) -> None:
        folder = resolve("smollm2")
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    @torch.inference_mode()
    def first_tokens(
        self, model: str, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> tuple[list[FirstTokens], Tokens]:
        """The twenty most probable first tokens of each conversation, with log probabilities."""
        ids = [
            self._tokenizer.encode(
                self._tokenizer.apply_chat_template(list(each), tokenize=False, add_generation_prompt=True),
                add_special_tokens=False,
            )
            for each in conversations
        ]
        shared = 0
        while len(ids) > 1 and all(len(each) > shared + 1 and each[shared] == ids[0][shared] for each in ids):
            shared += 1
        beginning = DynamicCache()
        if shared:
            self._model(torch.tensor([ids[0][:shared]]), past_key_values=beginning)
        found: list[FirstTokens] = [{}] * len(ids)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            rest = [torch.tensor(ids[row][shared:]) for row in rows]
            padded = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True)
            cache = deepcopy(beginning)
            if shared:
                cache.batch_repeat_interleave(len(rows))
            logits = self._model(padded, past_key_values=cache).logits  # padding is on the right and not read
            last = logits[torch.arange(len(rows)), torch.tensor([len(each) - 1 for each in rest])]
            tops = torch.log_softmax(last.float(), dim=1).topk(20)
            for row, values, tokens in zip(rows, tops.values.tolist(), tops.indices.tolist(), strict=True):
                found[row] = {self._tokenizer.decode([t]): v for v, t in zip(values, tokens, strict=True)}
            progress(min(start + _BATCH, len(order)), len(order))
        return found, Tokens()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(2)
    small = BaseModel("minilm")
    base = ServedModel("openai:smollm2", _InProcess(), lambda: small)  # type: ignore[arg-type]
    found: Found = defaultdict(list)
    for seed in range(arguments.seeds):
        for name in _NAMES:
            _measure(arguments.data / name, name, seed, base, small, found)
            written = _table(found)
            _RESULTS.write_text(written, "utf-8")
            print(written, flush=True)


def _measure(
    folder: Path,
    name: str,
    seed: int,
    base: ServedModel,
    small: BaseModel,
    found: Found,
) -> None:
    train_part, test = (
        [json.loads(line) for line in (folder / f"{part}.jsonl").read_text("utf-8").splitlines()]
        for part in ("train", "test")
    )
    rng, names = np.random.default_rng(seed), _NAMES[name]
    order = rng.permutation(len(train_part))[: max(_LABELS)]
    test = [test[row] for row in rng.permutation(len(test))[:_TEST]]
    texts, labels = [train_part[r]["text"] for r in order], [names[str(train_part[r]["label"])] for r in order]
    test_texts, truth = [each["text"] for each in test], np.array([names[str(each["label"])] for each in test])
    classes = tuple(names.values())
    target = Target("kind", "classification", classes)
    options = TrainingOptions(instructions=_INSTRUCTIONS[name], seed=seed)
    with tempfile.TemporaryDirectory() as place:
        former, memory = None, cached_answers(Store(Path(place) / "store"), 0)
        for count in _LABELS:
            given = texts[:count], [{"kind": label} for label in labels[:count]], [target], options
            ours = Path(place) / f"served-{count}"
            ours.mkdir()
            train_served(base, *given, ours, former=former, memory=memory)
            former = ours
            learner = ServedLearner.load(base, ours, memory)
            answers = learner.score(test_texts, ["features"])["features"][:, : len(classes)]
            lora = Path(place) / f"lora-{count}"
            lora.mkdir()
            train(small, *given, lora)
            tuned = LoraLearner.load(small, "tuned", lora)
            vectors, of_test = (small.embed(some, max_length=256) for some in (texts[:count], test_texts))
            rows = np.array([classes.index(label) for label in labels[:count]])
            for arm, probs in {
                "answers alone": answers,
                "answers with heads": learner.predict(test_texts)["kind/probs"],
                "MiniLM, linear head": linear.fit(vectors, rows, len(classes)).alone(of_test),
                "MiniLM, adapter": tuned.predict(test_texts)["kind/probs"],
            }.items():
                right = np.array(classes)[probs.argmax(axis=1)] == truth
                found[name, count, arm].append(float(right.mean()))
            tuned.unload()


def _table(found: Found) -> str:
    lines = [
        "# A language model behind a server, and what labels add",
        "",
        "Written by `python -m benchmarks.served --data FOLDER`: accuracy on 300 test texts, mean over "
        f"{max(map(len, found.values()))} seeds. The language model is SmolLM2-135M-Instruct, with up to 16 examples.",
        "",
        "| data | labels | " + " | ".join(_arms(found)) + " |",
        "|---|---|" + "---|" * len(_arms(found)),
    ]
    for name, count in dict.fromkeys((name, count) for name, count, _ in found):
        cells = [f"{statistics.mean(found[name, count, arm]):.3f}" for arm in _arms(found)]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _arms(found: Found) -> list[str]:
    return list(dict.fromkeys(arm for _, _, arm in found))


if __name__ == "__main__":
    main()
