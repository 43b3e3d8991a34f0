"""Print the findings as text or JSON, and compute the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import typer

from backend.doctor.finding import Finding

_COLOURS = {"ok": "green", "fixed": "cyan", "warning": "yellow", "problem": "red"}


def report(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Print each finding as it comes, or all as JSON at the end. Returns 1 if there is a problem, else 0."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            _line(finding)
    problems = sum(finding.status == "problem" for finding in seen)
    if as_json:
        typer.echo(json.dumps({"healthy": not problems, "findings": [asdict(finding) for finding in seen]}, indent=2))
    else:
        warnings = sum(finding.status == "warning" for finding in seen)
        typer.echo(f"{len(seen)} checks, {problems} problems, {warnings} warnings")
    return 1 if problems else 0


def _line(finding: Finding) -> None:
    where = "" if finding.project is None else f"project {finding.project}: "
    status = typer.style(f"{finding.status:8}", fg=_COLOURS[finding.status])
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    typer.echo(f"{status}{finding.check:13}{where}{finding.found}{remedy}")
