"""What becomes of each tag for texts, and of each of Label Studio's own templates with a text.

python -m tests.label_studio.label_configs     writes docs/reference/label-configs.md
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import yaml

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config import inputs
from backend.labelstudio.label_config.parse import parse

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/label-configs.md"
_TWO = '<Choice value="a"/><Choice value="b"/>'
_LABELS = '<Labels name="l" toName="t"><Label value="A"/></Labels>'
_CHOICES = f'<Choices name="c" toName="t">{_TWO}</Choices>'
_TEXT = '<Text name="t" value="$text"/>'
CONTROLS = {
    "Choices": f'{_TEXT}<Choices name="c" toName="t">{_TWO}</Choices>',
    'Choices choice="multiple"': f'{_TEXT}<Choices name="c" toName="t" choice="multiple">{_TWO}</Choices>',
    'Choices allowNested="true"': f'{_TEXT}<Choices name="c" toName="t" allowNested="true">{_TWO}</Choices>',
    "Choices with one choice": f'{_TEXT}<Choices name="c" toName="t"><Choice value="a"/></Choices>',
    'Choices value="$options"': f'{_TEXT}<Choices name="c" toName="t" value="$options"/>',
    'Choices perRegion="true" beside Labels': f'{_TEXT}{_LABELS}<Choices name="c" toName="t" perRegion="true">{_TWO}'
    "</Choices>",
    'Choices perRegion="true" choice="multiple" beside Labels': f'{_TEXT}{_LABELS}<Choices name="c" toName="t" '
    f'choice="multiple" perRegion="true">{_TWO}</Choices>',
    "Taxonomy": f'{_TEXT}<Taxonomy name="c" toName="t">{_TWO}</Taxonomy>',
    'Taxonomy maxUsages="1"': f'{_TEXT}<Taxonomy name="c" toName="t" maxUsages="1">{_TWO}</Taxonomy>',
    "Taxonomy apiUrl": f'{_TEXT}<Taxonomy name="c" toName="t" apiUrl="https://example.com"/>',
    'Taxonomy labeling="true"': f'{_TEXT}{_CHOICES}<Taxonomy name="x" toName="t" labeling="true">{_TWO}</Taxonomy>',
    "Rating": f'{_TEXT}<Rating name="c" toName="t"/>',
    "Number": f'{_TEXT}<Number name="c" toName="t"/>',
    "TextArea": f'{_TEXT}<TextArea name="c" toName="t"/>',
    'Rating, Number, TextArea perRegion="true" beside Labels': f'{_TEXT}{_LABELS}<TextArea name="c" toName="t" '
    'perRegion="true"/>',
    "Pairwise": f'{_TEXT}<Text name="u" value="$other"/><Pairwise name="c" toName="t,u"/>',
    "Labels on Text": f"{_TEXT}{_LABELS}",
    "Labels on HyperText": f'<HyperText name="t" value="$text"/>{_LABELS}',
    "HyperTextLabels on HyperText": '<HyperText name="t" value="$text"/><HyperTextLabels name="l" toName="t">'
    '<Label value="A"/></HyperTextLabels>',
    "ParagraphLabels on Paragraphs": '<Paragraphs name="t" value="$text"/><ParagraphLabels name="l" toName="t">'
    '<Label value="A"/></ParagraphLabels>',
    "Relations": f'{_TEXT}{_LABELS}<Relations><Relation value="r"/></Relations>',
    "DateTime": f'{_TEXT}<DateTime name="c" toName="t"/>',
    "Ranker": f'{_TEXT}<List name="i" value="$items"/><Ranker name="c" toName="i"/>',
}
OBJECTS = {
    "Text": f"{_TEXT}{_CHOICES}",
    'Text valueType="url"': f'<Text name="t" value="$url" valueType="url"/>{_CHOICES}',
    "HyperText": f'<HyperText name="t" value="$text"/>{_CHOICES}',
    "Paragraphs": f'<Paragraphs name="t" value="$text"/>{_CHOICES}',
    "Text in a Repeater": '<Repeater on="$items" indexFlag="{{idx}}"><Text name="t" value="$items[{{idx}}].text"/>'
    f"</Repeater>{_CHOICES}",
    "controls in a Repeater": f'{_TEXT}{_CHOICES}<Repeater on="$items"><Choices name="x" toName="t">{_TWO}</Choices>'
    "</Repeater>",
    **{
        name: f'<{name} name="t" value="$field"/>{_CHOICES}'
        for name in ("Chat", "List", "Table", "Pdf", "Image", "Audio", "Video", "TimeSeries")
    },
}  # fmt: skip


class Outcome(NamedTuple):
    """state: learned, left out, refused. learned: kind by control. sentences: why the others are not learned."""

    state: str
    learned: dict[str, str]
    sentences: tuple[str, ...]


def outcome(config: str) -> Outcome:
    """What becomes of a label config."""
    try:
        spec = parse(config)
    except UnsupportedConfigError as error:
        return Outcome("refused", {}, (str(error),))
    state = "left out" if spec.left_out else "learned"
    return Outcome(state, {each.name: each.target.kind for each in spec.controls}, spec.left_out)


def templates(program: Path) -> dict[str, str]:
    """Label Studio's own templates that show a text: label configs by name. program: label-studio."""
    (folder,) = program.parents[1].glob("lib/python*/site-packages/label_studio/annotation_templates")
    found = {
        str(each.parent.relative_to(folder)): yaml.safe_load(each.read_text("utf-8"))["config"]
        for each in sorted(folder.rglob("config.yml"))
    }
    shows = re.compile(rf"<({'|'.join(inputs.TAGS)})\b")
    return {name: config for name, config in found.items() if shows.search(config)}


def page(program: Path) -> str:
    """The page of the docs."""
    lines = [
        "# Label configs of Label Studio",
        "",
        "Written by `python -m tests.label_studio.label_configs` from what the backend does with Label Studio 1.23. "
        "A test in a real Label Studio connects each template; where it is not refused, tasks are labeled and a round "
        "runs.",
        "",
        "- **learned**: trained on and suggested. [Kinds of labels](labels.md) has the details.",
        "- **left out**: the other controls are learned. Dashboard, log and `lsal doctor` name what is left out.",
        "- **refused**: the sentence is shown when you connect. Where other controls can be learned, it ends with the "
        "line to paste.",
        "",
        *_table("controls", {name: f"<View>{config}</View>" for name, config in CONTROLS.items()}),
        *_table("what they label", {name: f"<View>{config}</View>" for name, config in OBJECTS.items()}),
        *_table("templates with a text", templates(program)),
        "`<TextArea>` needs a [base model that writes](labels.md#models-that-write).",
        "",
    ]
    return "\n".join(lines)


def _table(title: str, configs: dict[str, str]) -> list[str]:
    lines = [f"| {title} | | |", "|---|---|---|"]
    for name, config in configs.items():
        state, learned, sentences = outcome(config)
        kinds = ", ".join(f"{each}: {kind}" for each, kind in learned.items()) if title.startswith("temp") else ""
        kinds = kinds or ", ".join(dict.fromkeys(learned.values()))
        sentences = tuple(re.sub("[.;] [Ss]upported are <Choices>.*<Paragraphs>", "", each) for each in sentences)
        why = " ".join(each.replace("|", "/").replace("<", "`<").replace(">", ">`") for each in sentences)
        lines.append(f"| {name} | {state} | {'; '.join(filter(None, (kinds, why)))} |")
    return [*lines, ""]


if __name__ == "__main__":
    default = ROOT / ".venv-label-studio/bin/label-studio"
    PAGE.write_text(page(Path(os.environ.get("LABEL_STUDIO", default)).absolute()), "utf-8")
