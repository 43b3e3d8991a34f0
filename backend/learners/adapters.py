"""LoRA adapters beside each other on one base model. The caller holds the base model's lock around every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from backend.errors import ModelError


class Adapters:
    """The adapters of one base model. The base model is wrapped by peft while there is at least one."""

    def __init__(self, bare: Any) -> None:
        self._bare = bare
        self._peft: PeftModel | None = None

    @property
    def model(self) -> Any:
        """What to call for a forward pass: the active adapter on the base model, or the base model alone."""
        return self._bare if self._peft is None else self._peft

    def add(self, adapter: str, config: LoraConfig) -> None:
        """Put a fresh adapter beside the others and activate it."""
        if self._peft is None:
            self._peft = get_peft_model(self._bare, config, adapter_name=adapter)
        else:
            self._peft.add_adapter(adapter, config)
        self.activate(adapter)

    def load(self, adapter: str, folder: Path) -> None:
        """Read an adapter from `folder` and put it beside the others, in place of one of the same name."""
        if not (folder / "adapter_model.safetensors").exists():  # peft would unpickle adapter_model.bin instead
            raise FileNotFoundError("adapter_model.safetensors is not there")
        self.drop(adapter)
        if self._peft is None:
            self._peft = PeftModel.from_pretrained(self._bare, str(folder), adapter_name=adapter)
        else:
            self._peft.load_adapter(str(folder), adapter_name=adapter)
        self._peft.eval()

    def save(self, adapter: str, folder: Path) -> None:
        """Write an adapter as peft does, so that `PeftModel.from_pretrained(base, folder)` loads it anywhere."""
        self._wrapped().save_pretrained(str(folder), selected_adapters=[adapter], safe_serialization=True)
        inner = folder / adapter  # peft puts every adapter not named "default" into a folder of its own
        for path in list(inner.iterdir()):
            path.rename(folder / path.name)
        inner.rmdir()

    def drop(self, adapter: str) -> None:
        """Take an adapter out of memory, if it is there."""
        if self._peft is None or adapter not in self._peft.peft_config:
            return
        if len(self._peft.peft_config) == 1:  # peft cannot delete its last adapter and stay whole
            self._bare = self._peft.unload()
            self._peft = None
            return
        if self._peft.active_adapter == adapter:  # else peft warns that it chooses the next one itself
            self._peft.set_adapter(next(n for n in self._peft.peft_config if n != adapter), inference_mode=True)
        self._peft.delete_adapter(adapter)

    def activate(self, adapter: str) -> None:
        """Let the next forward passes go through this adapter."""
        if self._wrapped().active_adapter != adapter:
            self._wrapped().set_adapter(adapter, inference_mode=True)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Inside the block the base model speaks alone."""
        with nullcontext() if self._peft is None else self._peft.disable_adapter():
            yield

    @contextmanager
    def dropout(self) -> Iterator[None]:
        """Inside the block forward passes drop out, as they do in training."""
        model = self._wrapped()
        model.train()
        try:
            yield
        finally:
            model.eval()

    @contextmanager
    def training(self, adapter: str, *, checkpointing: bool = False) -> Iterator[list[torch.nn.Parameter]]:
        """Inside the block dropout is on and this adapter's parameters, which it hands over, are trainable.

        checkpointing: keep one activation a layer, and compute the others again for the gradients (Chen et al. 2016).
        """
        model = self._wrapped()
        self.activate(adapter)
        model.requires_grad_(False)
        parameters = [p for name, p in model.named_parameters() if f".{adapter}." in name]
        for parameter in parameters:
            parameter.requires_grad_(True)
        bare = self._bare_model()
        if checkpointing and not bare.supports_gradient_checkpointing:
            raise ModelError(
                f"base models of kind {type(bare).__name__} cannot do gradient_checkpointing; leave out that option"
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
        """Inside the block the adapter is folded into the weights: as fast as the base model alone.

        The former weights are put back bit by bit; subtracting the adapter again would drift.
        """
        self.activate(adapter)
        layers: list[Any] = [m for m in self._wrapped().modules() if hasattr(m, "merge") and hasattr(m, "base_layer")]
        if any(not layer.base_layer.weight.is_floating_point() for layer in layers):  # packed weights stay apart
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

    def _bare_model(self) -> Any:
        return self._wrapped().get_base_model()

    def _wrapped(self) -> PeftModel:
        if self._peft is None:
            raise RuntimeError("no adapter was added or loaded")
        return self._peft
