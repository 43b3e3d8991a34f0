"""The demo's kinds of label: a label config for each, and the true labels of the tickets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from backend.demo import chinese, tickets
from backend.demo.grammar import Grammar, Ticket
from backend.targets import SIDES, Values

Name = Literal["choices", "multiple", "taxonomy", "rating", "ner", "pairwise", "answers", "several", "chinese"]

_TEXT = '<Text name="text" value="$text"/>'
_GROUPS = {
    "Money": ("Refund", "Billing", "Cancellation"),
    "Goods": ("Delivery", "Broken product", "How to"),
    "People": ("Login", "Praise"),
}
_HAPPINESS = {"Praise": 5, "How to": 4, "Billing": 3, "Login": 2, "Cancellation": 2, "Delivery": 2, "Refund": 1,
              "Broken product": 1}  # fmt: skip
_REPLIES = {
    "Refund": "The money is on its way back to you.", "Delivery": "We will check with the courier.",
    "Broken product": "We will send a new one.", "Login": "We have reset your password.",
    "Billing": "Our accountants will send the papers.", "Cancellation": "Your contract ends this month.",
    "How to": "Page 12 of the manual shows how.", "Praise": "That makes our day!",
}  # fmt: skip
_MENTIONED = {"the_item": "Product", "amount": "Money", "person": "Person", "city": "Place"}  # by name of the filler


class Example(NamedTuple):
    """The data of a task, and its true labels."""

    data: Mapping[str, str]
    values: Values


class DemoKind(NamedTuple):
    """A label config, the tasks for it, and which tickets to create, and how many."""

    config: str
    examples: Callable[[Sequence[Ticket]], list[Example]]
    options: Mapping[str, Any] = MappingProxyType({})
    grammar: Grammar = tickets.TICKETS
    pool: int = 400
    held_back: int = 150  # to measure the model


def _each(truth: Callable[[Ticket], Values]) -> Callable[[Sequence[Ticket]], list[Example]]:
    """One task per ticket."""
    return lambda written: [Example({"text": ticket.text}, truth(ticket)) for ticket in written]


def mentions(text: str) -> list[list[Any]]:
    """Mentions in a ticket as [start, end, class], in order of the text; the longest where several start."""
    found = [[m.start(), m.end(), _class(m.group().lower())] for m in _NAMES.finditer(text)]
    return [span for span in found if span[2]]


def _class(name: str) -> str:
    return next(kind for of, kind in _MENTIONED.items() if name in map(str.lower, tickets.FILLERS[of]))


_NAMES = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(name)}(?!\w)"
        for name in sorted((each for of in _MENTIONED for each in tickets.FILLERS[of]), key=len, reverse=True)
    ),
    re.IGNORECASE,
)


def _choices(grammar: Grammar = tickets.TICKETS) -> str:
    offered = "".join(f'<Choice value="{topic}"/>' for topic in grammar.topics)
    return f'<Choices name="topic" toName="text" choice="single" showInLine="true">{offered}</Choices>'


def _tags(tag: str) -> str:
    return "".join(f'<{tag} value="{name}"/>' for name in _MENTIONED.values())


_TAXONOMY = "".join(
    f'<Choice value="{group}">' + "".join(f'<Choice value="{topic}"/>' for topic in topics) + "</Choice>"
    for group, topics in _GROUPS.items()
)
_LABELS = f'<Labels name="mentions" toName="text">{_tags("Label")}</Labels>'
_RATING = '<Rating name="happiness" toName="text" maxRating="5"/>'


def _topic(ticket: Ticket) -> Values:
    return {"topic": ticket.topic}


def _happiness(ticket: Ticket) -> Values:
    return {"happiness": float(_HAPPINESS[ticket.topic])}


def _spans(ticket: Ticket) -> Values:
    return {"mentions": mentions(ticket.text)}


def _which(ticket: Ticket) -> Values:
    there = {name for _, _, name in mentions(ticket.text)}
    return {"mentions": [name for name in _MENTIONED.values() if name in there]}


def _path(ticket: Ticket) -> Values:
    return {"topic": next(f"{group} / {ticket.topic}" for group, topics in _GROUPS.items() if ticket.topic in topics)}


def _answer(ticket: Ticket) -> Values:
    """A reply that names the product of the ticket."""
    about = next((ticket.text[a:b] for a, b, name in mentions(ticket.text) if name == "Product"), "us")
    return {"reply": f"Thank you for writing about {about.lower()}. {_REPLIES[ticket.topic]}"}


def _pairs(written: Sequence[Ticket]) -> list[Example]:
    """Pairs of consecutive tickets, without pairs of equal happiness."""
    return [
        Example({"text": a.text, "other": b.text}, {"first": SIDES[_HAPPINESS[a.topic] > _HAPPINESS[b.topic]]})
        for a, b in pairwise(written)
        if _HAPPINESS[a.topic] != _HAPPINESS[b.topic]
    ]


KINDS: Mapping[Name, DemoKind] = {
    "choices": DemoKind(f"<View>{_TEXT}{_choices()}</View>", _each(_topic)),
    "multiple": DemoKind(
        f'<View>{_TEXT}<Choices name="mentions" toName="text" choice="multiple">{_tags("Choice")}</Choices></View>',
        _each(_which),
    ),
    "taxonomy": DemoKind(
        f'<View>{_TEXT}<Taxonomy name="topic" toName="text" leafsOnly="true" maxUsages="1">{_TAXONOMY}</Taxonomy>'
        "</View>",
        _each(_path),
    ),
    "rating": DemoKind(f"<View>{_TEXT}{_RATING}</View>", _each(_happiness)),
    "ner": DemoKind(f"<View>{_LABELS}{_TEXT}</View>", _each(_spans)),
    "pairwise": DemoKind(
        f'<View><Header value="Who needs an answer first? Click on the text."/>{_TEXT}'
        '<Text name="other" value="$other"/><Pairwise name="first" toName="text,other"/></View>',
        _pairs,
    ),
    "answers": DemoKind(
        f'<View>{_TEXT}<TextArea name="reply" toName="text" rows="3" maxSubmissions="1" editable="true"/></View>',
        _each(_answer),
        options={"base_model": "smollm2", "epochs": 3, "min_steps": 20, "train_batch_size": 8},  # minutes on a laptop
        pool=120,
        held_back=20,
    ),
    "several": DemoKind(
        f"<View>{_LABELS}{_TEXT}{_choices()}{_RATING}</View>",
        _each(lambda ticket: {**_topic(ticket), **_happiness(ticket), **_spans(ticket)}),
    ),
    "chinese": DemoKind(f"<View>{_TEXT}{_choices(chinese.TICKETS)}</View>", _each(_topic), grammar=chinese.TICKETS),
}
