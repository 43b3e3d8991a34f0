"""Label config → task spec: which control is to be learned from which text."""

from __future__ import annotations

from dataclasses import dataclass

from label_studio_sdk.label_interface.interface import LabelInterface

from backend.errors import UnsupportedConfigError

_SUPPORTED = 'one <Choices choice="single"> on one <Text value="$field">'


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One single-choice control on one text."""

    from_name: str
    to_name: str
    data_key: str  # the field of a task's data that holds the text
    classes: tuple[str, ...]  # as annotations spell them: the alias where a choice has one


def parse(label_config: str) -> TaskSpec:
    """Read a label config. Raises `UnsupportedConfigError` with a sentence for the person who wrote it."""
    if not isinstance(label_config, str) or not label_config.strip():
        raise UnsupportedConfigError(f"The label config is empty; set one up first: {_SUPPORTED}")
    try:
        interface = LabelInterface(label_config)
        controls = list(interface.controls)
        objects = {tag.name: tag for tag in interface.objects}
    except Exception as error:  # noqa: BLE001 the parser raises whatever lxml, its schema or its own checks raise
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnsupportedConfigError(f"The label config cannot be read: {first_line}") from None
    if len(controls) != 1:
        found = ", ".join(f"<{tag.tag}>" for tag in controls) or "no control"
        raise UnsupportedConfigError(f"The label config has {found}; supported is {_SUPPORTED}")
    control = controls[0]
    if control.tag != "Choices":
        raise UnsupportedConfigError(
            f"<{control.tag} name='{control.name}'> is not supported; supported is {_SUPPORTED}"
        )
    choice = control.attr.get("choice", "single")
    if choice not in ("single", "single-radio"):
        raise UnsupportedConfigError(
            f"<Choices name='{control.name}'> has choice='{choice}'; supported is {_SUPPORTED}"
        )
    if control.attr.get("perRegion") == "true" or control.attr.get("perItem") == "true":
        raise UnsupportedConfigError(f"<Choices name='{control.name}'> labels regions; supported is {_SUPPORTED}")
    target = control.to_name[0] if control.to_name else ""
    text = objects.get(target)
    if text is None or text.tag != "Text":
        found = f"<{text.tag}>" if text is not None else "nothing"
        raise UnsupportedConfigError(f"<Choices name='{control.name}'> labels {found}; supported is {_SUPPORTED}")
    value = text.value or ""
    if not value.startswith("$") or len(value) < 2:
        raise UnsupportedConfigError(f"<Text name='{target}'> must name a field of the task, as in value=\"$text\"")
    classes = tuple(dict.fromkeys(str(label) for label in control.labels))
    if len(classes) < 2:
        raise UnsupportedConfigError(f"<Choices name='{control.name}'> needs at least two choices, not {len(classes)}")
    return TaskSpec(control.name, target, value[1:], classes)


def text_of(data: object, spec: TaskSpec) -> str:
    """The text of a task's data; empty if the field is missing or empty. Numbers become text."""
    value = data.get(spec.data_key) if isinstance(data, dict) else None
    return "" if value is None else str(value)
