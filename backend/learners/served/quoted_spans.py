"""The head of spans that a served model quotes: which of its quotes are right, learned from labels.

It starts as the model's own probabilities, and labels correct them by class (Platt scaling with a prior: Platt,
Probabilistic Outputs for Support Vector Machines, 1999; Zhao et al., Calibrate Before Use, ICML 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.heads.map_head import fit_map
from backend.learners.kinds.base import Reading, binary_entropy
from backend.learners.kinds.spans import Found, SpansHead
from backend.learners.served import quotes
from backend.learners.served.model import Answered
from backend.targets import Target

_SLOPE, _BIAS = 0.25, 1.0  # prior variances; their means are 1 and 0, at which the model's probability is unchanged
_SURE = 0.999  # probabilities are between this and its complement
_SHOWN = 0.5  # least probability of a span that is predicted: others are rather wrong than right


class QuotedSpansHead(SpansHead):
    """For each class a slope and a bias on the log-odds of the model's own probability, the mean over a quote's tokens.

    Outputs as of `SpansHead`. Spans that the model does not quote are not found.
    """

    def __init__(self, target: Target, _dimensions: int, state: Mapping[str, Any]) -> None:
        super().__init__(target, 1, state)
        with torch.no_grad():
            self.linear.weight.fill_(1.0)

    @staticmethod
    def width(target: Target) -> int:
        """C."""
        return len(target.classes)

    def meanings(self) -> Sequence[Any]:
        """The classes."""
        return self.target.classes

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: Any) -> None:
        """Nothing: all quotes count alike."""

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Binary cross-entropy of the quotes of each text, summed: a quote is right if exactly that span is labeled."""
        places, real, logits = self._quotes(reading)
        if (right := reading.notes.get(self.target.name)) is None:  # the same in each step of a fit
            right = reading.notes[self.target.name] = torch.zeros_like(logits)
            for row, spans in zip(rows, values, strict=True):
                known = {(start, end, self.target.classes.index(name)) for start, end, name in spans}
                for column in torch.nonzero(real[row]).flatten().tolist():
                    right[row, column] = tuple(places[row, column].tolist()) in known
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, right, reduction="none")
        return torch.as_tensor((each * real).sum(dim=1)[list(rows)])

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """Of a text's quotes, by option: 1 − the lowest probability, or the mean entropy of all or the k least certain.

        Of a text without quotes: of the answer that there are none.
        """
        _, real, logits = self._quotes(reading)
        probs = torch.sigmoid(logits)
        none = self._answers(reading)[:, -1].exp()
        if options.spans == "least_confident_span":
            found, alone = (1 - probs).masked_fill(~real, 0.0).amax(dim=1), 1 - none
        else:
            entropies = binary_entropy(probs).masked_fill(~real, 0.0)
            count = real.sum(dim=1).clamp(min=1)
            if options.spans == "top_k":
                most = min(options.top_k, entropies.shape[1])
                count, entropies = count.clamp(max=most), entropies.topk(most, dim=1).values
            found, alone = entropies.sum(dim=1) / count, binary_entropy(none.clamp(max=_SURE))
        return torch.where(real.any(dim=1), found, alone)

    def _decoded(self, reading: Reading) -> list[list[Found]]:
        places, real, logits = self._quotes(reading)
        probs = torch.sigmoid(logits)
        shown = real & (probs >= _SHOWN)
        return [
            sorted(
                Found(start, end, index, float(probs[row, column]))
                for column in torch.nonzero(shown[row]).flatten().tolist()
                for start, end, index in [places[row, column].tolist()]
            )
            for row in range(len(shown))
        ]

    def _answers(self, reading: Reading) -> torch.Tensor:
        assert isinstance(reading, Answered)
        return reading.written[self.target.name]

    def _quotes(self, reading: Reading) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of each quote: start, end, class index (B, K, 3); whether it is one; the logit that it is right, (B, K)."""
        found = self._answers(reading)[:, :-1].view(-1, quotes.MOST, quotes.COLUMNS)
        real = found[..., 2] > 0
        rows = (found[..., 2].long() - 1).clamp(min=0)
        probs = found[..., 3].exp().clamp(1 - _SURE, _SURE)
        logits = torch.logit(probs) * self.linear.weight[rows, 0] + self.linear.bias[rows]
        return torch.stack([found[..., 0].long(), found[..., 1].long(), rows], dim=-1), real, logits


def fit(head: QuotedSpansHead, reading: Answered, given: Sequence[tuple[int, Any]]) -> None:
    """Fit the MAP weights. given: (row of the text in the reading, its spans)."""
    mean = torch.ones(len(head.target.classes), 1)
    if given:
        fit_map(head, (mean, torch.full_like(mean, _SLOPE)), reading, [(*each, 1) for each in given], 0.0, _BIAS)
