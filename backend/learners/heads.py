"""Linear heads on vectors that are already there: the cheap committee, and the probe on frozen embeddings."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

_HEAD = "head.safetensors"
_ABSENT = -30.0  # the bias of a class that no example had: e⁻³⁰ of probability, and still finite


@dataclass(frozen=True, slots=True)
class Heads:
    """S linear classifiers of the directions of D-dimensional vectors into C classes."""

    weights: torch.Tensor  # (S, C, D)
    biases: torch.Tensor  # (S, C)

    def probs(self, vectors: torch.Tensor) -> torch.Tensor:
        """(B, D) → (B, S, C); rows sum to 1. One matrix product for all members."""
        members, classes, dimensions = self.weights.shape
        logits = torch.nn.functional.normalize(vectors.float()) @ self.weights.reshape(members * classes, dimensions).T
        return torch.softmax(logits.reshape(len(vectors), members, classes) + self.biases, dim=-1)

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(self.weights.to(device), self.biases.to(device))

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        save_file({"weights": self.weights.contiguous(), "biases": self.biases.contiguous()}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        tensors = load_file(path)
        return cls(tensors["weights"], tensors["biases"])


def fit(vectors: NDArray[Any], targets: NDArray[np.int64], classes: int, counts: NDArray[Any] | None = None) -> Heads:
    """Multinomial logistic regressions, one for each row of `counts`.

    vectors: (M, D); targets: (M,) rows of the classes; counts: (S, M), how often each example is in a member's sample,
    by default once for a single member. Vectors count by their direction, as sentence embeddings are meant to. The
    penalty weakens with the number of classes: C = 2 √classes was near the best of 1 to 100 for 2, 6 and 77 classes.
    """
    counts = np.ones((1, len(targets))) if counts is None else counts
    unit = normalize(vectors)
    weights = np.zeros((len(counts), classes, vectors.shape[1]), dtype=np.float32)
    biases = np.full((len(counts), classes), _ABSENT, dtype=np.float32)
    for member, count in enumerate(counts):
        used = count > 0
        present = np.unique(targets[used])
        if len(present) == 1:
            biases[member, present] = 0.0
            continue
        model = LogisticRegression(C=2 * classes**0.5, max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a head that is nearly fitted is fine
            warnings.filterwarnings("ignore", "The number of unique classes")  # the first labels of many classes
            model.fit(unit[used], targets[used], sample_weight=count[used])
        rows, bias = model.coef_, model.intercept_
        if len(present) == 2:  # scikit-learn keeps one row for two classes
            rows, bias = np.vstack([-rows / 2, rows / 2]), np.concatenate([-bias / 2, bias / 2])
        weights[member, present], biases[member, present] = rows, bias
    return Heads(torch.from_numpy(weights), torch.from_numpy(biases))


def bootstrap(size: int, members: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each of M examples is in each member's bootstrap sample: (S, M), rows sum to M (Efron 1979)."""
    return rng.multinomial(size, np.full(size, 1 / size), size=members)


def softmax(head: torch.nn.Linear, vectors: torch.Tensor) -> torch.Tensor:
    """What one head makes of vectors: (B, D) → (B, C) in float32, rows sum to 1."""
    return torch.softmax(head(vectors).float(), dim=-1)


def write_head(head: torch.nn.Linear, folder: Path) -> None:
    """Put an adapter's head beside it."""
    save_file({name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}, folder / _HEAD)


def read_head(folder: Path) -> torch.nn.Linear:
    """The head beside an adapter, ready to predict."""
    tensors = load_file(folder / _HEAD)
    classes, dimensions = tensors["weight"].shape
    head = torch.nn.Linear(dimensions, classes)
    head.load_state_dict(tensors)
    return head.eval()
