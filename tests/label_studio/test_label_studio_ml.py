"""A project connected to label-studio-ml 1.0.9's own server, with our model class in it and our worker beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import labeled_sentences
from tests.real import AUTH, Team, wait_for
from tests.servers import free_port

SERVER = """
import sys
from label_studio_ml.api import init_app
from backend.label_studio_ml_model import ActiveLearning

if __name__ == "__main__":
    init_app(model_class=ActiveLearning, model_dir=sys.argv[1]).run(port=int(sys.argv[2]), threaded=True)
"""


@pytest.fixture
def theirs(team: Team, tmp_path: Path) -> Iterator[str]:
    """The address of the server, on the environment and the MODEL_DIR of the running worker."""
    port = free_port()
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, str(tmp_path / "server.py"), str(tmp_path / "theirs"), str(port)]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, env=team.backend.environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://localhost:{port}"

    def up() -> bool:
        assert running.poll() is None, (tmp_path / "log").read_text()
        try:
            return httpx.get(f"{url}/health").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_for("label-studio-ml to answer", up)
        yield url
    finally:
        running.terminate()
        running.wait(300)


def test_a_round_through_label_studio_ml(team: Team, theirs: str) -> None:
    team.create([text for text, _ in labeled_sentences(90)])
    model = {"url": theirs, "project": team.id, "auth_method": "BASIC_AUTH", "title": "theirs"}
    refused = team.http.post("/api/ml/", json={**model, "basic_auth_user": "x", "basic_auth_pass": "y"})
    assert refused.status_code == 400
    assert "BASIC_AUTH_USER and BASIC_AUTH_PASS" in refused.text
    options = {"batch_size": 2}  # each event is a process of label-studio-ml, which takes seconds to start
    team.connect_to({**model, "basic_auth_user": AUTH[0], "basic_auth_pass": AUTH[1], "extra_params": options})
    team.wait_for_round(1)
    before = team.backend.store.events.newest().get(team.id, 0)
    served = team.label_batch(2)
    assert served == [item.task_id for item in team.published()[:2]]
    wait_for("its events", lambda: team.backend.store.events.newest().get(team.id, 0) > before)
    team.wait_for_round(2)

    def knows_it() -> bool:  # Label Studio keeps the former version where /setup does not answer in time
        (backend,) = team.call("GET", f"/api/ml/?project={team.id}")
        return (backend["state"], backend["model_version"]) == ("CO", f"p{team.id}-a1")

    wait_for("Label Studio to know the adapter", knows_it)
    everything = {"selectedItems": {"all": True, "excluded": []}}
    team.call("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={team.id}", everything)
    assert len(team.predictions(f"p{team.id}-a1")) == 90 - len(team.held_out())
