"""The adapters of a project: which are kept, what they learned, and loading one."""

from __future__ import annotations

from backend.learners.base import Learner
from backend.rounds.context import ProjectRun
from backend.rounds.served.answer_cache import cached_answers
from backend.rounds.served.llm_meter import LlmMeter
from backend.store import Store
from backend.store.sql.models import Adapter
from backend.targets import Target


def learned(adapter: Adapter) -> tuple[Target, ...]:
    """The targets that an adapter learned, with tuned thresholds and temperatures."""
    return tuple(Target.from_json(each) for each in adapter.targets)


def find(run: ProjectRun, version: int) -> Adapter:
    """The record of an adapter version that exists."""
    adapter = run.rounds.adapter(version)
    assert adapter is not None, f"adapter {version} of project {run.id} has no record"
    return adapter


def load(run: ProjectRun, version: int) -> Learner:
    """The learner of an adapter version, in memory under the round's own name. Unload it after use."""
    adapter = find(run, version)
    folder, answers = run.store.adapter_folder(run.id, version), cached_answers(run.store, run.id)
    meter = LlmMeter(run.store, run.id, adapter.base_model, lambda: run.options.llm_budget)
    learner = run.models.learner(adapter.base_model, f"round-{run.id}", folder, answers, meter)
    learner.batch_shrink = run.batch_shrink
    return learner


def kept(store: Store, project_id: int) -> list[int]:
    """The adapter versions that a rollback can go to, newest first."""
    return [
        number for number in store.files.adapters(project_id).versions() if store.of(project_id).rounds.adapter(number)
    ]
