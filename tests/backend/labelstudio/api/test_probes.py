"""What `lsal doctor` calls an API key."""

from __future__ import annotations

import jwt
import pytest

from backend.labelstudio.api.probes import kind_of

SECRET = "a secret of thirty-two characters"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("0123456789abcdef0123456789abcdef01234567", "legacy token"),
        ("abc", "text of 3 characters, and not a token"),
        ("0123456789ABCDEF", "text of 16 characters, and not a token"),
        (jwt.encode({"token_type": "refresh", "exp": 4e9}, SECRET), "personal access token, valid until 2096-10-02"),
        (jwt.encode({"token_type": "access"}, SECRET), "access token, valid for a few minutes"),
    ],
)  # fmt: skip
def test_kinds_of_keys(key: str, kind: str) -> None:
    assert kind_of(key) == kind
