"""The page *Finish*: a sample is drawn, decides, and the labels are taken, by its buttons."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.store import Store
from tests.backend.finishing import Finishing
from tests.browser.test_dashboard import LOOKS, for_everybody


def test_a_project_is_finished_by_the_buttons(
    finishing: Finishing, served: Callable[[Store], str], open_page: Callable[..., Page]
) -> None:
    page, store, url = open_page(), finishing.store.of(7), f"{served(finishing.store)}/ui/projects/7/finish"
    page.goto(url)
    page.locator("#accuracy").select_option("0.9")
    page.locator("main form button.main").click()
    last = store.finishes.last()
    assert last is not None
    assert (last.accuracy, last.scope) == (0.9, "machine")
    finishing.step()
    sample = store.tasks.sampled()
    expect(page.locator("#finish-state")).to_contain_text("0 of")
    finishing.label(sample)
    finishing.step()
    expect(page.locator("#finish-proof .plot svg").first).to_be_visible()
    for look in LOOKS.values():
        other = open_page(**look)
        other.goto(url)
        expect(other.locator("#finish-proof .plot svg").first).to_be_visible()
        for_everybody(other)
    assert store.finishes.count_given() == 0
    page.locator("button[value=take]").click()
    finishing.step()
    taken = store.finishes.count_given()
    assert taken > 100
    expect(page.locator("#finish-state")).to_contain_text(str(taken))
    expect(page.locator("button[value=take_back]")).to_be_visible()
