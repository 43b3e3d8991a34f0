"""Whole simulations on a tiny model: what is written, and that an interruption changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import BackendError
from backend.learners.base import Progress
from backend.simulation.data import Labeled
from backend.simulation.plan import Plan
from backend.simulation.simulate import simulate
from tests.conftest import labeled_sentences


@contextmanager
def silent(title: str) -> Iterator[Progress]:
    yield lambda done, total: None


def plan(model: Path, *names: str, **changes: Any) -> Plan:
    train, test = (Labeled(*zip(*labeled_sentences(n, seed), strict=True)) for n, seed in ((60, 0), (30, 1)))
    params = {"base_model": str(model), "max_steps": 12, "max_length": 32, "learning_rate": 5e-3, "pseudo_labels": 6}
    given = {"rounds": 3, "batch": 6, "seeds": 1, "learner": "probe", "extra_params": params}
    return Plan(**{"train": train, "test": test, "strategies": names, **given, **changes})


def written(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    for each in found["runs"] + found["summary"]:  # what differs from run to run
        del each["seconds_scoring"], each["seconds_choosing"]
    return found


def test_every_strategy_that_a_probe_serves_runs(tiny_encoder: Path, tmp_path: Path) -> None:
    simulate(plan(tiny_encoder, "all"), tmp_path, silent)
    runs = written(tmp_path)["runs"]
    names = {run["strategy"] for run in runs}
    assert {"random", "default", "badge", "egl", "bald", "cal", "core_set", "typiclust"} <= names
    assert not names & {"variance", "uncertainty", "co_training"}
    for run in runs:
        assert [point["labels"] for point in run["curve"]] == [6, 12, 18]
        assert run["curve"][-1]["accuracy"] > 0.4
    first = {run["strategy"]: run["curve"][0]["accuracy"] for run in runs}
    assert first["margin"] == first["badge"] == first["random"]  # the same random first batch


@pytest.mark.parametrize(("learner", "second"), [("probe", "egl"), ("lora", "egl"), ("lora", "co_training")])
def test_an_interrupted_simulation_goes_on_where_it_was(
    learner: str, second: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    wanted = plan(tiny_encoder, second, "bald", learner=learner)
    simulate(wanted, tmp_path / "whole", silent)

    @contextmanager
    def stopping(title: str) -> Iterator[Progress]:
        def stop(done: int, total: int) -> None:
            if "runs" in title and done == 5:
                raise KeyboardInterrupt

        yield stop

    with pytest.raises(KeyboardInterrupt):
        simulate(wanted, tmp_path / "halved", stopping)
    assert len(list((tmp_path / "halved").glob("unfinished-*"))) == 1
    simulate(wanted, tmp_path / "halved", silent)
    assert written(tmp_path / "halved") == written(tmp_path / "whole")
    assert not list((tmp_path / "halved").glob("unfinished-*"))


def test_co_training_lends_labels_between_its_views(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.simulation import learners

    given: list[tuple[int, int]] = []
    real = learners.train

    def watched(base: Any, texts: Any, *args: Any, frozen_view: Any, **kwargs: Any) -> None:
        given.append((len(texts), len(frozen_view[0])))
        real(base, texts, *args, frozen_view=frozen_view, **kwargs)

    monkeypatch.setattr(learners, "train", watched)
    wanted = plan(tiny_encoder, "co_training", learner="lora")
    wanted.extra_params["pseudo_confidence"] = 0.4
    simulate(wanted, tmp_path, silent)
    of_co_training = given[3:]
    assert of_co_training[0] == (6, 6)  # nothing scored yet
    assert all(6 * n < adapter <= 6 * n + 6 for n, (adapter, _) in enumerate(of_co_training[1:], 2))
    assert all(6 * n < frozen <= 6 * n + 6 for n, (_, frozen) in enumerate(of_co_training[1:], 2))


def test_what_cannot_be_simulated_is_named(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="3 rounds of 60 labels need 180 texts; there are 60"):
        simulate(plan(tiny_encoder, "margin", batch=60), tmp_path, silent)
    with pytest.raises(BackendError, match="strategy 'foo' is unknown"):
        simulate(plan(tiny_encoder, "foo"), tmp_path, silent)
    lora = plan(tiny_encoder, "bald")
    lora.extra_params["committee"] = "lora"
    with pytest.raises(BackendError, match="'bald' needs committee 'lora', which the learner probe does not have"):
        simulate(lora, tmp_path, silent)
    with pytest.raises(BackendError, match="'co_training' needs committee 'views', which the learner probe"):
        simulate(plan(tiny_encoder, "co_training"), tmp_path, silent)
    warm = plan(tiny_encoder, "margin")
    warm.extra_params["warm_start"] = True
    with pytest.raises(BackendError, match="leave out seed and warm_start"):
        simulate(warm, tmp_path, silent)
    taught = plan(tiny_encoder, "margin")
    taught.extra_params["teacher"] = "openai:some-70b"
    with pytest.raises(BackendError, match="leave out teacher"):
        simulate(taught, tmp_path, silent)
    served = plan(tiny_encoder, "margin")
    served.extra_params["base_model"] = "openai:some-70b"
    with pytest.raises(BackendError, match="'openai:some-70b' is behind a server"):
        simulate(served, tmp_path, silent)


def test_other_defaults_are_other_settings(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(plan(tiny_encoder, "margin", rounds=1), tmp_path, silent)
    monkeypatch.setenv("LSAL_COLD_START", "random")
    with pytest.raises(BackendError, match="another options"):
        simulate(plan(tiny_encoder, "margin", rounds=1), tmp_path, silent)


def test_all_and_a_committee(tiny_encoder: Path, tmp_path: Path) -> None:
    wanted = plan(tiny_encoder, "all", rounds=1)
    wanted.extra_params["members"] = 3
    simulate(wanted, tmp_path, silent)
    assert {"bald", "default"} <= {run["strategy"] for run in written(tmp_path)["runs"]}


def test_the_command_writes_tables_and_charts(tiny_encoder: Path, tmp_path: Path) -> None:
    rows = [json.dumps({"words": text, "topic": label}) for text, label in labeled_sentences(50)]
    (tmp_path / "all.jsonl").write_text("\n".join(rows))
    out = tmp_path / "out"
    params = json.dumps({"base_model": str(tiny_encoder)})
    shape = ["--rounds=2", "--batch=5", "--seeds=2", "--text=words", "--label=topic", f"--extra-params={params}"]
    result = CliRunner().invoke(
        app, ["simulate", f"--train={tmp_path}/all.jsonl", "--strategy=margin,default", f"--out={out}", *shape]
    )
    assert result.exit_code == 0, result.output
    table = (out / "table.md").read_text()
    assert "labels to random's last" in table
    assert "random labeling" in table.splitlines()[-1], "what is proven"
    assert "random labeling" in result.output
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "curves.html").read_text("utf-8")
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page  # works offline
    assert len((out / "results.csv").read_text().splitlines()) == 1 + 3 * 2 * 2


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--extra-params=[1]", "must be a JSON object"),
        ("--extra-params={", "not JSON"),
    ],
)
def test_mistakes_on_the_command_line_are_named(option: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb,y\n")
    arguments = ["simulate", f"--train={path}", f"--test={path}", "--strategy=margin", f"--out={tmp_path}", option]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, BackendError)
    assert sentence in str(result.exception)


def test_a_missing_file_is_named_at_once() -> None:
    result = CliRunner().invoke(app, ["simulate", "--train=nothing.csv", "--strategy=margin", "--out=out"])
    assert result.exit_code == 2
    assert "nothing.csv" in result.output
    assert "does not exist" in result.output


def test_a_probe_that_shortlists_for_itself_chooses_the_same(tiny_encoder: Path, tmp_path: Path) -> None:
    whole = plan(tiny_encoder, "margin")
    curves = []
    for name, more in (
        ("all", {}),
        ("probe", {"shortlist": 0.3}),
        ("near", {"shortlist": 0.3, "shortlist_by": "neighbors"}),
    ):
        simulate(replace(whole, extra_params={**whole.extra_params, **more}), tmp_path / name, silent)
        curves.append([run["curve"] for run in written(tmp_path / name)["runs"] if run["strategy"] == "margin"])
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]
