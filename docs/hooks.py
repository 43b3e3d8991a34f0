"""mkdocs hooks: files outside docs/ become pages of the site, with links that work in both places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_REPOSITORY = Path(__file__).parents[1]
_PAGES = {"README.md": "index.md", "README.zh.md": "README.zh.md", "CONTRIBUTING.md": "CONTRIBUTING.md",
          "CHANGELOG.md": "CHANGELOG.md", "SECURITY.md": "SECURITY.md"}  # fmt: skip
_RESULTS = "benchmarks/results"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the repository's root and the measured results."""
    results = [path for path in (_REPOSITORY / _RESULTS).rglob("*") if path.suffix in (".md", ".png")]
    added = {name: _REPOSITORY / path for path, name in _PAGES.items()}
    added |= {path.relative_to(_REPOSITORY).as_posix(): path for path in results}
    for name, path in added.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links: on the site, docs/ is the root, and the pages of the repository's root are in it."""
    if page.file.src_uri in _PAGES.values():
        markdown = re.sub(r"\]\(README\.md", "](index.md", markdown)
        return re.sub(r"\]\(docs/", "](", markdown)
    root = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"](../{root}README.md", f"]({root}index.md").replace(f"](../{root}", f"]({root}")
