"""Uncertainty herding: cover the uncertain part of the pool with kernels around labeled and selected texts.

Bae, Noh & Sutherland, Uncertainty Herding: One Active Learning Method for All Label Budgets (ICLR 2025), section 3:
`max_herding` with each text weighted by its uncertainty. While the model is unsure of everything it covers the pool,
and later it selects by uncertainty, without a switch between the two.
"""

from __future__ import annotations

from typing import Any

from strategies.max_herding import SIGMA, Herding, herding
from strategies.registry import scorer


def create(
    base: str = "margin",
    sigma: float = SIGMA,
    max_candidates: int = 4000,
    max_references: int = 20_000,
    base_options: dict[str, Any] | None = None,
) -> Herding:
    """The strategy `uncertainty_herding`; base: the strategy whose scores are the uncertainty."""
    found = scorer("uncertainty_herding", base, base_options)
    return herding("uncertainty_herding", found, sigma, max_candidates, max_references)
