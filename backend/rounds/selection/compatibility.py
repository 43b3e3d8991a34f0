"""Strategies × kinds of labels: which fit together, the default strategy, and the refusal of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import strategies
from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.unsupported import leave_out
from backend.learners.heads import probe
from backend.learners.kinds import BY_KIND
from backend.learners.models.base_model import WRITERS
from backend.learners.models.loading import SERVED, can_write, is_served
from backend.learners.served import prompts
from backend.options import ProjectOptions
from backend.options.strategy_rules import COMPARE_VIEWS
from backend.targets import Kind, Target
from strategies import Strategy

SEVERAL = "several controls"
_ALWAYS = frozenset({"embeddings", "labeled_embeddings"})
_SHARED = frozenset({"features", "uncertainty"})  # fields that exist for several controls together
_DEFAULTS: dict[Kind, str] = {
    "classification": "uncertainty_herding",
    "multilabel": "uncertainty",
    "regression": "variance",
    "spans": "uncertainty",
    "pairwise": "margin",
    "generation": "uncertainty",
}


def default_strategy(targets: Sequence[Target]) -> str:
    """The strategy after the cold start, without the option `strategy`."""
    return _DEFAULTS[targets[0].kind] if len(targets) == 1 else "uncertainty"


def fields_of(kinds: Sequence[Kind]) -> frozenset[str]:
    """The `Pool` fields available for targets of these kinds."""
    asks = BY_KIND[kinds[0]].asks if len(kinds) == 1 else _SHARED
    labeled = {f"labeled_{name}" for name in asks & {"probs", "features"}}
    counts = {"class_counts"} if "probs" in asks else set()
    return _ALWAYS | asks | labeled | counts


def works(strategy: Strategy, kinds: Sequence[Kind]) -> bool:
    """Whether all `Pool` fields that the strategy requires are available."""
    return strategy.requires <= fields_of(kinds)


def matrix() -> dict[str, dict[str, str]]:
    """For each strategy and kind: "yes", the base strategy that it needs, or "" if they do not fit."""
    columns: dict[str, Sequence[Kind]] = {kind: [kind] for kind in BY_KIND}
    columns[SEVERAL] = ["classification", "spans"]
    return {name: {column: _cell(name, kinds) for column, kinds in columns.items()} for name in strategies.names()}


def _cell(name: str, kinds: Sequence[Kind]) -> str:
    if works(strategies.get(name), kinds):
        return "yes"
    for base in ("uncertainty", "variance"):
        try:
            found = strategies.get(name, base=base)
        except strategies.StrategyError:
            return ""  # it has no base strategy
        if works(found, kinds):
            return f"base {base}"
    return ""


def refuse_unsupported(options: ProjectOptions, targets: Sequence[Target]) -> None:
    """Raise `UnsupportedConfigError` if the options do not fit the label config."""
    kinds = [target.kind for target in targets]
    goals = options.target if isinstance(options.target, dict) else {}
    for option, named in (("control_weights", options.control_weights), ("target", goals)):
        unknown = sorted(set(named) - {target.name for target in targets})
        if unknown:
            raise UnsupportedConfigError(
                f"extra_params.{option} names '{unknown[0]}', which the label config has not; it has "
                f"{', '.join(target.name for target in targets)}"
            )
    classes = {name for target in targets for name in target.classes}
    if unknown := sorted(set(options.descriptions) - classes):
        raise UnsupportedConfigError(
            f"extra_params.descriptions describes '{unknown[0]}', which no control offers; they offer "
            f"{', '.join(sorted(classes)) or 'no classes'}"
        )
    if options.balance and not works(strategies.get("rare"), kinds):
        raise UnsupportedConfigError("extra_params.balance works for a single choice only; leave it out")
    if options.minimum_per_class and not {"classification", "multilabel"} & set(kinds):
        raise UnsupportedConfigError("extra_params.minimum_per_class works for choices only; leave it out")
    if options.relabel and "classification" not in kinds:
        raise UnsupportedConfigError("extra_params.relabel works for single choices only; leave it out")
    if options.shortlist_by == "probe" and not probe.KINDS & set(kinds):
        raise UnsupportedConfigError(
            "extra_params.shortlist_by: a probe needs classes, and the label config has none; leave it out, or choose "
            "neighbors"
        )
    if isinstance(options.target, float | int) and len(targets) > 1 and "regression" in kinds:
        raise UnsupportedConfigError(
            "extra_params.target: numbers are measured by their error, so that one target does not fit all controls; "
            'give each its own, as in {"target": {"topic": 0.9, "stars": 0.4}}'
        )
    for target in targets:
        goal = goals.get(target.name) if isinstance(options.target, dict) else options.target
        if goal is not None and goal >= 1 and target.kind != "regression":
            raise UnsupportedConfigError(
                f"extra_params.target: no score of '{target.name}' exceeds 1, so that {goal:g} is never surely "
                "reached; 0.9 stands for 90 %"
            )
    written = [target.name for target in targets if target.kind == "generation"]
    if written and not is_served(options.base_model) and not can_write(options.base_model):
        raise UnsupportedConfigError(
            f"<TextArea name='{written[0]}'> needs written answers, and base model '{options.base_model}' cannot "
            f"write; {WRITERS}" + (f". {leave_out(written)}" if len(written) < len(targets) else "")
        )
    if is_served(options.base_model):
        _refuse_unserved(options, targets)
    if options.teacher is not None:
        _refuse_unteachable(options, targets)
    if options.strategy is None or works(strategies.get(options.strategy, **options.strategy_options), kinds):
        return
    column = kinds[0] if len(kinds) == 1 else SEVERAL
    cells = {name: row[column] for name, row in matrix().items()}
    plain = ", ".join(name for name, cell in cells.items() if cell == "yes")
    based = {cell: [n for n, c in cells.items() if c == cell] for cell in cells.values() if cell not in ("", "yes")}
    also = "".join(f"; with {cell}: {', '.join(names)}" for cell, names in based.items())
    raise UnsupportedConfigError(f"strategy '{options.strategy}' does not work for {column}; choose {plain}{also}")


def _refuse_unteachable(options: ProjectOptions, targets: Sequence[Target]) -> None:
    """Refuse a teacher that has nothing, or nobody, to teach."""
    if is_served(options.base_model):
        raise UnsupportedConfigError(
            f"extra_params.teacher: a teacher needs a base model with weights here, and '{options.base_model}' is on a "
            "server; name another base_model, or leave teacher out"
        )
    if not any(target.kind in prompts.CHOSEN and prompts.fits(target) for target in targets):
        raise UnsupportedConfigError(
            f"extra_params.teacher: it answers with one of {len(prompts.LETTERS)} letters, and no control of the label "
            "config has choices that fit; leave teacher out"
        )


def _refuse_unserved(options: ProjectOptions, targets: Sequence[Target]) -> None:
    """Refuse what a served model cannot learn: it answers with letters or a text, and its weights are not here."""
    if options.base_model == SERVED:
        raise UnsupportedConfigError(
            f"extra_params.base_model: '{SERVED}' lacks the model's name on the server, as in {SERVED}Qwen/Qwen3-32B"
        )
    most = len(prompts.LETTERS) - 1  # one for none of them
    many = next((target for target in targets if len(target.classes) > most), None)
    if many is not None:
        raise UnsupportedConfigError(
            f"'{many.name}' has {len(many.classes)} choices; base model '{options.base_model}' answers with one of "
            f"{most} letters. Name a base model with weights here"
        )
    without = next((t for t in targets if t.kind == "regression" and not prompts.fits(t)), None)
    if without is not None:
        raise UnsupportedConfigError(
            f"'{without.name}' is a number without a range; base model '{options.base_model}' answers with one of some "
            "numbers. Give the control min and max, or name a base model with weights here"
        )
    if options.generation_uncertainty != "sequence" and any(target.kind == "generation" for target in targets):
        raise UnsupportedConfigError(
            f"generation_uncertainty '{options.generation_uncertainty}' needs weights, which base model "
            f"'{options.base_model}' has on its server only; leave it out"
        )
    if options.committee not in (None, "bootstrap"):
        raise UnsupportedConfigError(
            f"committee '{options.committee}' needs weights, which base model '{options.base_model}' has on its server "
            "only; choose bootstrap"
        )
    if options.strategy in COMPARE_VIEWS:
        raise UnsupportedConfigError(
            f"strategy '{options.strategy}' needs weights, which base model '{options.base_model}' has on its server "
            "only; choose another"
        )
