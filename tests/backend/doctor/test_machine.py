"""Whether the base model knows the language of the texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.doctor.machine import language
from backend.learners.base_model import BaseModel
from backend.learners.models import BaseModels
from backend.options import ProjectOptions

KNOWN, FOREIGN = ["the old apple and a pear"], ["the old apple and a pear", "苹果 很 好 吃"]


def test_the_share_of_unknown_pieces_leaves_special_ones_out(tiny_encoder: Path, tiny_decoder: Path) -> None:
    for folder in (tiny_encoder, tiny_decoder):
        base = BaseModel(str(folder))
        assert base.unknown_share(KNOWN, 32) == 0.0
        assert base.unknown_share(FOREIGN, 32) == pytest.approx(4 / 10)
        assert base.unknown_share([], 32) == base.unknown_share([""], 32) == 0.0


def test_a_foreign_language_is_a_warning_with_what_to_do(tiny_encoder: Path, tmp_path: Path) -> None:
    options = ProjectOptions.from_extra_params({"base_model": str(tiny_encoder)})
    fine = language(BaseModels(), options, KNOWN, 7)
    assert fine is not None
    assert (fine.status, fine.project) == ("ok", 7)
    found = language(BaseModels(), options, FOREIGN, 7)
    assert found is not None
    assert found.status == "warning"
    assert "does not know 40% of the word pieces of the texts" in found.found
    assert "set base_model" in found.remedy
    assert language(BaseModels(), options, [], 7) is None
    elsewhere = ProjectOptions.from_extra_params({"base_model": str(tmp_path / "nothing")})
    assert language(BaseModels(), elsewhere, FOREIGN, 7) is None, "the check of the model reports it"
    served = ProjectOptions.from_extra_params({"base_model": "openai:a-model"})
    assert language(BaseModels(), served, FOREIGN, 7) is None
