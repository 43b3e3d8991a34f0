"""The demo's tickets: always the same, all different, every topic among them."""

from __future__ import annotations

from collections import Counter

from backend.demo import tickets


def test_tickets_are_reproducible_and_distinct() -> None:
    written = tickets.write(500, seed=7)
    assert written == tickets.write(500, seed=7)
    assert written != tickets.write(500, seed=8)
    assert len({ticket.text for ticket in written}) == 500
    assert not any("{" in ticket.text or "}" in ticket.text for ticket in written)


def test_every_topic_occurs_and_some_are_rarer() -> None:
    counts = Counter(ticket.topic for ticket in tickets.write(500, seed=7))
    assert set(counts) == set(tickets.TOPICS)
    assert 20 < min(counts.values()) < max(counts.values()) / 1.5
