"""A small grammar that generates texts with a known topic. The same seed gives the same texts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Ticket(NamedTuple):
    """A text and its true topic."""

    text: str
    topic: str


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """Sentences of which texts are made. {x} in a sentence is replaced by one of `fillers["x"]`."""

    wants: Mapping[str, Sequence[str]]  # by topic, without the last full stop
    frequency: Sequence[int]  # relative, of the topics
    asides: Sequence[str]  # whole sentences that do not depend on the topic
    openings: Sequence[str]  # "": none
    closings: Sequence[str]
    fillers: Mapping[str, Sequence[str]]
    space: str = " "  # between sentences
    stop: str = "."

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics."""
        return tuple(self.wants)

    def write(self, count: int, seed: int) -> list[Ticket]:
        """`count` different tickets in random order."""
        rng = random.Random(seed)  # no secret  # noqa: S311  # nosec B311
        tickets: dict[str, Ticket] = {}
        while len(tickets) < count:
            topic = rng.choices(self.topics, weights=self.frequency)[0]
            parts = [self._sentence(rng.choice(self.wants[topic]))]
            for _ in range(rng.choice((0, 1, 1, 2))):
                parts.insert(rng.randint(0, len(parts)), rng.choice(self.asides))
            whole = (rng.choice(self.openings), *parts, rng.choice(self.closings))
            text = self._fill(self.space.join(part for part in whole if part), rng)
            if rng.random() < 0.15:
                text = text.lower()
            tickets.setdefault(text, Ticket(text, topic))
        return list(tickets.values())

    def _sentence(self, want: str) -> str:
        start = want if want.startswith("{") else want[0].upper() + want[1:]
        return start if want.endswith(("?", "？")) else start + self.stop

    def _fill(self, text: str, rng: random.Random) -> str:
        for name, choices in self.fillers.items():
            while "{" + name + "}" in text:
                text = text.replace("{" + name + "}", rng.choice(choices), 1)
        return text[0].upper() + text[1:]
