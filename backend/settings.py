"""Everything that can be configured. The only file that reads the environment."""

from __future__ import annotations

from pathlib import Path
from socket import gethostname
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from backend.errors import RefusedStartError, UnsupportedConfigError
from backend.options import ProjectOptions, not_json


class SettingsError(RefusedStartError):
    """The environment is incomplete or wrong."""


class Settings(BaseSettings):
    """How this server runs: one environment variable a field, spelled in capitals."""

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
    host: str = "0.0.0.0"  # a sidecar is called from another container  # noqa: S104  # nosec B104
    """address that the web server listens on"""
    port: int = 9090
    """port that the web server listens on"""
    workers: int = Field(1, ge=1)
    """number of web processes; each loads the models it serves"""
    threads: int = Field(8, ge=2)
    """request threads per web process"""
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
    max_base_models: int = Field(4, ge=1)
    """base models that a process keeps in memory; projects with the same base model share its weights"""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """lowest level that is logged"""
    sync_interval: float = Field(60.0, gt=0)
    """seconds between two syncs with Label Studio when no webhook arrives"""
    keep_adapters: int = Field(3, ge=1)
    """adapter versions per project that are kept for `lsal rollback`"""
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
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value and not value.startswith("/"):
            raise ValueError("expected an address such as s3://bucket/folder, or the path of a folder from / on")
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _of_the_web(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address such as http://vllm:8000/v1")
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("expected no user or password in it, which messages would show; set OPENAI_API_KEY")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.basic_auth_user is None) != (self.basic_auth_pass is None):
            raise ValueError("BASIC_AUTH_USER and BASIC_AUTH_PASS belong together: set both or neither")
        return self

    @property
    def basic_auth(self) -> tuple[str, str] | None:
        """User and password that every request except health checks must carry, if set."""
        if self.basic_auth_user is None or self.basic_auth_pass is None:
            return None
        return self.basic_auth_user, self.basic_auth_pass.get_secret_value()

    @property
    def database(self) -> str | None:
        """Address of the database with its password; None for SQLite in `model_dir`."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    @property
    def executor(self) -> str:
        """The worker's name: of several, by default, its host's."""
        return self.executor_id or (gethostname() if self.database_url else "worker-1")

    @property
    def public_url(self) -> str | None:
        """Label Studio's address for people, to be linked to."""
        found = self.label_studio_public_url or self.label_studio_url
        return found.rstrip("/") if found else None

    def label_studio(self) -> tuple[str, str]:
        """Address and API key of Label Studio; `SettingsError` if either is missing."""
        if not self.label_studio_url or self.label_studio_api_key is None:
            raise SettingsError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must be set: the address of Label Studio as seen from "
                "here, and an access token from Account & Settings there"
            )
        return self.label_studio_url.rstrip("/"), self.label_studio_api_key.get_secret_value()


def load_settings() -> Settings:
    """Read the environment. Raises `SettingsError` with the name of the variable that is wrong."""
    try:
        ProjectOptions.from_extra_params({})
    except UnsupportedConfigError as error:
        message = str(error).replace("extra_params.", "")
        raise SettingsError(f"a default in the environment is wrong: {message}") from None
    try:
        return Settings()  # type: ignore[call-arg] # pydantic-settings fills it from the environment
    except UnreadableError as error:
        raise SettingsError(not_json(error)) from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(lines)) from None
