"""The tables: what the backend remembers of projects, tasks, annotations, events, rounds and queues."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Dialect, Float, Index, Integer, String, TypeDecorator
from sqlalchemy import Text as _Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers its rows only under INTEGER PRIMARY KEY.
_Serial = BigInteger().with_variant(Integer, "sqlite")


class Text(TypeDecorator[str]):
    """Text of any length. NUL, which PostgreSQL has no place for, is kept as the mark of an unknown character."""

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """What is written."""
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


class Base(DeclarativeBase):
    """All tables. Times are seconds since 1970, UTC."""

    type_annotation_map: ClassVar = {dict[str, Any]: JSON(none_as_null=True), list[dict[str, Any]]: JSON}


class Project(Base):
    """A Label Studio project that has connected this backend."""

    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # Label Studio's own number
    connected: Mapped[bool] = mapped_column(default=True)
    title: Mapped[str] = mapped_column(Text, default="")
    label_config: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]]  # extra_params as given; validated by ProjectOptions
    host: Mapped[str] = mapped_column(Text)  # under which /setup was called
    backend_url: Mapped[str | None] = mapped_column(Text)  # this backend as Label Studio calls it
    webhook_ready: Mapped[bool] = mapped_column(default=False)
    webhook_secret: Mapped[str | None] = mapped_column(Text)  # which its events carry, and which opens nothing else
    former_sampling: Mapped[str | None] = mapped_column(Text)
    former_model_version: Mapped[str | None] = mapped_column(Text)
    adapter: Mapped[int] = mapped_column(default=0)  # in service; 0 = none yet
    queue: Mapped[int] = mapped_column(default=0)  # last published; 0 = none yet
    adapter_floor: Mapped[int] = mapped_column(default=0)  # adapter numbers up to here were used in an earlier life
    turn: Mapped[int] = mapped_column(default=1)  # number of the next workflow
    round: Mapped[int] = mapped_column(default=0)  # number of the last round
    event_mark: Mapped[int] = mapped_column(BigInteger, default=0)  # events up to here are accounted for
    task_mark: Mapped[int] = mapped_column(BigInteger, default=0)  # tasks up to here are known
    change_mark: Mapped[str | None] = mapped_column(String(40))  # Label Studio's time of the last change seen
    reread: Mapped[bool] = mapped_column(default=True)  # the annotations of all tasks must be read again
    miscount: Mapped[dict[str, Any]] = mapped_column(default=dict)  # annotated tasks: what differs from Label Studio
    split: Mapped[str | None] = mapped_column(String(64))  # seed and share by which tasks were held out
    back_to: Mapped[int | None]  # the adapter that somebody asked to go back to, until it is in service
    halvings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by step: how small its batches must be
    stopped: Mapped[dict[str, Any] | None]  # the rule that said so, since when, and whether it was told
    paused: Mapped[bool] = mapped_column(default=False)  # no round begins unless somebody asks for it
    fence: Mapped[int] = mapped_column(BigInteger, default=0)  # of the workflow that may write; older ones may not
    chosen_strategy: Mapped[str | None] = mapped_column(Text)  # on the dashboard, in place of the one in the options
    synced_at: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str | None] = mapped_column(Text)


class Task(Base):
    """A text with, perhaps, what its annotators agree on."""

    __tablename__ = "tasks"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[int] = mapped_column(BigInteger)  # of the text
    audit: Mapped[bool]  # held out: never selected, never trained on
    skipped: Mapped[bool] = mapped_column(default=False)
    annotated: Mapped[bool] = mapped_column(default=False)  # has an annotation that is not a skip
    labels: Mapped[dict[str, Any] | None]  # by control, as backend/targets.py spells values; None: none, or a tie
    labeled: Mapped[bool] = mapped_column(default=False)  # whether there are any
    truth: Mapped[bool] = mapped_column(default=False)  # ground truth that is to measure with: never trained on
    learned_in: Mapped[int | None]  # the round that first knew this task's labels
    __table_args__ = (Index("tasks_by_labeled", "project_id", "labeled"),)


class Annotation(Base):
    """What one person said of a task."""

    __tablename__ = "annotations"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # Label Studio's own number
    task_id: Mapped[int] = mapped_column(BigInteger)
    annotator: Mapped[int | None] = mapped_column(BigInteger)  # Label Studio's number of the person
    skipped: Mapped[bool]
    labels: Mapped[dict[str, Any]]  # by control; empty if it says nothing that is learned
    seconds: Mapped[float | None] = mapped_column(Float)  # that it took
    __table_args__ = (Index("annotations_by_task", "project_id", "task_id"),)


class Event(Base):
    """A webhook that arrived. A hint that something changed, never the truth about it."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    project_id: Mapped[int]
    action: Mapped[str] = mapped_column(Text)
    received_at: Mapped[float] = mapped_column(Float)
    # Numbers of deleted events must never come again: marks point past them.
    __table_args__ = (Index("events_by_project", "project_id", "id"), {"sqlite_autoincrement": True})


class Round(Base):
    """One loop of train, evaluate, score, select, publish."""

    __tablename__ = "rounds"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))  # running, done, failed
    step: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[float] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
    labels: Mapped[int] = mapped_column(default=0)  # labeled tasks known when it began, held-out ones included
    tasks: Mapped[int] = mapped_column(default=0)  # all tasks known when it began
    targets: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # that the label config asked for then
    options: Mapped[dict[str, Any] | None]  # extra_params when it began; None: from before this column
    adapter: Mapped[int] = mapped_column(default=0)  # in service when it began, then what it put into service
    queue: Mapped[int | None]
    candidates: Mapped[int] = mapped_column(default=0)  # from which the queue was chosen
    strategy: Mapped[str | None] = mapped_column(Text)
    choosing: Mapped[dict[str, Any] | None]  # how `auto` shared the queue out among strategies, and why
    evaluation: Mapped[dict[str, Any] | None]
    stopping: Mapped[dict[str, Any] | None]  # what was known of when to stop
    review: Mapped[dict[str, Any] | None]  # labels that are likely wrong, and how well annotators agree
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by step
    progress: Mapped[dict[str, Any] | None]  # of the step that runs: done, total, since when, and at which time
    tries: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by step: begun so often without an end
    back_to: Mapped[int | None]  # the adapter that somebody asked for, in place of training one
    error: Mapped[str | None] = mapped_column(Text)


class Adapter(Base):
    """A trained adapter version whose files are complete."""

    __tablename__ = "adapters"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    base_model: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of everything that decides what training gives
    targets: Mapped[list[dict[str, Any]]]  # what it learned, with thresholds tuned on held-out labels
    examples: Mapped[int]
    created_at: Mapped[float] = mapped_column(Float)
    digest: Mapped[str | None] = mapped_column(String(64))  # of its files' checksums, if they are in shared storage
    given_up: Mapped[bool] = mapped_column(default=False)  # somebody went back to an earlier one


class QueueItem(Base):
    """A task at its place in a published queue."""

    __tablename__ = "queue_items"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    queue: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger)
    audit: Mapped[bool]
    score: Mapped[float | None] = mapped_column(Float)  # the strategy's; None for held-out tasks
    probability: Mapped[float | None] = mapped_column(Float)  # of this draw, given those before, if the strategy draws
    chosen_by: Mapped[str | None] = mapped_column(Text)  # which member of a strategy that combines several
    why: Mapped[dict[str, Any] | None]  # what the model says of it, and what speaks for it, for people to read


class PublishedQueue(Base):
    """A queue version of ours that may still have predictions in Label Studio."""

    __tablename__ = "published_queues"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    queue: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(Text)


class Worker(Base):
    """A worker process that runs, or ran."""

    __tablename__ = "workers"
    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(Text, default="")
    beat_at: Mapped[float] = mapped_column(Float)  # when it last said so
    label_studio: Mapped[str | None] = mapped_column(Text)  # what it found wrong with Label Studio then
