"""Settings and options: defaults, the environment, and mistakes named by their variable."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import get_args

import pytest
from annotated_types import Le, Lt

from backend.errors import UnsupportedConfigError
from backend.options import ProjectOptions, old_names
from backend.settings import SettingsError, load_settings

BACKEND = Path(__file__).parents[2] / "backend"
# Files outside settings.py that use the environment, and the variables of others that they need.
OTHERS = {
    "options/old_names.py": "LSAL_OLD_NAMES_REPORTED",
    "options/fields.py": "os.environ.items()",  # what the kept options depend on
    "runtime/processes.py": "PROMETHEUS_MULTIPROC_DIR",  # prometheus_client's
    "web/metrics.py": "PROMETHEUS_MULTIPROC_DIR",
    "pool/cluster.py": "RAY_ADDRESS",  # Ray's
    "learners/training/parallel.py": "RANK",  # torchrun's
    "demo/label_studio.py": "os.environ.items()",  # passed on to Label Studio
    "demo/run.py": "**os.environ",  # passed on to the backend
}
URLS = ("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST", "LABEL_STUDIO_PUBLIC_URL", "OPENAI_BASE_URL", "NOTIFY_URL")


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
    monkeypatch.setenv("BASIC_AUTH_USER", "me:you")
    monkeypatch.setenv("BASIC_AUTH_PASS", "a secret")
    with pytest.raises(SettingsError, match="BASIC_AUTH_USER must not contain a colon"):
        load_settings()
    monkeypatch.delenv("BASIC_AUTH_PASS")
    monkeypatch.delenv("BASIC_AUTH_USER")
    monkeypatch.setenv("OPENAI_BASE_URL", "vllm:8000")
    with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL: expected a URL such as http://vllm:8000/v1"):
        load_settings()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://vllm:8000/v1")
    for name in ("OPENAI_EXTRA_BODY", "LSAL_STRATEGY_OPTIONS", "STRATEGY_OPTIONS"):
        monkeypatch.setenv(name, "a secret")
        with pytest.raises(SettingsError, match=rf"{name}: expected JSON, such as \{{\}}$"):
            load_settings()
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_EXTRA_BODY", '{"chat_template_kwargs": {"enable_thinking": false}}')
    assert load_settings().openai_extra_body == {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("http://localhost:abc", "the port is not a number from 1 to 65535"),
        ("http://localhost:0", "the port is not a number from 1 to 65535"),
        ("http://localhost:65536", "the port is not a number from 1 to 65535"),
        ("http://localhost:-1", "the port is not a number from 1 to 65535"),
        ("http://localhost:", "the port is not a number from 1 to 65535"),
        ("localhost:8080", "the scheme is not http or https"),
        ("ftp://localhost", "the scheme is not http or https"),
        ("http://", "the host is missing"),
        ("http://:8080", "the host is missing"),
        ("https:///path", "the host is missing"),
        ("http://a..b/", "the host is not a valid name or address"),
        ("http://[::1", "the host is not a valid name or address"),
        ("http://[label-studio]", "the host is not a valid name or address"),
        ("http://☃.net", "the host is not a valid name or address"),
        ("http://xn--a", "the host is not a valid name or address"),
        ("http://a%20b", "the host is not a valid name or address"),
        ("http://a\x07b", "it contains a space or a control character"),
        ("http://local host:8080", "it contains a space or a control character"),
        ("http://localhost:8080/a path", "it contains a space or a control character"),
        ("http://localhost:8080 ", "it contains a space or a control character"),
        ("http://local\nhost", "it contains a space or a control character"),
    ],
)
def test_every_url_is_checked(monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    variable = "LABEL_STUDIO_URL or LABEL_STUDIO_HOST" if name in URLS[:2] else name
    rules = r"\(http or https, a host, optionally a port, no spaces\)"
    assert re.fullmatch(rf"{variable}: expected a URL such as https?://\S+ {rules}; {problem}", str(raised.value))


@pytest.mark.parametrize("value", ["bucket/folder", "s3://", "://bucket", "s3://a bucket"])
def test_shared_storage_is_a_url_or_a_folder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for right in ("s3://bucket/folder", "/mnt/shared folder"):
        monkeypatch.setenv("SHARED_URL", right)
        assert load_settings().shared_url == right
    monkeypatch.setenv("SHARED_URL", value)
    with pytest.raises(SettingsError, match=r"^SHARED_URL: expected a URL such as s3://bucket/folder"):
        load_settings()


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "value",
    ["http://ls.local:8080/", "HTTPS://label.example.com/labels", "http://[::1]:8080", "http://label_studio:65535",
     "http://10.0.0.7", "https://bücher.example"],
)  # fmt: skip
def test_every_url_of_the_web_is_accepted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    load_settings()


def test_the_environment_holds_defaults_that_a_project_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSAL_BATCH_SIZE", "7")
    monkeypatch.setenv("LSAL_STRATEGY", "entropy")
    options = ProjectOptions.from_extra_params({"strategy": "random"})
    assert (options.batch_size, options.strategy, options.published) == (7, "random", 21)
    assert ProjectOptions.from_extra_params(None).strategy == "entropy"
    assert ProjectOptions.from_extra_params({"queue_size": 5}).published == 5
    assert old_names.messages(ProjectOptions) == []


@pytest.mark.parametrize(
    ("name", "value"), [("TARGET", "x86_64-linux-gnu"), ("MAP", "1"), ("SEED", "today"), ("BUDGET", "a lot")]
)
def test_names_that_others_use_set_no_option(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    before = ProjectOptions.from_extra_params({})
    monkeypatch.setenv(name, value)
    load_settings()
    assert ProjectOptions.from_extra_params({}) == before
    (message,) = old_names.messages(ProjectOptions)
    assert message.startswith(f"{name} is ignored")
    assert f"LSAL_{name}" in message
    assert value not in message
    monkeypatch.setenv(f"LSAL_{name}", {"TARGET": "0.9", "MAP": "umap", "SEED": "3", "BUDGET": "500"}[name])
    load_settings()
    assert ProjectOptions.from_extra_params({}) != before
    assert old_names.messages(ProjectOptions) == []


def test_old_names_work_for_one_release_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BATCH_SIZE", "7")
    monkeypatch.setenv("INSTRUCTIONS", "a secret")
    monkeypatch.setenv("EPOCHS", "")
    options = ProjectOptions.from_extra_params({})
    assert (options.batch_size, options.instructions) == (7, "a secret")
    old_names.report(ProjectOptions)
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "set LSAL_BATCH_SIZE, LSAL_INSTRUCTIONS instead of BATCH_SIZE, INSTRUCTIONS" in message
    assert "secret" not in message
    assert "7" not in message


def test_the_new_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, old, new in (("BATCH_SIZE", "many", "8"), ("CONTROL_WEIGHTS", '{"a": 1}', '{"b": 2}')):
        monkeypatch.setenv(name, old)
        monkeypatch.setenv(f"LSAL_{name}", new)
    load_settings()
    options = ProjectOptions.from_extra_params({})
    assert (options.batch_size, options.control_weights) == (8, {"b": 2})
    assert old_names.messages(ProjectOptions) == []


@pytest.mark.parametrize("name", ["EPOCHS", "LSAL_EPOCHS"])
def test_a_wrong_default_is_named_by_its_variable_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "many")
    with pytest.raises(SettingsError, match=rf"^{name}: Input should be a valid integer") as raised:
        load_settings()
    assert "many" not in str(raised.value)


def test_children_of_lsal_serve_do_not_repeat_the_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BATCH_SIZE", "7")
    old_names.report(ProjectOptions)
    assert caplog.records
    caplog.clear()
    for name, value in old_names.reported().items():
        monkeypatch.setenv(name, value)
    old_names.report(ProjectOptions)
    assert not caplog.records


def test_without_a_password_only_this_machine_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "BASIC_AUTH_USER", "BASIC_AUTH_PASS", "LSAL_INSECURE"):
        monkeypatch.delenv(name, raising=False)
    assert load_settings().bind == "127.0.0.1"
    for host in ("::1", "localhost", "127.0.0.2"):
        monkeypatch.setenv("HOST", host)
        assert load_settings().bind == host
    for host in ("0.0.0.0", "::", "192.0.2.1", "backend.internal"):
        monkeypatch.setenv("HOST", host)
        with pytest.raises(
            SettingsError, match=r"BASIC_AUTH_PASS and enter both .* LSAL_INSECURE=true and ALLOWED_HOSTS"
        ):
            _ = load_settings().bind
    monkeypatch.setenv("LSAL_INSECURE", "true")
    assert load_settings().bind == "backend.internal"
    monkeypatch.delenv("HOST")
    assert load_settings().bind == "0.0.0.0"
    monkeypatch.delenv("LSAL_INSECURE")
    monkeypatch.setenv("BASIC_AUTH_USER", "me")
    monkeypatch.setenv("BASIC_AUTH_PASS", "a secret")
    assert load_settings().bind == "0.0.0.0"


def test_readers_of_the_environment_are_known() -> None:
    found = {
        str(path.relative_to(BACKEND)): text
        for path in BACKEND.rglob("*.py")
        if re.search(r"\b(environ|getenv|putenv)\b", text := _code(path))
    }
    assert set(found) == set(OTHERS)
    assert all(variable in found[name] for name, variable in OTHERS.items())


def _code(path: Path) -> str:
    return re.sub(r"request\.environ", "", path.read_text("utf-8"))


def test_every_number_of_a_project_has_a_largest_value() -> None:
    """One project's options must not hold a machine for days."""
    unbounded = {
        name
        for name, field in ProjectOptions.model_fields.items()
        if {int, float} & {field.annotation, *get_args(field.annotation)}
        and not any(isinstance(each, Le | Lt) for each in field.metadata)
    }
    assert unbounded == set()
    huge = {"min_steps": 10**12, "learning_rate": 1e300, "lora_alpha": 10**9, "budget": 10**30, "shots": 10**3}
    for name, value in huge.items():
        with pytest.raises(UnsupportedConfigError, match=name):
            ProjectOptions.from_extra_params({name: value})
