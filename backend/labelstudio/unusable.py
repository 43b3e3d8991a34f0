"""Why a label is not learned."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stored with the annotation."""

    UNREADABLE = "unreadable"  # not in the format in which Label Studio's editor writes this control
    TOO_LARGE = "too large"  # a number
    SEVERAL = "several"  # several answers where one is expected
    OVERLAP = "overlap"  # spans that overlap
    SEVERAL_LABELS = "several labels"  # a span with several labels, or none
    NO_OFFSETS = "no offsets"  # a span in HTML without `globalOffsets`
    OUTSIDE = "outside"  # a span that is not inside the text
    UNKNOWN = "unknown"  # a label that the label config does not have
    DISAGREEMENT = "disagreement"  # annotators who disagree
    NO_TEXT = "no text"  # the task has no text
