"""The languages of the pages: English, and Simplified Chinese if the browser prefers it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations
from flask import g, request

TRANSLATIONS = Path(__file__).parent / "translations"
_BY_PREFIX = {"en": "en", "zh": "zh_Hans"}


class Language:
    """Sentences, numbers and times in one language. The English sentences are the keys of its catalog."""

    def __init__(self, locale: str) -> None:
        self.locale = locale
        self.tag = locale.replace("_", "-")  # for HTML's `lang`
        self._catalog = _catalog(locale)

    def gettext(self, message: str, **values: Any) -> str:
        """The translated sentence, with each `%(name)s` replaced by its value."""
        found: str = self._catalog.gettext(message)
        return found % values if values else found

    def ngettext(self, one: str, many: str, n: int, **values: Any) -> str:
        """The translated singular or plural; `%(n)s` is the number."""
        found: str = self._catalog.ngettext(one, many, n)
        return found % {"n": self.number(n), **values}

    def number(self, value: float, digits: int = 0) -> str:
        """1,234.5, with this many decimals."""
        shape = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=shape, locale=self.locale)

    @staticmethod
    def significant(value: float) -> str:
        """Three significant digits: 0.00253, 1.2e-09."""
        return f"{value:.3g}"

    def percent(self, share: float, digits: int = 0) -> str:
        """0.123 → 12 %."""
        shape = "0%" if not digits else "0." + "0" * digits + "%"
        return format_percent(share, format=shape, locale=self.locale)

    def ago(self, when: float) -> str:
        """Rounded time since then: 3 minutes ago. when: seconds since 1970."""
        return format_timedelta(timedelta(seconds=when - time.time()), add_direction=True, locale=self.locale)

    def lasting(self, seconds: float) -> str:
        """Rounded duration: 2 minutes."""
        return format_timedelta(timedelta(seconds=max(1.0, seconds)), threshold=1.5, locale=self.locale)

    @staticmethod
    def iso(when: float) -> str:
        """ISO 8601, UTC."""
        return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")

    def at(self, when: float) -> str:
        """Date and time, UTC."""
        return format_datetime(datetime.fromtimestamp(when, UTC), "medium", locale=self.locale)


def spoken() -> Language:
    """The language of the current request, as the browser prefers."""
    if "language" not in g:
        wanted = (value.split("-")[0].lower() for value in request.accept_languages.values())
        g.language = Language(next((_BY_PREFIX[each] for each in wanted if each in _BY_PREFIX), "en"))
    found: Language = g.language
    return found


@cache
def _catalog(locale: str) -> NullTranslations:
    """Compiled in memory, so that only the text file is stored."""
    path = TRANSLATIONS / f"{locale}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale))
    compiled.seek(0)
    return Translations(compiled)
