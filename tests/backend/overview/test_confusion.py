"""Which classes are confused, counted in the plainest way."""

from __future__ import annotations

import numpy as np

from backend.overview.confusion import confusion
from backend.store import Store
from tests.backend.played import project_of
from tests.conftest import CLASSES


def test_it_counts_the_held_out_labels_by_prediction(played: Store) -> None:
    found = confusion(played, project_of(played))["topic"]
    held_out = played.of(7).tasks.labeled(audit=True)
    adapter = project_of(played).adapter
    _, outputs = played.files.scores(7, adapter).found(["topic/probs"], [each.digest for each in held_out])
    predicted = [CLASSES[row] for row in np.asarray(outputs["topic/probs"]).argmax(axis=1)]
    pairs = [(each.values["topic"], value) for each, value in zip(held_out, predicted, strict=True)]
    names = [name for name in CLASSES if name in {each for pair in pairs for each in pair}]
    assert found["names"] == names
    assert found["matrix"] == [[pairs.count((label, value)) for value in names] for label in names]
    for each in found["classes"]:
        of = [pair for pair in pairs if pair[0] == each["name"]]
        right = of.count((each["name"], each["name"]))
        assert (each["held_out"], each["right"]) == (len(of), right)
        assert each["predicted"] == predicted.count(each["name"])
        if of:
            assert each["low"] is not None
            assert each["high"] is not None
            assert each["low"] <= right / len(of) <= each["high"]
    wrong = [(pair, each.id) for pair, each in zip(pairs, held_out, strict=True) if pair[0] != pair[1]]
    assert sum(each["count"] for each in found["confused"]) == len(wrong) > 0, "some labels are wrong on purpose"
    listed = {(each["label"], each["predicted"], task) for each in found["confused"] for task in each["tasks"]}
    assert listed == {(*pair, task) for pair, task in wrong}


def test_nothing_is_known_before_the_first_adapter(played: Store) -> None:
    played.projects.set(7, adapter=0)
    assert confusion(played, project_of(played)) == {}


def test_other_kinds_have_no_matrix(several: Store) -> None:
    assert confusion(several, project_of(several)) == {}
