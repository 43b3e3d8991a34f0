"""Everything that can be configured. The only file that reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import strategies
from backend.errors import BackendError, UnsupportedConfigError


class SettingsError(BackendError):
    """The environment is incomplete or wrong."""


class Settings(BaseSettings):
    """How this server runs: one environment variable a field, spelled in capitals."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    label_studio_url: str | None = Field(None, validation_alias=AliasChoices("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST"))
    label_studio_api_key: SecretStr | None = None
    basic_auth_user: str | None = None
    basic_auth_pass: SecretStr | None = None
    model_dir: Path = Path("data")  # all that the backend keeps: state, adapters, scores
    host: str = "0.0.0.0"  # a sidecar is called from another container  # noqa: S104  # nosec B104
    port: int = 9090
    workers: int = Field(1, ge=1)  # web processes; each loads the models it serves
    threads: int = Field(8, ge=2)  # request threads a web process
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    sync_interval: float = Field(60.0, gt=0)  # seconds between looks at Label Studio when no event arrives
    keep_adapters: int = Field(3, ge=1)  # versions of a project that `lsal rollback` can go back to
    min_free_mb: int = Field(200, ge=0)  # megabytes of disk without which no round begins
    max_body_mb: int = Field(64, ge=1)  # megabytes a request may have
    metrics_public: bool = False  # whether /metrics and /ready ask for no password
    executor_id: str = "worker-1"  # must stay the same over restarts: rounds are taken up again by this name

    @field_validator("log_level", mode="before")
    @classmethod
    def _capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

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

    def label_studio(self) -> tuple[str, str]:
        """Address and API key of Label Studio; `SettingsError` if either is missing."""
        if not self.label_studio_url or self.label_studio_api_key is None:
            raise SettingsError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must be set: the address of Label Studio as seen from "
                "here, and an access token from Account & Settings there"
            )
        return self.label_studio_url.rstrip("/"), self.label_studio_api_key.get_secret_value()


class ProjectOptions(BaseSettings):
    """What a team can choose for a project in the model's *Extra params*; the environment holds the defaults."""

    model_config = SettingsConfigDict(extra="forbid", env_ignore_empty=True)

    strategy: str | None = None  # default: by the kind of labels
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    cold_start: str = "k_means"  # the strategy while there is no adapter
    cold_start_per_class: float = Field(4, ge=0, le=1000)  # and until there are so many labels for each class
    committee: Literal["bootstrap", "lora", "dropout", "views"] | None = None  # default: by the strategy
    members: int | None = Field(None, ge=2, le=64)  # of the committee; default 10, 5 for lora
    egl_label: Literal["pseudo", "expected"] = "pseudo"  # the gradient at the predicted label, or expected over labels
    egl_parameters: Literal["all", "head"] = "all"  # head and adapter, or the head alone, which costs nothing
    egl_top_k: int = Field(5, ge=1)  # labels that the expectation considers
    multilabel_uncertainty: Literal["mean", "max"] = "mean"  # of the labels' binary entropies
    spans_uncertainty: Literal["token_entropy", "least_confident_span", "top_k"] = "top_k"
    generation_uncertainty: Literal["sequence", "token_entropy", "disagreement"] = "sequence"
    control_weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(default_factory=dict)  # default 1 each
    ignore_controls: list[str] = Field(default_factory=list)  # names of controls that are not learned
    pseudo_labels: int = Field(100, ge=0)  # co_training: texts that each view lends the other a round, at most
    pseudo_confidence: float = Field(0.95, gt=0, le=1)  # and how sure it must be of them
    batch_size: int = Field(20, ge=1, le=10_000)  # newly labeled tasks that start a round
    queue_size: int | None = Field(None, ge=1, le=100_000)  # tasks published in order; default 3 × batch_size
    audit_share: float = Field(0.1, ge=0.0, le=0.5)  # tasks held out to measure with
    manage_queue: bool = True  # order the annotators' queue; false: only train and predict
    base_model: str = Field("minilm", min_length=1)
    seed: int = Field(0, ge=0, lt=2**31)
    warm_start: bool = False  # go on from the last adapter instead of from the base model
    epochs: int = Field(10, ge=1, le=1000)
    min_steps: int = Field(100, ge=1)  # training steps even for a handful of labels
    max_steps: int = Field(600, ge=1)  # bounds the training of an adapter as labels grow
    train_batch_size: int = Field(16, ge=1, le=4096)
    learning_rate: float | None = Field(None, gt=0, lt=1)  # default by the size and kind of the base model
    lora_r: int = Field(8, ge=1, le=1024)
    lora_alpha: int = Field(16, ge=1)
    lora_dropout: float | None = Field(None, ge=0.0, lt=1.0)  # default 0.05; 0 where spans or answers are learned
    max_length: int = Field(256, ge=8, le=32_768)  # word pieces a text; longer texts are cut

    @model_validator(mode="after")
    def _strategies_exist(self) -> Self:
        if self.strategy is None and self.strategy_options:
            raise ValueError("strategy_options are those of a strategy: name it in strategy")
        if self.strategy is not None:
            strategies.get(self.strategy, **self.strategy_options)
        views = self.committee == "views"
        if self.committee is not None and views != (self.strategy == "co_training"):
            raise ValueError(
                "committee 'views' and strategy 'co_training' belong together: "
                + ("choose that strategy" if views else "leave committee out")
            )
        if "co_training" in str(self.strategy_options):
            raise ValueError("strategy 'co_training' trains its own two views, so that no other can build on it")
        if self.strategy == "co_training" and self.members not in (None, 2):
            raise ValueError(f"strategy 'co_training' has 2 members, its views, not {self.members}")
        needs = strategies.get(self.cold_start).requires - {"embeddings", "labeled_embeddings"}
        if needs:
            raise ValueError(f"cold_start '{self.cold_start}' needs a trained model ({', '.join(sorted(needs))})")
        return self

    @property
    def published(self) -> int:
        """How many tasks the published queue holds."""
        return self.queue_size or 3 * self.batch_size

    @classmethod
    def from_extra_params(cls, extra_params: object) -> ProjectOptions:
        """Validate what came from the UI. Raises `UnsupportedConfigError` with one sentence on the first mistake."""
        if extra_params in (None, "", {}):
            extra_params = {}
        if not isinstance(extra_params, dict):
            raise UnsupportedConfigError(
                'extra_params must be a JSON object such as {"strategy": "entropy"}, '
                f"not {type(extra_params).__name__}"
            )
        try:
            return cls(**extra_params)
        except ValidationError as error:
            raise UnsupportedConfigError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"extra_params.{name} is unknown; choose from {', '.join(sorted(ProjectOptions.model_fields))}"
    if not name:  # our own validators name the option themselves
        return f"extra_params: {message}"
    return f"extra_params.{name}: {message}, not {first['input']!r}"


def load_settings() -> Settings:
    """Read the environment. Raises `SettingsError` with the name of the variable that is wrong."""
    try:
        ProjectOptions.from_extra_params({})
    except UnsupportedConfigError as error:
        message = str(error).replace("extra_params.", "")
        raise SettingsError(f"a default in the environment is wrong: {message}") from None
    try:
        return Settings()  # type: ignore[call-arg] # pydantic-settings fills it from the environment
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(lines)) from None
