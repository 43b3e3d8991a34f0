"""Servers in place of Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.backend.labelstudio.site import Site


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    with ExitStack() as stack:
        yield Site(stack), Site(stack)


@pytest.fixture
def site(sites: tuple[Site, Site]) -> Site:
    return sites[0]
