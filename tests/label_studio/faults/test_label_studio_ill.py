"""Label Studio down, slow, refusing or talking nonsense, at every call of a round: it goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, known_labels, label
from tests.label_studio.faults.proxy import KINDS
from tests.real import AUTH, BATCH, Team, wait_for


def round_is_done(team: Team, number: int) -> Any:
    """A round of this number or above: one that failed is tried again under the next."""
    rounds = [r for r in team.backend.store.of(team.id).rounds.all() if r.number >= number]
    return any(r.state == "done" and r.labels for r in rounds) and not team.backend.store.events.count()


def go_through(team: Team, kind: str) -> int:
    """Label a batch while each different call meets this fault once; how many did."""
    proxy: Any = team.proxy  # type: ignore[attr-defined]
    store = team.backend.store
    before = len(store.of(team.id).rounds.all())
    proxy.strike(kind)
    labels = label(team, BATCH)
    wait_for(f"a round through '{kind}'", lambda: round_is_done(team, before + 1))
    struck = list(proxy.struck)
    proxy.strike(None)
    wait_for("the trouble to be over", lambda: store.projects.get(team.id).error is None, 60.0)  # type: ignore[union-attr]
    assert known_labels(team).items() >= labels.items()
    for part in ("import/predictions", "model-versions", "PATCH /api/projects/N/", "GET /api/tasks/", "GET /health"):
        assert any(part in each for each in struck), f"{part} was never struck: {struck}"
    return len(struck)


def test_a_round_whose_every_call_is_first_cut_off(start: Callable[..., Team]) -> None:
    team = start(through_proxy=True)
    assert go_through(team, "gone") >= 7
    labels = {
        e.id: e.values["topic"] for a in (False, True) for e in team.backend.store.of(team.id).tasks.labeled(audit=a)
    }
    check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_rounds_through_every_illness(start: Callable[..., Team]) -> None:
    team = start(count=200, through_proxy=True)
    struck, team.proxy.slowness = 0, 30.0  # type: ignore[attr-defined]
    for kind in KINDS:
        struck += go_through(team, kind)
    labels = {
        e.id: e.values["topic"] for a in (False, True) for e in team.backend.store.of(team.id).tasks.labeled(audit=a)
    }
    check_nothing_twice_nothing_lost(team, labels)
    print(f"\n{struck} faults of {len(KINDS)} kinds in {len(KINDS)} rounds, {len(labels)} labels, none lost")


@pytest.mark.faults
def test_down_is_said_serving_goes_on_and_it_recovers_by_itself(start: Callable[..., Team]) -> None:
    team = start(through_proxy=True)
    proxy: Any = team.proxy  # type: ignore[attr-defined]
    ready = lambda: httpx.get(f"{team.backend.url}/ready", auth=AUTH, timeout=10)  # noqa: E731
    wait_for("all to be well", lambda: ready().status_code == 200)
    proxy.down = True
    labels = label(team, BATCH)
    found: Any = wait_for("the state to say so", lambda: team.backend.store.projects.get(team.id).error)  # type: ignore[union-attr]
    assert "cannot be reached" in found
    said = team.backend.log().count("cannot be reached")
    body = {"project": team.id, "tasks": [{"data": {"text": "an apple"}}]}
    assert httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=10).status_code == 200
    wait_for("/ready to say so", lambda: "cannot be reached" in ready().json()["label_studio"])
    time.sleep(10)
    assert team.backend.log().count("cannot be reached") <= said + 2, "the log says it again and again"
    proxy.down = False
    team.wait_for_round(2)
    wait_for("all to be well", lambda: ready().status_code == 200)
    check_nothing_twice_nothing_lost(team, labels)
