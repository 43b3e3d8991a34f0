"""Controls that cannot be learned, and the sentence for the author of the label config."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backend.errors import UnsupportedConfigError
from backend.labelstudio.controls import BY_TAG, SUPPORTED
from backend.labelstudio.controls.base import number
from backend.labelstudio.label_config import inputs
from backend.labelstudio.label_config.task_spec import Control
from backend.targets import Kind

RELATIONS = "<Relations> are not learned, only the spans that they connect"
_NAMED = 3  # refusals with their reason; of more, a count


class UnsupportedTagError(UnsupportedConfigError):
    """A control of a kind that is not supported: the message for its author ends with those that are."""


class LeftOutError(UnsupportedConfigError):
    """A control that can be left out if another one can be learned: it has no results of whole tasks, or no text."""


def kind_of(tag: Any, tags: Mapping[str, Any]) -> Kind:
    """The kind of a control. Raises `UnsupportedConfigError` if it cannot be learned. tags: all named ones, by name."""
    kind = BY_TAG.get(tag.tag)
    if kind is None:
        raise UnsupportedTagError(_named(tag, "is not supported"))
    repeater = next(tag.iterancestors("Repeater"), None)
    if repeater is not None:
        why = f"is shown for each element of {repeater.get('on')}; supported are labels of a whole task"
        raise LeftOutError(_named(tag, why))
    for flag in ("perItem", "labeling"):
        if tag.get(flag) == "true":
            raise LeftOutError(_named(tag, f"has {flag}: supported are labels of a whole task, and choices of spans"))
    if tag.get("perRegion") == "true":
        return _of_regions(tag, tags)
    source = tag.get("apiUrl") or tag.get("value") or ""
    if tag.get("apiUrl") or "$" in source:
        raise _refusal(tag, f"takes its choices from {source}; supported are choices in the label config")
    _refuse_labeled(tag, kind, tags)
    return _by_choice(tag, kind)


def together(refused: Mapping[str, UnsupportedConfigError], *, others: bool) -> UnsupportedConfigError:
    """One refusal of several controls. refused: by name; others: whether other controls can be learned."""
    sentences = [str(error).removesuffix(".") for error in refused.values()][:_NAMED]
    if len(refused) > _NAMED:
        sentences.append(f"{len(refused) - _NAMED} more cannot be learned")
    if any(isinstance(error, UnsupportedTagError) for error in refused.values()):
        sentences.append(f"Supported are {SUPPORTED}")
    return UnsupportedConfigError(". ".join([*sentences, leave_out([*refused])] if others else sentences))


def attachable(controls: Sequence[Control]) -> tuple[list[Control], list[str]]:
    """The controls, without choices of spans that no learned control marks, and a sentence for each of these."""
    marked = {each.labels for each in controls if each.target.kind == "spans" and not each.per_region}
    alone = [each for each in controls if each.per_region and each.labels not in marked]
    why = "has perRegion, and the <Labels> that mark its regions are not learned"
    return [each for each in controls if each not in alone], [f"'{each.name}' {why}" for each in alone]


def leave_out(names: list[str]) -> str:
    """What to paste to learn the other controls. In ASCII, since an HTTP status line cannot hold more."""
    return f'To learn the other controls only, set {{"ignore_controls": {json.dumps(names)}}} in the extra params'


def labeled(tag: Any) -> list[str]:
    """The names of what a control labels."""
    return [name for each in (tag.get("toName") or "").split(",") if (name := each.strip())]


def refuse_combined(controls: Sequence[Control], marking: Control | None) -> None:
    """Raise `UnsupportedConfigError` for controls that one model cannot learn together. marking: one with spans."""
    pairs = [control for control in controls if control.target.kind == "pairwise"]
    if len({control.labels for control in pairs}) > 1:
        names = " and ".join(f"'{control.name}'" for control in pairs)
        raise UnsupportedConfigError(f"<Pairwise> {names} compare different texts; let both compare the same two")
    other = next((each for each in controls if marking is not None and each.labels != marking.labels), None)
    if marking is not None and other is not None:
        raise UnsupportedConfigError(
            f"'{marking.name}' marks spans of the text '{marking.labels[0]}', and '{other.name}' labels "
            f"'{other.labels[0]}': controls beside spans must label the same text. {leave_out([other.name])}"
        )


def _of_regions(tag: Any, tags: Mapping[str, Any]) -> Kind:
    """The kind of a control that labels regions: spans, if it is a single choice for marked spans."""
    for name in labeled(tag)[:1]:
        if name in tags and tags[name].tag not in inputs.TAGS:
            raise UnsupportedTagError(_named(tag, f"labels <{tags[name].tag}>"))
    marked = {name for each in tags.values() if BY_TAG.get(each.tag) == "spans" for name in labeled(each)[:1]}
    if not marked.intersection(labeled(tag)[:1]):
        raise LeftOutError(_named(tag, "has perRegion, and no <Labels> mark regions in the text that it labels"))
    single = tag.tag == "Choices" and tag.get("choice", "single") != "multiple" and tag.get("allowNested") != "true"
    if not single or "$" in (tag.get("value") or ""):
        raise LeftOutError(_named(tag, "has perRegion: of spans, single choices in the label config are learned"))
    return "spans"


def _refuse_labeled(tag: Any, kind: Kind, tags: Mapping[str, Any]) -> None:
    names = labeled(tag)
    if not names:
        why = 'does not name the text that it labels; add toName="…" with the name of one'
        raise LeftOutError(_named(tag, why))
    if kind == "pairwise" and (len(names) != 2 or names[0] == names[1]):
        raise _refusal(tag, 'compares two texts: name both, as in toName="answer_1,answer_2"')
    for name in names if kind == "pairwise" else names[:1]:
        if name not in tags or tags[name].tag not in inputs.TAGS:
            found = f"<{tags[name].tag}>" if name in tags else "nothing"
            raise UnsupportedTagError(_named(tag, f"labels {found}"))
        if kind == "spans" and (tag.tag == "ParagraphLabels") != (tags[name].tag == "Paragraphs"):
            raise _refusal(
                tag, f"cannot mark <{tags[name].tag}>; use <Labels> on <Text> and <HyperText>, <ParagraphLabels> on "
                "<Paragraphs>"
            )  # fmt: skip


def _by_choice(tag: Any, kind: Kind) -> Kind:
    """`kind`, or multilabel for controls that allow several choices, or have one only, which is given or not."""
    if tag.tag == "Taxonomy":
        return kind if number(tag, "maxUsages") == 1 else "multilabel"
    choice = tag.get("choice", "single") if tag.tag == "Choices" else "single"
    if choice not in ("single", "single-radio", "multiple"):
        raise _refusal(tag, f"has choice='{choice}'; supported are single, single-radio and multiple")
    alone = tag.tag == "Choices" and sum(1 for _ in tag.iter("Choice")) == 1
    return "multilabel" if choice == "multiple" or alone else kind


def _refusal(tag: Any, why: str) -> UnsupportedConfigError:
    return UnsupportedConfigError(_named(tag, why))


def _named(tag: Any, why: str) -> str:
    return f"<{tag.tag} name='{tag.get('name')}'> {why}"
