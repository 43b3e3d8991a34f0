"""Settings of the server, read from the environment.

`options.py` reads the defaults of project options. Variables of libraries, such as Ray's `RAY_ADDRESS`, are read in the
files that use the library.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from backend.errors import RefusedStartError, UnsupportedConfigError
from backend.options import ProjectOptions, field_of, not_json

LARGE = 4 * 2**20  # bytes: the largest body of calls other than /predict, and of these the largest small one
_BAD_HOST = "the host is not a valid name or address"
# Settings that are URLs of web servers, each with an example.
_EXAMPLES = {
    "label_studio_url": "http://localhost:8080",
    "label_studio_public_url": "https://label-studio.example.com",
    "openai_base_url": "http://vllm:8000/v1",
    "notify_url": "https://hooks.slack.com/services/T0/B0/X",
}


class SettingsError(RefusedStartError):
    """A setting is missing or wrong."""


class Settings(BaseSettings):
    """Settings of the server. The environment variable of a field is its name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    label_studio_url: str | None = Field(None, validation_alias=AliasChoices("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST"))
    """address of Label Studio as seen from the backend"""
    label_studio_public_url: str | None = None
    """address of Label Studio for browsers, if it differs: the dashboard links to it"""
    label_studio_api_key: SecretStr | None = None
    """access token of a user who may manage the projects"""
    basic_auth_user: str | None = None
    """with `BASIC_AUTH_PASS`: every request except `/` and `/health` needs this user and password; enter them in the
    model's settings. Webhooks may send their secret instead"""
    basic_auth_pass: SecretStr | None = None
    """see `BASIC_AUTH_USER`"""
    model_dir: Path = Path("data")
    """folder for everything the backend keeps: state, adapters, scores. Use a local disk and
    [back it up](operations.md#backups)"""
    host: str | None = None
    """address that the web server listens on. Default: `0.0.0.0`, which is every address of the machine, with
    `BASIC_AUTH_USER` and `BASIC_AUTH_PASS`; `127.0.0.1` without"""
    insecure: bool = Field(False, validation_alias=AliasChoices("LSAL_INSECURE"))
    """true: listen on `0.0.0.0` without a password. Everyone who reaches the port can then read texts and labels. See
    `ALLOWED_HOSTS`"""
    allowed_hosts: str | None = None
    """without a password: names of this server, separated by commas, that clients may use besides `localhost` and IP
    addresses, such as `backend.internal`. Other names are refused, because a web page could use them to read from here
    (DNS rebinding)"""
    port: int = 9090
    """port that the web server listens on"""
    workers: int = Field(1, ge=1)
    """number of web processes; each loads the models it serves"""
    threads: int = Field(8, ge=2)
    """calls of `/predict` at the same time per web process. More wait for up to 20 s, and then get 503. Other calls
    have threads of their own"""
    accelerate_config: Path | None = None
    """file written by `accelerate config`: trains [on several GPUs](large-models.md#larger-models)"""
    scoring: Literal["local", "ray"] = "local"
    """`ray`: score pools [on the Ray cluster](large-pools.md#scoring-on-ray) at `RAY_ADDRESS`"""
    scoring_replicas: int | None = Field(None, ge=1)
    """model replicas on the Ray cluster. Default: one per GPU, or one per processor without GPUs"""
    openai_base_url: str | None = None
    """address, such as `http://vllm:8000/v1`, of the server of base models named `openai:…`:
    [vLLM or similar](large-models.md#large-language-models-behind-a-server)"""
    openai_api_key: SecretStr | None = None
    """API key of that server"""
    openai_extra_body: dict[str, Any] = Field(default_factory=dict)
    """JSON that is added to each request to that server"""
    openai_concurrency: int = Field(32, ge=1, le=1024)
    """concurrent requests per process to that server"""
    llm_prices: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """prices of models on that server, for `lsal estimate`: by name the price of a million input and a million output
    tokens, as JSON such as `{"Qwen/Qwen3-32B": [0.1, 0.3]}`, in any currency"""
    allowed_base_models: str | None = None
    """base models that *Extra params* may name besides the packaged ones: patterns separated by commas, such as
    `BAAI/*,/models/*`, or `*` for all. Hugging Face ids are downloaded with this server's token, at a revision if named
    (`BAAI/bge-small-en-v1.5@main`), and folders are read from its disk"""
    max_base_model_gb: float = Field(20.0, gt=0)
    """GB that a base model may have to be downloaded from Hugging Face"""
    max_base_models: int = Field(4, ge=1)
    """base models that a process keeps in memory; projects with the same base model share its weights"""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """lowest level that is logged"""
    sync_interval: float = Field(60.0, gt=0)
    """seconds between two syncs with Label Studio when no webhook arrives"""
    keep_adapters: int = Field(3, ge=1)
    """adapter versions per project that are kept for `lsal rollback`"""
    max_hours: float = Field(6.0, gt=0, le=24 * 365)
    """hours that one training, or one scoring of a pool, may take, since rounds of other projects wait for it. Then the
    round fails and the project is paused"""
    max_stall_minutes: float = Field(30.0, gt=0)
    """minutes that a computation may take without any progress, such as the choice of tasks by a strategy. Then the
    worker ends and is started again; the third time the round fails"""
    min_free_mb: int = Field(200, ge=0)
    """free disk space in MB below which no round starts"""
    max_body_mb: int = Field(64, ge=1)
    """largest request body in MB"""
    metrics_public: bool = False
    """true: `/metrics` and `/ready` need no password"""
    notify_url: SecretStr | None = None
    """address that receives a POST of `{"text": …}`, the format of Slack's incoming webhooks, when a project may stop
    labeling"""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host:5432/name`: state and queue [for several hosts](scale.md). Default: SQLite in
    `MODEL_DIR`"""
    shared_url: str | None = None
    """`s3://bucket/folder` or a similar address: adapters and scores
    [for several hosts](scale.md#shared-storage). Default: `MODEL_DIR`"""
    executor_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """name of the worker. Keep it across restarts: a restarted worker resumes the rounds under its name. Default:
    `worker-1`, or the host's name if `DATABASE_URL` is set"""

    @field_validator("log_level", mode="before")
    @classmethod
    def _capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("shared_url")
    @classmethod
    def _url_or_folder(cls, value: str | None) -> str | None:
        if value is None or value.startswith("/"):
            return value
        if not re.fullmatch(r"\w+://\S+", value):
            raise ValueError(
                "expected a URL such as s3://bucket/folder without spaces, or a folder as an absolute path"
            )
        return value

    @field_validator(*_EXAMPLES)
    @classmethod
    def _web_url(cls, value: str | SecretStr | None, info: ValidationInfo) -> str | SecretStr | None:
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        if url is not None and (problem := _url_problem(url)):
            raise ValueError(
                f"expected a URL such as {_EXAMPLES[str(info.field_name)]} (http or https, a host, optionally a port, "
                f"no spaces); {problem}"
            )
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("expected a URL without user and password: it appears in messages; set OPENAI_API_KEY")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.basic_auth_user is None) != (self.basic_auth_pass is None):
            raise ValueError("BASIC_AUTH_USER and BASIC_AUTH_PASS must be set together: set both or neither")
        if ":" in (self.basic_auth_user or ""):  # RFC 7617: it separates user and password
            raise ValueError("BASIC_AUTH_USER must not contain a colon")
        return self

    @property
    def basic_auth(self) -> tuple[str, str] | None:
        """User and password that every request except health checks must send. None: not required."""
        if self.basic_auth_user is None or self.basic_auth_pass is None:
            return None
        return self.basic_auth_user, self.basic_auth_pass.get_secret_value()

    @property
    def bind(self) -> str:
        """Address to listen on. Raises `SettingsError` for one that others reach, without a password."""
        if self.basic_auth is not None or self.insecure:
            return (self.host or "0.0.0.0").strip("[]")  # noqa: S104  # nosec B104 (a sidecar is called from another container)
        host = (self.host or "127.0.0.1").strip("[]")
        if not _is_loopback(host):
            raise SettingsError(
                f"HOST={host} can be reached from other machines, and no password is set: set BASIC_AUTH_USER and "
                "BASIC_AUTH_PASS and enter both in Settings → Model; or, if only Label Studio reaches this port, "
                "LSAL_INSECURE=true and ALLOWED_HOSTS to the name by which it calls"
            )
        return host

    @property
    def database(self) -> str | None:
        """URL of the database, with password. None: SQLite in `model_dir`."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    @property
    def executor(self) -> str:
        """Name of the worker. Default: the host name with `DATABASE_URL`, `worker-1` without."""
        return self.executor_id or (gethostname() if self.database_url else "worker-1")

    @property
    def public_url(self) -> str | None:
        """URL of Label Studio for links in the dashboard. None if no URL is set."""
        found = self.label_studio_public_url or self.label_studio_url
        return found.rstrip("/") if found else None

    def label_studio(self) -> tuple[str, str]:
        """URL and API key of Label Studio. Raises `SettingsError` if either is missing."""
        if not self.label_studio_url or self.label_studio_api_key is None:
            raise SettingsError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must be set: the URL of Label Studio as seen from "
                "the backend, and an access token from Account & Settings in Label Studio"
            )
        return self.label_studio_url.rstrip("/"), self.label_studio_api_key.get_secret_value()


def load_settings() -> Settings:
    """Read the environment. Raises `SettingsError` with the name of the wrong variable."""
    try:
        ProjectOptions.check_environment()
        return Settings()  # type: ignore[call-arg] # pydantic-settings fills it from the environment
    except UnsupportedConfigError as error:
        raise SettingsError(str(error)) from None
    except UnreadableError as error:
        raise SettingsError(not_json(field_of(error).upper())) from None
    except ValidationError as error:
        raise SettingsError("; ".join(map(_line, error.errors()))) from None


def _line(error: ErrorDetails) -> str:
    """One mistake, without the value: it may be a secret."""
    name = ".".join(map(str, error["loc"])).upper() or "settings"
    variable = "LABEL_STUDIO_URL or LABEL_STUDIO_HOST" if name == "LABEL_STUDIO_URL" else name
    return f"{variable}: {error['msg'].removeprefix('Value error, ')}"


def _url_problem(url: str) -> str | None:
    """What is wrong with the URL of a web server, without quoting it. None if nothing is."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it contains a space or a control character"
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address
        return _BAD_HOST
    if parts.scheme not in ("http", "https"):
        return "the scheme is not http or https"
    if not parts.hostname:
        return "the host is missing"
    if not _is_host(parts.hostname):
        return _BAD_HOST
    try:
        valid = parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        valid = False
    return None if valid else "the port is not a number from 1 to 65535"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(host: str) -> bool:
    """Whether this is an IPv6 address or a name that DNS can resolve, in ASCII or international."""
    if ":" in host:
        return True  # `urlsplit` has checked the address
    try:
        host.encode("idna").decode("idna")
    except UnicodeError:  # empty and overlong labels, wrong punycode
        return False
    return bool(re.fullmatch(r"[\w.-]+", host))
