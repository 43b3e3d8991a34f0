"""Prose is plain technical English: none of the phrases that a newcomer has to decode (CONTRIBUTING, Style).

Read are docstrings, comments, messages and help texts of the code, Markdown pages and templates. Not read are names,
`code in backticks`, strings without a space, such as keys of stored records, and the strings in `STABLE`.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PHRASES = {
    r"told|tells|tell": "state, report, show, notify, return, or name what happens",
    r"said|says|say": "state, report, answer, predict, or quote the value",
    r"asked|asks|ask|asking": "request, require, query, call, or need",
    r"looks? (?:at|after|again|over)|looked|looking|an? \w*\s?look": "check, read, compare, inspect",
    r"whoever|whomever|whosoever|somebody|someone": "name the role: the caller, the operator, an annotator",
    r"(?:to|can(?:not)?|could|may|might) be had": "is available",
    r"go(?:es)? by|goes? without|lies? behind|what lies": "use, follow, depend on",
    r"in another life|another life|so to speak|as it were|in good order": "delete the figure of speech",
    r"without an end|for want of|wants? to be|have the word": "use the plain word",
    r"(?:is|are|was|were) (?:none|no) (?:the|of its) (?:wiser|business)": "use the plain word",
    r"anew|thereby|therein|thereof|wherein|whereby|hitherto|likeliest": "again, by this, in it, most likely",
    r"what (?:a team|people|teams?) (?:can|may) choose|who we are": "name the thing: options, credentials",
    r"by which a|by which the": "used to, for",
    r"beside (?:it|them|each other) (?:lies?|lie|is|are)": "next to",
}
STABLE = {"asked for"}  # values of API fields and stored records, which stay as they are
PATTERN = re.compile("|".join(rf"(?P<p{i}>\b(?:{phrase})\b)" for i, phrase in enumerate(PHRASES)), re.IGNORECASE)
CODE = re.compile(r"```.*?```|`[^`]*`|https?://\S+|\]\([^)]*\)|\{%.*?%\}|<[^>]+>", re.DOTALL)
SAMPLES = REPOSITORY / "backend/demo/tickets.py"  # texts to label, in the words of customers


def files() -> Iterator[Path]:
    for folder in ("backend", "strategies", "docs"):
        yield from sorted(path for path in (REPOSITORY / folder).rglob("*.py") if path != SAMPLES)
        yield from sorted((REPOSITORY / folder).rglob("*.md"))
        yield from sorted((REPOSITORY / folder).rglob("*.html"))
    yield from (REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))


def python_prose(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment, docstring and sentence in a string."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            if node.value in STABLE:
                continue
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line


def prose(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        for number, part in python_prose(text):
            yield number, CODE.sub("", part)
    else:
        blank = CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
        yield from enumerate(blank.splitlines(), 1)


def findings(path: Path) -> list[str]:
    found = []
    for number, part in prose(path):
        for match in PATTERN.finditer(part):
            advice = list(PHRASES.values())[int(str(match.lastgroup)[1:])]
            found.append(f"{path.relative_to(REPOSITORY)}:{number}: '{match.group()}': {advice}: {part.strip()[:90]}")
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_prose_is_plain(path: Path) -> None:
    assert not (found := findings(path)), "\n" + "\n".join(found)


def test_the_check_finds_what_it_forbids() -> None:
    source = '"""Whoever asked is told."""\nx = "said"  # what lies behind\nraise E("it cannot be had `told`")\n'
    found = [match.group() for _, part in python_prose(source) for match in PATTERN.finditer(CODE.sub("", part))]
    assert sorted(map(str.lower, found)) == ["asked", "cannot be had", "told", "what lies", "whoever"]
    assert not list(python_prose('status = "asked for"'))
