"""Bodies of requests that act on a project, or look for its tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from backend.web.request_bodies import Body, Must


def _whole(value: Any) -> Any:
    """6.0 is an integer in JSON."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Strategy(Body):
    """The strategy of the next queues."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"strategy": "entropy"}]})

    strategy: Annotated[str | None, Must("be given as the name of a strategy, or null for that of the options")]


class BaseModelChoice(Body):
    """The base model of the next rounds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"base_model": "multilingual"}]})

    base_model: Annotated[str, Must("be given as the name of a base model")]


class Rollback(Body):
    """The adapter to return to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"adapter": 1}]})

    adapter: Annotated[int, Must("be given as the number of an adapter")] = Field(
        description="Number of the adapter: 12 of p7-a12"
    )


class Pause(Body):
    """Whether rounds start by themselves."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})

    paused: Annotated[bool, Must("be given as true or false")] = Field(description="False: resume")


class Finish(Body):
    """A random sample that tests the model's labels of the remaining tasks."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accuracy": 0.95}]})

    accuracy: Annotated[float, Must("be a number from 0.5 to 0.999")] = Field(
        ge=0.5, le=0.999, description="Share of labels that must be right, with 95 % confidence"
    )
    scope: Annotated[Literal["machine", "class", "whole"], Must("be 'machine', 'class' or 'whole'")] = Field(
        "machine",
        description="What has this accuracy: the labels that the model gives, those of each class by itself, or all "
        "tasks of the project",
    )
    tolerance: Annotated[float, Must("be a number from 0 on")] = Field(
        0.0, ge=0, le=1e9, description="Difference of a number or rating that counts as right"
    )
    labels: Annotated[
        int | None, BeforeValidator(_whole), Must("be the size of the sample, from 1 to 100000, or null")
    ] = Field(None, ge=1, le=100_000, description="Size of the sample; null: by default")


class FinishLabels(Body):
    """What to do with the model's labels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"wanted": "take"}]})

    wanted: Annotated[
        Literal["take", "write", "take_back", "cancel"], Must("be 'take', 'write', 'take_back' or 'cancel'")
    ] = Field(description="Keep them here, write them as annotations, drop them, or give the sample up")


_MOST_TASKS = 500  # of one request to put first
_TASK = 10**18 - 1  # the highest number of a task


class Find(Body):
    """What to look for among the open tasks: a text, a task or a class."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "the card was swallowed", "most": 20}]})

    text: Annotated[str | None, Must("be a text, or null")] = Field(None, description="Tasks similar to this text")
    task: Annotated[int | None, BeforeValidator(_whole), Must("be the number of a task, or null")] = Field(
        None, ge=0, le=_TASK, description="Tasks similar to this one"
    )
    name: Annotated[str | None, Must("be the name of a class, or null")] = Field(
        None, description="Tasks that are probably of this class"
    )
    control: Annotated[str | None, Must("be the name of a control, or null")] = Field(
        None, description="The control of the class, where several have it"
    )
    most: Annotated[int, BeforeValidator(_whole), Must("be a number of tasks, from 1 to 100")] = Field(
        20, ge=1, le=100, description="Maximum number of tasks"
    )


class First(Body):
    """The tasks to put first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tasks": [12, 7]}]})

    tasks: Annotated[
        list[Annotated[int, Field(ge=0, le=_TASK)]],
        BeforeValidator(_whole),
        Must(f"be a list of at most {_MOST_TASKS} numbers of tasks"),
    ] = Field(max_length=_MOST_TASKS, description="In their order. Empty: no task comes first any more")
