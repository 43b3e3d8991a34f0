"""Each kind of label through a real Label Studio: label a batch, and accept what the model suggests next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.targets import sides
from tests.backend.learners.kinds import data
from tests.backend.rounds.selection.test_compatibility import config
from tests.real import Team

BATCH = 16
TAXONOMY = (
    '<View><Text name="text" value="$text"/><Taxonomy name="topic" toName="text"><Choice value="living">'
    '<Choice value="fruit"/><Choice value="animal"/></Choice><Choice value="tool"/></Taxonomy></View>'
)
NODES = {"fruit": ["living", "living / fruit"], "animal": ["living", "living / animal"], "tool": ["tool"]}


MARKUP = config("spans").replace("<Text ", "<HyperText ")
DIALOGUE = config("spans").replace("<Text ", "<Paragraphs ").replace("Labels", "ParagraphLabels")
SIZE = '<Choices name="size" toName="text" perRegion="true"><Choice value="long"/><Choice value="short"/></Choices>'
CHOICES_OF_SPANS = config("spans").replace("</View>", f"{SIZE}</View>")


def fields(text: str, label_config: str) -> dict[str, Any]:
    """The data of a task: of two texts compared, a field for each; HTML or turns where that is what is shown."""
    _, left, right = sides(text)
    if label_config == MARKUP:
        text = "<p>" + text.replace("\r\n", "\n ").replace(" the ", "<b> the </b>") + "</p><p>and more</p>"
    if label_config == DIALOGUE:
        return {"text": [{"author": "", "text": text}, {"author": "Bo", "text": "and more"}]}
    return {"text": left, "other": right} if right else {"text": text}


def truths(kinds: tuple[str, ...], count: int) -> dict[str, dict[str, Any]]:
    """What each text teaches; of several kinds, the spans say the topic too."""
    one = data("spans" if len(kinds) > 1 else kinds[0], count, seed=5)
    found = dict(zip(one.texts, one.values, strict=True))
    if len(kinds) > 1:
        for values in found.values():
            values["topic"] = values["things"][0][2] if values["things"] else "tool"
            values["stars"] = float(1 + 2 * len(values["things"]))
    return found


@pytest.mark.parametrize(
    ("kinds", "label_config"),
    [
        (("multilabel",), config("multilabel")),
        (("regression",), config("regression")),
        (("spans",), config("spans")),
        (("multilabel",), TAXONOMY),
        (("spans",), MARKUP),
        (("spans",), DIALOGUE),
        (("spans",), CHOICES_OF_SPANS),
        (("pairwise",), config("pairwise")),
        (("generation",), config("generation")),
        (("spans", "classification", "regression"), config("spans", "classification", "regression")),
    ],
    ids=[
        "multiple",
        "rating",
        "labels",
        "taxonomy",
        "markup",
        "dialogue",
        "per region",
        "pairwise",
        "answers",
        "several",
    ],
)
def test_a_suggestion_is_accepted_as_it_is(
    team: Team, tiny_encoder: Path, tiny_decoder: Path, kinds: tuple[str, ...], label_config: str
) -> None:
    spec, truth = parse(label_config), truths(kinds, 60)
    base = tiny_decoder if "generation" in kinds else tiny_encoder
    if label_config == TAXONOMY:
        order, names = spec.targets[0].classes, {text: values["topics"] for text, values in truth.items()}
        truth = {text: {"topic": sorted({node for name in given for node in NODES[name]}, key=order.index)}
                 for text, given in names.items()}  # fmt: skip
    if label_config == CHOICES_OF_SPANS:
        truth = {
            text: {**values, "size": [[a, b, "long" if b - a > 4 else "short"] for a, b, _ in values["things"]]}
            for text, values in truth.items()
        }
    data = [fields(text, label_config) for text in truth]
    truth = {text_of(each, spec): values for each, values in zip(data, truth.values(), strict=True)}
    team.create(data, label_config)
    count = BATCH if len(kinds) == 1 else 3 * BATCH  # so that each control has several classes
    team.connect(batch_size=count, cold_start_per_class=0, audit_share=0.2, base_model=str(base), pre_annotate=True)
    team.wait_for_round(1)
    by_task = {}
    for number in range(count):
        task = team.annotators[number % 2].next_task(team.id)
        assert task is not None
        text = text_of(task["data"], spec)
        team.annotators[number % 2].submit(task["id"], spelled(spec, truth[text], text))
        by_task[task["id"]] = truth[text]
    done = team.wait_for_round(2)
    assert done.adapter == 1
    tasks = team.backend.store.of(team.id).tasks
    stored = {e.id: e.values for audit in (False, True) for e in tasks.labeled(audit=audit)}
    assert stored == by_task, "what was learned from is what was said"

    queue = team.published()
    assert team.project()["model_version"] == f"p{team.id}-a1-q{done.queue}"
    suggestions = {p["task"]: p for p in team.predictions(f"p{team.id}-a1-q{done.queue}")}
    assert [item.task_id for item in queue] == sorted(suggestions, key=lambda task: suggestions[task]["score"])
    assert all(suggestions[item.task_id]["result"] == [] for item in queue if item.audit)
    shown = [p for p in suggestions.values() if p["result"]]
    assert shown
    controls = {region["from_name"] for p in shown for region in p["result"]}
    assert controls == {control.name for control in spec.controls}
    for suggestion in shown[:5]:
        made = team.annotators[0].submit(suggestion["task"], suggestion["result"])
        annotation = team.call("GET", f"/api/annotations/{made}/")
        assert annotation["result"] == suggestion["result"]
        text = text_of(team.call("GET", f"/api/tasks/{suggestion['task']}/")["data"], spec)
        values = values_of(annotation, spec, text)
        unscored = [{k: v for k, v in region.items() if k != "score"} for region in suggestion["result"]]
        assert spelled(spec, values, text) == unscored
