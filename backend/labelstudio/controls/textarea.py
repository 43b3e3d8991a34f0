"""`<TextArea>`: an answer as free text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.labelstudio.controls.base import Output, Region, UnusableError, listed, region
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import Target


class Answers:
    """One answer per text."""

    def read(self, tag: Any) -> Control:
        """The control."""
        return Control(Target(str(tag.get("name")), "generation"), "", "textarea")

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> str | None:
        """The answer; several entries of one annotator become its lines. None if there is only white space."""
        lines = [line for each in regions for line in _lines(each["value"].get("text"))]
        answer = "\n".join(lines)
        return answer if answer.strip() else None

    def agreed(self, values: Sequence[str]) -> str:
        """The most frequent answer; of equally frequent ones the first: annotators rarely write the same."""
        return Counter(values).most_common(1)[0][0]

    def regions(self, control: Control, value: str, text: str) -> list[Region]:
        """One region with one text."""
        return [region(control, {"text": [value]})]

    def predicted(
        self, control: Control, learned: Target, output: Output, text: str
    ) -> tuple[str | None, float | None]:
        """The answer, and the geometric mean of its tokens' probabilities; None if the model generated no text."""
        answer = "".join(chr(code) for code in output["answer"].tolist() if code)
        return (answer, min(1.0, math.exp(float(output["log_prob"])))) if answer.strip() else (None, None)


def _lines(text: Any) -> list[str]:
    lines = [text] if isinstance(text, str) else listed(text)
    if not all(isinstance(line, str) for line in lines):
        raise UnusableError(Reason.UNREADABLE)
    return lines
