"""Per-example gradient norms without one backward pass per text.

A linear layer's gradient is a product of its inputs u and output gradients g, so that one example's gradient is
Σₜ gₜ uₜᵀ over its own tokens. For LoRA's two thin matrices this is a small (rank × width) matrix per example, whose
norm is computed directly. A batch needs one forward pass, and one backward pass per label considered.
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
    """Inside the block calls of the adapter's LoRA matrices are recorded; their outputs require gradients."""
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

    logits: (B, C) and pooled: (B, D), from one forward pass under `watched`. `expected` sums p(c) · length at c over
    the `top_k` most probable labels and omits the others.
    """
    probs = torch.softmax(logits.detach().float(), dim=-1)
    labels_considered = 1 if options.label == "pseudo" else min(options.top_k, probs.shape[1])
    weights, labels = probs.topk(labels_considered, dim=1)
    pooled_squared = pooled.detach().float().square().sum(dim=1)
    total = torch.zeros_like(pooled_squared)
    for rank in range(labels_considered):
        back = _residual(probs, labels[:, rank])
        squared = back.square().sum(dim=1) * (pooled_squared + 1)  # over the head's weight and bias
        if options.parameters == "all":
            squared = squared + _adapter_squared(logits, back, calls, again=rank + 1 < labels_considered)
        total += squared.sqrt() * (1 if options.label == "pseudo" else weights[:, rank])
    return total


def _residual(probs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """P − e_c, the loss gradient at the logits: (B, C). p_c − 1 = −Σ of the others, which is exact near p_c = 1."""
    others = probs.scatter(1, labels[:, None], 0.0)
    return others.scatter(1, labels[:, None], -others.sum(dim=1, keepdim=True))


def _adapter_squared(logits: torch.Tensor, back: torch.Tensor, calls: Calls, *, again: bool) -> torch.Tensor:
    """Squared norm of each example's gradient over the LoRA matrices: (B,). again: keep the graph.

    The gradients of a layer that is called several times (ALBERT shares layers) are summed before the norm.
    """
    outputs = [output for _, _, output in calls]
    gradients = torch.autograd.grad(
        logits, outputs, grad_outputs=back.to(logits.dtype), retain_graph=again, allow_unused=True
    )
    times = Counter(layer for layer, _, _ in calls)
    shared: dict[torch.nn.Module, torch.Tensor] = {}
    squared = torch.zeros(len(logits), device=logits.device)
    for (layer, inputs, _), gradient in zip(calls, gradients, strict=True):
        if gradient is None:  # an unused module, such as the base model's pooler
            continue
        if gradient.dim() != 3 or len(gradient) != len(logits):
            raise ModelError(
                "this base model mixes the texts of a batch, or reads long ones in windows, so that gradients per text "
                "cannot be computed; set egl_parameters to head, lower max_length, or choose another strategy"
            )
        product = torch.einsum("bto,bti->boi", gradient.float(), inputs.float())
        if times[layer] > 1:
            shared[layer] = shared[layer] + product if layer in shared else product
        else:
            squared += product.square().sum(dim=(1, 2))
    for product in shared.values():
        squared += product.square().sum(dim=(1, 2))
    return squared
