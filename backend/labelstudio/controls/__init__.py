"""The kinds of controls: what is learned from each, and its format in Label Studio."""

from __future__ import annotations

from backend.labelstudio.controls.base import ControlKind
from backend.labelstudio.controls.choices import Multiple, Single
from backend.labelstudio.controls.numbers import Numbers
from backend.labelstudio.controls.pairwise import Pairwise
from backend.labelstudio.controls.spans import Spans
from backend.labelstudio.controls.textarea import Answers
from backend.targets import Kind

BY_KIND: dict[Kind, ControlKind] = {
    "classification": Single(),
    "multilabel": Multiple(),
    "regression": Numbers(),
    "spans": Spans(),
    "pairwise": Pairwise(),
    "generation": Answers(),
}
BY_TAG: dict[str, Kind] = {
    "Choices": "classification",  # multilabel with choice="multiple"
    "Taxonomy": "classification",
    "Rating": "regression",
    "Number": "regression",
    "Labels": "spans",
    "HyperTextLabels": "spans",
    "ParagraphLabels": "spans",
    "Pairwise": "pairwise",
    "TextArea": "generation",
}
SUPPORTED = (
    "<Choices>, <Taxonomy>, <Rating>, <Number>, <Labels>, <Pairwise> and <TextArea> on <Text>, <HyperText> and "
    "<Paragraphs>"
)
