"""What a label config says of its classes."""

from __future__ import annotations

import pytest

from backend.labelstudio.controls.class_texts import has_words
from backend.labelstudio.label_config.parse import parse

VIEW = '<View><Text name="text" value="$text"/>{}</View>'


def texts_of(control: str) -> tuple[str, ...]:
    return parse(VIEW.format(control)).controls[0].class_texts


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ('<Choice value="Refund"/>', "Refund"),
        ('<Choice value="card_not_working"/>', "card not working"),
        ('<Choice value="cardNotWorking"/>', "card Not Working"),
        ('<Choice value="Refund" alias="r1"/>', "Refund"),
        ('<Choice value="😀" alias="happy"/>', "happy"),
        ('<Choice value="1" alias="A" hint="one star"/>', "one star"),
        ('<Choice value="Refund" hint="money back"/>', "Refund: money back"),
        ('<Choice value="体育"/>', "体育"),
        ('<Choice value="A"/>', ""),
        ('<Choice value="17"/>', ""),
        ('<Choice value="x17"/>', ""),
    ],
)
def test_a_choice_in_words(choice: str, text: str) -> None:
    control = f'<Choices name="topic" toName="text">{choice}<Choice value="other one"/></Choices>'
    assert texts_of(control) == (text, "other one")


def test_a_node_of_a_taxonomy_is_preceded_by_its_path() -> None:
    control = (
        '<Taxonomy name="topic" toName="text"><Choice value="living_things" alias="l"><Choice value="fruit"/>'
        '<Choice value="B"/></Choice><Choice value="tool" hint="made by people"/></Taxonomy>'
    )
    spec = parse(VIEW.format(control)).controls[0]
    assert spec.target.classes == ("l", "l / fruit", "l / B", "tool")
    assert spec.class_texts == ("living things", "living things fruit", "", "tool: made by people")


def test_labels_of_spans_have_texts_and_sides_of_pairs_have_none() -> None:
    assert texts_of('<Labels name="t" toName="text"><Label value="Person"/><Label value="Org"/></Labels>') == (
        "Person", "Org",
    )  # fmt: skip
    pair = '<View><Text name="a" value="$a"/><Text name="b" value="$b"/><Pairwise name="best" toName="a,b"/></View>'
    assert not any(parse(pair).controls[0].class_texts)


def test_what_is_a_word() -> None:
    assert [text for text in ("ok", "no.", "été", "日", "한", "нет") if not has_words(text)] == []
    assert [text for text in ("", "a", "1 2", "x-1", "!!", "_") if has_words(text)] == []
