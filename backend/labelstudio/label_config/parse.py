"""Label config → task spec: the controls to learn, and the texts that they label."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface
from lxml import etree

from backend.errors import UnsupportedConfigError
from backend.labelstudio.controls import BY_KIND, SUPPORTED, per_region
from backend.labelstudio.controls.class_texts import class_texts
from backend.labelstudio.label_config import elements, fields, inputs, unsupported
from backend.labelstudio.label_config.conditions import conditions
from backend.labelstudio.label_config.task_spec import Control, TaskSpec


def parse(
    label_config: str,
    ignore: Collection[str] = (),
    *,
    context: Collection[str] | None = None,
    taxonomy: str | None = None,
) -> TaskSpec:
    """Parse a label config. Raises `UnsupportedConfigError` with a message for its author.

    ignore: names of controls that are not learned; they may be unsupported. context: names of the texts that are read
    beside those that are labeled; by default all, but none beside one in which spans are marked. taxonomy: "leaf" to
    learn one leaf per text of every `<Taxonomy>`, whatever it allows.
    """
    root, tags, names = _read(label_config)
    if taxonomy == "leaf":
        for tag in tags.values():
            if tag.tag == "Taxonomy":
                tag.attrib.update({"leafsOnly": "true", "maxUsages": "1"})
    controls, refused = [], {}
    left_out: list[str] = []
    for name in [each for each in names if each not in ignore]:
        try:
            controls.append(_control(tags[name], tags))
        except unsupported.LeftOutError as error:
            left_out.append(str(error))
        except UnsupportedConfigError as error:
            refused[name] = error
    controls, alone = unsupported.attachable(controls)
    left_out += alone
    if refused:
        raise unsupported.together(refused, others=bool(controls))
    if not controls and left_out:
        raise UnsupportedConfigError(left_out[0])
    if not controls:
        raise UnsupportedConfigError(f"The label config has no control to learn; supported are {SUPPORTED}")
    if next(root.iter("Relations"), None) is not None:
        left_out.append(unsupported.RELATIONS)
    sources = list(dict.fromkeys(name for control in controls for name in control.labels))
    others = [  # other texts of the task; one without a field is a fixed instruction to annotators
        name
        for name, each in tags.items()
        if each.tag in inputs.TAGS and name not in sources and fields.names(each.get("value") or "")
    ]
    marking = next((each for each in controls if each.target.kind == "spans" and not each.per_region), None)
    if context is None and marking is not None:
        others = []
    elif context is not None:
        others = [name for name in others if name in context]
    unsupported.refuse_combined(controls, marking)
    read = [inputs.read(tags[name]) for name in tags if name in {*sources, *others}]
    read = [replace(each, is_marked=marking is not None and each.name in marking.labels) for each in read]
    return TaskSpec(tuple(controls), tuple(read), tuple(left_out))


def refuse_unknown(label_config: str, ignored: Collection[str], context: Collection[str] = ()) -> None:
    """Raise `UnsupportedConfigError` if an option names what the label config does not have: it may be misspelled."""
    _, tags, controls = _read(label_config)
    texts = [name for name, each in tags.items() if each.tag in inputs.TAGS]
    for option, given, known in (("ignore_controls", ignored, controls), ("context", context, texts)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise UnsupportedConfigError(
                f"extra_params.{option} names '{unknown[0]}', which is not in the label config; "
                f"it has {', '.join(known) or 'none'}"
            )


def _read(label_config: str) -> tuple[Any, dict[str, Any], list[str]]:
    """The root of a label config, its named elements, and the names of those that take annotations."""
    if not isinstance(label_config, str) or not label_config.strip():
        raise UnsupportedConfigError(f"The label config is empty; set one up first: {SUPPORTED}")
    try:
        tree = elements.parse(label_config)
        LabelInterface(etree.tostring(tree, encoding="unicode"))  # checks it by Label Studio's schema
    except Exception as error:  # noqa: BLE001 (the parser, its schema and lxml raise many kinds)
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnsupportedConfigError(f"The label config cannot be read: {first_line}") from None
    named = {each.get("name"): each for each in tree.iter(etree.Element) if each.get("name")}
    return tree, named, [name for name, each in named.items() if elements.is_control(each)]


def _control(tag: Any, tags: dict[str, Any]) -> Control:
    kind = unsupported.kind_of(tag, tags)
    names = unsupported.labeled(tag)
    labels = tuple(names if kind == "pairwise" else names[:1])
    control = BY_KIND[kind].read(tag)
    labeled = tags[labels[0]].tag
    return replace(
        control, to_name=labels[0], labels=labels, in_markup=labeled == "HyperText",
        in_dialogue=kind == "spans" and labeled == "Paragraphs", conditions=conditions(tag, tags),
        per_region=tag.get("perRegion") == "true", labels_asked=per_region.labels_asked(tag, tags),
        class_texts=class_texts(tag, control.target.classes, control.paths),
    )  # fmt: skip
