"""docs/how-to/production/troubleshooting.md quotes messages word for word; links between pages work."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def _sources(folder: Path) -> str:
    """All of a package, its string literals joined as Python joins them."""
    text = "\n".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
    return re.sub(r"""(["'])\s*\n\s*[fr]?\1""", "", text)


def test_every_sentence_to_look_up_is_in_the_code(program: Path) -> None:
    page = (REPOSITORY / "docs/how-to/production/troubleshooting.md").read_text("utf-8")
    theirs, ours = page.split("from `lsal doctor`:")
    (label_studio,) = program.parents[1].glob("lib/python*/site-packages/label_studio")
    for part, sources in ((theirs, _sources(label_studio)), (ours, _sources(REPOSITORY / "backend"))):
        sentences = re.findall(r"^\| `(.+?)` \|", part, re.MULTILINE)
        assert len(sentences) >= 5
        assert [sentence for sentence in sentences if sentence not in sources] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")):
        text = page.read_text("utf-8")
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", text):
            there = (page.parent / target) if target else page
            assert there.exists(), f"{page.name}: {target}"
            if anchor:
                linked = there.read_text("utf-8")
                headings = re.findall(r"^#+ (.+)$", linked, re.MULTILINE)
                anchors = [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
                assert anchor in [*anchors, *re.findall(r'<a id="([\w-]+)">', linked)], anchor
