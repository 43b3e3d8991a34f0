"""The webhook: found, repaired, created once, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.api import webhook_registration


class Hooks:
    """The part of the client that `ensure` uses, over a list."""

    def __init__(self, *hooks: dict[str, Any]) -> None:
        self.hooks = [{"id": number, **hook} for number, hook in enumerate(hooks)]

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        return [dict(hook) for hook in self.hooks]

    def create_webhook(self, values: dict[str, Any]) -> None:
        self.hooks.append({"id": 99, **values})

    def update_webhook(self, webhook_id: int, values: dict[str, Any]) -> None:
        next(hook for hook in self.hooks if hook["id"] == webhook_id).update(values)

    def delete_webhook(self, webhook_id: int) -> None:
        self.hooks = [hook for hook in self.hooks if hook["id"] != webhook_id]


URL = "http://backend.internal:9090/webhook"
MADE_BY_LABEL_STUDIO = {
    "url": URL, "headers": {}, "is_active": True, "send_payload": True, "send_for_all_actions": True,
}  # fmt: skip
OTHER = {"url": "http://elsewhere.org/hook", "headers": {"X": "y"}, "is_active": True}


@pytest.mark.parametrize("there", [[], [MADE_BY_LABEL_STUDIO], [MADE_BY_LABEL_STUDIO, MADE_BY_LABEL_STUDIO],
                                   [{**MADE_BY_LABEL_STUDIO, "is_active": False}]])  # fmt: skip
def test_one_active_webhook_with_our_secret_and_others_untouched(there: list[dict[str, Any]]) -> None:
    client = Hooks(OTHER, *there)
    for _ in range(2):
        webhook_registration.ensure(client, 1, "http://backend.internal:9090/", "1.secret")  # type: ignore[arg-type]
    other, ours = client.hooks
    assert other == {"id": 0, **OTHER}
    assert (ours["url"], ours["is_active"]) == (URL, True)
    assert ours["headers"] == {"X-Webhook-Secret": "1.secret"}


def test_a_secret_names_its_project_and_no_two_are_equal() -> None:
    made = [webhook_registration.new_secret(7), webhook_registration.new_secret(7), webhook_registration.new_secret(8)]
    assert [webhook_registration.project_of_secret(each) for each in made] == [7, 7, 8]
    assert len(set(made)) == 3
    assert min(map(len, made)) > 40
    for wrong in ("", "7", "x.y", "-7.x", "٧.x", "7" * 11 + ".x"):
        assert webhook_registration.project_of_secret(wrong) is None


def test_a_host_without_a_dot_is_refused_with_the_way_out() -> None:
    with pytest.raises(LabelStudioError, match=r"'backend', a host name without a dot.*backend\.internal"):
        webhook_registration.ensure(Hooks(), 1, "http://backend:9090", "1.secret")  # type: ignore[arg-type]
