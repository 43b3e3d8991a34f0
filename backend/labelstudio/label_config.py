"""Label config → task spec: the controls to learn, and the texts that they label."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface
from lxml import etree

from backend.errors import UnsupportedConfigError
from backend.labelstudio import inputs
from backend.labelstudio.controls import BY_KIND, BY_TAG, SUPPORTED
from backend.labelstudio.controls.class_texts import class_texts
from backend.labelstudio.task_spec import Condition, Control, TaskSpec
from backend.targets import Kind

_SILENT = {"Header", "Filter", "Shortcut"}  # named tags that take no annotation


def parse(label_config: str, ignore: Collection[str] = ()) -> TaskSpec:
    """Parse a label config. Raises `UnsupportedConfigError` with a message for its author.

    ignore: names of controls that are not learned; they may be unsupported.
    """
    elements, names = _elements(label_config)
    controls = tuple(_control(elements[name], elements) for name in names if name not in ignore)
    if not controls:
        raise UnsupportedConfigError(f"The label config has no control to learn; supported are {SUPPORTED}")
    sources = list(dict.fromkeys(name for control in controls for name in control.labels))
    others = [  # other texts of the task; one without `$` is a fixed instruction to annotators
        name
        for name, each in elements.items()
        if each.tag in inputs.TAGS and name not in sources and (each.get("value") or "").startswith("$")
    ]
    spec = TaskSpec(controls, tuple(inputs.read(elements[name]) for name in elements if name in {*sources, *others}))
    _combine(spec)
    return spec


def refuse_unknown(ignored: Collection[str], label_config: str) -> None:
    """Raise `UnsupportedConfigError` if an ignored control is not in the label config: it may be misspelled."""
    _, names = _elements(label_config)
    unknown = sorted(set(ignored) - set(names))
    if unknown:
        raise UnsupportedConfigError(
            f"extra_params.ignore_controls names '{unknown[0]}', which is not in the label config; "
            f"it has {', '.join(names) or 'none'}"
        )


def _elements(label_config: str) -> tuple[dict[str, Any], list[str]]:
    """The named elements of a label config, and the names of those that take annotations."""
    if not isinstance(label_config, str) or not label_config.strip():
        raise UnsupportedConfigError(f"The label config is empty; set one up first: {SUPPORTED}")
    try:
        interface = LabelInterface(label_config)
        named = {each.name for each in interface.controls}
        tree = etree.fromstring(label_config.strip(), etree.XMLParser(resolve_entities=False))
    except Exception as error:  # noqa: BLE001 (the parser, its schema and lxml raise many kinds)
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnsupportedConfigError(f"The label config cannot be read: {first_line}") from None
    elements = {each.get("name"): each for each in tree.iter(etree.Element) if each.get("name")}
    return elements, [name for name in elements if name in named and elements[name].tag not in _SILENT]


def _control(tag: Any, elements: dict[str, Any]) -> Control:
    where = f"<{tag.tag} name='{tag.get('name')}'>"
    kind = BY_TAG.get(tag.tag)
    if kind is None:
        raise UnsupportedConfigError(f"{where} is not supported; supported are {SUPPORTED}. {_leave_out(tag)}")
    for flag in ("perRegion", "perItem", "labeling"):
        if tag.get(flag) == "true":
            raise UnsupportedConfigError(
                f"{where} has {flag}: labels of regions are not supported; {SUPPORTED} are. {_leave_out(tag)}"
            )
    named = [name.strip() for name in (tag.get("toName") or "").split(",")]
    if kind == "pairwise" and (len(named) != 2 or named[0] == named[1]):
        raise UnsupportedConfigError(f'{where} compares two texts: name both, as in toName="answer_1,answer_2"')
    labels = tuple(named if kind == "pairwise" else named[:1])
    for name in labels:
        labeled = elements.get(name)
        if labeled is None or labeled.tag not in inputs.TAGS:
            found = "nothing" if labeled is None else f"<{labeled.tag}>"
            raise UnsupportedConfigError(f"{where} labels {found}; supported are {SUPPORTED}. {_leave_out(tag)}")
        if kind == "spans" and labeled.tag == "Paragraphs":
            raise UnsupportedConfigError(
                f"{where} labels spans of <Paragraphs>; supported is <Labels> on <Text> and <HyperText>. "
                f"{_leave_out(tag)}"
            )
    control = BY_KIND[_by_choice(tag, kind, where)].read(tag)
    in_markup = elements[labels[0]].tag == "HyperText"
    return replace(
        control, to_name=labels[0], labels=labels, in_markup=in_markup, conditions=_conditions(tag),
        class_texts=class_texts(tag, control.target.classes),
    )  # fmt: skip


def _leave_out(tag: Any) -> str:
    return f'To learn the other controls only, set {{"ignore_controls": ["{tag.get("name")}"]}} in the extra params'


def _by_choice(tag: Any, kind: Kind, where: str) -> Kind:
    """`kind`, or multilabel for `<Choices>` that allow several."""
    choice = tag.get("choice", "single") if tag.tag == "Choices" else "single"
    if choice not in ("single", "single-radio", "multiple"):
        raise UnsupportedConfigError(f"{where} has choice='{choice}'; supported are single, single-radio and multiple")
    return "multilabel" if choice == "multiple" else kind


def _conditions(tag: Any) -> tuple[Condition, ...]:
    """Conditions on other controls' choices for showing the control: its own, and those of enclosing views."""
    found = []
    for each in (tag, *tag.iterancestors()):
        when, name = each.get("visibleWhen"), each.get("whenTagName")
        if when in ("choice-selected", "choice-unselected") and name:
            choices = frozenset(part.strip() for part in (each.get("whenChoiceValue") or "").split(",") if part.strip())
            found.append(Condition(name, choices, shown=when == "choice-selected"))
    return tuple(found)


def _combine(spec: TaskSpec) -> None:
    """Raise `UnsupportedConfigError` for controls that one model cannot learn together."""
    compared = {control.labels for control in spec.controls if control.target.kind == "pairwise"}
    if len(compared) > 1:
        names = " and ".join(f"'{c.name}'" for c in spec.controls if c.target.kind == "pairwise")
        raise UnsupportedConfigError(f"<Pairwise> {names} compare different texts; let both compare the same two")
    spans = [control for control in spec.controls if control.target.kind == "spans"]
    if spans and len(spec.inputs) > 1:
        raise UnsupportedConfigError(
            f"<Labels name='{spans[0].name}'> marks spans of one text, but the label config has {len(spec.inputs)}; "
            "remove the others, or label them in another project"
        )
