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
from tests.real import AUTH, Backend, Team

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
