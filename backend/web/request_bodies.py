"""Request bodies: one model each, and how a body is read, validated and refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, FailFast, Field, PlainValidator, ValidationError
from typing_extensions import TypedDict
from werkzeug.exceptions import BadRequest

from backend.errors import InvalidRequestError

MOST_TASKS = 50_000  # of one call of /predict
_SHOWN = 60  # characters of a refused value
_SHORT = 120  # characters of an example that fits into a message
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    '<Choice value="a"/><Choice value="b"/></Choices></View>'
)


@dataclass(frozen=True, slots=True)
class Must:
    """What a field must be, for the message of a refusal: '<field> must <be>'. Metadata of its type."""

    be: str


def project_number(value: object) -> int:
    """`7` of 7, 7.0, "7" or "7.1700000000". Raises `ValueError` otherwise."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    digits = str(value).split(".", 1)[0] if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or not 0 < int(digits) < 2**31:
        raise ValueError
    return int(digits)


def _number_of_event(value: object) -> int:
    return project_number(value.get("id") if isinstance(value, dict) else value)


def _text_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""


def _decoded(value: object) -> Any:
    """The value; decoded if it is JSON in a string: Label Studio passes on what its own API received."""
    if isinstance(value, str) and value.strip():
        try:
            return request.json_module.loads(value)
        except (ValueError, RecursionError):
            raise InvalidRequestError('extra_params is not JSON; enter an object such as {"batch_size": 20}') from None
    return value


_Number = Annotated[int, Field(ge=1, le=2**31 - 1)] | Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}(\.[0-9]+)?$")]
_ProjectNumber = Annotated[
    int,
    PlainValidator(project_number, json_schema_input_type=_Number),
    Must("be the number of a project"),
    Field(description="The project's number, alone or with the time at which the project was created"),
]


class EventProject(TypedDict):
    """A project in an event."""

    id: _Number


class Body(BaseModel):
    """A JSON object. Fields that are not declared are ignored; values are not converted."""

    model_config = ConfigDict(strict=True)


class Setup(Body):
    """A project with its label config and options."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["project", "schema"],  # without a schema, the label config is refused as empty
            "examples": [
                {
                    "project": "7.1700000000",
                    "schema": _CONFIG,
                    "hostname": "http://localhost:8080",
                    "access_token": "",
                    "extra_params": {"strategy": "margin"},
                }
            ],
        }
    )

    project: _ProjectNumber
    label_config: Annotated[str, PlainValidator(_text_or_empty, json_schema_input_type=str)] = Field(
        "", alias="schema", description="The label config"
    )
    hostname: Any = Field(None, description="Ignored; never called")
    access_token: Any = Field(None, description="Ignored", repr=False)
    extra_params: Annotated[Any, PlainValidator(_decoded, json_schema_input_type=dict[str, Any] | str | None)] = Field(
        None, description="Options, as an object or as JSON in a string"
    )


class Task(TypedDict, total=False):
    """A task of Label Studio."""

    id: Any
    data: Annotated[Any, Field(description="Fields of the task. Anything but an object counts as no text")]


class Predict(Body):
    """Tasks to predict."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"project": "7.1700000000", "tasks": [{"id": 1, "data": {"text": "a text"}}], "label_config": _CONFIG}
            ]
        }
    )

    tasks: Annotated[list[Task], FailFast(), Must("be a list of tasks, each an object with 'data'")] = Field(
        json_schema_extra={"maxItems": MOST_TASKS}
    )
    project: _ProjectNumber
    label_config: Any = Field(None, description="The label config. Anything but a string: the last one of /setup")
    params: Any = Field(None, description="Ignored")


class Event(Body):
    """An event of a project."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "ANNOTATION_CREATED", "project": {"id": 7}}]})

    action: Annotated[str, Must("be an event name in capitals, such as ANNOTATION_CREATED")] = Field(
        pattern="^[A-Z_]{1,64}$"
    )
    project: Annotated[
        int, PlainValidator(_number_of_event, json_schema_input_type=_Number | EventProject),
        Must("be the number of a project, or an object with the number as 'id'"),
    ]  # fmt: skip


_B = TypeVar("_B", bound=Body)


def read(model: type[_B]) -> _B:
    """The body of the request. Raises `InvalidRequestError` if it is not as the model describes."""
    try:
        values = request.get_json(force=True)
    except BadRequest:
        raise InvalidRequestError("The body must be JSON, but cannot be parsed; check its syntax") from None
    except RecursionError:
        raise InvalidRequestError("The body must be JSON, but is nested too deeply to be parsed") from None
    if not isinstance(values, dict):
        raise InvalidRequestError(f"The body must be a JSON object; received {_shown(values)}")
    return checked(model, values)


def checked(model: type[_B], values: Mapping[str, Any]) -> _B:
    """The values as a model. Raises `InvalidRequestError` that names the first wrong field and an example."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    name, *place = first["loc"]
    must = next(each for each in model.model_fields[str(name)].metadata if isinstance(each, Must))
    received = "it is missing" if first["type"] == "missing" else f"received {_shown(first['input'])}"
    where = f" at position {place[0]}" if place else ""
    raise InvalidRequestError(f"'{name}' must {must.be}; {received}{where}. {_advice(model)}")


def _advice(model: type[Body]) -> str:
    extra: Any = model.model_config["json_schema_extra"]
    example = json.dumps(extra["examples"][0])
    return f"Example: {example}" if len(example) <= _SHORT else "/openapi.json describes the body"


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
