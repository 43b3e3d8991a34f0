"""The annotators' queue: exactly the published order, through real rounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.real import BATCH, Team, wait_for


def test_two_annotators_get_the_published_order_and_each_batch_changes_it(connected: Team) -> None:
    team = connected
    project = team.project()
    assert (project["sampling"], project["model_version"]) == ("Uncertainty sampling", f"p{team.id}-a0-q1")
    first = team.published()
    assert len(first) == 3 * BATCH
    assert 1 <= sum(item.audit for item in first) <= 5
    served = team.label_batch()
    assert served == [item.task_id for item in first[:BATCH]]

    done = team.wait_for_round(2)
    assert done.reason == f"{BATCH} newly labeled tasks"
    assert (done.adapter, done.queue, done.labels) == (1, 2, BATCH)
    version = f"p{team.id}-a1-q2"
    assert team.project()["model_version"] == version
    second = team.published()
    assert [item.task_id for item in second] != [item.task_id for item in first]
    assert not {item.task_id for item in second} & set(served)
    in_label_studio = sorted(team.predictions(version), key=lambda p: p["score"])
    assert [p["task"] for p in in_label_studio] == [item.task_id for item in second]
    # Held-out tasks carry no pre-annotation, all others do.
    assert [bool(p["result"]) for p in in_label_studio] == [not item.audit for item in second]
    assert team.predictions(f"p{team.id}-a0-q1") == []

    served_then = team.label_batch()
    assert served_then == [item.task_id for item in second[:BATCH]]
    assert len(set(served + served_then)) == 2 * BATCH
    third = team.wait_for_round(3)
    assert third.adapter == 2
    assert third.evaluation is not None or not any(item.audit for item in [*first[:BATCH], *second[:BATCH]])


def test_nothing_is_served_at_random_while_the_queue_has_tasks(connected: Team) -> None:
    """Skips teach nothing, so no round is due by labels: the queue must be refilled before it runs dry."""
    team = connected
    skipped: list[tuple[int, int]] = []  # task, annotator: what one skips, the other is still asked
    for number in range(5 * BATCH):
        task = team.annotators[number % 2].next_task(team.id)
        assert task is not None
        assert task["id"] in _in_any_queue(team), f"task {number} was served from outside every queue"
        team.annotators[number % 2].skip(task["id"])
        skipped.append((task["id"], number % 2))
        if (number + 1) % BATCH == 0:
            wait_for("the skips to be known", lambda: _known(team, skipped))
    assert len(set(skipped)) == len(skipped)
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    assert project.queue > 1
    assert project.adapter == 0


def _in_any_queue(team: Team) -> set[int]:
    """The tasks of every queue so far, and of one that Label Studio switched to before the store noted it."""
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    queues = [team.backend.store.of(team.id).rounds.queue(number) for number in range(1, project.queue + 2)]
    return {item.task_id for queue in queues for item in queue}


def _known(team: Team, skipped: list[tuple[int, int]]) -> bool:
    """The store knows of every skip, and the queue is no shorter than a batch."""
    tasks = team.backend.store.of(team.id).tasks
    enough = len(tasks.open_ones([item.task_id for item in team.published()])) >= BATCH
    return not tasks.open_ones([task for task, _ in skipped]) and enough


def test_retrieving_predictions_of_all_tasks_leaves_the_queue_as_it_was(connected: Team) -> None:
    team = connected
    team.label_batch()
    team.wait_for_round(2)
    everything = {"selectedItems": {"all": True, "excluded": []}}
    team.call("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={team.id}", everything)
    retrieved = team.predictions(f"p{team.id}-a1")
    assert team.held_out()
    assert len(retrieved) == 90 - len(team.held_out())
    assert team.held_out().isdisjoint(each["task"] for each in retrieved)
    for prediction in retrieved:
        (region,) = prediction["result"]
        assert 1 / 3 <= region["score"] <= 1
        assert prediction["score"] == region["score"]
    assert team.label_batch() == [item.task_id for item in team.published()[:BATCH]]


def test_opening_a_task_outside_the_queue_does_not_put_it_in(connected: Team) -> None:
    team = connected
    team.label_batch()
    team.wait_for_round(2)
    queue = [item.task_id for item in team.published()]
    outside = [t.id for t in team.backend.store.of(team.id).tasks.waiting(audit=False) if t.id not in queue][:3]
    for task_id in outside:
        team.call("GET", f"/api/tasks/{task_id}/")
    assert [team.annotators[0].next_task(team.id)["id"], team.annotators[1].next_task(team.id)["id"]] == queue[:2]


def test_projects_predicting_at_once_give_the_same_as_one_after_the_other(
    connected: Team, label_studio: Any, backend: Any, annotators: Any
) -> None:
    import httpx

    from tests.conftest import labeled_sentences
    from tests.real import AUTH, CONFIG

    other = Team(label_studio, backend, annotators)
    other.create([text for text, _ in labeled_sentences(60, seed=5)])
    other.connect(seed=3)
    other.wait_for_round(1)
    for team in (connected, other):
        team.label_batch()
        team.wait_for_round(2)
    unseen = [text for text, _ in labeled_sentences(200, seed=77)]

    def predict(job: tuple[int, int]) -> Any:
        project_id, start = job
        tasks = [{"id": 1, "data": {"text": text}} for text in unseen[start : start + 3]]
        body = {"tasks": tasks, "project": f"{project_id}.1", "label_config": CONFIG}
        answer = httpx.post(backend.url + "/predict", json=body, auth=AUTH, timeout=300)
        assert answer.status_code == 200
        return answer.json()["results"]

    jobs = [(project_id, start) for start in range(0, 180, 3) for project_id in (connected.id, other.id)]
    one_by_one = [predict(job) for job in jobs]
    with ThreadPoolExecutor(12) as pool:
        at_once = list(pool.map(predict, jobs))
    for alone, together in zip(one_by_one, at_once, strict=True):
        for a, b in zip(alone, together, strict=True):
            assert a["model_version"] == b["model_version"]
            assert a["result"][0]["value"] == b["result"][0]["value"]
            assert abs(a["score"] - b["score"]) < 1e-5
    by_project = [[r["result"][0]["score"] for r in rs] for rs in one_by_one]
    assert by_project[0::2] != by_project[1::2], "both projects answered alike, so the test shows nothing"
