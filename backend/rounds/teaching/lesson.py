"""Soft labels from a teacher, a model behind a server (option `teacher`), for texts that no person labeled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners.base import TrainingOptions
from backend.learners.served.model import ServedModel
from backend.learners.served.prompts import Prompt
from backend.learners.served.soft_labels import Labels, calibrated, soft_labels
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
    goal: int  # unlabeled texts that this round wants answered: a repeated try sends no others
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

    Held-out texts are never sent. If the server fails or `llm_budget` is used up, earlier answers are used, also those
    to an earlier prompt, and the record names the reason.
    """
    name, known = run.options.teacher, run.rounds.last("taught") or {}
    assert name is not None
    former = [Prompt.from_json(each) for each in known.get("prompts", [])]
    meter = LlmMeter(run.store, run.id, name, lambda: run.options.llm_budget)
    try:
        teacher = run.models.served(name, meter, embedder=run.options.base_model)
    except ModelError as error:
        record = Taught(
            teacher=name, goal=0, soft=0, compared={}, error=str(error), prompts=[each.as_json() for each in former]
        )
        return Lesson([], [], record)
    prompts = _prompts(run, teacher, examples, former)
    found = _Lesson(run, teacher, examples, prompts).give(queries=True)
    if found.record["error"] and not found.texts and [each.target for each in former] == [p.target for p in prompts]:
        earlier = _Lesson(run, teacher, examples, former).give(queries=False)
        return Lesson(earlier.texts, earlier.values, Taught(**{**earlier.record, "error": found.record["error"]}))
    return found


def _prompts(
    run: ProjectRun, teacher: ServedModel, examples: Sequence[LabeledText], former: Sequence[Prompt]
) -> list[Prompt]:
    """Those of the last round that had a teacher, as far as they may stay."""
    options = run.options
    training = TrainingOptions(
        shots=options.shots, instructions=options.instructions, seed=options.seed, max_length=options.max_length
    )
    known = {prompt.target.name: prompt for prompt in former}
    texts = [teacher.cut(each.text, options.max_length) for each in examples]
    values = [each.values for each in examples]
    return [
        prompt_for(target, texts, values, training, known.get(target.name))
        for target in teachable(options, run.spec)
    ]  # fmt: skip


class _Lesson:
    def __init__(
        self, run: ProjectRun, teacher: ServedModel, examples: Sequence[LabeledText], prompts: Sequence[Prompt]
    ) -> None:
        self.run, self.teacher, self.prompts = run, teacher, prompts
        self.memory = cached_answers(run.store, run.id)
        self.length = run.options.max_length
        shown = {text for prompt in prompts for text, _ in prompt.examples}
        self.labels = {each.digest: each.values for each in examples
                       if teacher.cut(each.text, self.length) not in shown}  # fmt: skip
        known = run.tasks.first_known()
        rest = [each for each in examples if each.digest in self.labels]
        self.examples = sorted(rest, key=lambda each: -known.get(each.id, 0))  # the newest first

    def give(self, *, queries: bool) -> Lesson:
        """queries: whether to send texts; else only earlier answers are used."""
        run = self.run
        goal = (run.round.taught or {}).get("goal")
        chosen = choose(run, self.teacher, self.prompts, self.examples, goal if queries else 0)
        error = None
        if queries:
            run.rounds.set(run.round.number, taught=self._record(chosen.goal))  # a repeated try must find it
            error = self._ask([*chosen.labeled.texts, *chosen.others.texts])
            if error is None and chosen.is_short:
                error = f"llm_budget ({run.options.llm_budget}) is used up; raise it in Extra params"
        labeled, others = self._answered(chosen.labeled), self._answered(chosen.others)
        texts, count = [*labeled.texts, *others.texts], len(labeled.texts)
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
        log.info("project %d: %d soft labels of '%s'", run.id, len(soft), self.teacher.name)
        return Lesson(others.texts, list(soft), self._record(chosen.goal, len(soft), compared, error))

    def _record(
        self, goal: int, soft: int = 0, compared: dict[str, tuple[int, int]] | None = None, error: str | None = None
    ) -> Taught:
        prompts = [prompt.as_json() for prompt in self.prompts]
        return Taught(
            teacher=self.teacher.name, goal=goal, soft=soft, compared=compared or {}, error=error, prompts=prompts
        )

    def _answered(self, chosen: Chosen) -> Chosen:
        """Those of the texts that the teacher answered for every control."""
        keys = [self.teacher.key(prompt, self.length) for prompt in self.prompts]
        there = np.logical_and.reduce([self.memory(key).found(chosen.texts)[0] for key in keys])
        rows = np.flatnonzero(there)
        return Chosen([chosen.texts[row] for row in rows], chosen.digests[rows])

    def _ask(self, texts: Sequence[str]) -> str | None:
        """Fill the cache. Returns why it could not be filled."""
        total = len(self.prompts) * len(texts)
        try:
            with self.run.progress(f"querying the teacher about {len(texts)} texts") as progress:
                for number, prompt in enumerate(self.prompts):
                    if texts and not self.memory(self.teacher.key(prompt, self.length)).found(texts)[0].any():
                        self.teacher.require_letters(prompt, texts[:TRIED])

                    def note(done: int, _of: int, before: int = number * len(texts)) -> None:
                        progress(before + done, total)

                    self.teacher.answers(prompt, texts, self.length, self.memory, note)
        except ModelError as error:
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
