"""Settings and options: defaults, the environment, and mistakes named by their variable."""

from __future__ import annotations

import pytest

from backend.options import ProjectOptions
from backend.settings import SettingsError, load_settings


def test_label_studio_host_is_accepted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_HOST", "http://ls.local:8080/")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a-secret")
    assert load_settings().label_studio() == ("http://ls.local:8080", "a-secret")
    assert "a-secret" not in repr(load_settings())


def test_missing_and_wrong_values_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must be set"):
        load_settings().label_studio()
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(SettingsError, match=r"PORT: .*integer"):
        load_settings()
    monkeypatch.setenv("PORT", "9090")
    monkeypatch.setenv("BASIC_AUTH_USER", "me")
    with pytest.raises(SettingsError, match="set both or neither"):
        load_settings()
    monkeypatch.delenv("BASIC_AUTH_USER")
    monkeypatch.setenv("OPENAI_BASE_URL", "vllm:8000")
    with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL: .*expected an address such as http://vllm:8000/v1"):
        load_settings()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://vllm:8000/v1")
    for name in ("OPENAI_EXTRA_BODY", "STRATEGY_OPTIONS"):
        monkeypatch.setenv(name, "a secret")
        with pytest.raises(SettingsError, match=rf"{name}: expected JSON, such as \{{\}}$"):
            load_settings()
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_EXTRA_BODY", '{"chat_template_kwargs": {"enable_thinking": false}}')
    assert load_settings().openai_extra_body == {"chat_template_kwargs": {"enable_thinking": False}}


def test_the_environment_holds_defaults_that_a_project_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_SIZE", "7")
    monkeypatch.setenv("STRATEGY", "entropy")
    options = ProjectOptions.from_extra_params({"strategy": "random"})
    assert (options.batch_size, options.strategy, options.published) == (7, "random", 21)
    assert ProjectOptions.from_extra_params(None).strategy == "entropy"
    assert ProjectOptions.from_extra_params({"queue_size": 5}).published == 5
