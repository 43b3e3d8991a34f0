"""An adapter to take away is what serves, and its card says how to load it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from zipfile import ZipFile

import pytest
from huggingface_hub import ModelCard

from backend.errors import BackendError, ModelError
from backend.learners.learner import LoraLearner
from backend.learners.models.cache import BaseModels
from backend.learners.models.usage import Pooling, Usage
from backend.overview.card import card, write_merged, write_zip
from backend.store import Store
from tests.backend.played import project_of
from tests.conftest import class_probs


def test_the_snippet_of_the_card_predicts_as_we_do(
    played: Store, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    file = io.BytesIO()
    write_zip(played, project_of(played), adapter, file)
    ZipFile(file).extractall(tmp_path / "taken")
    folder = tmp_path / "taken" / "p7-a2"
    page = (folder / "README.md").read_text("utf-8")
    for sentence in ("Fruit & tools", "`topic`: classification of 3",
                     f"Trained on {adapter.examples} labeled texts, measured on"):  # fmt: skip
        assert sentence in page
    assert ModelCard(page).data.to_dict() == {
        "library_name": "peft", "base_model": str(tiny_encoder), "tags": ["active-learning", "label-studio", "lora"]
    }  # fmt: skip
    assert re.search(r"\| `topic` \| accuracy \| [01]\.\d{3} \| [01]\.\d{3} to [01]\.\d{3} \| \d+ \|", page)
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(code, names)
    texts = ["the old hammer and saw", "a plum"]
    ours = class_probs(
        LoraLearner.load(BaseModels().get(str(tiny_encoder)), "x", played.files.adapters(7).path(2)), texts
    )
    for text, probs in zip(texts, ours, strict=True):
        theirs = names["classify"](text)  # type: ignore[operator]
        assert list(theirs) == ["fruit", "tool", "animal"]
        assert list(theirs.values()) == pytest.approx(probs.tolist(), abs=1e-5)


def test_the_merged_model_predicts_as_we_do_without_peft(
    played: Store, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    folder = tmp_path / "merged"
    write_merged(played, project_of(played), adapter, folder)
    page = (folder / "README.md").read_text("utf-8")
    assert "peft" not in page
    assert ModelCard(page).data.to_dict()["library_name"] == "transformers"
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(code, names)
    text = "the old hammer and saw"
    adapted = LoraLearner.load(BaseModels().get(str(tiny_encoder)), "x", played.files.adapters(7).path(2))
    (ours,) = class_probs(adapted, [text])
    theirs = names["classify"](text)  # type: ignore[operator]
    assert list(theirs.values()) == pytest.approx(ours.tolist(), abs=1e-4)
    assert max(theirs, key=theirs.get) == "tool"
    with pytest.raises(BackendError, match="is not an empty folder"):
        write_merged(played, project_of(played), adapter, folder)


@pytest.mark.parametrize("base", ["openai:some-70b", "org/some-model:4bit"])
def test_weights_that_are_not_here_are_not_merged(played: Store, tmp_path: Path, base: str) -> None:
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    adapter.base_model = base
    with pytest.raises(ModelError, match="its full weights are not here"):
        write_merged(played, project_of(played), adapter, tmp_path / "merged")


@pytest.mark.parametrize(("pooling", "pooled"), [("cls", "[0]"), ("lasttoken", "[-1]"), ("mean", ".mean(dim=0)")])
def test_the_card_reads_texts_as_the_adapter_was_trained_to(
    played: Store, monkeypatch: pytest.MonkeyPatch, pooling: Pooling, pooled: str
) -> None:
    monkeypatch.setattr("backend.overview.card.usage_of", lambda folder, *, is_decoder: Usage(pooling, "query: "))
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    page = card(played, project_of(played), adapter)
    assert f"last_hidden_state[0]{pooled}\n" in page
    assert 'tokenizer(["query: " + text], ' in page


def test_an_adapter_that_nobody_measured_says_so(played: Store) -> None:
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    played.of(7).rounds.set(3, evaluation=None)
    assert "Not measured" in card(played, project_of(played), adapter)


def test_the_card_of_prompts_says_what_they_are_for(played: Store) -> None:
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    adapter.base_model = "openai:some-70b"
    page = card(played, project_of(played), adapter)
    for sentence in ("- Model: `some-70b`", "`prompts.json`", "`topic`: classification of 3", "| `topic` | accuracy |"):
        assert sentence in page
    assert ModelCard(page).data.to_dict() == {"tags": ["active-learning", "label-studio"]}
