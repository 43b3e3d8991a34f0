"""The page *Find*: tasks are looked for, put first, and left to the strategy again."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.store import Store
from tests.backend.finishing import Finishing
from tests.browser.test_dashboard import LOOKS, for_everybody


def test_tasks_are_found_and_put_first(
    finishing: Finishing, served: Callable[[Store], str], open_page: Callable[..., Page]
) -> None:
    page, tasks, url = open_page(), finishing.store.of(7).tasks, f"{served(finishing.store)}/ui/projects/7/find"
    page.goto(url)
    page.locator("#words").fill("a ripe apple")
    page.locator("main form button.main").first.click()
    found = page.locator("input[type=checkbox]")
    expect(found).to_have_count(20)
    assert "apple" not in page.url, "a text is no part of an address"
    for_everybody(page)
    numbers = [int(found.nth(place).get_attribute("value") or "") for place in range(20)]
    for look in LOOKS.values():
        other = open_page(**look)
        other.goto(f"{url}?task={numbers[0]}")
        expect(other.locator("input[type=checkbox]")).to_have_count(20)
        for_everybody(other)
    found.nth(0).uncheck()
    page.locator("main table + p button, form > p button.main").last.click()
    expect(page.locator(".done")).to_be_visible()
    assert tasks.first() == numbers[1:]
    page.locator("button[name=none]").click()
    expect(page.locator("button[name=none]")).to_have_count(0)
    assert tasks.first() == []
    page.locator("select[name=name]").select_option("tool")
    page.locator("form:has(select[name=name]) button").click()
    expect(found).to_have_count(20)
    page.locator("button[name=duplicates]").click()
    expect(page.locator("#repeated-title")).to_be_visible()
    for_everybody(page)
    page.goto(page.url.split("?")[0] + "?task=99999")
    expect(page.get_by_role("alert").last).to_contain_text("99999")
