"""The first ten minutes of a new user, click by click: Label Studio, its Settings → Model, labeling, our dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from backend.store import Store
from tests.browser.conftest import Person
from tests.conftest import labeled_sentences
from tests.real import AUTH, BATCH, CONFIG, Backend, Team, truth


def test_from_an_empty_label_studio_to_a_queue_that_the_model_ordered(
    person: Person, open_page: Callable[..., Page], backend: Backend, team: Team, tmp_path: Path
) -> None:
    file = tmp_path / "sentences.json"
    file.write_text(json.dumps([{"text": text} for text, _ in labeled_sentences(60)]))
    project = person.create_project("Fruit and tools", CONFIG, file)
    team.id = project

    person.connect(project, backend.url, auth=AUTH, extra='{"strategy": "entropy", "cold_start_per_class": 0}')
    expect(person.page.get_by_text("Connected", exact=True)).to_be_visible()
    team.wait_for_round(1)

    dashboard = open_page(http_credentials={"username": AUTH[0], "password": AUTH[1]})
    dashboard.goto(f"{backend.url}/ui/")
    dashboard.get_by_role("link", name="Fruit and tools").click()
    expect(dashboard.locator("#now")).to_contain_text(f"Waiting for {BATCH} more labels; queue published")
    expect(dashboard.locator("#quality")).to_contain_text("the first score needs held-out labels")

    step = dashboard.locator(".first-steps [aria-current=step]")
    expect(step).to_contain_text(f"Label All Tasks: 0 of {BATCH} labels")

    queue = [item.task_id for item in team.published()]
    person.start_labeling(project)
    served = []
    for number in range(BATCH):
        assert person.chosen() == [], "before the first round of training nobody suggests anything"
        served.append(person.task())
        person.choose(truth(person.text()))
        if number == 1:
            expect(dashboard.locator("#now")).to_contain_text(f"Waiting for {BATCH - 1} more")
        person.submit()
        if number + 1 < BATCH:
            expect(step).to_contain_text(f"{number + 1} of {BATCH}")
    assert served == queue[:BATCH], "in the order that was published"

    # Nobody touches the dashboard: it tells by itself.
    team.wait_for_round(2)
    expect(dashboard.locator("#rounds")).to_contain_text(f"{BATCH} newly labeled tasks")
    expect(dashboard.locator("#adapters")).to_contain_text(f"p{project}-a1")
    expect(dashboard.locator("#queue tbody tr").first).to_contain_text(
        re.compile("unsure between|Held out|chosen by entropy")
    )
    expect(step.filter(has_text="Label All Tasks")).to_have_count(0)
    expect(dashboard.locator("#seconds .main-svg").first).to_be_visible()

    items = team.published()
    assert items[0].queue == 2
    person.start_labeling(project)
    kept = person.task()  # came after the last label, and is kept for whoever opened it
    assert kept == queue[BATCH]
    person.choose(truth(person.text()))
    person.submit()
    items = [item for item in items if item.task_id != kept]
    for item in items[:3]:
        assert person.task() == item.task_id, "the next task comes from the new queue"
        predicted = [said["value"] for said in (item.why or {})["says"]]
        assert person.chosen() == ([] if item.audit else predicted), "which held-out tasks do not give away"
        right = truth(person.text())
        if person.chosen() != [right]:
            person.choose(right)  # a choice of one: the wrong one goes
        assert person.chosen() == [right]
        person.submit()
    dashboard.get_by_role("link", name=str(items[3].task_id), exact=True).click()
    expect(dashboard).to_have_url(re.compile(rf"/projects/{project}/data\?task={items[3].task_id}|/user/login"))


def test_without_a_password_and_without_options(
    person: Person, open_page: Callable[..., Page], team: Team, store: Store, served: Callable[..., str]
) -> None:
    team.create(["a text"])
    url = served(store)
    person.connect(team.id, url)
    expect(person.page.get_by_text("Connected", exact=True)).to_be_visible()
    project = store.projects.get(team.id)
    assert project is not None
    assert project.options == {}
    dashboard = open_page()
    dashboard.goto(f"{url}/ui/")
    expect(dashboard.locator(".card")).to_contain_text("No worker has been started")
    dashboard.get_by_role("link", name=str(team.id)).click()
    step = dashboard.locator(".first-steps [aria-current=step]")
    expect(step).to_contain_text("Label Studio is being connected")
    store.projects.set(team.id, webhook_ready=True)  # as the first sync does
    expect(step).to_contain_text("Import tasks")
