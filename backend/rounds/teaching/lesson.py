"""Soft labels from a teacher, a model behind a server (option `teacher`), for texts that no person labeled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.learners.base import TrainingOptions
from backend.learners.served.model import ServedModel
from backend.learners.served.prompts import Prompt
from backend.learners.served.teaching import Labels, calibrated, soft_labels
from backend.learners.served.training import TRIED, prompt_for
from backend.rounds.context import ProjectRun
from backend.rounds.served.answer_cache import cached_answers
from backend.rounds.served.llm_meter import LlmMeter
from backend.rounds.served.teachable import teachable
from backend.rounds.teaching.choice import Chosen, choose
from backend.store.texts import LabeledText
from backend.targets import Values

log = logging.getLogger(__name__)

Array = NDArray[Any]


class Taught(TypedDict):
    """What the teacher contributed to a round."""

    teacher: str
    soft: int  # texts with soft labels
    compared: dict[
        str, tuple[int, int]
    ]  # by control: labels that the teacher was compared with, and those it had right
    error: str | None  # why there are fewer answers than wanted
    prompts: list[dict[str, Any]]  # as sent; later rounds keep them, so that answers remain valid


class Lesson(NamedTuple):
    """Texts, soft labels of each, and the record of both."""

    texts: list[str]
    values: list[Values]
    record: Taught


def lesson(run: ProjectRun, examples: Sequence[LabeledText]) -> Lesson:
    """Query the teacher about texts, and turn all its answers so far into soft labels.

    Held-out texts are never sent. If the server fails or `llm_budget` is used up, earlier answers are used, and the
    record names the reason.
    """
    name = run.options.teacher
    assert name is not None
    meter = LlmMeter(run.store, run.id, name, lambda: run.options.llm_budget)
    try:
        teacher = run.models.served(name, meter, embedder=run.options.base_model)
    except BackendError as error:
        return Lesson([], [], Taught(teacher=name, soft=0, compared={}, error=str(error), prompts=[]))
    return _Lesson(run, teacher, examples).give()


class _Lesson:
    def __init__(self, run: ProjectRun, teacher: ServedModel, examples: Sequence[LabeledText]) -> None:
        self.run, self.teacher, self.targets = run, teacher, teachable(run.options, run.spec)
        self.memory = cached_answers(run.store, run.id)
        self.length = run.options.max_length
        self.prompts = self._prompts(examples)
        shown = {text for prompt in self.prompts for text, _ in prompt.examples}
        self.labels = {each.digest: each.values for each in examples
                       if teacher.cut(each.text, self.length) not in shown}  # fmt: skip
        known = run.tasks.first_known()
        rest = [each for each in examples if each.digest in self.labels]
        self.examples = sorted(rest, key=lambda each: -known.get(each.id, 0))  # the newest first

    def give(self) -> Lesson:
        labeled, others = choose(self.run, self.teacher, self.prompts, self.examples)
        error = self._ask([*labeled.texts, *others.texts])
        labeled, others = self._answered(labeled), self._answered(others)
        texts = [*labeled.texts, *others.texts]
        count = len(labeled.texts)
        soft: list[dict[str, Any]] = [{} for _ in others.texts]
        compared: dict[str, tuple[int, int]] = {}
        for prompt in self.prompts:
            name, classes = prompt.target.name, prompt.target.classes
            answers = self.teacher.answers(prompt, texts, self.length, self.memory)
            rows = [row for row, digest in enumerate(labeled.digests.tolist()) if name in self.labels[digest]]
            labels = Labels(rows, [self.labels[int(labeled.digests[row])][name] for row in rows])
            compared[name] = len(rows), right(prompt, answers, labels)
            likelihoods = soft_labels(prompt, answers, labels)[count:]
            for values, row in zip(soft, likelihoods.tolist(), strict=True):
                values[name] = dict(zip(classes, row, strict=True))
        log.info("project %d: %d soft labels of '%s'", self.run.id, len(soft), self.teacher.name)
        record = Taught(
            teacher=self.teacher.name, soft=len(soft), compared=compared, error=error,
            prompts=[prompt.as_json() for prompt in self.prompts],
        )  # fmt: skip
        return Lesson(others.texts, list(soft), record)

    def _answered(self, chosen: Chosen) -> Chosen:
        """Those of the texts that the teacher answered for every control."""
        keys = [self.teacher.key(prompt, self.length) for prompt in self.prompts]
        there = np.logical_and.reduce([self.memory(key).found(chosen.texts)[0] for key in keys])
        rows = np.flatnonzero(there)
        return Chosen([chosen.texts[row] for row in rows], chosen.digests[rows])

    def _prompts(self, examples: Sequence[LabeledText]) -> list[Prompt]:
        """Those of the last round that had this teacher, as far as they may stay."""
        options = self.run.options
        training = TrainingOptions(
            shots=options.shots, instructions=options.instructions, seed=options.seed, max_length=self.length
        )
        taught = self.run.rounds.last("taught")
        former = {
            prompt.target.name: prompt
            for prompt in (Prompt.from_json(each) for each in (taught or {}).get("prompts", []))
        }
        texts = [self.teacher.cut(each.text, self.length) for each in examples]
        values = [each.values for each in examples]
        return [prompt_for(target, texts, values, training, former.get(target.name)) for target in self.targets]

    def _ask(self, texts: Sequence[str]) -> str | None:
        """Fill the cache. Returns why it could not be filled."""
        total = len(self.prompts) * len(texts)
        try:
            with self.run.progress(f"querying the teacher about {len(texts)} texts") as progress:
                for number, prompt in enumerate(self.prompts):
                    if not self.memory(self.teacher.key(prompt, self.length)).found(texts)[0].any():
                        self.teacher.require_letters(prompt, texts[:TRIED])

                    def note(done: int, _of: int, before: int = number * len(texts)) -> None:
                        progress(before + done, total)

                    self.teacher.answers(prompt, texts, self.length, self.memory, note)
        except BackendError as error:
            log.warning("project %d: the teacher did not answer: %s", self.run.id, error)
            return str(error)
        return None


def right(prompt: Prompt, answers: Array, labels: Labels) -> int:
    """On how many of the labels the teacher's own answer is right."""
    own = calibrated(prompt, answers, Labels([], []))[list(labels.rows)]
    names = prompt.target.classes
    if prompt.target.kind == "multilabel":
        return sum({name for name, prob in zip(names, row, strict=True) if prob > 0.5} == set(value)
                   for row, value in zip(own, labels.values, strict=True))  # fmt: skip
    return sum(names[row.argmax()] == value for row, value in zip(own, labels.values, strict=True))
