"""For mkdocs: pages that lie outside of docs/ become pages of the site, and links to them hold in both places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_REPOSITORY = Path(__file__).parents[1]
_PAGES = {"README.md": "index.md", "README.zh.md": "README.zh.md", "CONTRIBUTING.md": "CONTRIBUTING.md",
          "CHANGELOG.md": "CHANGELOG.md"}  # fmt: skip
_RESULTS = "benchmarks/results"


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    results = [path for path in (_REPOSITORY / _RESULTS).rglob("*") if path.suffix in (".md", ".png")]
    there = {name: _REPOSITORY / path for path, name in _PAGES.items()}
    there |= {path.relative_to(_REPOSITORY).as_posix(): path for path in results}
    for name, path in there.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """In the repository docs/ is a folder; on the site its pages lie beside those of the top."""
    if page.file.src_uri in _PAGES.values():
        markdown = re.sub(r"\]\(README\.md", "](index.md", markdown)
        return re.sub(r"\]\(docs/", "](", markdown)
    return markdown.replace("](../README.md", "](index.md").replace("](../", "](")
