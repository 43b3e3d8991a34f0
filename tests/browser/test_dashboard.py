"""The dashboard in a browser: readable by everybody, kept up to date by itself, used without a mouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from backend.overview.tasks.pool import chart
from backend.store import Store
from tests.backend.played import project_of

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2},
    "chinese": {"locale": "zh-CN"},
}
PAGES = {"projects": "/ui/", "project": "/ui/projects/7", "map": "/ui/projects/7/map"}


@pytest.fixture
def url(played: Store, served: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LABEL_STUDIO_PUBLIC_URL", "https://labels.example.com")
    return served(played)


def drawn(page: Page, name: str) -> None:
    """Wait until everything is on the page that belongs there."""
    if name == "project":
        expect(page.locator(".plot .main-svg").first).to_be_visible()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.plot')].every((e) => e.querySelector('.main-svg'))"
        )
    if name == "map":
        page.wait_for_selector("#map[data-drawn]")


def for_everybody(page: Page) -> None:
    """Nothing keeps anybody from reading it, and nothing sticks out to the right."""
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_keeps_anybody_out(url: str, open_page: Callable[..., Page], look: str, name: str) -> None:
    page = open_page(**LOOKS[look])
    page.goto(url + PAGES[name])
    drawn(page, name)
    for_everybody(page)


def test_it_tells_what_happens_without_being_loaded_again(
    url: str, played: Store, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(f"{url}/ui/projects/7")
    page.evaluate("() => { window.loaded = 'once'; }")
    expect(page.locator("#now")).to_contain_text("Waiting for 8 more labels")
    page.locator("#quality summary").first.click()
    played.of(7).rounds.begin(4, reason="a reason of today")
    played.of(7).rounds.set(4, step="train", progress={"done": 30, "total": 75, "since": 100.0, "at": 180.0})
    expect(page.locator("#now")).to_contain_text("Training, 40%, about 2 minutes left")
    expect(page.locator("#now progress")).to_have_attribute("value", "0.4")
    expect(page.locator("#rounds")).to_contain_text("a reason of today")
    expect(page.locator("#quality table")).to_be_visible()
    played.of(7).rounds.set(4, state="failed", error="no luck", finished_at=time.time())
    played.projects.set(7, error="no luck")
    expect(page.locator("#now .trouble")).to_contain_text("no luck")
    assert page.evaluate("() => window.loaded") == "once"


def test_it_is_right_after_the_network_was_away(url: str, played: Store, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(f"{url}/ui/projects/7")
    page.context.set_offline(True)
    played.projects.set(7, paused=True)
    expect(page.get_by_role("alert")).to_contain_text("may be out of date")
    page.context.set_offline(False)
    expect(page.locator("#now")).to_contain_text("Paused")
    expect(page.locator(".stale")).to_be_hidden()
    expect(page.locator("#announcement")).to_have_text("Paused")


def test_all_of_it_by_keyboard(url: str, played: Store, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(f"{url}/ui/")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fruit & tools")
    page.get_by_role("button", name="Train now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("A round starts as soon as the worker is free.")
    page.get_by_label("Strategy").select_option("entropy")
    page.get_by_role("button", name="Rebuild the queue").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The queue is rebuilt")
    assert project_of(played).chosen_strategy == "entropy"
    page.get_by_role("button", name="Roll back to p7-a1").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The earlier adapter is put in service")
    assert project_of(played).back_to == 1


def test_what_is_taken_away_is_whole(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(f"{url}/ui/projects/7")
    with page.expect_download() as adapter:
        page.get_by_role("link", name="Download p7-a2").click()
    assert adapter.value.suggested_filename == "p7-a2.zip"
    with page.expect_download() as labels:
        page.get_by_role("link", name="jsonl").click()
    assert len(labels.value.path().read_text().splitlines()) == 60


def test_the_map_shows_the_text_under_the_pointer(url: str, played: Store, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(f"{url}/ui/projects/7/map")
    drawn(page, "map")
    expect(page.locator("#shown")).to_have_text("90 of 90 texts")
    assert page.locator(".modebar-btn[data-title*=Share], .modebar-btn[data-title*=loud]").count() == 0
    assert page.locator(".modebar-btn").count() >= 3
    found = chart(played, project_of(played))
    for colour in ("given", "uncertainty", "state", "predicted"):
        page.get_by_label("Colour by").select_option(colour)
        assert page.locator("#map .legend").count() == (colour != "uncertainty"), "which has a scale instead"
    order = sorted(range(90), key=lambda row: -found["uncertainty"][row])
    for button, place in (("Next text", 0), ("Next text", 1), ("Previous text", 0)):
        page.get_by_role("button", name=button).press("Enter")
        number = found["tasks"][order[place]]
        expect(page.locator("#text")).to_contain_text(played.of(7).tasks.texts([number])[number].text)
        ring = page.evaluate(
            """() => { const ring = document.getElementById("map").data.at(-1);
            return [ring.marker.symbol, ring.x[0], ring.y[0]]; }"""
        )
        assert ring == ["circle-open", found["x"][order[place]], found["y"][order[place]]], "the text is marked"
    expect(page.locator("#open")).to_have_attribute("href", re.compile(rf"data\?task={number}$"))
    box = page.locator("#map .nsewdrag").bounding_box()
    assert box is not None
    place = page.evaluate(
        """() => { const map = document.getElementById("map"), layout = map._fullLayout, trace = map._fullData[0];
        return [layout.xaxis.d2p(trace.x[0]), layout.yaxis.d2p(trace.y[0]), trace.customdata[0]]; }"""
    )
    page.mouse.move(box["x"] + place[0] - 3, box["y"] + place[1] - 3)
    page.mouse.move(box["x"] + place[0], box["y"] + place[1], steps=4)
    text = played.of(7).tasks.texts([place[2]])[place[2]].text
    expect(page.locator("#text")).to_contain_text(text)


def test_names_and_texts_that_look_like_markup_do_nothing(
    hostile: Store, served: Callable[..., str], open_page: Callable[..., Page]
) -> None:
    url, page = served(hostile), open_page()
    for name, path in {**PAGES, "finish": "/ui/projects/7/finish", "find": "/ui/projects/7/find"}.items():
        page.goto(url + path)
        drawn(page, name)
        if name == "map":
            for colour in ("given", "predicted"):  # their legends have the names
                page.get_by_label("Colour by").select_option(colour)
            page.get_by_role("button", name="Next text").press("Enter")
            expect(page.locator("#text")).to_contain_text("<img src=x")
        found = page.evaluate(
            """() => [...document.querySelectorAll("img[src=x], [onerror], [onload]"),
            ...[...document.querySelectorAll("a")].filter((a) => /evil|javascript/.test(a.outerHTML.split(">")[0]))]
            .map((each) => each.outerHTML.slice(0, 200))"""
        )
        assert found == [], name
        assert page.title() != "evil"
        expect(page.locator("body")).to_contain_text("<svg onload=")


@pytest.mark.parametrize("width", [1280, 1440])
def test_no_table_is_cut_beside_free_room(url: str, played: Store, open_page: Callable[..., Page], width: int) -> None:
    names = {str(who): f"annotator.number.{who}.of.a.long.name@example.com" for who in (1, 2)}
    played.projects.set(7, annotators=names, trust={"topic": {"1": 0.98, "2": 0.77}})
    page = open_page(viewport={"width": width, "height": 900})
    page.goto(f"{url}/ui/projects/7")
    drawn(page, "project")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].filter((each) => !each.closest("details, .chart")
        && each.scrollWidth > each.clientWidth).map((each) => each.getAttribute("aria-labelledby"))"""
    )
    assert cut == []
