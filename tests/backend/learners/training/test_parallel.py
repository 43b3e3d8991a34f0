"""Training in two processes of this machine, which stand for two GPUs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from backend.errors import ModelError
from backend.learners.base import CommitteeOptions, TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.cache import BaseModels
from backend.learners.training import parallel
from backend.learners.training.distributed import Team
from backend.learners.training.train import train
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.played import no_bar
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import play as run
from tests.conftest import CLASSES, TOPIC, class_probs, labeled_sentences, topics

OPTIONS = TrainingOptions(
    epochs=1, min_steps=12, max_steps=12, learning_rate=5e-3, max_length=32, lora_dropout=0.0,
    committee=CommitteeOptions(kind="bootstrap", members=3),
)  # fmt: skip
DATA = labeled_sentences(33)  # the last batch has one text, which is nothing for the second process
TEXTS, LABELS = [t for t, _ in DATA], [c for _, c in DATA]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """What `accelerate config` writes for two processes without a GPU."""
    path = tmp_path / "accelerate.yaml"
    path.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_CPU\nuse_cpu: true\nnum_machines: 1\n"
        "num_processes: 2\nmachine_rank: 0\nmain_process_port: 0\nmixed_precision: 'no'\n"
    )
    return path


def test_two_processes_learn_what_one_does(config: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    """Without dropout, of which each process draws its own."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    plain = Path(shutil.copytree(tiny_encoder, tmp_path / "plain"))
    told = json.loads((plain / "config.json").read_text())
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (plain / "config.json").write_text(json.dumps({**told, **none}))
    base = BaseModel(str(plain), device="cpu")
    alone.mkdir()
    together.mkdir()
    train(base, TEXTS, topics(LABELS), [TOPIC], OPTIONS, alone)
    seen: list[tuple[int, int]] = []
    parallel.train(
        config, str(plain), TEXTS, topics(LABELS), [TOPIC], OPTIONS, together,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert {path.name for path in together.rglob("*")} == {path.name for path in alone.rglob("*")}
    for name in ("adapter_model.safetensors", "heads.safetensors"):
        ours, theirs = load_file(together / name), load_file(alone / name)
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, atol=1e-5, rtol=1e-4)
    learner = LoraLearner.load(base, "together", together)
    probs = class_probs(learner, TEXTS)
    np.testing.assert_allclose(probs, class_probs(LoraLearner.load(base, "alone", alone), TEXTS), atol=1e-4)
    assert np.mean([CLASSES[row] == label for row, label in zip(probs.argmax(axis=1), LABELS, strict=True)]) > 0.6
    assert all(total == 12 for _, total in seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accelerate.yaml", "alone", "plain", "together"]


def test_what_failed_is_told(config: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    wild = replace(OPTIONS, learning_rate=1e30)
    with pytest.raises(ModelError, match=r"training diverged at step \d+: .*lower extra_params.learning_rate"):
        parallel.train(config, str(tiny_encoder), TEXTS, topics(LABELS), [TOPIC], wild, tmp_path / "out")
    assert not list(tmp_path.glob(".job*"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense: [", "cannot be read"),
        ("- 1", "cannot be read"),
        ("num_processes: 2\nnum_machines: 3\ndistributed_type: MULTI_GPU", "MULTI_GPU on 3 machines"),
        ("num_processes: 2\ndistributed_type: DEEPSPEED", "DEEPSPEED on 1 machines"),
        ("num_processes: 99\ndistributed_type: MULTI_GPU", r"needs 99 GPUs; this machine has \d"),
    ],
)
def test_a_configuration_that_is_not_what_it_says_is_refused(
    text: str, said: str, config: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    config.write_text(text)
    with pytest.raises(ModelError, match=said):
        parallel.train(config, str(tiny_encoder), TEXTS, topics(LABELS), [TOPIC], OPTIONS, tmp_path / "out")


def test_what_nobody_has_a_gradient_for_stays_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has one for the second parameter, which is 1 everywhere."""
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.tensor([1.0, 2.0])
    theirs = torch.tensor([0.0, 0, 1, 1, 0, 0, 0, 1, 0])
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flat: flat.add_(theirs))
    Team(0, 2).add_up(parameters)
    assert [None if p.grad is None else p.grad.tolist() for p in parameters] == [[1, 2], [1, 1], None]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_team_reads_each_text_once(size: int) -> None:
    rows = np.array([4, 2, 9, 7])
    assert np.concatenate([Team(rank, size).mine(rows) for rank in range(size)]).tolist() == rows.tolist()


def test_a_round_trains_so(config: Path, store: Store, tiny_encoder: Path) -> None:
    context = Context(store=store, client=None, models=BaseModels(), bar=no_bar, accelerate_config=config)  # type: ignore[arg-type]
    fill(store, tiny_encoder, labeled=12, strategy="bald", members=3, max_steps=12, min_steps=12)
    assert run(context, 1) == 1
    assert len(store.of(7).rounds.queue(1)) == 6
