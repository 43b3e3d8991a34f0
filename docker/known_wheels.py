"""Print the SHA-256 sums of the wheels that the image may install: `make hashes` writes them to known-wheels.txt.

For each version in constraints.txt, PyPI's wheels for the image's Python on Linux. Not torch and its CUDA libraries,
whose builds come from `TORCH_INDEX`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
ELSEWHERE = {"torch"}
_PURE = re.compile(r"-py3?[\d.py]*-none-any\.whl$")
_BUILT = re.compile(r"-(cp311-cp311|cp3\d+-abi3|py3-none)-.*manylinux.*(x86_64|aarch64)\.whl$")


def pins() -> dict[str, str]:
    """Versions of constraints.txt by name, but those from elsewhere."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").split()
    versions = dict(line.split("==") for line in lines)
    return {name: version for name, version in versions.items() if name not in ELSEWHERE}


def wheels(client: httpx.Client, name: str, version: str) -> Iterator[str]:
    """Lines as `sha256sum` prints them."""
    answer = client.get(f"/simple/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    for file in answer.raise_for_status().json()["files"]:
        named = file["filename"].split("-")
        if named[1] == version and (_PURE.search(file["filename"]) or _BUILT.search(file["filename"])):
            yield f"{file['hashes']['sha256']}  {file['filename']}"


if __name__ == "__main__":
    with httpx.Client(base_url="https://pypi.org", follow_redirects=True, timeout=30) as client:
        for line in sorted(line for pin in pins().items() for line in wheels(client, *pin)):
            print(line)
