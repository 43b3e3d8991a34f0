"""Scoring on a local Ray cluster equals scoring in this process, also when replicas die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from backend.errors import ModelError
from backend.learners.base import CommitteeOptions, TrainingOptions
from backend.learners.committee import member_folder
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.cache import BaseModels
from backend.learners.training.train import train
from backend.pool import local
from backend.pool.cluster import Cluster, Replica
from backend.pool.texts import given
from backend.rounds.context import Context
from backend.store import Store
from backend.store.files.shards import Shards
from backend.store.texts import TaskText, digest
from tests.backend.played import no_bar
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import play as run
from tests.conftest import TOPIC, labeled_sentences, topics

DATA = labeled_sentences(400)
TEXTS = given([TaskText(number, text, digest(text)) for number, (text, _) in enumerate(DATA)])


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let replicas import this code."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(local, "_WORTH", 1)


@pytest.fixture(scope="module")
def learner(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoraLearner:
    folder = tmp_path_factory.mktemp("adapter")
    base = BaseModel(str(tiny_encoder), device="cpu")
    options = TrainingOptions(
        epochs=1, min_steps=20, max_steps=20, max_length=32, committee=CommitteeOptions(kind="lora", members=2)
    )
    train(base, [t for t, _ in DATA[:30]], topics([c for _, c in DATA[:30]]), [TOPIC], options, folder)
    return LoraLearner.load(base, "here", folder)


def test_it_gives_what_is_computed_here_though_a_replica_is_killed(learner: LoraLearner, tmp_path: Path) -> None:
    wanted = {"committee_probs lora 2": "committee_probs", "gradient_lengths": "gradient_lengths"}
    here, there, seen, killed = Shards(tmp_path / "here"), Shards(tmp_path / "there"), list[int](), list[int]()

    def kill(done: int, _total: int) -> None:
        seen.append(done)
        if not killed:
            found = subprocess.run(["pgrep", "-f", "ray::Replica"], capture_output=True, text=True).stdout.split()
            killed.append(int(found[0]))
            os.kill(killed[0], signal.SIGKILL)

    local.score(here, learner, TEXTS, wanted)
    local.score(there, learner, TEXTS, wanted, cluster=Cluster(2), progress=kill)
    assert killed
    assert there.names == here.names
    assert len(there) == len(here) == seen[-1] == len(np.unique(TEXTS.digests))
    assert len(seen) == 8, "four parts per replica"
    for name in here.names:
        np.testing.assert_allclose(there.take(name, TEXTS.digests), here.take(name, TEXTS.digests), atol=1e-5)
    assert not ray.is_initialized()


@pytest.mark.faults
def test_a_node_that_is_killed_is_replaced_by_the_others(
    learner: LoraLearner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        here, there, seen = Shards(tmp_path / "here"), Shards(tmp_path / "there"), list[int]()

        def kill(done: int, _total: int) -> None:
            if not seen:
                nodes.remove_node(other, allow_graceful=False)
            seen.append(done)

        wanted = {"gradient_lengths": "gradient_lengths"}
        local.score(here, learner, TEXTS, wanted)
        local.score(there, learner, TEXTS, wanted, cluster=Cluster(2), progress=kill)
    finally:
        nodes.shutdown()
    assert len(there) == len(here) == len(np.unique(TEXTS.digests))
    for name in here.names:
        np.testing.assert_allclose(there.take(name, TEXTS.digests), here.take(name, TEXTS.digests), atol=1e-5)


def test_what_a_replica_says_is_told(learner: LoraLearner, tmp_path: Path) -> None:
    """An adapter of the committee is missing."""
    folder = Path(shutil.copytree(learner.folder, tmp_path / "adapter"))
    shutil.rmtree(member_folder(folder, 1))
    lacking = LoraLearner(learner.base, "here", folder, learner.heads, 32, learner.committee)
    with pytest.raises(ModelError, match="a replica on the Ray cluster failed: "):
        local.score(Shards(tmp_path), lacking, TEXTS, {"c": "committee_probs"}, cluster=Cluster(1))


def test_a_model_that_is_not_on_the_nodes_is_told(learner: LoraLearner, tmp_path: Path) -> None:
    base = copy(learner.base)
    base.name = str(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"a replica on the Ray cluster cannot start .*nowhere"):
        local.embed(Shards(tmp_path), base, TEXTS, max_length=32, cluster=Cluster(1))


def test_a_cluster_that_is_away_is_told(learner: LoraLearner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ModelError, match=r"the Ray cluster cannot be reached .*check RAY_ADDRESS"):
        local.embed(Shards(tmp_path), learner.base, TEXTS, max_length=32, cluster=Cluster())


def test_rounds_score_and_embed_there(store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def here(self: Cluster, of: Any, method: str, arguments: Any, places: Any, read: Any) -> Any:
        replica = Replica(*of)
        asked.append(method)
        yield places, getattr(replica, method)(read(places), *arguments)

    monkeypatch.setattr(Cluster, "_run", here)
    context = Context(store=store, client=None, models=BaseModels(), bar=no_bar, cluster=Cluster())  # type: ignore[arg-type]
    fill(store, tiny_encoder, count=60, labeled=12, max_steps=12, min_steps=12)
    assert run(context, 1) == 1
    assert set(asked) == {"score", "embed"}
    assert len(store.of(7).rounds.queue(1)) == 6
