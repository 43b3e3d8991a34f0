"""The OpenAPI 3.1 document, generated from the type hints of the views.

A view with the decorator `operation` is in the document:

- Its docstring is the summary; paragraphs after the first are the description.
- Its parameter `body` is the request body: a model of `bodies.py`, validated before the view runs.
- Its other parameters are path parameters, with the JSON Schema of their type.
- Its return type is the response. `tuple[X, Literal[201, 202]]` names other statuses than 200, and
  `Annotated[Response, Media(…)]` a media type other than JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from inspect import getdoc
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from backend.labelstudio.api.webhook_registration import SECRET_HEADER
from backend.web.guards import auth
from backend.web.request_bodies import read
from backend.web.responses import Refusal

_R = TypeVar("_R")
_REFUSALS = "_openapi_refusals"  # attribute of the views that are in the document
_JSON = "application/json"
_ABOUT = (
    "The interface that Label Studio calls, the API of projects, and monitoring. "
    "Basic authentication is required if BASIC_AUTH_USER and BASIC_AUTH_PASS are set."
)
_STATUSES = {
    200: "Success",
    201: "Stored",
    202: "Accepted; the worker does it when it is free",
    400: "A number in the path, or the body, is malformed",
    401: "User or password is missing or wrong",
    403: "Sent by a page of another site, or with the webhook secret of another project",
    404: "The project, task or adapter is unknown",
    409: "Not possible in the project's present state",
    413: "The body, the number of tasks or a text is too large",
    422: "The label config or an option is not supported",
    503: "Not available at the moment; the body names the reason",
}


@dataclass(frozen=True, slots=True)
class Media:
    """Media type and JSON Schema of a response that is not JSON."""

    name: str
    schema: dict[str, Any]


def operation(*refusals: int) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Put a view into the document, and pass it its validated `body`.

    refusals: status codes in addition to those that follow from method and path.
    """

    def mark(view: Callable[..., _R]) -> Callable[..., _R]:
        body = get_type_hints(view).get("body")

        @wraps(view)
        def validated(**values: Any) -> _R:
            return view(**values) if body is None else view(**values, body=read(body))

        setattr(validated, _REFUSALS, refusals)
        return validated

    return mark


def document(app: Flask) -> dict[str, Any]:
    """The document of all operations of an app."""
    operations = list(_operations(app))
    types: list[tuple[Any, JsonSchemaMode]] = [(Refusal, "serialization")]
    for each in operations:
        types += [(hint, "validation") for hint in each.parameters.values()]
        types += [(each.body, "validation")] if each.body is not None else []
        types += [(each.response, "serialization")] if _media(each.response) is None else []
    found, components = TypeAdapter.json_schemas(
        [(hint, mode, TypeAdapter(hint)) for hint, mode in types], ref_template="#/components/schemas/{model}"
    )
    schemas = {hint: _untitled(schema) for (hint, _), schema in found.items()}
    paths: dict[str, Any] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = each.described(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "label-studio-active-learning", "version": "1", "description": _ABOUT},
        "security": [{"password": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "secret": {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
            },
            "schemas": _untitled(components["$defs"]),
        },
    }


@dataclass(frozen=True, slots=True)
class _Operation:
    path: str
    method: str
    endpoint: str
    view: Callable[..., Any]
    parameters: dict[str, Any]  # type by name
    body: Any  # its type, or None
    response: Any  # its type
    statuses: tuple[int, ...]

    def described(self, schemas: dict[Any, Any]) -> dict[str, Any]:
        """The operation object. schemas: JSON Schema by type."""
        summary, _, more = (getdoc(self.view) or "").partition("\n\n")
        found: dict[str, Any] = {"operationId": self.endpoint.rpartition(".")[2], "summary": summary.removesuffix(".")}
        if more:
            found["description"] = " ".join(more.split())
        if self.endpoint in auth.OPEN:
            found["security"] = []
        elif self.endpoint == auth.WEBHOOK:
            found["security"] = [{"password": []}, {"secret": []}, {}]
        if self.parameters:
            found["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": schemas[hint]}
                for name, hint in self.parameters.items()
            ]
        if self.body is not None:
            found["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas[self.body]}}}
        response, refusal = (
            _media(self.response) or Media(_JSON, schemas[self.response]),
            Media(_JSON, schemas[Refusal]),
        )
        media = {**dict.fromkeys(self._refusals(), refusal), **dict.fromkeys(self.statuses, response)}
        found["responses"] = {
            str(status): {"description": _STATUSES[status], "content": {each.name: {"schema": each.schema}}}
            for status, each in sorted(media.items())
        }
        return found

    def _refusals(self) -> set[int]:
        found = set(getattr(self.view, _REFUSALS))
        if self.endpoint not in auth.OPEN:
            found.add(401)
        if self.parameters:
            found |= {400, 404, 422}
        if self.method == "post":
            found |= {400, 403, 413, 422}
        return found


def _operations(app: Flask) -> Iterator[_Operation]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if not hasattr(view, _REFUSALS):
            continue
        hints = get_type_hints(view, include_extras=True)
        body, response, statuses = hints.pop("body", None), hints.pop("return"), (200,)
        if get_origin(response) is tuple:
            response, status = get_args(response)
            statuses = get_args(status)
        path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield _Operation(path, method.lower(), rule.endpoint, view, hints, body, response, statuses)


def _media(response: Any) -> Media | None:
    return next((each for each in get_args(response) if isinstance(each, Media)), None)


def _untitled(schema: Any) -> Any:
    """The schema without the titles that pydantic derives from names."""
    if isinstance(schema, dict):
        named = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
        return {key: _untitled(value) for key, value in named.items()}
    return [_untitled(each) for each in schema] if isinstance(schema, list) else schema
