"""Several LoRA adapters on one base model. The caller holds the base model's lock around every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from backend.errors import ModelError

if TYPE_CHECKING:  # peft takes seconds to import: it is imported with the first adapter
    from peft import LoraConfig, PeftModel


class Adapters:
    """The adapters of one base model. peft wraps the base model while at least one adapter is loaded."""

    def __init__(self, bare: Any) -> None:
        self._bare = bare
        self._peft: PeftModel | None = None

    @property
    def model(self) -> Any:
        """Module for forward passes: the base model with the active adapter, or alone if there is none."""
        return self._bare if self._peft is None else self._peft

    @property
    def bare(self) -> Any:
        """The base model, whose layers may hold adapters."""
        return self._bare if self._peft is None else self._peft.get_base_model()

    def add(self, adapter: str, config: LoraConfig) -> None:
        """Add a new adapter and activate it. Raises `ModelError` if peft cannot adapt this architecture."""
        from peft import get_peft_model

        try:
            if self._peft is None:
                self._peft = get_peft_model(self._bare, config, adapter_name=adapter)
            else:
                self._peft.add_adapter(adapter, config)
        except ValueError as error:
            reason = str(error).splitlines()[0][:200]
            raise ModelError(
                f"a LoRA adapter cannot be added to this base model ({reason}); choose an encoder such as minilm or "
                "multilingual, or a causal decoder of transformers' usual kind"
            ) from None
        self.activate(adapter)

    def load(self, adapter: str, folder: Path) -> None:
        """Load an adapter from `folder`, replacing one of the same name."""
        if not (folder / "adapter_model.safetensors").exists():  # peft would unpickle adapter_model.bin instead
            raise FileNotFoundError("adapter_model.safetensors is not there")
        from peft import PeftModel

        self.drop(adapter)
        if self._peft is None:
            self._peft = PeftModel.from_pretrained(self._bare, str(folder), adapter_name=adapter)
        else:
            self._peft.load_adapter(str(folder), adapter_name=adapter)
        self._peft.eval()

    def save(self, adapter: str, folder: Path) -> None:
        """Save an adapter in peft's format: `PeftModel.from_pretrained(base, folder)` loads it."""
        self._wrapped().save_pretrained(str(folder), selected_adapters=[adapter], safe_serialization=True)
        inner = folder / adapter  # peft writes adapters not named "default" to a subfolder
        for path in list(inner.iterdir()):
            path.rename(folder / path.name)
        inner.rmdir()

    def drop(self, adapter: str) -> None:
        """Remove an adapter from memory, if it is loaded."""
        if self._peft is None or adapter not in self._peft.peft_config:
            return
        if len(self._peft.peft_config) == 1:  # peft cannot delete its last adapter
            self._bare = self._peft.unload()
            self._peft = None
            return
        if self._peft.active_adapter == adapter:  # avoids a warning of peft when it picks the next one
            self._peft.set_adapter(next(n for n in self._peft.peft_config if n != adapter), inference_mode=True)
        self._peft.delete_adapter(adapter)

    def activate(self, adapter: str) -> None:
        """Use this adapter in the next forward passes."""
        if self._wrapped().active_adapter != adapter:
            self._wrapped().set_adapter(adapter, inference_mode=True)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Inside the block forward passes use the base model without adapters."""
        with nullcontext() if self._peft is None else self._peft.disable_adapter():
            yield

    @contextmanager
    def dropout(self) -> Iterator[None]:
        """Inside the block dropout is on, as in training."""
        model = self._wrapped()
        model.train()
        try:
            yield
        finally:
            model.eval()

    @contextmanager
    def training(self, adapter: str, *, checkpointing: bool = False) -> Iterator[list[torch.nn.Parameter]]:
        """Inside the block dropout is on and this adapter is trainable. Yields its parameters.

        checkpointing: store one activation per layer and recompute the others in the backward pass (Chen et al. 2016).
        """
        model = self._wrapped()
        self.activate(adapter)
        model.requires_grad_(False)
        parameters = [p for name, p in model.named_parameters() if f".{adapter}." in name]
        for parameter in parameters:
            parameter.requires_grad_(True)
        bare = self.bare
        if checkpointing and not bare.supports_gradient_checkpointing:
            raise ModelError(
                f"base models of kind {type(bare).__name__} do not support gradient_checkpointing; leave it out"
            )
        try:
            model.train()
            if checkpointing:
                bare.gradient_checkpointing_enable({"use_reentrant": False})
            yield parameters
        finally:
            if checkpointing:
                bare.gradient_checkpointing_disable()
            model.eval()
            model.requires_grad_(False)

    @contextmanager
    def merged(self, adapter: str) -> Iterator[None]:
        """Inside the block the adapter is merged into the weights: as fast as the base model alone.

        The original weights are restored from a copy; subtracting the adapter again would add rounding errors.
        """
        self.activate(adapter)
        layers: list[Any] = [m for m in self._wrapped().modules() if hasattr(m, "merge") and hasattr(m, "base_layer")]
        if any(not layer.base_layer.weight.is_floating_point() for layer in layers):  # quantized weights stay unmerged
            yield
            return
        former = [layer.base_layer.weight.detach().clone() for layer in layers]
        try:
            for layer in layers:
                layer.merge(adapter_names=[adapter])
            yield
        finally:
            for layer, weight in zip(layers, former, strict=True):
                layer.base_layer.weight.data.copy_(weight)
                layer.merged_adapters.clear()

    def _wrapped(self) -> PeftModel:
        if self._peft is None:
            raise RuntimeError("no adapter was added or loaded")
        return self._peft
