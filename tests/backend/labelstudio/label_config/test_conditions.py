"""When a control is shown."""

from __future__ import annotations

from typing import Any

import pytest

from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config.parse import parse

TOPIC = (
    '<Choices name="topic" toName="t" choice="multiple"><Choice value="Fruit!" alias="fruit"/>'
    '<Choice value="Tool"/><Choice value="Animal"/></Choices>'
)
COLOUR = '<Choices name="colour" toName="t" {}><Choice value="red"/><Choice value="green"/></Choices>'


def shown(attributes: str, *topics: str, around: str = "") -> bool:
    colour = COLOUR.format(attributes)
    config = f'<View><Text name="t" value="$t"/>{TOPIC}<View {around}>{colour}</View></View>'
    result: list[dict[str, Any]] = [
        {"from_name": "topic", "to_name": "t", "type": "choices", "value": {"choices": list(topics)}},
        {"from_name": "colour", "to_name": "t", "type": "choices", "value": {"choices": ["red"]}},
    ]
    return "colour" in values_of({"result": result if topics else result[1:]}, parse(config))


WHEN = 'visibleWhen="choice-selected" whenTagName="topic"'


@pytest.mark.parametrize(
    ("attributes", "topics", "is_shown"),
    [
        (f'{WHEN} whenChoiceValue="Fruit!"', ["fruit"], True),  # names the value, results hold the alias
        (f'{WHEN} whenChoiceValue="fruit"', ["fruit"], True),
        (f'{WHEN} whenChoiceValue="Tool,Fruit!"', ["fruit"], True),
        (f'{WHEN} whenChoiceValue="Tool"', ["fruit"], False),
        (WHEN, ["Animal"], True),
        (WHEN, [], False),
        (WHEN.replace("-selected", "-unselected"), [], True),
        (WHEN.replace("-selected", "-unselected"), ["Tool"], False),
        ('visibleWhen="choice-selected"', ["Tool"], True),  # any choice of any control
        ('whenTagName="topic" whenChoiceValue="Tool"', ["Tool"], True),
        ('whenTagName="topic" whenChoiceValue="Tool"', ["Animal"], False),
        ('whenTagName="topic"', [], True),  # says nothing by itself
        ('visiblewhen="choice-selected" whentagname="topic" WHENCHOICEVALUE="Tool"', ["fruit"], False),
        ('visibleWhen="region-selected"', [], True),
    ],
)
def test_it_depends_on_choices(attributes: str, topics: list[str], is_shown: bool) -> None:
    assert shown(attributes, *topics) is is_shown
    assert shown("", *topics, around=attributes) is is_shown
