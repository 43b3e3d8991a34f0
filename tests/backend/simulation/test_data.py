"""Labeled texts from every kind of file, and mistakes that are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.simulation.data import DataError, Labeled, read, split


def exported(*choices: str, text: str, **annotation: Any) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation for each choice."""
    result = [[{"from_name": "topic", "type": "choices", "value": {"choices": [c]}}] for c in choices]
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": each, **annotation} for each in result]}


WRITTEN = {
    "a.jsonl": '{"text": "one, two", "label": "x"}\n\n{"text": "drei ü", "label": "y"}\n',
    "a.csv": '\ufefftext,label\n"one, two",x\ndrei ü,y\n',
    "a.tsv": "text\tlabel\none, two\tx\ndrei ü\ty\n",
    "min.json": json.dumps([{"text": "one, two", "label": "x", "id": 4}, {"text": "drei ü", "label": "y"}]),
    "full.json": json.dumps(
        [
            exported("x", "y", "x", text="one, two"),
            exported("y", text="drei ü"),
            exported("x", "y", text="tied"),
            exported("x", text="skipped", was_cancelled=True),
            exported(text="unlabeled"),
        ]
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_kind_of_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(WRITTEN[name], "utf-8")
    found = read(path)
    assert list(found.texts) == ["one, two", "drei ü"]
    assert list(found.labels) == ["x", "y"]


@pytest.mark.parametrize("kind", ["choices", "taxonomy"])
def test_nested_choices_are_labels_by_their_path(kind: str, tmp_path: Path) -> None:
    tasks = [
        {"data": {"text": name}, "annotations": [{"result": [
            {"from_name": "topic", "type": kind, "value": {kind: [["goods", name]]}}
        ]}]}
        for name in ("fruit", "tool")
    ]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(tasks), "utf-8")
    assert list(read(tmp_path / "a.json").labels) == ["goods / fruit", "goods / tool"]


def test_a_ground_truth_decides_alone(tmp_path: Path) -> None:
    task = exported("x", "x", "y", text="t")
    task["annotations"][2]["ground_truth"] = True
    (tmp_path / "a.json").write_text(json.dumps([task, exported("x", text="u")]), "utf-8")
    assert list(read(tmp_path / "a.json").labels) == ["y", "x"]


def test_of_two_controls_one_must_be_named(tmp_path: Path) -> None:
    tasks = [exported(topic, text=topic) for topic in ("x", "y")]
    for task in tasks:
        mood = {"from_name": "mood", "type": "choices", "value": {"choices": ["good"]}}
        task["annotations"][0]["result"].append(mood)
    (tmp_path / "a.json").write_text(json.dumps(tasks), "utf-8")
    with pytest.raises(DataError, match="holds choices of mood, topic; name one of them with --label"):
        read(tmp_path / "a.json")
    assert list(read(tmp_path / "a.json", label="topic").labels) == ["x", "y"]


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\x85d\x0ce"]
    (tmp_path / "a.jsonl").write_text(
        "\r\n".join(json.dumps({"text": t, "label": t[0]}, ensure_ascii=False) for t in texts), "utf-8", newline=""
    )
    assert list(read(tmp_path / "a.jsonl").texts) == texts
    (tmp_path / "a.csv").write_text(f'text,label\r\n"{texts[0]}\r\nf",x\r\n{texts[1]},y\r\n', "utf-8", newline="")
    assert list(read(tmp_path / "a.csv").texts) == [texts[0] + "\r\nf", texts[1]]


def test_rows_without_a_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": null, "label": "z"}\n' + WRITTEN["a.jsonl"], "utf-8")
    assert len(read(tmp_path / "a.jsonl").texts) == 2


def test_fields_of_other_names(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one", "topic": 1}\n{"body": "two", "topic": 2}\n', "utf-8")
    found = read(tmp_path / "a.jsonl", "body", "topic")
    assert list(found.labels) == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"text": "a", "label": "x"}\n', "fewer than two classes"),
        ('{"body": "a", "label": "x"}\n', r"row 1 has no field 'text'; it has body, label. Name the field with --text"),
        ('{"text": "a", "topic": "x"}\n', r"row 1 has no field 'label'. Name the field with --label"),
        ('{"text": "a", "label": \n', "neither JSONL, CSV, TSV nor a JSON export"),
        ('{"text": "a", "label": ["x"]}', "row 1: 'label' holds several values; expected one class per text"),
        ('["a"]', r"row 1: expected an object with 'text' and 'label'"),
        ("", "fewer than two classes"),
    ],
)
def test_mistakes_are_named(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(content, "utf-8")
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / "a.jsonl")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.csv cannot be read: No such file"):
        read(tmp_path / "nothing.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "big5", "cp1252"])
def test_encodings_of_spreadsheets(encoding: str, tmp_path: Path) -> None:
    texts = {
        "big5": ["這家餐廳的菜色非常好吃，服務也很親切，下次還會再來", "等了一個小時才上菜，而且味道普通，不推薦"],
        "cp1252": ["Das Essen war köstlich, die Gäste fühlten sich wohl", "Größere Portionen wären schön, übrigens"],
    }.get(encoding, ["这家餐厅的菜非常好吃，服务也很热情，下次还会再来", "等了一个小时才上菜，而且味道一般，不推荐"])
    lines = "".join(f'"{text}",{label}\n' for text, label in zip(texts * 10, ["good", "bad"] * 10, strict=True))
    (tmp_path / "a.csv").write_bytes(f"text,label\n{lines}".encode(encoding))
    assert list(read(tmp_path / "a.csv").texts) == texts * 10


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(DataError):
        read(tmp_path / "a.csv")


def test_a_fifth_of_each_class_is_tested_on() -> None:
    whole = Labeled([f"text {n}" for n in range(103)], ["rare" if n % 10 == 0 else "common" for n in range(103)])
    train, test = split(whole)
    assert sorted([*train.texts, *test.texts]) == sorted(whole.texts)
    assert set(train.texts).isdisjoint(test.texts)
    assert (test.labels.count("rare"), len(test.texts)) == (2, 21)
    assert split(whole) == (train, test)
    with pytest.raises(DataError, match="too few texts"):
        split(Labeled(["a", "b"], ["x", "y"]))


def test_no_class_and_no_text_is_tested_on_without_need() -> None:
    labels = [f"class {n % 40}" for n in range(41)]  # one of them twice
    whole = Labeled([f"text {n}" for n in range(41)] + ["again"] * 10, labels + ["many"] * 10)
    with pytest.raises(DataError, match="too few texts"):
        split(whole)
    whole = Labeled([f"text {n}" for n in range(160)], [f"class {n % 40}" for n in range(160)])
    assert len(set(split(whole)[1].labels)) == 40
