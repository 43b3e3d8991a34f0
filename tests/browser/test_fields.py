"""What Label Studio's editor shows of a task is what the model reads."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from tests.browser.conftest import Person
from tests.real import Team

# Label Studio refuses to import a task without the field that follows a `$` at the very beginning.
DATA: dict[str, Any] = {
    "title": "Pears", "meta": {"text": "nested", "list": [1, 2.5]}, "items": [{"text": "first"}, "second"],
    "a.b": "literal", "a": {"b": "path"}, "list": ["ONE", None, "TWO", ["x", "y"]], "nothing": None, "yes": True,
    "whole": 3.0, "large": 1e21, "many": 123456789012345678901, "small": 1.5e-7, "code": "SSBib3VnaHQgYSBwZWFy",
    "unicode": "w6kg5Lit", "odd": "a < b & c 😀 é", "zero": 0,
}  # fmt: skip
VALUES = [
    "$title", "$meta.text", "$items[0].text", "$items[1]", "$a.b", "$list", "$meta.list", "$yes", "$whole", "$large",
    "$many", "$small", "$odd", "$zero", "Title: $title", "= $title, $meta.text!", "= $title $nothing $yes",
    "=$title$whole",
    "in $ $title", "by $title.", "no $title-$whole",
]  # fmt: skip
CODED = {"$code": "base64", "$unicode": "base64unicode"}


def test_fields_of_many_kinds(person: Person, team: Team) -> None:
    texts = [f'<Text name="t{row}" value="{value}"/>' for row, value in enumerate(VALUES)]
    texts += [f'<Text name="{code}" value="{value}" encoding="{code}"/>' for value, code in CODED.items()]
    config = (
        f'<View>{"".join(texts)}<Choices name="c" toName="t0"><Choice value="x"/><Choice value="y"/></Choices></View>'
    )
    team.create([DATA], config)
    person.start_labeling(team.id)
    shown = person.page.locator(".lsf-richtext__container")
    expect(shown).to_have_count(len(texts))
    spec = parse(config)
    by_editor = {each.value: shown.nth(row).text_content() for row, each in enumerate(spec.inputs)}
    by_us = {each.value: text_of(DATA, type(spec)(spec.controls, (each,))) for each in spec.inputs}
    assert by_us == by_editor
