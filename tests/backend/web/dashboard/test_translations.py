"""Every sentence of the pages is there in every language, with its values in their places."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from backend.web.dashboard import language
from backend.web.dashboard.language import TRANSLATIONS, Language

REPOSITORY = Path(__file__).parents[4]
LOCALES = sorted(path.stem for path in TRANSLATIONS.glob("*.po"))


def sentences() -> Iterator[tuple[str, ...]]:
    mappings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]["mappings"]
    methods = [(each["pattern"], each["method"]) for each in mappings]
    options = {each["pattern"]: {"trimmed": each.get("trimmed", "false")} for each in mappings}
    for _, _, message, _, _ in extract_from_dir(REPOSITORY / "backend", methods, options):
        yield (message,) if isinstance(message, str) else tuple(message)


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_missing_and_nothing_is_left_over(locale: str) -> None:
    with (TRANSLATIONS / f"{locale}.po").open("rb") as file:
        catalog = read_po(file, locale)
    wanted = set(sentences())
    assert len(wanted) > 100
    there = {m.id if isinstance(m.id, tuple) else (m.id,): m for m in catalog if m.id}
    assert set(there) == wanted, "run `make translations` and fill in what is empty"
    for ids, message in there.items():
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in texts:
            assert text, ids
            places = [sorted(re.findall(r"%\(\w+\)s|%\{[^}]+\}|%%|`[^`]+`", each)) for each in (ids[-1], text)]
            assert places[0] == places[1], ids


def test_numbers_and_times_are_those_of_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language.time, "time", lambda: 1000.0)
    english, chinese = Language("en"), Language("zh_Hans")
    assert (english.number(1234.56, 1), english.percent(0.126), english.lasting(130)) == ("1,234.6", "13%", "2 minutes")
    assert (english.ago(820), chinese.ago(820), chinese.lasting(130)) == ("3 minutes ago", "3分钟前", "2分钟")
    assert chinese.ngettext("%(n)s task in the queue", "%(n)s tasks in the queue", 1200) == "队列中有 1,200 个任务"
    assert english.ngettext("%(n)s task in the queue", "%(n)s tasks in the queue", 1) == "1 task in the queue"
