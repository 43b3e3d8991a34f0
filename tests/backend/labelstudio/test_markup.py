"""The text of HTML. What stands on the right was counted by Chromium, as Label Studio's editor counts it."""

from __future__ import annotations

import time

import pytest

from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.markup import text_of_markup
from backend.targets import MARK, unmarked


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One &amp; two</p><ul><li>three</li></ul>", "One & two|three"),
        ("  <p>lead</p>\n<p>x</p>\n", "lead\nx\n"),
        ("<style>p {color: red}</style><p>a</p>", "a"),
        ("un<b>believ</b>able <i>x</i>", "unbelievable x"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<pre>\n one\n two</pre>", " one\n two"),
        ("<table>\n<tr><td>1</td> <td>2</td></tr>\n</table>", "\n1 2\n"),
        ("<html><head><title>T</title></head><body class='c'>\n<h1>H</h1> text</body></html>", "\nH text"),
        ("<div>x<!-- comment -->y<script>bad()</script>z</div>", "xyz"),
        ("<p>unclosed<p>second", "unclosed|second"),
        ("plain & text < 3", "plain & text < 3"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("<p>😀é中文&nbsp;x</p>", "😀é中文\xa0x"),
        ("<div><p>nested</p>after</div>", "nested|after"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a|b|c"),
        ("<ul>\n <li>a\n <li>b\n</ul>", "\n a\n b\n"),
        ("<a href='#'>l</a><textarea>\nq</textarea>", "lq"),
        ("", ""),
        ("<p></p>", ""),
        ("<style>p {color: red}</style>", ""),
        ("<html><head><title>T</title></head></html>", ""),
        ('<?xml version="1.0" encoding="utf-8"?><html><body><p>Ann</p></body></html>', "Ann"),
    ],
)
def test_the_text_has_the_characters_that_label_studio_counts(markup: str, text: str) -> None:
    assert text_of_markup(markup) == text.replace("|", MARK)


@pytest.mark.parametrize(
    "markup",
    [
        "<p " + " ".join(f'a{number}="1"' for number in range(90_000)) + ">x</p>",
        "<p ' " + " ".join(f"a{number}=1" for number in range(90_000)) + ">x</p>",
        '<p x=">" ' + " ".join(f"a{number}=1" for number in range(90_000)) + ">x</p>",
        "<div>" * 2000 + "x" + "</div>" * 2000,
        "<div>" * 20_000 + "x",
        "<b>" * 20_000 + "x" + "</b>" * 20_000,
        "<?xml" + " " * 1_000_000 + "?>x",
        '<img src="data:image/png;base64,' + "A" * 1_000_000 + '">x',
        '<a title="' + ">" * 5000 + '">x</a>',
    ],
)
def test_very_many_attributes_and_levels(markup: str) -> None:
    """libxml2 compares each attribute of a tag with all others: 90,000 take it half a minute of computing."""
    began = time.process_time()
    assert text_of_markup(markup) == "x"
    assert time.process_time() - began < 10


def test_text_below_thousands_of_levels_is_kept() -> None:
    deep = "<div title='>'>" * 3000 + "b &amp; c" + "</div>" * 3000
    assert text_of_markup(f"<p>a</p>{deep}<p>d</p>").split(MARK)[0] == "a"
    assert text_of_markup(f"<p>a</p>{deep}<p>d</p>").endswith(f"b & c{MARK}d")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a\0b<p>c", "a\ufffdb|c"),
        ("a&#0;b<p>c", "a\ufffdb|c"),
        (" " * 1_000_000, ""),
        ("<?xml " * 150_000, "<?xml " * 150_000),
        ('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><p>&b;</p>', "]>|&b;"),
    ],
)
def test_hostile_markup_is_some_text(markup: str, text: str) -> None:
    assert text_of_markup(markup) == text.replace("|", MARK)


@pytest.mark.parametrize(
    "between",
    [
        "<script>if (a<b ){" + "x = 1; " * 600 + "}</script>",
        "<!-- if a<b " + "x = 1; " * 600 + "-->",
        "<!--><!-->",
        "<script " + "a=1 " * 2000 + ">if (a<b) {}</script>",
    ],
)
def test_scripts_and_comments_end_where_they_end(between: str) -> None:
    assert text_of_markup(f"<p>before</p>{between}<p>after</p>") == f"before{MARK}after"


def test_styles_are_counted_as_they_are() -> None:
    style = "a<b " + "x = 1; " * 600
    assert text_of_markup(f"x<style>{style}</style>y") == "x" + " " * len(style) + "y"


def test_a_tag_that_never_ends() -> None:
    assert text_of_markup("a<p " + "b " * 100_000) == "a"
    assert text_of_markup("<" * 100_000) == "<" * 100_000


def test_what_is_not_seen_is_counted_all_the_same() -> None:
    assert text_of_markup("<p>a</p><style>b{c}</style>tail") == "a    tail"
    assert text_of_markup("x<noscript>n</noscript>y") == "x y"


def test_a_mark_in_the_data_is_no_mark() -> None:
    assert unmarked(text_of_markup(f"<p>a{MARK}b</p>")) == "a b"
    choices = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'
    spec = parse(f'<View><Text name="t" value="$t"/>{choices}</View>')
    assert text_of({"t": f"a{MARK}b"}, spec) == "a\nb"
