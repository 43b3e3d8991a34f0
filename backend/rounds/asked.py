"""What a project's options ask of a round: which strategy chooses now, and what the learner must compute for it."""

from __future__ import annotations

from collections.abc import Collection

import strategies
from backend.learners.base import CommitteeOptions, GradientOptions
from backend.pool import fields
from backend.settings import ProjectOptions
from strategies import Strategy

_MEMBERS = {"bootstrap": 10, "lora": 5, "dropout": 10, "views": 2}


def strategy_at(options: ProjectOptions, labels: Collection[str], classes: int, *, trained: bool = True) -> Strategy:
    """The strategy that chooses: the cold start's while nothing can be trained or labels are few for so many classes.

    labels: the class of each labeled text.
    """
    few = len(set(labels)) < 2 or len(labels) < options.cold_start_per_class * classes
    if few or not trained:
        return strategies.get(options.cold_start)
    return strategies.get(options.strategy, **options.strategy_options)


def committee_options(options: ProjectOptions, strategy: Strategy) -> CommitteeOptions | None:
    """The committee to train beside the adapter; None if the strategy asks none."""
    if "committee_probs" not in strategy.requires:
        return None
    kind = options.committee or ("views" if options.strategy == "co_training" else "bootstrap")
    return CommitteeOptions(kind=kind, members=options.members or _MEMBERS[kind])


def gradient_options(options: ProjectOptions) -> GradientOptions:
    """Which gradients' lengths the strategy `egl` compares."""
    return GradientOptions(label=options.egl_label, parameters=options.egl_parameters, top_k=options.egl_top_k)


def scored(options: ProjectOptions, strategy: Strategy) -> dict[str, str]:
    """The arrays that an adapter must compute for the strategy, by the names under which they are kept.

    A name says of whom the array is: another committee's, or another gradient's, is another array.
    """
    names = {}
    for array in {"probs", *fields.arrays(strategy.requires) & fields.SCORED}:
        names[stored_as(array, options, strategy)] = array
    return names


def stored_as(array: str, options: ProjectOptions, strategy: Strategy) -> str:
    """The name under which one array is kept."""
    if array == "committee_probs" and (committee := committee_options(options, strategy)):
        return f"{array} {committee.kind} {committee.members}"
    if array == "gradient_lengths":
        gradient = gradient_options(options)
        return f"{array} {gradient.label} {gradient.parameters} {gradient.top_k}"
    return array
