"""The sentences of the project's state, its queue and its tasks."""

from __future__ import annotations

from typing import Any

from backend.learners.models.languages import UNKNOWN
from backend.overview.first_steps import FirstStep
from backend.overview.state import BaseModel, State, Suggestions
from backend.overview.tasks.queue import QueuedTask
from backend.overview.unlearned import WithoutText
from backend.store.rounds import MINIMUM, PERSON, SECOND_OPINION
from backend.web.dashboard.language import Language
from backend.web.dashboard.reasons import translated

_NAMED = 20  # classes below the minimum
_UNSURE = 0.75  # probability of the top class, below which the second is named too
_NEW = 0.9  # share of the candidates that are closer to a labeled text
_DENSE = 0.75  # share of the candidates that have fewer similar texts


def state(now: State, t: Language) -> str:
    """The state of a project, in a sentence."""
    name = now["name"]
    if name == "working":
        return _working(now, t)
    if name == "waiting":
        sentence = t.ngettext("Waiting for %(n)s more label", "Waiting for %(n)s more labels", now["missing"])
        if now["published_at"] is not None:
            sentence = t.gettext("%(state)s; queue published %(ago)s", state=sentence, ago=t.ago(now["published_at"]))
        return sentence
    if name == "stopped":
        return t.gettext("Labeling may stop: %(why)s", why=translated(now["why"], t))
    if name == "no_worker" and now["since"] is not None:
        return t.gettext("The worker last reported %(ago)s", ago=t.ago(now["since"]))
    others = {
        "left": t.gettext("Disconnected in Label Studio"),
        "no_worker": t.gettext("No worker has been started"),
        "trouble": t.gettext("Needs attention"),
        "paused": t.gettext("Paused"),
        "starting": t.gettext("Starting: creating the first queue"),
        "all_labeled": t.gettext("Every task is labeled"),
    }
    return others[name]


def briefly(now: State, t: Language) -> str:
    """The state without progress and times, for screen readers."""
    if now["name"] == "working":
        return step(now["step"], t)
    return state({**now, "published_at": None, "since": None}, t)


def step(name: str, t: Language) -> str:
    """Description of a step of a round."""
    return {
        "sync": t.gettext("Reading from Label Studio"),
        "train": t.gettext("Training"),
        "evaluate": t.gettext("Measuring quality"),
        "score": t.gettext("Scoring texts"),
        "select": t.gettext("Choosing the next tasks"),
        "publish": t.gettext("Publishing the queue"),
        "judge": t.gettext("Checking labels and stopping rules"),
    }.get(name, name)


def _working(now: State, t: Language) -> str:
    doing = step(now["step"], t)
    if (other := now.get("behind")) is not None:
        if now["seconds_left"] is None:
            return t.gettext("%(step)s: waiting for project %(project)s", step=doing, project=other)
        return t.gettext(
            "%(step)s: waiting for project %(project)s, about %(time)s",
            step=doing, project=other, time=t.lasting(now["seconds_left"]),
        )  # fmt: skip
    if now["share"] is None:
        return doing
    if now["seconds_left"] is None:
        return t.gettext("%(step)s, %(share)s", step=doing, share=t.percent(now["share"]))
    return t.gettext(
        "%(step)s, %(share)s, about %(time)s left",
        step=doing, share=t.percent(now["share"]), time=t.lasting(now["seconds_left"]),
    )  # fmt: skip


def advice(now: State, t: Language) -> str | None:
    """What to do about a state that blocks rounds; None for other states."""
    return {
        "no_worker": t.gettext("Start `lsal serve` or `lsal worker`. If it stopped, check its log."),
        "trouble": t.gettext("Run `lsal doctor` to find the cause and the fix."),
        "left": t.gettext("To continue, connect this backend again in the project's Settings → Model."),
    }.get(now["name"])


def first_step(found: FirstStep, t: Language) -> str:
    """What to do, or what is done, at the beginning of a project."""
    count, of = t.number(found["count"]), t.number(found["of"])
    if found["done"]:
        return {
            "connect": t.gettext("Connected to Label Studio"),
            "import": t.gettext("%(n)s tasks read", n=count),
            "queue": t.gettext("The first %(n)s tasks are in the queue", n=count),
            "label": t.gettext("%(n)s tasks labeled", n=count),
            "train": t.gettext("The model is trained on them"),
            "measure": t.gettext("The model is measured"),
        }[found["name"]]
    return {
        "connect": t.gettext("Label Studio is being connected"),
        "import": t.gettext("Import tasks in Label Studio"),
        "queue": t.gettext("The first queue is being made"),
        "label": t.gettext(
            "In Label Studio press Label All Tasks: %(n)s of %(of)s labels until the first training", n=count, of=of
        ),
        "train": t.gettext("Then the model is trained, and again after each %(of)s labels", of=of),
        "measure": t.gettext("A first score appears with the first labeled held-out task"),
    }[found["name"]]


def suggestions(control: str, found: Suggestions, t: Language) -> str:
    """Whether annotators see the suggestions of a control, and why."""
    if found["shown"] and not found["given"]:
        return t.gettext(
            "Suggestions of %(control)s are shown from the start: no label has confirmed them yet", control=control
        )
    if found["shown"]:
        return t.gettext(
            "Suggestions of %(control)s are shown: of %(given)s compared with labels, %(share)s were right",
            control=control, given=t.number(found["given"]), share=t.percent(found["right"] / found["given"], 1),
        )  # fmt: skip
    if not found["given"]:
        return t.gettext(
            "Suggestions of %(control)s are held back until new labels show that at least half of them are right",
            control=control,
        )
    return t.gettext(
        "Suggestions of %(control)s are held back until at least half of them are right: of %(given)s compared with "
        "labels, %(share)s were",
        control=control, given=t.number(found["given"]), share=t.percent(found["right"] / found["given"], 1),
    )  # fmt: skip


def minimum(counts: dict[str, int], wanted: int, t: Language) -> str:
    """Which classes have fewer labels than `minimum_per_class`."""
    lacking = [f"{name} ({t.number(count)})" for name, count in counts.items() if count < wanted]
    if not lacking:
        return t.gettext("Labels of every class: at least %(minimum)s.", minimum=t.number(wanted))
    named = t.gettext(", ").join([*lacking[:_NAMED], *(["…"] if len(lacking) > _NAMED else [])])
    return t.gettext("Fewer than %(minimum)s labels: %(classes)s", minimum=t.number(wanted), classes=named)


def why(item: QueuedTask, strategy: str | None, t: Language, several: bool = False) -> str:
    """Why a task is in the queue. several: name the controls."""
    if item["held_out"]:
        return t.gettext("Held out to measure model quality")
    if item["chosen_by"] == PERSON:
        return t.gettext("Put first by a person")
    if item["chosen_by"] == MINIMUM:
        return t.gettext("Probably of a class that has too few labels")
    if item["chosen_by"] == SECOND_OPINION:
        return t.gettext("Its label is doubtful: another annotator labels it again")
    found, reasons = item["why"] or {}, []
    for prediction in found.get("says", []):
        first, second = prediction.get("between", [(None, 1.0), (None, 0.0)])
        if first[1] < _UNSURE:
            between = t.gettext("unsure between %(first)s and %(second)s", first=first[0], second=second[0])
            reasons.append(f"{prediction['control']}: {between}" if several else between)
    if found.get("novelty", 0.0) >= _NEW:
        reasons.append(t.gettext("unlike any labeled text"))
    if found.get("density", 0.0) >= _DENSE:
        reasons.append(t.gettext("similar to many texts"))
    by = item["chosen_by"] or strategy
    if by == "random":
        reasons = [t.gettext("drawn at random")]
    if not reasons:
        return t.gettext("chosen by %(strategy)s", strategy=by) if by else ""
    return t.gettext(", ").join(reasons)


def unread(encoder: dict[str, Any], t: Language) -> str | None:
    """That the base model does not know the language of the texts; None if it does."""
    if encoder.get("unknown", 0.0) <= UNKNOWN:
        return None
    return t.gettext(
        "The base model %(name)s does not know %(share)s of the word pieces of the texts, and learns little from them. "
        "Set `base_model` in Extra params to `multilingual`, or to another model of their language.",
        name=encoder["measured"], share=t.percent(encoder["unknown"]),
    )  # fmt: skip


def without_text(found: WithoutText | None, t: Language) -> str | None:
    """That tasks have no text where the label config looks for it; None if all have one."""
    if found is None:
        return None
    sentence = t.ngettext(
        "%(n)s task of %(all)s has no text under %(values)s", "%(n)s tasks of %(all)s have no text under %(values)s",
        found["tasks"], all=t.number(found["of"]), values=", ".join(found["values"]),
    )  # fmt: skip
    fields = t.gettext(
        "task %(task)s has the fields %(fields)s", task=found["task"], fields=", ".join(found["fields"]) or "–"
    )
    return t.gettext("%(first)s; %(second)s", first=sentence, second=fields)


def base_model(found: BaseModel, t: Language) -> str:
    """Why a project has its base model, and what a comparison found."""
    sentence = {
        "texts": t.gettext("Chosen for the language of the texts"),
        "names": t.gettext("Chosen because the class names separate the texts better with it"),
        "labels": t.gettext("Chosen because it learns the labels better"),
        "person": t.gettext("Chosen by a person"),
        "upgrade": t.gettext("Chosen by an earlier release"),
    }[found["by"]]
    if found["better"] is None or found["gain"] is None or found["error"] is None:
        return sentence
    better = t.gettext(
        "on %(labels)s training labels %(better)s was right more often, by %(gain)s ± %(error)s percentage points",
        labels=t.number(found["labels"] or 0), better=found["better"], gain=t.number(100 * found["gain"], 1),
        error=t.number(100 * found["error"], 1),
    )  # fmt: skip
    return t.gettext("%(first)s; %(second)s", first=sentence, second=better)


def done(action: str, t: Language) -> str | None:
    """Confirmation of an action; None for unknown actions."""
    return {
        "train": t.gettext("A round starts as soon as the worker is free."),
        "cancel": t.gettext("The round ends soon. The next one begins after another batch of labels, or on Train now."),
        "strategy": t.gettext("The queue is rebuilt as soon as the worker is free."),
        "base_model": t.gettext("An adapter of this base model is trained as soon as the worker is free."),
        "rollback": t.gettext("The earlier adapter is put in service as soon as the worker is free."),
        "finish": t.gettext("The sample is drawn as soon as the worker is free."),
        "finish_labels": t.gettext("This is done as soon as the worker is free."),
        "first": t.gettext("The queue begins with these tasks as soon as the worker is free."),
        "paused": t.gettext("No round starts automatically until you resume."),
        "resumed": t.gettext("Rounds start automatically again."),
    }.get(action)
