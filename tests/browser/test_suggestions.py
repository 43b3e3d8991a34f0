"""Suggestions as the editor shows them: ticked, highlighted, filled in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.targets import unmarked
from tests.browser.conftest import Person
from tests.real import Team

NESTED = '<Choice value="goods"><Choice value="fruit"/><Choice value="tool"/></Choice><Choice value="none"/>'
TURNS = [("Ann", "Hello 😀 there"), ("Bo", ""), ("Cy", "Hi Bob")]
DIALOGUE = [{"author": author, "text": text} for author, text in TURNS]


def suggest(person: Person, team: Team, config: str, data: dict[str, Any], values: dict[str, Any]) -> None:
    """Import a prediction with these values, and open the task."""
    spec = parse(config)
    team.create([data], config)
    (task,) = team.call("GET", f"/api/tasks?project={team.id}&fields=all")["tasks"]
    result = spelled(spec, values, text_of(data, spec))
    prediction = {"task": task["id"], "result": result, "score": 0.5, "model_version": "m"}
    team.call("POST", "/api/predictions/", prediction)
    team.call("PATCH", f"/api/projects/{team.id}/", {"model_version": "m", "show_collab_predictions": True})
    person.start_labeling(team.id)


@pytest.mark.parametrize("choice", ["single", "multiple"])
def test_nested_choices_are_ticked(person: Person, team: Team, choice: str) -> None:
    config = (
        f'<View><Text name="t" value="$text"/><Choices name="c" toName="t" allowNested="true" choice="{choice}">'
        f"{NESTED}</Choices></View>"
    )
    value: Any = "goods / fruit" if choice == "single" else ["goods / fruit", "none"]
    suggest(person, team, config, {"text": "a pear"}, {"c": value})
    wanted = ["fruit"] if choice == "single" else ["fruit", "none"]
    expect(person.page.locator("input:checked").first).to_be_visible()
    assert person.chosen() == wanted


def test_spans_in_a_dialogue_are_highlighted(person: Person, team: Team) -> None:
    config = (
        '<View><ParagraphLabels name="l" toName="d"><Label value="A"/></ParagraphLabels>'
        '<Paragraphs name="d" value="$d" layout="dialogue"/></View>'
    )
    spec = parse(config)
    text = text_of({"d": DIALOGUE}, spec).replace("\u2029", "")
    spans = [[text.index(each), text.index(each) + len(each), "A"] for each in ("😀", "Bob")]
    suggest(person, team, config, {"d": DIALOGUE}, {"l": spans})
    marked = person.page.locator(".htx-highlight")
    expect(marked).to_have_count(2)
    assert marked.all_text_contents() == ["😀", "Bob"]


HTML = (  # after each construct a word of its own, whose offset shows what the editor counted before
    "<p>Dear <b>w0</b>,<br>w1</p>\r\n<!-- no --><p>w2 &amp; w3</p><style>p {}</style><p>w4</p><script>no()</script>"
    "<p>w5</p><template><p>unseen</p></template><p>w6</p><noscript>off</noscript><p>w7</p><pre>\nw8\n</pre><p>"
    "e\u0301 w9</p><p>👩‍👩‍👧 v0</p><table><tr><td>v1</td><td>v2</td></tr></table><ul><li>v3<li>v4</ul><p hidden>x</p>"
    "<textarea>\nv5</textarea><select><option>v6</option></select>v7"
)


def test_spans_in_html_are_highlighted(person: Person, team: Team) -> None:
    config = (
        '<View><HyperTextLabels name="l" toName="h"><Label value="A"/></HyperTextLabels>'
        '<HyperText name="h" value="$h" inline="true"/></View>'
    )
    text = unmarked(text_of({"h": HTML}, parse(config)))
    words = re.findall(r"[vw]\d", text)
    assert len(words) == 18
    shown = [word for word in words if word not in ("v5", "v6")]  # text in form fields cannot be highlighted
    spans = [[text.index(word), text.index(word) + 2, "A"] for word in shown]
    suggest(person, team, config, {"h": HTML}, {"l": spans})
    marked = person.page.locator(".htx-highlight")
    expect(marked.last).to_be_visible()
    assert marked.all_text_contents() == shown


def test_all_other_controls_are_filled_in(person: Person, team: Team) -> None:
    config = (
        '<View><Text name="t" value="$text"/>'
        '<Choices name="one" toName="t"><Choice value="a b"/><Choice value="c"/></Choices>'
        '<Choices name="some" toName="t" choice="multiple"><Choice value="x" alias="ex"/><Choice value="y"/>'
        '<Choice value="z"/></Choices>'
        '<Taxonomy name="tree" toName="t" showFullPath="true"><Choice value="Online"><Choice value="UGC"/></Choice>'
        '<Choice value="Offline"/></Taxonomy><Labels name="spans" toName="t"><Label value="A"/></Labels>'
        '<Rating name="stars" toName="t" maxRating="7"/><Number name="number" toName="t"/>'
        '<TextArea name="answer" toName="t"/></View>'
    )
    values = {
        "one": "c", "some": ["ex", "z"], "tree": ["Online", "Online / UGC", "Offline"], "spans": [[2, 6, "A"]],
        "stars": 3.0, "number": 2.5, "answer": "An answer.",
    }  # fmt: skip
    suggest(person, team, config, {"text": "a pear"}, values)
    page = person.page
    expect(page.locator("input:checked").first).to_be_visible()
    assert person.chosen() == ["c", "x", "z"], "values are shown, not aliases"
    expect(page.locator(".ant-select-selection-item-content")).to_have_text(["Online / UGC", "Offline"])
    expect(page.locator(".htx-highlight")).to_have_text("pear")
    expect(page.locator(".ant-rate-star-full")).to_have_count(3)
    expect(page.locator("input[type=number]")).to_have_value("2.5")
    expect(page.get_by_test_id("htx-textbox-content")).to_have_text("An answer.")


def test_the_choice_of_a_span_is_ticked_when_it_is_selected(person: Person, team: Team) -> None:
    config = (
        '<View><Labels name="l" toName="t"><Label value="A"/></Labels><Text name="t" value="$text"/>'
        '<Choices name="c" toName="t" perRegion="true"><Choice value="x"/><Choice value="y"/></Choices></View>'
    )
    values = {"l": [[0, 1, "A"], [2, 6, "A"]], "c": [[0, 1, "x"], [2, 6, "y"]]}
    suggest(person, team, config, {"text": "a pear"}, values)
    person.page.locator(".htx-highlight", has_text="pear").click()
    expect(person.page.locator("input:checked").first).to_be_visible()
    assert person.chosen() == ["y"]


def test_the_better_text_is_marked(person: Person, team: Team) -> None:
    config = (
        '<View><Text name="t" value="$text"/><Text name="u" value="$other"/><Pairwise name="c" toName="t,u"/></View>'
    )
    suggest(person, team, config, {"text": "one", "other": "two"}, {"c": "right"})
    marked = person.page.locator(".bg-primary-background", has=person.page.locator(".lsf-htx-richtext"))
    expect(marked).to_have_text("two")
