"""No pickle on any path by which something is loaded: one that lies there is refused, and never run."""

from __future__ import annotations

import base64
import os
import pickle
import re
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel

from backend.errors import ModelError
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.cache import BaseModels
from backend.learners.training.train import train
from backend.rounds.engine.workflow import STEPS_VERSION, RoundExecutor
from backend.store import Store
from tests.conftest import TOPIC, labeled_sentences, topics

REPOSITORY = Path(__file__).parents[2]


class Evil:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_our_code_unpickles_nothing_and_trusts_no_code_of_a_hub() -> None:
    wrong = re.compile(
        r"\b(import|from) (pickle|joblib|dill|cloudpickle|shelve|marshal)\b|torch\.load\(|np\.load\(|"
        r"weights_only=False|trust_remote_code=True|allow_pickle|\beval\(|\bexec\("
    )
    found = [
        f"{path.relative_to(REPOSITORY)}: {line.strip()}"
        for folder in ("backend", "strategies")
        for path in (REPOSITORY / folder).rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if wrong.search(line) and ".eval()" not in line
    ]
    assert found == []


def test_a_pickle_in_the_place_of_adapter_weights(tiny_encoder: Path, tmp_path: Path) -> None:
    sentences = labeled_sentences(12)
    folder, mark = tmp_path / "1", tmp_path / "mark"
    base = BaseModel(str(tiny_encoder))
    options = TrainingOptions(epochs=1, min_steps=2, max_steps=2, max_length=32)
    train(base, [t for t, _ in sentences], topics([c for _, c in sentences]), [TOPIC], options, folder)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is not there"):
        LoraLearner.load(base, "x", folder)
    for name in ("adapter_model.safetensors", "heads.safetensors"):
        (folder / name).write_bytes(pickle.dumps(Evil(mark)))
        with pytest.raises(ModelError, match="cannot be loaded"):
            LoraLearner.load(base, "x", folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_base_model_that_is_pickled(tiny_encoder: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    for path in tiny_encoder.iterdir():
        if path.suffix == ".json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ModelError, match="cannot be loaded"):
        BaseModels().get(str(tmp_path))
    assert not mark.exists()


def test_even_an_honest_pickled_base_model_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    for path in tiny_encoder.iterdir():
        if path.suffix == ".json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(AutoModel.from_pretrained(tiny_encoder).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        BaseModels().get(str(tmp_path))


def test_a_model_that_brings_its_own_code(tiny_encoder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}'
    )
    (tmp_path / "code.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="cannot be loaded"):
        BaseModels().get(str(tmp_path))
    assert not mark.exists()


def test_a_pickle_among_the_records_of_workflows(store: Store, tmp_path: Path) -> None:
    """DBOS unpickles what a row says is pickled, whatever serializer it was given."""
    mark = tmp_path / "mark"
    rounds = RoundExecutor(SimpleNamespace(store=store), tmp_path, "worker-1")  # type: ignore[arg-type]
    rounds.launch()
    rounds.stop()
    evil = base64.b64encode(pickle.dumps(Evil(mark))).decode()
    now = int(time.time() * 1000)
    with sqlite3.connect(tmp_path / "workflows.sqlite3") as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(workflow_status)")}
        row = {
            "workflow_uuid": "round-7-1", "status": "PENDING", "name": "round", "inputs": evil,
            "serialization": "py_pickle", "executor_id": "worker-1", "application_version": STEPS_VERSION,
            "created_at": now, "updated_at": now, "queue_name": "rounds", "queue_partition_key": "7",
            "recovery_attempts": 1,
        }  # fmt: skip
        assert set(row) <= columns
        names = ", ".join(row)
        connection.execute(
            f"INSERT INTO workflow_status ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )
    connection.close()
    rounds = RoundExecutor(SimpleNamespace(store=store), tmp_path, "worker-1")  # type: ignore[arg-type]
    rounds.launch()
    time.sleep(2)
    rounds.forget(older_than=0.0)
    rounds.stop()
    assert not mark.exists()
