"""The pictures of README and docs, taken of the real pages: `make test-browser`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.demo.kinds import KINDS
from backend.demo.label_studio import Annotator, LabelStudioServer
from tests.browser.conftest import Person
from tests.browser.test_dashboard import drawn
from tests.real import AUTH, Backend, Team, wait_for

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
BATCH, ROUNDS, POOL = 20, 8, 600
SIZE = {"width": 1280, "height": 800}


@pytest.mark.pictures
def test_pictures(
    label_studio: LabelStudioServer,
    annotators: list[Annotator],
    person: Person,
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    backend = Backend(label_studio, tmp_path / "backend", Path("minilm"), LSAL_BATCH_SIZE=str(BATCH), LSAL_EPOCHS="10",
                      LSAL_LEARNING_RATE="0.002", LSAL_MAX_LENGTH="64", LSAL_AUDIT_SHARE="0.2",
                      LSAL_TARGET="0.9")  # fmt: skip
    backend.start()
    try:
        team = Team(label_studio, backend, annotators)
        kind = KINDS["choices"]
        examples = kind.examples(kind.grammar.write(POOL, 7))
        team.create([dict(example.data) for example in examples], kind.config)
        team.call("PATCH", f"/api/projects/{team.id}/", {"title": "Support tickets"})

        person.page.set_viewport_size(SIZE)  # type: ignore[arg-type]
        person.page.goto(f"{label_studio.url}/projects/{team.id}/settings/ml")
        person.page.locator("button", has_text="Connect Model").first.click()
        person.page.fill("[name=title]", "Active learning")
        person.page.fill("[name=url]", "http://localhost:9090")
        person.page.fill("[name=extra_params]", '{"strategy": "margin", "target": 0.9}')
        person.page.wait_for_timeout(1500)  # the dialog fades in
        person.page.screenshot(path=PICTURES / "connect.png")

        team.connect()
        team.wait_for_round(1)
        truths = {example.data["text"]: next(iter(example.values.values())) for example in examples}
        for number in range(ROUNDS):
            for place in range(BATCH):
                task = annotators[place % 2].next_task(team.id)
                assert task is not None
                annotators[place % 2].choose(task["id"], truths[task["data"]["text"]])
            team.wait_for_round(number + 2, 300)

        person.start_labeling(team.id)
        while not person.chosen():
            person.page.locator("button", has_text="Skip").first.click()
            person.page.wait_for_timeout(1500)
        person.page.screenshot(path=PICTURES / "labeling.png")
        _take(backend, team, open_page)
        _find_and_finish(backend, team, truths, open_page)
    finally:
        backend.stop()


def _take(backend: Backend, team: Team, open_page: Callable[..., Page]) -> None:
    looks = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "chinese": {"locale": "zh-CN"},
             "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}}  # fmt: skip
    for look, options in looks.items():
        credentials = {"username": AUTH[0], "password": AUTH[1]}
        page = open_page(**{"viewport": SIZE, "http_credentials": credentials, **options})
        page.goto(f"{backend.url}/ui/projects/{team.id}")
        drawn(page, "project")
        expect(page.locator("#queue tbody tr").first).to_be_visible()
        page.screenshot(path=PICTURES / f"dashboard-{look}.png", full_page=look == "light")
        page.goto(f"{backend.url}/ui/projects/{team.id}/map")
        drawn(page, "map")
        if look in ("light", "dark"):
            page.screenshot(path=PICTURES / f"map-{look}.png")


def _find_and_finish(backend: Backend, team: Team, truths: dict[str, str], open_page: Callable[..., Page]) -> None:
    """From finding tasks to the model's labels of the rest, by the buttons."""
    page = open_page(viewport=SIZE, http_credentials={"username": AUTH[0], "password": AUTH[1]}, color_scheme="light")
    page.goto(f"{backend.url}/ui/projects/{team.id}/find")
    page.locator("#words").fill("I was charged twice")
    page.locator("main form button.main").first.click()
    expect(page.locator("input[type=checkbox]").first).to_be_visible()
    page.screenshot(path=PICTURES / "find.png")

    page.goto(f"{backend.url}/ui/projects/{team.id}/finish")
    page.locator("#accuracy").select_option("0.9")
    page.locator("main form button.main").click()
    finishes, tasks = (getattr(backend.store.of(team.id), name) for name in ("finishes", "tasks"))
    wait_for("the sample", lambda: (last := finishes.last()) is not None and last.state == "sampling")
    for place, task in enumerate(tasks.sampled()):
        team.annotators[place % 2].choose(task, truths[tasks.texts([task])[task].text])
    wait_for("the decision", lambda: finishes.last().state == "certified")
    page.goto(f"{backend.url}/ui/projects/{team.id}/finish")
    expect(page.locator("#finish-proof .plot svg").first).to_be_visible()
    page.screenshot(path=PICTURES / "finish.png", full_page=True)
    page.locator("button[value=take]").click()
    wait_for("the labels", lambda: finishes.count_given())
    page.reload()
    expect(page.locator("button[value=take_back]")).to_be_visible()
