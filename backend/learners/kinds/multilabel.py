"""Any number of labels per text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.kinds.base import Reading, TargetHead, binary_entropy, hot
from backend.learners.models.base_model import BaseModel
from backend.targets import Target

_MAX_WEIGHT = 10.0  # upper bound of the weight of a rare label's presence


class MultilabelHead(TargetHead):
    """A sigmoid for each label. Outputs: `probs` (B, C), each in [0, 1].

    Where classes form a tree, a class is at least as probable as those below it: the maximum over its subtree
    (Giunchiglia & Lukasiewicz, Coherent Hierarchical Multi-Label Classification Networks, NeurIPS 2020, section 3).

    In the loss, presence of a label has the weight √(absent / present), clamped to [1, 10]: most labels are absent
    from most texts, so that a head which never predicts them would nearly always be right.
    """

    def __init__(self, target: Target, dimensions: int, state: Mapping[str, Any]) -> None:
        super().__init__(target, dimensions, state)
        self._levels = levels(target.parents)

    @staticmethod
    def width(target: Target) -> int:
        """Number of labels."""
        return len(target.classes)

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:
        """Compute the weight of each label's presence."""
        present = hot(self.target, values).sum(dim=0)
        self._weights = ((len(values) - present) / present.clamp(min=1)).sqrt().clamp(1.0, _MAX_WEIGHT)

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Binary cross-entropy, summed over the labels; of soft labels as in `ClassificationHead`."""
        logits = self.linear(reading.pooled[list(rows)]).float()
        wanted = hot(self.target, values).to(logits.device)
        present = torch.nn.functional.logsigmoid(logits) + wanted.log()
        absent = torch.nn.functional.logsigmoid(-logits) + (1 - wanted).log()
        weights = 1 + (self._weights.to(logits.device) - 1) * wanted
        weights = weights * (1 - binary_entropy(wanted) / math.log(2))
        return -(weights * torch.logaddexp(present, absent)).sum(dim=1)

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`probs`."""
        return {"probs": self._probs(reading)}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """The mean or the largest of the labels' binary entropies, in nats."""
        entropies = binary_entropy(self._probs(reading))
        return entropies.mean(dim=1) if options.multilabel == "mean" else entropies.amax(dim=1)

    def _probs(self, reading: Reading) -> torch.Tensor:
        probs = torch.sigmoid(self.linear(reading.pooled).float())
        for children, parents in self._levels:
            probs = probs.scatter_reduce(1, parents.to(probs.device).expand(len(probs), -1),
                                         probs[:, children.to(probs.device)], "amax")  # fmt: skip
        return probs


def levels(parents: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The classes that have a parent, and their parents, from the lowest level of a tree to the top."""
    depths: list[int] = []
    for parent in parents:  # comes before its children
        depths.append(0 if parent < 0 else depths[parent] + 1)
    found = []
    for depth in range(max(depths, default=0), 0, -1):
        children = [row for row, each in enumerate(depths) if each == depth]
        found.append((torch.tensor(children), torch.tensor([parents[row] for row in children])))
    return found
