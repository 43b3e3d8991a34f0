"""How long the gradient of each text's loss is, without a backward pass for each text.

A linear layer's gradient is a product of what went in and what came back, so that the gradient of one example is
Σₜ gₜ uₜᵀ over its own tokens: for LoRA's two thin matrices that is a small (rank × width) matrix an example, whose
length is read off directly. One forward pass and one backward pass for each label considered serve a whole batch.
Rochette, Manoel & Tramel, Efficient Per-Example Gradient Computations in Convolutional Neural Networks (2019), and
Goodfellow (2015) for the linear head, which needs no backward pass at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from backend.errors import ModelError
from backend.learners.base import GradientOptions

Calls = list[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]]  # layer, its input (B, T, I), its output (B, T, O)


@contextmanager
def watched(model: torch.nn.Module, adapter: str) -> Iterator[Calls]:
    """Inside the block every call of the adapter's LoRA matrices is noted, and its output carries a gradient."""
    calls: Calls = []

    def note(layer: torch.nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if not output.requires_grad:
            output.requires_grad_(True)
        calls.append((layer, inputs[0].detach(), output))
        return output

    layers = [
        module
        for name, module in model.named_modules()
        if name.endswith((f"lora_A.{adapter}", f"lora_B.{adapter}")) and isinstance(module, torch.nn.Linear)
    ]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def lengths(logits: torch.Tensor, pooled: torch.Tensor, calls: Calls, options: GradientOptions) -> torch.Tensor:
    """L2 norm of each text's loss gradient over head and adapter, or its expectation over the labels: (B,).

    logits: (B, C) and pooled: (B, D), of one forward pass under `watched`. `expected` sums p(c) · length at c over the
    `top_k` most probable labels; what the others would add is left out.
    """
    probs = torch.softmax(logits.detach().float(), dim=-1)
    labels_considered = 1 if options.label == "pseudo" else min(options.top_k, probs.shape[1])
    weights, labels = probs.topk(labels_considered, dim=1)
    pooled_squared = pooled.detach().float().square().sum(dim=1)
    total = torch.zeros_like(pooled_squared)
    for rank in range(labels_considered):
        back = _residual(probs, labels[:, rank])
        squared = back.square().sum(dim=1) * (pooled_squared + 1)  # of the head's weight and bias
        if options.parameters == "all":
            squared = squared + _adapter_squared(logits, back, calls, again=rank + 1 < labels_considered)
        total += squared.sqrt() * (1 if options.label == "pseudo" else weights[:, rank])
    return total


def _residual(probs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """P − e_c, the loss's gradient at the logits: (B, C). p_c − 1 is summed from the others, exact near certainty."""
    others = probs.scatter(1, labels[:, None], 0.0)
    return others.scatter(1, labels[:, None], -others.sum(dim=1, keepdim=True))


def _adapter_squared(logits: torch.Tensor, back: torch.Tensor, calls: Calls, *, again: bool) -> torch.Tensor:
    """Squared norm of each example's gradient over the watched matrices: (B,). `again` keeps the graph.

    A layer that is called several times (ALBERT shares its layers) adds up its calls before the norm is taken.
    """
    outputs = [output for _, _, output in calls]
    gradients = torch.autograd.grad(
        logits, outputs, grad_outputs=back.to(logits.dtype), retain_graph=again, allow_unused=True
    )
    times = Counter(layer for layer, _, _ in calls)
    shared: dict[torch.nn.Module, torch.Tensor] = {}
    squared = torch.zeros(len(logits), device=logits.device)
    for (layer, inputs, _), gradient in zip(calls, gradients, strict=True):
        if gradient is None:  # a pooler that the base model has and nobody asks
            continue
        if gradient.dim() != 3 or len(gradient) != len(logits):
            raise ModelError(
                "this base model mixes the texts of a batch, or reads long ones in windows, so that no text has a "
                "gradient of its own; set egl_parameters to head, lower max_length, or choose another strategy"
            )
        product = torch.einsum("bto,bti->boi", gradient.float(), inputs.float())
        if times[layer] > 1:
            shared[layer] = shared[layer] + product if layer in shared else product
        else:
            squared += product.square().sum(dim=(1, 2))
    for product in shared.values():
        squared += product.square().sum(dim=(1, 2))
    return squared
