"""Which layers a LoRA adapter changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.learners.base import TrainingOptions
from backend.learners.heads import class_names
from backend.learners.models.base_model import BaseModel
from backend.learners.training.lower_layers import LowerLayers, layers_of
from backend.targets import Target

if TYPE_CHECKING:  # peft takes seconds to import: it is imported with the first training
    from peft import LoraConfig


def lora_config(base: BaseModel, options: TrainingOptions, targets: Sequence[Target]) -> LoraConfig:
    """Adapt attention's query and value (Hu et al. 2021, 4.2) if peft knows their names, else every linear layer.

    Spans and generation also need every linear layer: predictions for each token need more than changed attention.
    """
    from peft import LoraConfig, TaskType

    known = _query_and_value(base)
    every = any(target.kind in ("spans", "generation") for target in targets)
    dropout = 0.0 if every else 0.05  # on every layer, dropout takes 20 % of the time and gains nothing (10 epochs)
    modules: list[str] | str = known if known and not every else "all-linear"
    if (lower := lower_layers(base, options, targets)) is not None:
        modules = [name for name in lower.names_above() if name.rpartition(".")[2] in known]
    return LoraConfig(
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=dropout if options.lora_dropout is None else options.lora_dropout,
        target_modules=modules,
        task_type=TaskType.FEATURE_EXTRACTION,
    )


def lower_layers(base: BaseModel, options: TrainingOptions, targets: Sequence[Target]) -> LowerLayers | None:
    """The layers below the adapted upper half; None if all layers are adapted."""
    layers = layers_of(base.adapters.bare, base.config)
    if options.lora_layers == "all" or not only_classes(targets) or layers is None or len(layers) < 2:
        return None
    return LowerLayers(base.adapters.bare, layers, len(layers) - len(layers) // 2) if _query_and_value(base) else None


def only_classes(targets: Sequence[Target]) -> bool:
    """Whether all targets are classes of texts, which train with fewer steps on fewer layers than other kinds."""
    return {target.kind for target in targets} <= class_names.KINDS


def default_learning_rate(base: BaseModel, targets: Sequence[Target], options: TrainingOptions) -> float:
    """By parameter count: 2e-3 up to 50 M (generation: up to 500 M), 5e-4 up to 500 M, 2e-4 above.

    Twice as much for the upper layers alone.
    """
    small = 500e6 if any(target.kind == "generation" for target in targets) else 50e6
    rate = 2e-3 if base.parameters <= small else 5e-4 if base.parameters <= 500e6 else 2e-4
    return 2 * rate if options.lora_layers == "upper" and only_classes(targets) else rate


def _query_and_value(base: BaseModel) -> list[str]:
    """The names of these layers in the base model's attention; empty if peft does not know the model."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    return list(TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(getattr(base.config, "model_type", ""), ()))
