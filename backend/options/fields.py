"""The options of a project. docs/reference/options.md is generated from this file."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import annotated_types
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from backend.errors import UnsupportedConfigError
from backend.options.messages import field_of, message, not_json, sentence
from backend.options.old_names import OldNames
from backend.options.strategy_rules import check_cold_start, check_committee, check_strategy

AUTO = "auto"  # value of base_model
PREFIX = "LSAL_"  # of the environment variables
_NO_ENVIRONMENT = "no environment "  # in place of the prefix: no variable has a space in its name


_Wanted = Annotated[str, Field(max_length=1000)] | bool | int | float


class ProjectOptions(BaseSettings):
    """Options in the model's *Extra params*. Each field's docstring is its row in docs/reference/options.md."""

    model_config = SettingsConfigDict(
        extra="forbid", env_prefix=PREFIX, env_ignore_empty=True, use_attribute_docstrings=True, frozen=True
    )

    strategy: str | None = None
    """[query strategy](strategies.md) that selects the next tasks. Default: `uncertainty_herding` for
    classification, `margin` for pairwise, `variance` for regression, `uncertainty` otherwise"""
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    """[options of the strategy](strategies.md#options). Default: those of the strategy"""
    cold_start: str = "k_means"
    """strategy that selects tasks until there are enough labels to use `strategy`"""
    cold_start_per_class: float = Field(4, ge=0, le=1000)
    """labels per class, on average, from which `strategy` selects. 0: from the first trained adapter on"""
    committee: Literal["bootstrap", "lora", "dropout", "views"] | None = None
    """how committee members of `bald`, `vote_entropy` and [similar strategies](strategies.md#options) are made.
    Default: `views` for `co_training` and `disagreement`, otherwise `bootstrap`"""
    members: int | None = Field(None, ge=2, le=64)
    """number of committee members. Default: 10, for `lora` 5, for `views` 2"""
    egl_label: Literal["pseudo", "expected"] = "pseudo"
    """gradient whose length `egl` computes: for the predicted label (`pseudo`), or its expectation over labels
    (`expected`)"""
    egl_parameters: Literal["all", "head"] = "all"
    """parameters of that gradient: head and adapter (`all`), or the head alone (`head`), which needs no backward
    pass"""
    egl_top_k: int = Field(5, ge=1, le=1000)
    """number of most probable labels in the expectation over labels"""
    multilabel_uncertainty: Literal["mean", "max"] = "mean"
    """uncertainty of a text with several labels: `mean` or `max` of their binary entropies"""
    spans_uncertainty: Literal["token_entropy", "least_confident_span", "top_k"] = "top_k"
    """uncertainty of spans: mean entropy of the five most uncertain word pieces (`top_k`), or [another](labels.md)"""
    generation_uncertainty: Literal["sequence", "token_entropy", "disagreement"] = "sequence"
    """uncertainty of a written answer: its negative log probability per word piece (`sequence`), or
    [another](labels.md)"""
    control_weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(default_factory=dict)
    """weight of each of several controls in the queue, such as `{"topic": 2}`. Default: 1 for each control"""
    ignore_controls: list[str] = Field(default_factory=list)
    """names of controls that are not learned, such as a field for remarks. Default: all are learned"""
    context: list[str] | None = None
    """names of the texts to read beside the labeled one, such as a question or a title. Default: all, but none beside a
    text in which [spans are marked](labels.md#input-of-the-model)"""
    taxonomy: Literal["nodes", "leaf"] | None = None
    """what is learned of a `<Taxonomy>`: all that [annotators can choose](labels.md#taxonomies) (`nodes`), or one leaf
    per text (`leaf`). Default: `nodes`; in projects that were connected before this option existed, `leaf`"""
    class_names: bool = True
    """true: the model knows the [names of the classes](labels.md#class-names) before any label. false: it learns from
    labels only"""
    descriptions: dict[str, str] = Field(default_factory=dict)
    """classes in words, where names are codes, such as `{"HUM": "a person or group"}`. Default: the label config's
    values and hints"""
    pseudo_labels: int = Field(100, ge=0, le=100_000)
    """maximum number of texts per round that each view of `co_training` labels for the other"""
    pseudo_confidence: float = Field(0.95, gt=0, le=1)
    """minimum probability that a view must give to such a label"""
    batch_size: int = Field(20, ge=1, le=10_000)
    """number of newly labeled tasks that starts a round"""
    queue_size: int | None = Field(None, ge=1, le=100_000)
    """number of tasks that are published in order. Default: 3 × `batch_size`"""
    audit_share: Annotated[float, Field(ge=0.0, le=0.5)] | Literal["auto"] = "auto"
    """share of tasks that are held out to measure the model: never trained on, never selected. `auto`: 0.1, or with a
    target before the first label [up to 0.3](evaluation.md#why-a-target-takes-many-labels)"""
    ground_truth: Literal["teach", "measure"] = "teach"
    """`teach`: train on annotations that are marked as ground truth. `measure`: do not train on their tasks, and
    [measure the model](evaluation.md#a-score-and-its-interval) on them and on the held-out tasks"""
    shortlist: float | None = Field(None, gt=0, le=1)
    """share of the unlabeled texts that the adapter scores in a round, ranked by
    [a cheap proxy model](scale.md#a-million-texts). 1.0: all texts. Default: all, but at most 4,000"""
    shortlist_by: Literal["probe", "neighbors"] | None = None
    """ranking of the shortlist: uncertainty of a linear head (`probe`), or similarity to labeled texts (`neighbors`).
    Default: `neighbors` if only spans, numbers or answers are learned, otherwise `probe`"""
    only: dict[str, _Wanted | list[_Wanted]] = Field(default_factory=dict, max_length=20)
    """queue only tasks with these values in their data, such as `{"lang": "en"}`; of several values a task needs one:
    `{"lang": ["en", "de"]}`. Labels of other tasks are learned from all the same. Default: all tasks"""
    near_duplicates: float | None = Field(None, ge=0.8, le=1)
    """similarity, such as 0.95, from which a text comes last in the queue because it
    [nearly repeats](../how-to/basics/find-tasks.md#near-duplicates) a labeled or an earlier one. Default: none does"""
    relabel: bool = False
    """true: part of the queue are tasks with a doubtful label, for [a second opinion](labels.md#second-opinions) by
    another annotator. For single choices"""
    minimum_per_class: int | None = Field(None, ge=1, le=10_000)
    """number of labels that each choice gets first: up to half of the queue are tasks that probably belong to choices
    with fewer. Default: none"""
    balance: float = Field(0.0, ge=0, le=1)
    """share of the queue for [classes with few labels](strategies.md#rarely-seen-classes), such as 0.5. 0: none"""
    target: Annotated[float, Field(gt=0)] | dict[str, Annotated[float, Field(gt=0)]] | None = None
    """score at which [labeling may stop](evaluation.md#when-to-stop), such as 0.9; for several controls
    `{"topic": 0.9, "stars": 0.4}`; for numbers the largest mean error. Default: no target"""
    target_risk: float = Field(0.05, gt=0, le=0.5)
    """maximum probability of stopping before the target is reached, over all checks together"""
    budget: int | None = Field(None, ge=1, le=10**9)
    """number of labeled tasks at which labeling may stop. Default: no limit"""
    budget_hours: float | None = Field(None, gt=0, le=10**6)
    """hours of annotation at which labeling may stop. Default: no limit"""
    cost_per_hour: float | None = Field(None, gt=0, le=10**6)
    """cost of an hour of annotation, in any currency: the dashboard then shows what was spent, saved, and is still
    needed. Default: hours alone"""
    map: Literal["pca", "umap"] = "pca"
    """projection for the dashboard's map of the texts. `umap` takes tens of seconds for 20,000 texts and needs
    `pip install label-studio-active-learning[umap]`"""
    pre_annotate: Literal["auto"] | bool = "auto"
    """whether tasks show the model's suggestions; held-out tasks never do. `auto`: those of spans, several labels and
    written answers [once they save work](labels.md#suggestions), others always. true: always. false: none in the
    queue"""
    manage_queue: bool = True
    """true: publish the queue in Label Studio. false: train and predict, and leave the queue unchanged"""
    react: bool = True
    """true: new labels of classes change [queue and suggestions](strategies.md#between-rounds) within seconds, between
    rounds, too. false: only rounds do"""
    base_model: str = Field(AUTO, min_length=1, max_length=500)
    """`auto`: [the encoder that fits](base-models.md) the language of the texts, `minilm` or `multilingual`. Or
    `minilm` (all-MiniLM-L6-v2, English), `multilingual` (multilingual-e5-small, 100 languages),
    `smollm2` ([which can write](labels.md#models-that-write)), a Hugging Face id or a folder, encoder or decoder; with
    the suffix `:4bit` in four bits, on a CUDA GPU; or `openai:NAME`, a model
    [on a server](scale.md#large-language-models-behind-a-server)"""
    teacher: str | None = Field(None, pattern=r"^openai:.+", max_length=500)
    """`openai:NAME`: a model on a server that [teaches](../how-to/advanced/teacher.md) the base model: its
    answers to unlabeled texts are learned as soft labels, as far as labels confirm them. Default: none"""
    teacher_texts: int = Field(200, ge=1, le=100_000)
    """most unlabeled texts that a round sends to the teacher, drawn at random"""
    llm_budget: int | None = Field(None, ge=0, le=10**9)
    """most calls of [a model on a server](large-models.md#large-language-models-behind-a-server) for this project, of
    all models together. A round that would need more fails with a message, and new texts get no suggestion. Default: no
    limit"""
    shots: int = Field(16, ge=0, le=256)
    """maximum number of labeled examples in the prompt for a model on a server"""
    instructions: str = Field("", max_length=10_000)
    """description of the task in that prompt, as for an annotator. Default: none"""
    seed: int = Field(0, ge=0, lt=2**31)
    """random seed: equal seeds and labels give equal models"""
    warm_start: bool = False
    """true: each round continues to train the last adapter. false: each round trains a new adapter on the base model"""
    epochs: int | None = Field(None, ge=1, le=1000)
    """training epochs per round. Default: 5 where only classes are learned, otherwise 10"""
    min_steps: int | None = Field(None, ge=1, le=20_000)
    """minimum number of training steps per round, for small numbers of labels. Default: 50 where only classes are
    learned, otherwise 100"""
    max_steps: int = Field(600, ge=1, le=20_000)
    """maximum number of training steps per round"""
    train_batch_size: int = Field(16, ge=1, le=4096)
    """number of labels per training step"""
    gradient_checkpointing: bool = False
    """true: recompute activations in the backward pass instead of storing them. Training takes a third longer and needs
    a fraction of the memory"""
    learning_rate: float | None = Field(None, gt=0, lt=1)
    """learning rate. Default: 0.002 for models up to 50 M parameters (for written answers up to 500 M), 0.0005 up to
    500 M, 0.0002 above; twice as much for the upper layers alone"""
    lora_r: int = Field(8, ge=1, le=1024)
    """rank of the LoRA adapter. It adapts query and value layers of the attention; where spans or answers are learned,
    every linear layer"""
    lora_alpha: int = Field(16, ge=1, le=10_000)
    """scale of the adapter's output, which is multiplied by `lora_alpha` / `lora_r`"""
    lora_layers: Literal["upper", "all"] = "upper"
    """layers that are adapted where classes are learned: the `upper` half, which trains in half the time, or `all`. For
    other labels all"""
    lora_dropout: float | None = Field(None, ge=0.0, lt=1.0)
    """dropout in the adapter. Default: 0.05; where spans or answers are learned, 0"""
    max_length: int = Field(256, ge=8, le=32_768)
    """maximum number of word pieces that are read of a text, in windows if the model cannot read them at once. The rest
    is cut off"""

    @model_validator(mode="after")
    def _strategies_exist(self) -> Self:
        check_strategy(self.strategy, self.strategy_options)
        check_committee(self.strategy, self.committee, self.members, self.teacher)
        check_cold_start(self.cold_start)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Sources of values, the first wins: extra params, `LSAL_…` variables, their old names."""
        if getattr(env_settings, "env_prefix", None) == _NO_ENVIRONMENT:
            return (init_settings,)
        return init_settings, env_settings, OldNames(settings_cls)

    @classmethod
    def from_stored(cls, extra_params: dict[str, Any]) -> ProjectOptions:
        """The options of a project; those above the largest value, which an earlier release accepted, lowered to it."""
        return cls.from_extra_params(extra_params | cls.lowered(extra_params))

    @classmethod
    def lowered(cls, extra_params: dict[str, Any]) -> dict[str, Any]:
        """The options that are above their largest value, with that value."""
        bounds = ((name, each) for name, field in cls.model_fields.items() for each in field.metadata)
        most: dict[str, Any] = {name: each.le for name, each in bounds if isinstance(each, annotated_types.Le)}
        return {
            name: most[name]
            for name, value in extra_params.items()
            if name in most and (number := _number(value)) is not None and number > most[name]
        }

    @property
    def published(self) -> int:
        """Number of tasks in the published queue."""
        return self.queue_size or 3 * self.batch_size

    def with_strategy(self, name: str) -> ProjectOptions:
        """A copy with another strategy, without strategy options, committee and members of the former one.

        Raises `UnsupportedConfigError` if the strategy is unknown or does not fit the other options.
        """
        others: dict[str, Any] = {"strategy": name, "strategy_options": {}, "committee": None, "members": None}
        return self.from_extra_params(self.model_dump() | others, environment=False)

    @classmethod
    def check_environment(cls) -> None:
        """Validate the defaults in the environment.

        Raises `UnsupportedConfigError` that names the first wrong variable, without its value.
        """
        try:
            cls()  # type: ignore[call-arg]
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = cls._variable(str(first["loc"][0])) if first["loc"] else "project options in the environment"
            raise UnsupportedConfigError(f"{place}: {message(first)}") from None
        except UnreadableError as error:
            raise UnsupportedConfigError(not_json(cls._variable(field_of(error)))) from None

    @classmethod
    def _variable(cls, field: str) -> str:
        """Name of the environment variable that sets the default of `field`: the old name if only that is set."""
        return ("" if field in OldNames(cls).env_vars else PREFIX) + field.upper()

    @classmethod
    def from_extra_params(cls, extra_params: object, *, environment: bool = True) -> ProjectOptions:
        """Validate the extra params from Label Studio. environment: whether it sets the defaults of other options.

        Raises `UnsupportedConfigError` with one sentence about the first mistake.
        """
        if extra_params in (None, "", {}):
            extra_params = {}
        if not isinstance(extra_params, dict):
            raise UnsupportedConfigError(
                'extra_params must be a JSON object such as {"strategy": "entropy"}, '
                f"not {type(extra_params).__name__}"
            )
        try:
            # No encoding has a lone surrogate: it becomes a question mark.
            plain = json.dumps(extra_params, ensure_ascii=False).encode("utf-8", "replace").decode()
            return _validated(plain, _environment() if environment else None)
        except ValidationError as error:
            raise UnsupportedConfigError(sentence(error, cls.model_fields)) from None
        except UnreadableError as error:
            raise UnsupportedConfigError(not_json(cls._variable(field_of(error)))) from None


@lru_cache(maxsize=1024)
def _validated(extra_params: str, environment: tuple[tuple[str, str], ...] | None) -> ProjectOptions:
    """Validate extra params, as JSON. Kept: it takes milliseconds, and each request needs the options.

    environment: the variables that set defaults; None: none do.
    """
    prefix = _NO_ENVIRONMENT if environment is None else None
    return ProjectOptions(**json.loads(extra_params), _env_prefix=prefix)  # type: ignore[call-arg]


def _environment() -> tuple[tuple[str, str], ...]:
    """The environment variables that set defaults of options."""
    fields = ProjectOptions.model_fields
    return tuple(
        (name, value) for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) or name.lower() in fields
    )  # fmt: skip


def _number(value: object) -> float | None:
    """The number that a value is, or that a string holds."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
