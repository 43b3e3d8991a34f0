"""Whatever a task, an annotation or a label config holds: read, or refused with a sentence, and never an error of ours.

One odd annotation among paid ones must not keep a project from being read.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import UnsupportedConfigError
from backend.labelstudio.annotations import state_of
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse, refuse_unknown
from backend.labelstudio.predictions import spelled

CONFIG = (
    '<View><Text name="text" value="$text"/><Paragraphs name="p" value="$turns"/><HyperText name="h" value="$html"/>'
    '<Choices name="one" toName="text"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Choices name="many" toName="text" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Taxonomy name="tree" toName="text"><Choice value="a"><Choice value="b"/></Choice><Choice value="c"/></Taxonomy>'
    '<Rating name="stars" toName="text"/><Number name="number" toName="text"/>'
    '<TextArea name="answer" toName="text"/></View>'
)
SPANS = '<View><Text name="text" value="$text"/><Labels name="spans" toName="text"><Label value="a"/></Labels></View>'
PAIRS = '<View><Text name="x" value="$x"/><Text name="y" value="$y"/><Pairwise name="better" toName="x,y"/></View>'


def _words(words: str) -> list[str]:
    return words.split()


SPECS = [parse(config, []) for config in (CONFIG, SPANS, PAIRS)]
KEYS = st.sampled_from(
    [
        "result",
        "was_cancelled",
        "ground_truth",
        "from_name",
        "to_name",
        "type",
        "value",
        "choices",
        "taxonomy",
        "rating",
        "number",
        "labels",
        "text",
        "start",
        "end",
        "globalOffsets",
        "selected",
        "id",
        "turns",
        "html",
        "author",
        "x",
        "y",
    ]
)
NAMES = st.sampled_from(
    [
        "one",
        "many",
        "tree",
        "stars",
        "number",
        "answer",
        "spans",
        "better",
        "text",
        "choices",
        "taxonomy",
        "rating",
        "labels",
        "textarea",
        "pairwise",
        "a",
        "b",
        "left",
        "right",
    ]
)
NUMBERS = st.integers(-3, 12) | st.integers() | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | NAMES | st.text(max_size=8)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(KEYS | st.text(max_size=4), values, max_size=5)


JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | _objects(inner), max_leaves=20)
REGION = st.fixed_dictionaries({"from_name": NAMES, "type": NAMES, "value": _objects(JSON)})
RESULT = st.lists(REGION | JSON, max_size=4) | JSON
ANNOTATION = st.fixed_dictionaries({"result": RESULT, "was_cancelled": JSON, "ground_truth": JSON})
MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("spec", SPECS, ids=["many", "spans", "pairs"])
def test_any_annotation_is_read_or_says_nothing(spec: Any) -> None:
    @MANY
    @given(annotations=st.lists(ANNOTATION, max_size=3))
    def check(annotations: list[Any]) -> None:
        state = state_of(1, annotations, spec)
        names = {control.name for control in spec.controls}
        assert set(state.values) <= names
        for control in spec.controls:
            if control.name in state.values:
                assert control.target.offers(state.values[control.name])
        spelled(spec, state.values, "a text that they are about")

    check()


@pytest.mark.parametrize("spec", SPECS, ids=["many", "spans", "pairs"])
def test_any_data_is_read_as_some_text(spec: Any) -> None:
    @MANY
    @given(data=JSON | st.dictionaries(st.sampled_from(["text", "turns", "html", "x", "y"]), JSON, max_size=5))
    def check(data: Any) -> None:
        text_of(data, spec).encode()

    check()


TAGS = st.sampled_from(
    [
        "View",
        "Text",
        "Choices",
        "Choice",
        "Labels",
        "Label",
        "Rating",
        "Number",
        "TextArea",
        "Pairwise",
        "Taxonomy",
        "HyperText",
        "Paragraphs",
        "Image",
    ]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "toName",
            "value",
            "choice",
            "alias",
            "min",
            "max",
            "maxRating",
            "step",
            "perRegion",
            "visibleWhen",
            "whenTagName",
            "whenChoiceValue",
            "valueType",
            "nameKey",
        ]
    ),
    st.sampled_from(["a", "b", "$text", "$x", "a,b", "multiple", "true", "1", "5", "nan", "1e999", "", "-1"]),
    max_size=5,
)


def _element(tag: str, attributes: dict[str, str], inner: list[str]) -> str:
    return f"<{tag} {' '.join(f'{k}={chr(34)}{v}{chr(34)}' for k, v in attributes.items())}>{''.join(inner)}</{tag}>"


CONFIGS = st.recursive(
    st.builds(_element, TAGS, ATTRIBUTES, st.just([])),
    lambda inner: st.builds(_element, TAGS, ATTRIBUTES, st.lists(inner, max_size=4)),
    max_leaves=12,
).map(lambda inner: f"<View>{inner}</View>")


@MANY
@given(config=CONFIGS | st.text(), ignored=st.lists(st.sampled_from(["a", "b"]), max_size=2))
def test_any_label_config_is_understood_or_refused(config: str, ignored: list[str]) -> None:
    try:
        spec = parse(config, ignored)
        refuse_unknown(config, ignored)
    except UnsupportedConfigError:
        return
    state_of(1, [{"result": []}], spec)
    text_of({"text": "x"}, spec)
