"""Which strategy selects now, and what the learner must compute for it."""

from __future__ import annotations

from collections.abc import Sequence

import strategies
from backend.learners.base import CommitteeOptions, GradientOptions, TrainingOptions, UncertaintyOptions
from backend.learners.heads import class_names
from backend.learners.models.loading import is_served
from backend.learners.saved import describe
from backend.options import ProjectOptions
from backend.options.strategy_rules import COMPARE_VIEWS
from backend.pool import fields
from backend.rounds.class_texts import class_texts
from backend.rounds.context import ProjectRun
from backend.rounds.examples import training_examples
from backend.rounds.selection.compatibility import default_strategy
from backend.rounds.served.teachable import teachable
from backend.targets import Target, Values, learnable
from strategies import Strategy
from strategies.mixed import Mixed
from strategies.sampled import Sampled

COMMITTEE = frozenset({"committee_probs", "predictions"})  # `Pool` fields that a committee computes
_MEMBERS = {"bootstrap": 10, "lora": 5, "dropout": 10, "views": 2}


def strategy_now(run: ProjectRun, *, trained: bool = True) -> Strategy:
    """The strategy for today's labels; trained: whether an adapter has scored the pool."""
    examples, _ = training_examples(run)
    labels, targets = [example.values for example in examples], run.spec.targets
    taught = {target.name for target in teachable(run.options, run.spec)}
    named = {target.name for target in targets} <= class_texts(run).keys() | taught
    return strategy_at(run.options, labels, targets, trained=trained, named=named)


def strategy_for(run: ProjectRun, version: int) -> Strategy:
    """The strategy that selects by this adapter's scores; the cold-start strategy for version 0.

    The cold-start strategy, too, if the strategy needs a committee that the adapter was not trained with: after a
    rollback.
    """
    strategy = strategy_now(run, trained=version > 0)
    committee = committee_options(run.options, strategy)
    if version and committee and describe(run.store.adapter_folder(run.id, version))[1] != committee:
        return strategies.get(run.options.cold_start)
    return strategy


def strategy_at(
    options: ProjectOptions, labels: Sequence[Values], targets: Sequence[Target], *, trained: bool = True,
    named: bool = False,
) -> Strategy:  # fmt: skip
    """The strategy of the options, or the cold-start strategy while the model knows too little for it.

    labels: the values of each labeled text. They are few below `cold_start_per_class` times the outcomes of the target
    with most outcomes. named: the model knows the names of all classes, or has a teacher, and so does not need labels,
    unless the strategy needs a committee, which is trained on labels alone.
    """
    few = len(labels) < options.cold_start_per_class * max(target.outcomes for target in targets)
    strategy = strategies.get(options.strategy or default_strategy(targets), **options.strategy_options)
    by_names = named and not COMMITTEE & strategy.requires
    if not trained or not (by_names or (learnable(targets, labels) and not few)):
        return strategies.get(options.cold_start)
    return balanced(strategy, options)


def balanced(strategy: Strategy, options: ProjectOptions) -> Strategy:
    """The strategy mixed with the share `balance` of the strategy `rare`, under its own name."""
    if not options.balance:
        return strategy
    members, shares = ((strategy,), (1.0,)) if not isinstance(strategy, Mixed) else (strategy.members, strategy.shares)
    rest = 1 - options.balance
    return Mixed(
        (*members, strategies.get("rare")), (*(rest * share for share in shares), options.balance), strategy.name
    )


def committee_options(options: ProjectOptions, strategy: Strategy) -> CommitteeOptions | None:
    """The committee to train with the adapter; None if the strategy needs none."""
    if not COMMITTEE & strategy.requires:
        return None
    kind = options.committee or ("views" if options.strategy in COMPARE_VIEWS else "bootstrap")
    return CommitteeOptions(kind=kind, members=options.members or _MEMBERS[kind])


def gradient_options(options: ProjectOptions) -> GradientOptions:
    """Which gradients' lengths the strategy `egl` compares."""
    return GradientOptions(label=options.egl_label, parameters=options.egl_parameters, top_k=options.egl_top_k)


def uncertainty_options(options: ProjectOptions) -> UncertaintyOptions:
    """How the strategy `uncertainty` aggregates over a text."""
    return UncertaintyOptions(
        multilabel=options.multilabel_uncertainty, spans=options.spans_uncertainty,
        generation=options.generation_uncertainty, seed=options.seed,
    )  # fmt: skip


def scored(options: ProjectOptions, strategy: Strategy, targets: Sequence[Target]) -> dict[str, str]:
    """The arrays that an adapter computes for the strategy besides its outputs, by the name to store each under."""
    names = {}
    for field in fields.arrays(strategy.requires) & fields.SCORED - {"probs"}:
        for array in of_targets(field, targets):
            names[stored_as(array, options, strategy)] = array
    return names


def reacts(options: ProjectOptions, strategy: Strategy, targets: Sequence[Target]) -> bool:
    """Whether the strategy can rank again when only the head has changed, from the adapter's features.

    Strategies that compare members or estimate quality from their draws keep the queue of a round.
    """
    asked = strategy.requires & fields.SCORED
    return (
        all(target.kind in class_names.KINDS for target in targets)
        and bool(asked & {"probs", "uncertainty"})
        and asked <= {"probs", "uncertainty", "features"}
        and not isinstance(strategy, Mixed | Sampled)
        and not is_served(options.base_model)
    )


def of_targets(array: str, targets: Sequence[Target]) -> list[str]:
    """The learner's names of a `Pool` field: probabilities and uncertainties exist once for each target."""
    return [f"{target.name}/{array}" for target in targets] if array in ("probs", "uncertainty") else [array]


def stored_as(array: str, options: ProjectOptions, strategy: Strategy) -> str:
    """The name to store an array under. It contains the options that the array depends on."""
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


def training_options(options: ProjectOptions, strategy: Strategy) -> TrainingOptions:
    """The project's options for training, with the committee that the strategy needs."""
    served = is_served(options.base_model)
    return TrainingOptions(
        epochs=options.epochs,
        min_steps=options.min_steps,
        max_steps=options.max_steps,
        batch_size=options.train_batch_size,
        checkpointing=options.gradient_checkpointing,
        learning_rate=options.learning_rate,
        lora_r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_layers=options.lora_layers,
        lora_dropout=options.lora_dropout,
        max_length=options.max_length,
        seed=options.seed,
        committee=committee_options(options, strategy),
        shots=options.shots if served else 0,
        instructions=options.instructions if served else "",
    )
