"""The page *Finish*: a sample is drawn, decides, and the labels are taken, by its buttons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from backend.store import Store
from tests.backend.finishing import Finishing
from tests.browser.test_dashboard import LOOKS


@pytest.mark.parametrize("look", LOOKS)
def test_a_project_is_finished_by_the_buttons(
    finishing: Finishing, served: Callable[[Store], str], open_page: Callable[..., Page], look: str
) -> None:
    page, store = open_page(**LOOKS[look]), finishing.store.of(7)
    page.goto(f"{served(finishing.store)}/ui/projects/7/finish")
    page.locator("#accuracy").select_option("0.9")
    page.locator("main form button.main").click()
    last = store.finishes.last()
    assert last is not None
    assert (last.accuracy, last.scope) == (0.9, "machine")
    finishing.step()
    sample = store.tasks.sampled()
    expect(page.locator("#finish-state")).to_contain_text(f"0 / {len(sample)}" if look == "chinese" else "0 of")
    finishing.label(sample)
    finishing.step()
    expect(page.locator("#finish-proof .plot svg").first).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "nothing sticks out to the right"
    assert store.finishes.count_given() == 0
    page.locator("button[value=take]").click()
    finishing.step()
    taken = store.finishes.count_given()
    assert taken > 100
    expect(page.locator("#finish-state")).to_contain_text(str(taken))
    expect(page.locator("button[value=take_back]")).to_be_visible()
