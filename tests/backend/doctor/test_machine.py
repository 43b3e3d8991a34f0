"""Whether the base model knows the language of the texts."""

from __future__ import annotations

from pathlib import Path

from backend.doctor.machine import language
from backend.options import ProjectOptions

KNOWN, FOREIGN = ["the old apple and a pear"], ["the old apple and a pear", "苹果 很 好 吃"]


def test_a_foreign_language_is_a_warning_with_what_to_do(tiny_encoder: Path, tmp_path: Path) -> None:
    options = ProjectOptions.from_extra_params({"base_model": str(tiny_encoder)})
    fine = language(options, KNOWN, 7)
    assert fine is not None
    assert (fine.status, fine.project) == ("ok", 7)
    found = language(options, FOREIGN, 7)
    assert found is not None
    assert found.status == "warning"
    assert "does not know 40% of the word pieces of the texts" in found.found
    assert "set base_model" in found.remedy
    assert language(options, [], 7) is None
    elsewhere = ProjectOptions.from_extra_params({"base_model": str(tmp_path / "nothing")})
    assert language(elsewhere, FOREIGN, 7) is None, "the check of the model reports it"
    served = ProjectOptions.from_extra_params({"base_model": "openai:a-model"})
    assert language(served, FOREIGN, 7) is None
