"""Which encoder reads a language."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from backend.learners.models import languages
from backend.learners.models.languages import encoder_for, unknown_share
from backend.learners.models.loading import tokenizer_of

TEXTS = {
    "English": ["The parcel came two days late and the box was damaged.", "please cancel my order asap!!"],
    "tweets": ["@jess omg cant believe its friyayyy #blessed", "rt if u luv the new yeezys lol"],
    "a doctor's English": ["Bilateral pneumothorax with idiopathic thrombocytopenic purpura, on methylprednisolone."],
    "code": ["def fit(self, X, y): return self.model.fit(X, y, epochs=10)", "ERROR conn timeout id=af93b2c1 retry=3"],
    "German": ["Die Lieferung kam zwei Tage zu spät und der Karton war beschädigt.", "Bitte stornieren!"],
    "French": ["La livraison est arrivée deux jours trop tard et le carton était abîmé."],
    "Polish": ["Przesyłka dotarła dwa dni za późno, a karton był uszkodzony."],
    "Russian": ["Доставка пришла на два дня позже, и коробка была повреждена."],
    "Chinese": ["这家餐厅的味道很好，下次还来。"],
    "Japanese": ["配達が二日遅れて、箱が壊れていました。"],
    "Korean": ["배송이 이틀 늦게 도착했고 상자가 손상되었습니다."],
    "Arabic": ["وصل الطلب متأخرا يومين وكان الصندوق تالفا."],
    "Hindi": ["डिलीवरी दो दिन देर से आई और डिब्बा टूटा हुआ था।"],
    "Vietnamese": ["Đơn hàng đến muộn hai ngày và hộp bị hỏng."],
}
ENGLISH = {"English", "tweets", "a doctor's English", "code"}


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "tokenizer_of", _loaded)


@cache
def _loaded(name: str) -> PreTrainedTokenizerBase:
    return tokenizer_of(name)


@pytest.mark.parametrize("language", TEXTS)
def test_the_encoder_fits_the_language(language: str) -> None:
    assert encoder_for(TEXTS[language]) == ("minilm" if language in ENGLISH else "multilingual")


def test_a_few_foreign_texts_among_english_ones_change_nothing() -> None:
    assert encoder_for(TEXTS["English"] * 20 + TEXTS["German"]) == "minilm"
    assert encoder_for(TEXTS["English"] * 2 + TEXTS["Chinese"] * 2) == "multilingual"
    assert encoder_for([]) == encoder_for([""]) == "minilm"


def test_the_share_of_unknown_pieces_leaves_special_ones_out(tiny_encoder: Path, tiny_decoder: Path) -> None:
    for folder in (tiny_encoder, tiny_decoder):
        tokenizer = tokenizer_of(str(folder))
        assert unknown_share(tokenizer, ["the old apple and a pear"]) == 0.0
        assert unknown_share(tokenizer, ["the old apple and a pear", "苹果 很 好 吃"]) == pytest.approx(4 / 10)
        assert unknown_share(tokenizer, []) == unknown_share(tokenizer, [""]) == 0.0
