"""Which controls a teacher can answer for."""

from __future__ import annotations

from collections.abc import Sequence

from backend.labelstudio.label_config.task_spec import TaskSpec
from backend.learners.served.prompts import CHOSEN, fits
from backend.options import ProjectOptions
from backend.targets import Target


def teachable(options: ProjectOptions, spec: TaskSpec) -> Sequence[Target]:
    """The targets for which a prompt has options and that belong to each text; none without a teacher."""
    if options.teacher is None:
        return ()
    return [
        control.target
        for control in spec.controls
        if control.target.kind in CHOSEN and fits(control.target) and not control.per_region and not control.conditions
    ]
