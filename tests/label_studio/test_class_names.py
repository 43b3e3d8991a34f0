"""Before the first label, by the names of the classes: annotators get suggestions, and the queue is ordered."""

from __future__ import annotations

import pytest

from tests.backend.rounds.test_class_names import DESCRIPTIONS, PATHS, TAXONOMY
from tests.conftest import labeled_sentences
from tests.real import BATCH, CONFIG, Team

NESTED = TAXONOMY.replace("<Taxonomy", '<Choices allowNested="true"').replace("</Taxonomy", "</Choices")
SEVERAL = CONFIG.replace('toName="text"', 'toName="text" choice="multiple"')


@pytest.mark.parametrize(
    "label_config", [CONFIG, SEVERAL, TAXONOMY, NESTED], ids=["single", "several", "taxonomy", "nested"]
)
def test_suggestions_and_an_order_before_the_first_label(team: Team, label_config: str) -> None:
    described = {path: DESCRIPTIONS[name] for path, name in PATHS.items()} if "living" in label_config else DESCRIPTIONS
    team.create([text for text, _ in labeled_sentences(60)], label_config)
    team.connect(class_names=True, descriptions=described, audit_share=0.0)
    team.wait_for_round(1)
    version = team.project()["model_version"]
    assert version == f"p{team.id}-a1-q1"
    shown = team.predictions(version)
    assert len(shown) == 3 * BATCH
    served = team.annotators[0].next_task(team.id)
    assert served is not None
    assert served["id"] == team.published()[0].task_id
    having = [bool(prediction["result"]) for prediction in shown]
    assert all(having) if label_config in (CONFIG, NESTED) else any(having)
