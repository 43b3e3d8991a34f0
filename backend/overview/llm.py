"""Language models behind a server: what a project has sent to them, and what it would send next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from backend.errors import BackendError
from backend.learners.models.loading import SERVED, is_served
from backend.learners.served.prompts import Prompt
from backend.learners.served.training import TRIED
from backend.options import ProjectOptions
from backend.rounds.context import options_of, parsed
from backend.rounds.quality.stability import STOP_SET
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.selection.prefilter import candidates_to_score
from backend.rounds.served.teachable import teachable
from backend.rounds.teaching.choice import COMPARED, MOST
from backend.rounds.teaching.lesson import Taught
from backend.store import Store
from backend.store.sql.models import Project
from backend.targets import Target

_SAMPLE = 200  # texts, for their mean length
_CHARACTERS = 4.0  # of a token, on average, in English with the tokenizers of most models
_WRITTEN = {"spans": 30.0, "generation": 60.0}  # tokens of an answer that is a text, before any was given
Prices = Mapping[str, Sequence[float]]  # by model: of a million input and a million output tokens


class LlmCalls(TypedDict):
    """Calls of one model."""

    model: str
    calls: int
    input_tokens: Annotated[int, Field(description="As the server counts them; 0: it does not")]
    output_tokens: int


class Compared(TypedDict):
    """The teacher's answers beside people's labels."""

    control: str
    labels: Annotated[int, Field(description="Compared ones, none of which is an example of the prompt")]
    right: Annotated[int, Field(description="Of these, the teacher alone has right")]


class Teacher(TypedDict):
    """What a teacher contributed to the last round that had one."""

    model: str
    soft: Annotated[int, Field(description="Tasks with a soft label")]
    compared: list[Compared]
    error: Annotated[str | None, Field(description="Why there are fewer answers than wanted")]


class LlmSpent(TypedDict):
    """What a project has sent to language models behind a server."""

    budget: Annotated[int | None, Field(description="Option `llm_budget`. Null: no limit")]
    models: list[LlmCalls]
    teacher: Teacher | None


@dataclass(frozen=True)
class Estimate:
    """What the next round of a project with this model sends."""

    model: str
    texts: int  # to query: labeled ones, candidates, and held-out ones
    calls: int
    input_tokens: int
    output_tokens: int
    money: float | None  # None: the price is not known
    hours: float | None  # None: no call was measured
    measured: bool  # tokens are those of earlier calls; else estimated from characters


def spent(store: Store, project: Project) -> LlmSpent:
    """By model, all calls so far."""
    return {
        "budget": options_of(project).llm_budget,
        "models": [
            {"model": each.model, "calls": each.calls, "input_tokens": each.input_tokens,
             "output_tokens": each.output_tokens}
            for each in store.of(project.id).llm_usage.all()
        ],
        "teacher": _teacher(store, project),
    }  # fmt: skip


def _teacher(store: Store, project: Project) -> Teacher | None:
    taught: Taught | None = store.of(project.id).rounds.last("taught")
    if taught is None or taught["teacher"] != options_of(project).teacher:
        return None
    compared: list[Compared] = [
        {"control": name, "labels": labels, "right": right} for name, (labels, right) in taught["compared"].items()
    ]
    return {"model": taught["teacher"], "soft": taught["soft"], "compared": compared, "error": taught["error"]}


def estimate(
    store: Store, project: Project, model: str | None, prices: Prices, *, teacher: str | None = None
) -> Estimate:
    """The calls of a round with a prompt that no text was queried with yet: at most what the next round sends.

    model: `openai:NAME` as base model, or as teacher; None: the project's. Raises `BackendError` if it is no model
    behind a server, or cannot learn the project's labels.
    """
    options = options_of(project)
    teacher = teacher or (options.teacher if model is None else None)
    name = teacher or model or options.base_model
    if not is_served(name):
        raise BackendError(
            f"'{name}' is no model behind a server, so that it costs no calls; name one with --model {SERVED}NAME, or "
            f"with --teacher {SERVED}NAME"
        )
    options = options.model_copy(update={"teacher": name} if teacher else {"base_model": name, "teacher": None})
    spec = parsed(project.label_config, options)
    refuse_unsupported(options, spec.targets)
    targets = teachable(options, spec) if teacher else spec.targets
    texts = _texts(store, project, options)
    calls_a_text = sum(2 if target.kind == "pairwise" else 1 for target in targets)
    calls = texts * calls_a_text + TRIED * len(targets)
    row = next((each for each in store.of(project.id).llm_usage.all() if each.model == name), None)
    measured = row is not None and row.calls > 0 and row.input_tokens > 0
    if row is not None and measured:
        each_in, each_out = row.input_tokens / row.calls, row.output_tokens / row.calls
    else:
        each_in = _tokens(store, project, options, targets)
        each_out = float(np.mean([_WRITTEN.get(target.kind, 1.0) for target in targets]))
    price = prices.get(name.removeprefix(SERVED))
    tokens = round(calls * each_in), round(calls * each_out)
    return Estimate(
        model=name, texts=texts, calls=calls, input_tokens=tokens[0], output_tokens=tokens[1],
        money=None if price is None else (tokens[0] * price[0] + tokens[1] * price[1]) / 1e6,
        hours=calls * row.seconds / row.calls / 3600 if row is not None and row.calls and row.seconds else None,
        measured=measured,
    )  # fmt: skip


def _texts(store: Store, project: Project, options: ProjectOptions) -> int:
    """How many texts a round queries."""
    tasks = store.of(project.id).tasks
    waiting = tasks.count_waiting(audit=False)
    if options.teacher is not None:
        return min(options.teacher_texts, waiting, MOST) + min(COMPARED, len(tasks.labeled(audit=False)))
    size = candidates_to_score(options, waiting)
    if size >= waiting:
        return tasks.count()
    return size + tasks.count_labeled() + min(STOP_SET, tasks.count_waiting(audit=True))


def _tokens(store: Store, project: Project, options: ProjectOptions, targets: Sequence[Target]) -> float:
    """Tokens of a mean call, estimated from characters: the prompt, its examples, and a text of mean length."""
    tasks = store.of(project.id).tasks
    ids = tasks.listed().ids
    drawn = np.random.default_rng(project.id).permutation(ids)[:_SAMPLE].tolist()
    most = round(options.max_length * _CHARACTERS)
    lengths = [min(len(each.text), most) for each in tasks.texts(drawn).values()]
    text = "x" * round(float(np.mean(lengths))) if lengths else ""
    shown = min(options.shots, tasks.count_labeled() // 2)
    sizes = []
    for target in targets:
        prompt = Prompt(target, options.instructions)
        examples = tuple((text, prompt.options[0]) for _ in range(shown))
        (conversation, *_) = Prompt(target, options.instructions, examples).conversations(text)
        sizes.append(sum(len(message["content"]) for message in conversation) / _CHARACTERS + 4 * len(conversation))
    return float(np.mean(sizes))


def in_words(found: Estimate, so_far: LlmSpent) -> list[str]:
    """The estimate and the calls so far as lines of text."""
    how = "by earlier calls" if found.measured else f"by characters, {_CHARACTERS:.0f} a token"
    price = "no price in LLM_PRICES" if found.money is None else f"{found.money:.2f} by LLM_PRICES"
    hours = "" if found.hours is None else f"; {60 * found.hours:.1f} minutes at the speed so far"
    lines = [
        f"{found.model}: a round with a new prompt queries {found.texts} texts in {found.calls} calls",
        f"  input {found.input_tokens} tokens, output {found.output_tokens} ({how}): {price}{hours}",
        "  Later rounds with the same prompt query new texts only.",
    ]
    used = sum(each["calls"] for each in so_far["models"])
    if so_far["budget"] is not None:
        left = max(0, so_far["budget"] - used)
        enough = "" if left >= found.calls else "; a round with a new prompt needs more"
        lines.append(f"llm_budget {so_far['budget']}: {left} calls are left{enough}")
    lines += [
        f"so far {each['model']}: {each['calls']} calls, input {each['input_tokens']} tokens, output "
        f"{each['output_tokens']}"
        for each in so_far["models"]
    ]
    if (teacher := so_far["teacher"]) is not None:
        lines.append(f"teacher {teacher['model']}: {teacher['soft']} soft labels")
        lines += [
            f"  {each['control']}: right on {each['right']} of {each['labels']} labels" for each in teacher["compared"]
        ]
        lines += [f"  {teacher['error']}"] if teacher["error"] else []
    return lines
