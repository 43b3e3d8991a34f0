"""The demo's tickets: always the same, all different, every topic among them."""

from __future__ import annotations

from collections import Counter

import pytest

from backend.demo import chinese, tickets
from backend.demo.grammar import Grammar
from backend.demo.kinds import KINDS, Name, mentions
from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.options import ProjectOptions
from backend.rounds.selection.compatibility import refuse_unsupported

GRAMMARS = pytest.mark.parametrize("grammar", [tickets.TICKETS, chinese.TICKETS], ids=["English", "Chinese"])


@GRAMMARS
def test_tickets_are_reproducible_and_distinct(grammar: Grammar) -> None:
    written = grammar.write(500, seed=7)
    assert written == grammar.write(500, seed=7)
    assert written != grammar.write(500, seed=8)
    assert len({ticket.text for ticket in written}) == 500
    assert not any("{" in ticket.text or "}" in ticket.text for ticket in written)


@GRAMMARS
def test_every_topic_occurs_and_some_are_rarer(grammar: Grammar) -> None:
    counts = Counter(ticket.topic for ticket in grammar.write(500, seed=7))
    assert set(counts) == set(grammar.topics)
    assert 20 < min(counts.values()) < max(counts.values()) / 1.5


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_demo_is_understood_and_answered(name: Name) -> None:
    kind = KINDS[name]
    spec = parse(kind.config)
    if name != "answers":  # whose base model is not installed everywhere
        refuse_unsupported(ProjectOptions.from_extra_params(dict(kind.options)), spec.targets)
    examples = kind.examples(kind.grammar.write(200, seed=7))
    assert len(examples) > 100
    for example in examples:
        values, text = dict(example.values), text_of(example.data, spec)
        assert values_of({"result": spelled(spec, values, text)}, spec) == values
    for target in spec.targets:
        assert target.learnable([example.values[target.name] for example in examples])


def test_mentions_stand_where_they_say() -> None:
    text = "hello, li wei: $1,150 for THE KETTLE in Graz"
    assert [[text[a:b], name] for a, b, name in mentions(text)] == [
        ["li wei", "Person"], ["$1,150", "Money"], ["THE KETTLE", "Product"], ["Graz", "Place"],
    ]  # fmt: skip
