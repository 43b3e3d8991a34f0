"""A served model as the teacher of a local one: soft labels for texts without a label.

The teacher is one more annotator who may be wrong, as in Raykar et al., Learning From Crowds (JMLR 2010, section 2): a
soft label is the likelihood of its answer under each class. How often it is right is estimated from people's labels of
texts that are no examples of its prompt. The local model is trained to make people's labels and the teacher's answers
most probable (forward correction: Patrini et al., Making Deep Neural Networks Robust to Label Noise, CVPR 2017, section
4): where it is sure of another class than a teacher that is often wrong, the answer counts little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from backend.learners.heads.class_names import believe
from backend.learners.heads.map_head import fit_map, set_weights
from backend.learners.kinds import head_of
from backend.learners.kinds.base import hot
from backend.learners.served.fitting import prior_of
from backend.learners.served.model import Answered
from backend.learners.served.prompts import Prompt
from backend.targets import Target

_LEAST = 1e-3  # likelihood of what is nearly impossible: no teacher is trusted more
_CORRECTED = 0.02  # prior variance of corrections of single classes: with few labels the scale alone is better

Array = NDArray[Any]


class Labels(NamedTuple):
    """Rows of texts, and people's labels of them."""

    rows: Sequence[int]
    values: Sequence[Any]


def soft_labels(prompt: Prompt, answers: Array, labels: Labels) -> Array:
    """The likelihood of each answer if a class is right, up to a factor: (N, W) → (N, C).

    labels: of texts that are no examples of the prompt. Rows sum to 1; with several labels a text each entry is
    compared with the absence of its label.
    """
    target, found = prompt.target, calibrated(prompt, answers, labels)
    if target.kind == "multilabel":  # by Bayes' rule: from the odds of a label, which are those of the labels
        frequencies = (hot(target, labels.values).numpy().sum(axis=0) + 1) / (len(labels.rows) + 2)
        odds = logit(np.clip(found, _LEAST, 1 - _LEAST)) - logit(frequencies)
        return np.asarray(np.clip(expit(odds), _LEAST, 1 - _LEAST))
    found = np.maximum(found, _LEAST)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def calibrated(prompt: Prompt, answers: Array, labels: Labels) -> Array:
    """The teacher's answers as probabilities of the classes, as far as labels confirm them: (N, W) → (N, C).

    labels: as of `soft_labels`. Without any, the probabilities are the teacher's own. Labels first scale its
    log-probabilities, by empirical Bayes, then correct its preference for single classes, if many of them agree.
    """
    target = prompt.target
    head = head_of(target, prompt.width)
    mean, variance = prior_of(head, [prompt], prompt.width)
    several = target.kind == "multilabel"
    if target.kind != "pairwise" and len(labels.rows):
        trust, _ = believe(
            mean.numpy(), answers[list(labels.rows)], hot(target, labels.values).numpy() > 0, several=several
        )
        mean = mean * trust
    if not several:
        variance = torch.full_like(variance, _CORRECTED)
    reading = Answered.of(torch.from_numpy(np.asarray(answers, np.float32)), paired=target.kind == "pairwise")
    set_weights(head, mean, torch.zeros(len(mean)))
    if given := list(zip(labels.rows, labels.values, _balanced(target, labels).tolist(), strict=True)):
        fit_map(head, (mean, variance), reading, given, bias_variance=1.0 if several else _CORRECTED)
    with torch.inference_mode():
        return np.asarray(head.outputs(reading)["probs"].numpy())


def _balanced(target: Target, labels: Labels) -> Array:
    """Weights of the labels, (M,), with which the head's loss gives each class the same: 1/√count, of mean 1.

    The head weighs by the other 1/√count. So a rare class is not thought unlikely, as likelihoods require.
    """
    if target.kind != "classification":
        return np.ones(len(labels.rows))
    counts = Counter(labels.values)
    weights = np.array([counts[value] ** -0.5 for value in labels.values])
    return weights / weights.mean() if len(weights) else weights
