"""A label config's XML as Label Studio's editor reads it.

The editor ignores the case of tags and attributes, takes a tag's own text for its `value`, and connects a control
without `toName` to the only object (its core/Tree.tsx).
"""

from __future__ import annotations

from typing import Any

from lxml import etree

_TAGS = {
    name.lower(): name
    for name in (
        "View", "Text", "HyperText", "Paragraphs", "Header", "Filter", "Shortcut", "Repeater", "Choices", "Choice",
        "Taxonomy", "Rating", "Number", "Labels", "Label", "HyperTextLabels", "ParagraphLabels", "Pairwise", "TextArea",
        "Relations", "Relation", "Ranker", "List", "DateTime", "Style", "Markdown", "Collapse", "Panel",
    )
}  # fmt: skip
_ATTRIBUTES = {
    name.lower(): name
    for name in (
        "name", "toName", "value", "alias", "hint", "choice", "allowNested", "leafsOnly", "maxUsages", "pathSeparator",
        "perRegion", "perItem", "labeling", "visibleWhen", "whenTagName", "whenChoiceValue", "whenLabelValue",
        "valueType", "resolver", "encoding", "nameKey", "textKey", "maxRating", "min", "max", "step",
        "on", "indexFlag", "apiUrl",
    )
}  # fmt: skip
_NO_CONTROLS = frozenset({
    "View", "Header", "Filter", "Shortcut", "Repeater", "Choice", "Label", "Relation", "Style", "Markdown", "Collapse",
    "Panel", "Relations",
})  # fmt: skip
_OBJECTS = frozenset({
    "text", "hypertext", "paragraphs", "image", "audio", "audioplus", "video", "timeseries", "table", "list", "pdf",
    "bucket", "chat", "dialog",
})  # fmt: skip


def parse(label_config: str) -> Any:
    """The root element, with tags and attributes in the spelling of the docs. Raises lxml's errors."""
    root = etree.fromstring(label_config.strip(), etree.XMLParser(resolve_entities=False))
    every = list(root.iter(etree.Element))
    for element in every:
        element.tag = _TAGS.get(element.tag.lower(), element.tag)
        attributes = [(_ATTRIBUTES.get(name.lower(), name), value) for name, value in element.attrib.items()]
        element.attrib.clear()
        element.attrib.update(attributes)
        if (own := _own_text(element)) and is_object(element):
            element.set("value", own)
    objects = [element.get("name") for element in every if is_object(element) and element.get("name")]
    if len(objects) == 1:
        for element in every:
            if is_control(element) and not element.get("toName"):
                element.set("toName", objects[0])
    return root


def is_object(element: Any) -> bool:
    """Whether the element shows data of the task."""
    return str(element.tag).lower() in _OBJECTS


def is_control(element: Any) -> bool:
    """Whether the element takes annotations."""
    return bool(element.get("name")) and not is_object(element) and element.tag not in _NO_CONTROLS


def _own_text(element: Any) -> str:
    """What stands between the tags, if it is text alone; of HyperText any markup."""
    if len(element) and element.tag != "HyperText":
        return ""
    inner = "".join(etree.tostring(child, encoding="unicode") for child in element)
    return ((element.text or "") + inner).strip()
