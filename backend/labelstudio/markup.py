"""HTML → the text that a reader sees, with the places of its characters as Label Studio counts them.

Label Studio shows the markup in a frame and counts, in its `globalOffsets`, the code points of all text nodes of the
body and one for each line break, whether they are seen or not (its editor's domManager.ts). So that places stay true,
nothing is left out here; where blocks meet without white space, a mark that does not count parts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import html
from lxml.etree import LxmlError

from backend.targets import MARK

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "caption", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
    "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*>")  # in HTML a comment
_GONE = frozenset({"script", "iframe"})  # Label Studio takes them out
_UNSEEN = frozenset({"style", "title", "template", "noscript"})


def text_of_markup(markup: str) -> str:
    """The text of an HTML document or fragment; markup that cannot be read as it stands."""
    if not markup.strip():
        return ""
    plain = _DECLARATION.sub("", markup.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        body = html.document_fromstring(plain).body
    except (LxmlError, ValueError, AssertionError):
        return markup
    if body is None:  # nothing but a head
        return ""
    text = ""
    parts = []
    apart = False
    for piece in _pieces(body):
        if piece == MARK:
            apart = bool(text)
        elif piece:
            if apart and not text[-1].isspace() and not piece[0].isspace():
                parts.append(MARK)
            parts.append(piece)
            text, apart = piece, False
    return "".join(parts)


def _pieces(element: Any) -> Iterator[str]:
    """The texts below an element in their order, and the mark where a block begins or ends."""
    if element.tag == "br":
        yield "\n"
        return
    edge = MARK if element.tag in _BLOCKS else ""
    yield edge
    own = _plain(element.text)
    if element.tag in ("pre", "textarea"):  # whose first line break is markup
        own = own.removeprefix("\n")
    yield " " * len(own) if element.tag in _UNSEEN else own
    for child in element:
        if isinstance(child.tag, str) and child.tag not in _GONE:  # comments have another kind of tag
            yield from _pieces(child)
        yield _plain(child.tail)
    yield edge


def _plain(text: str | None) -> str:
    return (text or "").replace(MARK, " ")
