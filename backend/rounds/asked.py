"""What a project's options ask of a round: which strategy chooses now, and what the learner must compute for it."""

from __future__ import annotations

from collections.abc import Sequence

import strategies
from backend.learners.base import CommitteeOptions, GradientOptions, UncertaintyOptions
from backend.options import ProjectOptions
from backend.pool import fields
from backend.rounds.support import default_strategy
from backend.targets import Target, Values, learnable
from strategies import Strategy
from strategies.mixed import Mixed

_MEMBERS = {"bootstrap": 10, "lora": 5, "dropout": 10, "views": 2}


def strategy_at(
    options: ProjectOptions, labels: Sequence[Values], targets: Sequence[Target], *, trained: bool = True
) -> Strategy:
    """The strategy that chooses: the cold start's while nothing can be trained or labels are few for what there is.

    labels: what each labeled text teaches. They are few below `cold_start_per_class` for each outcome of the target
    that tells most apart.
    """
    few = len(labels) < options.cold_start_per_class * max(target.outcomes for target in targets)
    if few or not trained or not learnable(targets, labels):
        return strategies.get(options.cold_start)
    return balanced(strategies.get(options.strategy or default_strategy(targets), **options.strategy_options), options)


def balanced(strategy: Strategy, options: ProjectOptions) -> Strategy:
    """The strategy with the share of the queue that is for classes with few labels, under its own name."""
    if not options.balance:
        return strategy
    members, shares = ((strategy,), (1.0,)) if not isinstance(strategy, Mixed) else (strategy.members, strategy.shares)
    rest = 1 - options.balance
    return Mixed(
        (*members, strategies.get("rare")), (*(rest * share for share in shares), options.balance), strategy.name
    )


def committee_options(options: ProjectOptions, strategy: Strategy) -> CommitteeOptions | None:
    """The committee to train beside the adapter; None if the strategy asks none."""
    if not {"committee_probs", "predictions"} & strategy.requires:
        return None
    kind = options.committee or ("views" if options.strategy == "co_training" else "bootstrap")
    return CommitteeOptions(kind=kind, members=options.members or _MEMBERS[kind])


def gradient_options(options: ProjectOptions) -> GradientOptions:
    """Which gradients' lengths the strategy `egl` compares."""
    return GradientOptions(label=options.egl_label, parameters=options.egl_parameters, top_k=options.egl_top_k)


def uncertainty_options(options: ProjectOptions) -> UncertaintyOptions:
    """How the strategy `uncertainty` sums up a text."""
    return UncertaintyOptions(
        multilabel=options.multilabel_uncertainty, spans=options.spans_uncertainty,
        generation=options.generation_uncertainty, seed=options.seed,
    )  # fmt: skip


def scored(options: ProjectOptions, strategy: Strategy, targets: Sequence[Target]) -> dict[str, str]:
    """The arrays that an adapter must compute for the strategy beside its outputs, by the names to keep them under."""
    names = {}
    for field in fields.arrays(strategy.requires) & fields.SCORED - {"probs"}:
        for array in of_targets(field, targets):
            names[stored_as(array, options, strategy)] = array
    return names


def of_targets(array: str, targets: Sequence[Target]) -> list[str]:
    """What the learner calls an array that strategies ask for: probabilities and uncertainties are a target's."""
    return [f"{target.name}/{array}" for target in targets] if array in ("probs", "uncertainty") else [array]


def stored_as(array: str, options: ProjectOptions, strategy: Strategy) -> str:
    """The name under which one array is kept. It says how it was made: made otherwise, it is another array."""
    if array in ("committee_probs", "predictions") and (committee := committee_options(options, strategy)):
        return f"{array} {committee.kind} {committee.members}"
    if array == "gradient_lengths":
        gradient = gradient_options(options)
        return f"{array} {gradient.label} {gradient.parameters} {gradient.top_k}"
    if array.endswith("/uncertainty"):
        return " ".join(
            [array, options.multilabel_uncertainty, options.spans_uncertainty, options.generation_uncertainty]
        )
    return array
