"""HTML → the text that a reader sees, with Label Studio's character offsets.

Label Studio shows the markup in a frame. Its `globalOffsets` count the code points of all text nodes of the body,
visible or not, and one for each line break (its editor's domManager.ts). To keep offsets equal, invisible text becomes
spaces here. Blocks that meet without white space are separated by a mark that offsets do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from lxml import etree, html

from backend.targets import MARK

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "caption", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
    "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*>")  # HTML parsers read it as a comment
_LONG = 2000  # characters of a tag's attributes from which on they are dropped: libxml2 compares each with all others
# A comment; or a tag as browsers read it (WHATWG HTML, 13.2.5): its name and its attributes. That of a script or of
# styles with its content, which has no tags. Never fails after `<` and a letter.
_TAG = re.compile(
    r"""<!--(?:-?>|.*?(?:--!?>|\Z))|<(?:(script|style)(?=[\s/>])|([a-z][^\s/>]*+))"""
    r"""((?:[\s/=]++|[^\s=>/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+))?+)*+)(?:>|\Z)"""
    r"""(?(1)(.*?)(?=</\1[\s/>]|\Z))""",
    re.IGNORECASE | re.DOTALL,
)
_TAG_OR_END = re.compile(r"</?[a-z][^>]*>", re.IGNORECASE)
_MARKS = re.compile(f"{MARK}+")
_GONE = frozenset({"script", "iframe", "template"})  # removed by Label Studio, or outside of the body's text nodes
_UNSEEN = frozenset({"style", "title", "noscript"})  # invisible, but counted


def text_of_markup(markup: str) -> str:
    """The text of an HTML document or fragment; markup that cannot be parsed is returned unchanged."""
    if not markup.strip():
        return ""
    plain = _DECLARATION.sub("", markup.replace("\r\n", "\n").replace("\r", "\n"))
    plain = _TAG.sub(_without_long_attributes, plain)
    parser = html.HTMLParser(huge_tree=True)
    try:
        body = html.document_fromstring(plain, parser=parser).body
    except (etree.LxmlError, ValueError, AssertionError):
        return markup
    if parser.error_log.filter_from_fatals():  # more than 2,048 levels: libxml2 drops what is deeper
        return unescape(_MARKS.sub(MARK, _TAG_OR_END.sub(MARK, _plain(plain)))).strip(MARK)
    if body is None:  # only a head
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


def _without_long_attributes(found: re.Match[str]) -> str:
    if len(found[3] or "") < _LONG:
        return found[0]
    return f"<{found[1] or found[2]}>{found[4] or ''}"


def _pieces(body: Any) -> Iterator[str]:
    """The texts of an element in document order, and the mark where a block begins or ends."""
    walk = etree.iterwalk(body, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if event == "start" and element.tag in _GONE:
            walk.skip_subtree()
        elif event == "start":
            yield from _opening(element)
        else:
            if element.tag in _BLOCKS:
                yield MARK
            if element is not body:
                yield _plain(element.tail)


def _opening(element: Any) -> Iterator[str]:
    if element.tag == "br":
        yield "\n"
        return
    if element.tag in _BLOCKS:
        yield MARK
    own = _plain(element.text)
    if element.tag in ("pre", "textarea"):  # HTML ignores their first line break
        own = own.removeprefix("\n")
    yield " " * len(own) if element.tag in _UNSEEN else own


def _plain(text: str | None) -> str:
    return (text or "").replace(MARK, " ")
