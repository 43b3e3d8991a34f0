"""Label configs: what is understood, and the sentence for what is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.parse import parse, refuse_unknown
from backend.labelstudio.label_config.task_spec import Condition, Control, Input
from backend.labelstudio.label_config.unsupported import RELATIONS
from backend.targets import Target


def config(control: str, text: str = '<Text name="t" value="$body"/>') -> str:
    return f"<View><Header value='Hi'/>{text}{control}</View>"


def test_single_choice_on_a_text() -> None:
    spec = parse(config('<Choices name="c" toName="t"><Choice value="A &amp; B"/><Choice value="é 中"/></Choices>'))
    target = Target("c", "classification", ("A & B", "é 中"))
    assert spec.controls == (Control(target, "t", "choices", labels=("t",), class_texts=("", "é 中")),)
    assert spec.inputs == (Input("t", "Text", "$body"),)


def test_aliases_are_what_annotations_hold() -> None:
    spec = parse(config('<Choices name="c" toName="t"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices>'))
    assert spec.targets[0].classes == ("y", "No")


LABELS = '<Labels name="l" toName="t"><Label value="Per son" alias="PER"/><Label value="中"/></Labels>'
THREE = '<Text name="t" value="$a"/><Text name="u" value="$b"/><Text name="q" value="$question"/>'
TREE = '<Choice value="A"><Choice value="B" alias="b"/><Choice value="C"/></Choice><Choice value="D"/>'
TWO = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("", "label config is empty"),
        ("   ", "label config is empty"),
        ("<View>", "cannot be read"),
        ("<View/>", "has no control to learn"),
        (config('<Choices name="c" toName="t"/>'), "at least 2 choices, not 0"),
        (config('<Choices name="c" toName="t" value="$options"/>'), "takes its choices from $options; supported are"),
        (
            config('<DateTime name="d" toName="t"/><Ranker name="r" toName="t"/>'),
            ". <Ranker name='r'> is not supported",
        ),
        (
            config(TWO + "".join(f'<DateTime name="{each}" toName="t"/>' for each in "vwxyz")),
            ". 2 more cannot be learned. Supported are <Choices>, <Taxonomy>, <Rating>, <Number>, <Labels>, "
            "<Pairwise> and <TextArea> on <Text>, <HyperText> and <Paragraphs>. To learn the other controls only, set "
            '{"ignore_controls": ["v", "w", "x", "y", "z"]} in the extra params',
        ),
        (config('<Taxonomy name="c" toName="t" apiUrl="$url"/>'), "takes its choices from $url; supported are"),
        (config(TWO.replace(' toName="t"', ""), THREE), 'does not name the text that it labels; add toName="…"'),
        (config(TWO + '<DateTime name="дата" toName="t"/>'), '{"ignore_controls": ["\\u0434\\u0430\\u0442\\u0430"]}'),
        (config(f'<Repeater on="$items">{TWO}</Repeater>'), "is shown for each element of $items"),
        (config('<Choices name="c" toName="t" choice="none"><Choice value="a"/></Choices>'), "choice='none'"),
        (config('<Taxonomy name="c" toName="t"/>'), "at least 1 choices, not 0"),
        (config('<Taxonomy name="c" toName="t" maxUsages="x"><Choice value="a"/></Taxonomy>'), "maxUsages='x'"),
        (config('<Number name="n" toName="t" min="x"/>'), "<Number name='n'> has min='x', which is not a number"),
        (config('<Number name="n" toName="t" min="5" max="1"/>'), "the range 5 to 1"),
        (config('<Number name="n" toName="t" step="0"/>'), "step='0'; it must be above 0"),
        (config('<Choices name="c" toName="x"><Choice value="a"/><Choice value="b"/></Choices>'), "labels nothing"),
        (config('<DateTime name="r" toName="t"/>'), "<DateTime name='r'> is not supported"),
        (config(TWO + '<DateTime name="r" toName="t"/>'), "<DateTime name='r'> is not supported"),
        (config('<Pairwise name="p" toName="t"/>'), "<Pairwise name='p'> compares two texts: name both"),
        (config('<Pairwise name="p" toName="t,t"/>'), "<Pairwise name='p'> compares two texts: name both"),
        (config('<Pairwise name="p" toName="t,u"/>'), "<Pairwise name='p'> labels nothing"),
        (
            config('<Pairwise name="p" toName="t,u"/><Pairwise name="r" toName="u,t"/>', THREE),
            "<Pairwise> 'p' and 'r' compare different texts",
        ),
        (
            config(LABELS, '<Paragraphs name="t" value="$h"/>'),
            "cannot mark <Paragraphs>; use <Labels> on",
        ),
        (config(TWO, '<Text name="t" value="$a" valueType="url"/>'), "reads its text from a URL"),
        (
            config(LABELS + TWO.replace('toName="t"', 'toName="u"'), THREE),
            "'l' marks spans of the text 't', and 'c' labels 'u': controls beside spans must label the same text",
        ),
        (
            config(TWO, '<Image name="t" value="$i"/>'),
            "labels <Image>",
        ),
        (
            config(TWO, '<Text name="t" value="fixed"/>'),
            "must name a field of the task",
        ),
        (config(TWO.replace("toName", 'perRegion="true" toName')), "regions"),
    ],
)
def test_what_is_not_supported_is_said(broken: str, sentence: str) -> None:
    with pytest.raises(UnsupportedConfigError, match=None) as refused:
        parse(broken)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("control", "target"),
    [
        (TWO, Target("c", "classification", ("a", "b"))),
        (TWO.replace("toName", 'choice="multiple" toName'), Target("c", "multilabel", ("a", "b"))),
        (LABELS, Target("l", "spans", ("PER", "中"))),
        ('<TextArea name="a" toName="t" rows="4"/>', Target("a", "generation")),
        ('<Rating name="r" toName="t"/>', Target("r", "regression", low=1, high=5, step=1)),
        ('<Rating name="r" toName="t" maxRating="7"/>', Target("r", "regression", low=1, high=7, step=1)),
        ('<Number name="n" toName="t" min="-1.5" max="4"/>', Target("n", "regression", low=-1.5, high=4)),
        (
            f'<Taxonomy name="x" toName="t">{TREE}</Taxonomy>',
            Target("x", "multilabel", ("A", "A / b", "A / C", "D"), parents=(-1, 0, 0, -1)),
        ),
        (
            f'<Taxonomy name="x" toName="t" leafsOnly="true">{TREE}</Taxonomy>',
            Target("x", "multilabel", ("A / b", "A / C", "D")),
        ),
        (
            f'<Taxonomy name="x" toName="t" maxUsages="1">{TREE}</Taxonomy>',
            Target("x", "classification", ("A", "A / b", "A / C", "D"), parents=(-1, 0, 0, -1)),
        ),
        (
            f'<Taxonomy name="x" toName="t" leafsOnly="true" maxUsages="1">{TREE}</Taxonomy>',
            Target("x", "classification", ("A / b", "A / C", "D")),
        ),
    ],
)
def test_every_kind_of_control(control: str, target: Target) -> None:
    spec = parse(config(control))
    assert spec.targets == (target,)
    assert spec.controls[0].to_name == "t"


def test_controls_can_be_left_out_also_those_that_are_not_supported() -> None:
    both = config(TWO + '<DateTime name="d" toName="t"/><Ranker name="remarks" toName="t"/>')
    with pytest.raises(
        UnsupportedConfigError, match=r'To learn the other controls only, set .*"ignore_controls": \["d", "remarks"\]'
    ):
        parse(both)
    assert parse(both, ["d", "remarks"]).targets == (Target("c", "classification", ("a", "b")),)
    assert parse(both, ["d", "remarks", "gone"]) == parse(both, ["d", "remarks"])
    refuse_unknown(both, ["d", "remarks"])
    with pytest.raises(
        UnsupportedConfigError, match=r"names 'x', which is not in the label config; it has c, d, remarks"
    ):
        refuse_unknown(both, ["d", "x"])
    with pytest.raises(UnsupportedConfigError, match="no control to learn"):
        parse(both, ["c", "d", "remarks"])


def test_two_texts_compared() -> None:
    spec = parse(config('<Pairwise name="p" toName="t, u"/>', THREE))
    assert spec.controls == (
        Control(Target("p", "pairwise", ("left", "right")), "t", "pairwise", labels=("t", "u"), class_texts=("", "")),
    )  # fmt: skip
    assert [each.name for each in spec.inputs] == ["t", "u", "q"]
    assert spec.sides == ("t", "u")


def test_several_controls_several_texts_and_what_is_shown_when() -> None:
    texts = '<Text name="t" value="$a"/><HyperText name="h" value="$b"/><Paragraphs name="p" value="$c" nameKey="who"/>'
    shown = '<Rating name="r" toName="h" visibleWhen="choice-selected" whenTagName="c" whenChoiceValue="a,b"/>'
    spec = parse(config(TWO + shown, texts))
    assert [control.name for control in spec.controls] == ["c", "r"]
    assert [source.value for source in spec.inputs] == ["$a", "$b", "$c"]
    assert spec.inputs[2] == Input("p", "Paragraphs", "$c", author_key="who")
    assert spec.controls[0].conditions == ()
    assert spec.controls[1].conditions == (Condition("c", frozenset({"a", "b"}), shown=True),)
    view = f'<View visibleWhen="choice-unselected" whenTagName="c">{shown}</View>'
    assert parse(config(TWO + view, texts)).controls[1].conditions == (
        Condition("c", frozenset({"a", "b"}), shown=True), Condition("c", frozenset(), shown=False),
    )  # fmt: skip
    fixed = parse(config(TWO, '<Text name="t" value="$a"/><Text name="u" value="Read this"/>'))
    assert [source.name for source in fixed.inputs] == ["t"]


def test_the_case_of_tags_and_attributes_does_not_matter() -> None:
    usual = config(TWO.replace("<Choices", '<Choices choice="multiple"') + '<TextArea name="a" toName="t"/>')
    other = usual.replace("toName", "toname").replace("Choice", "choice").replace("TextArea", "Textarea")
    assert parse(other.replace("<Text ", "<text ")) == parse(usual)
    assert parse(config(TWO + '<Rating name="r" toName="t" perregion="true"/>')).left_out


def test_a_missing_to_name_is_the_only_text() -> None:
    assert parse(config(TWO.replace(' toName="t"', ""))) == parse(config(TWO))


def test_a_text_may_stand_between_its_tags() -> None:
    assert parse(config(TWO, '<Text name="t">$body</Text>')) == parse(config(TWO))
    inside = parse(config(TWO, '<HyperText name="t"><p>Dear $name,</p></HyperText>'))
    assert inside.inputs[0].value == "<p>Dear $name,</p>"


def test_what_cannot_be_learned_is_left_out_beside_what_can() -> None:
    repeated = '<Repeater on="$items"><Rating name="r_{{idx}}" toName="t"/></Repeater>'
    spec = parse(config(TWO + repeated + '<Rating name="stars"/>', THREE))
    assert [each.name for each in spec.controls] == ["c"]
    first, second = spec.left_out
    assert "is shown for each element of $items" in first
    assert "does not name the text" in second
    with pytest.raises(UnsupportedConfigError, match="does not name the text"):
        parse(config('<Rating name="stars"/>', THREE))


def test_nested_choices_are_paths() -> None:
    nested = (
        '<Choices name="c" toName="t" {}><Choice value="goods"><Choice value="fruit"/><Choice value="x" alias="y"/>'
        '</Choice><Choice value="other"><Choice value="fruit"/></Choice><Choice value="none"/></Choices>'
    )
    (control,) = parse(config(nested.format('allowNested="true"'))).controls
    assert control.target.classes == ("goods / fruit", "goods / y", "other / fruit", "none")
    assert control.class_texts == ("goods fruit", "", "other fruit", "none")
    assert parse(config(nested.format(""))).targets[0].classes == ("goods", "other", "none"), "the others are not shown"


def test_equal_names_of_different_paths_stay_apart() -> None:
    paths = '<Choice value="A / B"/><Choice value="A"><Choice value="B"/></Choice>'
    (control,) = parse(config(f'<Taxonomy name="c" toName="t">{paths}</Taxonomy>')).controls
    assert control.target.classes == ("A / B", "A", "A > B")


def test_a_project_may_keep_one_leaf_per_text() -> None:
    (control,) = parse(config(f'<Taxonomy name="x" toName="t">{TREE}</Taxonomy>'), taxonomy="leaf").controls
    assert control.target == Target("x", "classification", ("A / b", "A / C", "D"))


def test_a_single_choice_is_given_or_not() -> None:
    (control,) = parse(config('<Choices name="c" toName="t"><Choice value="unsure"/></Choices>')).controls
    assert (control.target.kind, control.target.classes) == ("multilabel", ("unsure",))


def test_beside_spans_only_their_text_is_read() -> None:
    spec = parse(config(LABELS + TWO, THREE))
    assert [each.name for each in spec.inputs] == ["t"]


def test_context_names_the_texts_that_are_read_beside_the_labeled_one() -> None:
    def read(control: str, *context: str) -> list[tuple[str, bool]]:
        return [(each.name, each.is_marked) for each in parse(config(control, THREE), context=context).inputs]

    assert read(LABELS, "q") == [("t", True), ("q", False)]
    assert read(LABELS) == [("t", True)]
    assert read(TWO, "q") == [("t", False), ("q", False)]
    assert read(TWO) == [("t", False)]
    with pytest.raises(UnsupportedConfigError, match=r"context names 'x', which is not in the .*; it has t, u, q"):
        refuse_unknown(config(TWO, THREE), [], ["x"])


def test_relations_are_left_out_with_a_word() -> None:
    relations = '<Relations><Relation value="of"/></Relations>'
    assert parse(config(LABELS + relations)).left_out == (RELATIONS,)
    with pytest.raises(UnsupportedConfigError, match="no control to learn"):
        parse(config(LABELS + relations), ["l"])


HA = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
LAUGHS = f'<!DOCTYPE View [<!ENTITY a "ha">{HA}]>'
LONG = f'<!DOCTYPE View [<!ENTITY a "{"x" * 50_000}">]>'


@pytest.mark.parametrize(
    "hostile",
    [
        LAUGHS + config(TWO.replace('"a"', '"&j;"')),
        LAUGHS + config(f"<Header>&j;</Header>{TWO}"),
        LONG + config(TWO.replace('"a"', '"' + "&a;" * 2000 + '"')),
        "<View>" * 5000 + config(TWO) + "</View>" * 5000,
    ],
)
def test_label_configs_that_grow_or_nest_without_end_are_refused_at_once(hostile: str) -> None:
    began = time.process_time()
    with pytest.raises(UnsupportedConfigError, match=r"cannot be read: (Maximum entity|Excessive depth)"):
        parse(hostile)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("place", ['<Text name="t" value="$body &x;"/>', '<Choice value="z">&x;</Choice>'])
def test_a_label_config_reads_no_file_and_calls_no_host(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*_: object) -> None:
        raise AssertionError("it called a host")

    monkeypatch.setattr("socket.socket.connect", called)
    (tmp_path / "secret.txt").write_text("TOPSECRET")
    inside = config(TWO.replace("</Choices>", f"{place}</Choices>") if "Choice" in place else TWO + place)
    for outside in (f"[<!ENTITY x SYSTEM 'file://{tmp_path}/secret.txt'>]", "SYSTEM 'http://192.0.2.1/x.dtd'"):
        try:
            found = repr(parse(f"<!DOCTYPE View {outside}>{inside}"))
        except UnsupportedConfigError as refused:
            found = str(refused)
        assert "TOPSECRET" not in found


def test_very_large_label_configs_take_time_in_proportion() -> None:
    began = time.process_time()
    many = "".join(f'<Choice value="class {number}"/>' for number in range(10_000))
    assert len(parse(config(f'<Choices name="c" toName="t">{many}</Choices>')).targets[0].classes) == 10_000
    controls = "".join(TWO.replace('"c"', f'"c{number}"') for number in range(400))
    assert len(parse(config(controls)).controls) == 400
    deep = "".join(f'<Choice value="v{number}">' for number in range(240)) + '<Choice value="x"/>' + "</Choice>" * 240
    assert len(parse(config(f'<Taxonomy name="c" toName="t">{deep}</Taxonomy>')).targets[0].classes) == 241
    parse(config("<!-- a comment -->" * 20_000 + "<?python exec?>" + TWO))
    assert time.process_time() - began < 30
