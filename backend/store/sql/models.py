"""Database tables: projects, tasks, annotations, events, rounds, adapters, queues and workers."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Dialect, Float, Index, Integer, String, TypeDecorator, text
from sqlalchemy import Text as _Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MOST_ID = 2**31 - 1  # project ids are 32-bit integers in Label Studio and in our columns
# SQLite assigns ids only to an INTEGER PRIMARY KEY.
_Serial = BigInteger().with_variant(Integer, "sqlite")


_PUT_FIRST = text("first IS NOT NULL")


class Text(TypeDecorator[str]):
    """Text of any length. NUL, which PostgreSQL cannot store, becomes U+FFFD (replacement character)."""

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Replace NUL characters."""
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


class Base(DeclarativeBase):
    """Base of all tables. Times are Unix times in seconds."""

    type_annotation_map: ClassVar = {dict[str, Any]: JSON(none_as_null=True), list[dict[str, Any]]: JSON}


class Project(Base):
    """A Label Studio project that has connected this backend."""

    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # Label Studio's project id
    connected: Mapped[bool] = mapped_column(default=True)
    title: Mapped[str] = mapped_column(Text, default="")
    label_config: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]]  # extra_params as given; validated by ProjectOptions
    host: Mapped[str] = mapped_column(Text)  # Host header of the /setup request
    backend_url: Mapped[str | None] = mapped_column(Text)  # URL at which Label Studio calls this backend
    webhook_ready: Mapped[bool] = mapped_column(default=False)
    webhook_secret: Mapped[str | None] = mapped_column(Text)  # authenticates its webhooks and nothing else
    former_sampling: Mapped[str | None] = mapped_column(Text)
    former_model_version: Mapped[str | None] = mapped_column(Text)
    adapter: Mapped[int] = mapped_column(default=0)  # version in service; 0 = none yet
    head: Mapped[int] = mapped_column(default=0)  # how often its head was refitted between rounds
    head_labels: Mapped[int] = mapped_column(default=0)  # labels since the last round that the head knows
    queue: Mapped[int] = mapped_column(default=0)  # number of the last published one; 0 = none yet
    adapter_floor: Mapped[int] = mapped_column(default=0)  # adapter numbers up to here were used before a reset
    turn: Mapped[int] = mapped_column(default=1)  # number of the next workflow
    round: Mapped[int] = mapped_column(default=0)  # number of the last round
    event_mark: Mapped[int] = mapped_column(BigInteger, default=0)  # id of the last processed event
    task_mark: Mapped[int] = mapped_column(BigInteger, default=0)  # id of the last task read
    change_mark: Mapped[str | None] = mapped_column(String(40))  # Label Studio's timestamp of the last change seen
    reread: Mapped[bool] = mapped_column(default=True)  # the annotations of all tasks must be read again
    miscount: Mapped[dict[str, Any]] = mapped_column(default=dict)  # annotated tasks: Label Studio's count − ours
    annotators: Mapped[dict[str, Any]] = mapped_column(default=dict)  # their names in Label Studio, by user id
    trust: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by control and user id: how much a label counts
    trains_on_submission: Mapped[bool] = mapped_column(default=False)  # Label Studio sends START_TRAINING at each
    unread: Mapped[dict[str, Any] | None]  # the first task found without a text, and the names of its fields
    split: Mapped[str | None] = mapped_column(String(64))  # seed and share of the held-out tasks; None: check all again
    held_out_share: Mapped[float | None] = mapped_column(Float)  # of the tasks; None: not decided yet
    back_to: Mapped[int | None]  # adapter requested to go back to; None once it is in service
    halvings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by step: how many times to halve its batches
    stopped: Mapped[dict[str, Any] | None]  # stopping rule that applies, since when, whether reported
    paused: Mapped[bool] = mapped_column(default=False)  # rounds begin on request only
    fence: Mapped[int] = mapped_column(BigInteger, default=0)  # current fencing token; writes with an older one fail
    encoder: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the base model chosen for it, see rounds/encoder.py
    taxonomy: Mapped[str | None] = mapped_column(String(8))  # "leaf": as before the option of this name existed
    chosen_strategy: Mapped[str | None] = mapped_column(Text)  # set on the dashboard; overrides the options
    synced_at: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str | None] = mapped_column(Text)


class Task(Base):
    """A text and, if any, the labels that its annotators agree on."""

    __tablename__ = "tasks"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[int] = mapped_column(BigInteger)  # of the text
    audit: Mapped[bool]  # held out: never selected, never trained on
    skipped: Mapped[bool] = mapped_column(default=False)
    annotated: Mapped[bool] = mapped_column(default=False)  # has an annotation that is not a skip
    labels: Mapped[dict[str, Any] | None]  # by control, values as in backend/targets.py; None: none, or a tie
    labeled: Mapped[bool] = mapped_column(default=False)  # has labels
    truth: Mapped[bool] = mapped_column(default=False)  # ground truth to evaluate with: never trained on
    learned_in: Mapped[int | None]  # the round that first saw this task's labels
    sampled: Mapped[bool] = mapped_column(default=False)  # its label tests the model's: no training, no evaluation yet
    taken: Mapped[bool] = mapped_column(default=False)  # has the model's label, and needs no other
    first: Mapped[int | None]  # a person put it first: the highest number is served first
    outside: Mapped[bool] = mapped_column(default=False)  # the option `only` keeps it out of the queue
    __table_args__ = (
        Index("tasks_by_labeled", "project_id", "labeled"),
        Index("tasks_first", "project_id", "first", sqlite_where=_PUT_FIRST, postgresql_where=_PUT_FIRST),
    )  # fmt: skip


class Annotation(Base):
    """One annotator's labels of a task, or skip."""

    __tablename__ = "annotations"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # Label Studio's annotation id
    task_id: Mapped[int] = mapped_column(BigInteger)
    annotator: Mapped[int | None] = mapped_column(BigInteger)  # Label Studio's user id
    skipped: Mapped[bool]
    labels: Mapped[dict[str, Any]]  # by control; empty without a label that a model can learn
    seconds: Mapped[float | None] = mapped_column(Float)  # time taken
    unusable: Mapped[dict[str, Any] | None]  # by control: why its label cannot be learned
    __table_args__ = (Index("annotations_by_task", "project_id", "task_id"),)


class SecondOpinion(Base):
    """A labeled task that the queue gives to another annotator."""

    __tablename__ = "second_opinions"
    project_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    task_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    wanted: Mapped[int]  # number of annotators with which it is answered
    former: Mapped[dict[str, Any] | None]  # the task's labels before
    raised: Mapped[bool] = mapped_column(default=False)  # Label Studio knows
    answered: Mapped[bool] = mapped_column(default=False)
    learned_in: Mapped[int | None]  # the round that first saw the answer


class LlmUsage(Base):
    """What a project has sent to a language model on a server."""

    __tablename__ = "llm_usage"
    project_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(String(500), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger, default=0)  # sent, or about to be
    input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)  # while calls were under way


class Finish(Base):
    """A request to have the remaining tasks labeled by the model, as far as a random sample proves it right."""

    __tablename__ = "finishes"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(16))  # see store/finishes.py
    wanted: Mapped[str | None] = mapped_column(String(16))  # requested and not carried out yet
    accuracy: Mapped[float] = mapped_column(Float)
    scope: Mapped[str] = mapped_column(String(16))  # what has this accuracy
    tolerance: Mapped[float] = mapped_column(Float, default=0.0)  # difference of a number that counts as right
    labels: Mapped[int | None]  # size of the sample; None: by default
    adapter: Mapped[int] = mapped_column(default=0)  # whose answers are tested
    requested_at: Mapped[float] = mapped_column(Float)
    decided_at: Mapped[float | None] = mapped_column(Float)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)  # numbers of the sample and of the decision
    error: Mapped[str | None] = mapped_column(Text)


class FinishedTask(Base):
    """The model's label of a task that remained when a sample was drawn."""

    __tablename__ = "finished_tasks"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    finish: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    confidence: Mapped[float] = mapped_column(Float)
    labels: Mapped[dict[str, Any]]  # by control
    digest: Mapped[int] = mapped_column(BigInteger)  # of the text that it is the answer to
    sampled: Mapped[bool]
    taken: Mapped[bool] = mapped_column(default=False)
    annotation: Mapped[int | None] = mapped_column(BigInteger)  # Label Studio's number of the written one


class Event(Base):
    """A received webhook. It only signals that something changed; the change itself is read from Label Studio."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    project_id: Mapped[int]
    action: Mapped[str] = mapped_column(Text)
    received_at: Mapped[float] = mapped_column(Float)
    # Ids of deleted events must not be reused: `event_mark` may be higher.
    __table_args__ = (Index("events_by_project", "project_id", "id"), {"sqlite_autoincrement": True})


class AuditEntry(Base):
    """Who did what, by the web server or a command."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(Float)
    user: Mapped[str] = mapped_column(Text)  # empty: no password is required
    origin: Mapped[str] = mapped_column(Text)  # address of the caller, or "command line"
    action: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[int | None]
    detail: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("audit_by_project", "project_id", "id"), {"sqlite_autoincrement": True})


class Round(Base):
    """One iteration of train, score, evaluate, select and publish."""

    __tablename__ = "rounds"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))  # running, done, failed, cancelled
    step: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[float] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
    labels: Mapped[int] = mapped_column(default=0)  # labeled tasks at the start, held-out ones included
    tasks: Mapped[int] = mapped_column(default=0)  # all tasks at the start
    targets: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # as in the label config at the start
    options: Mapped[dict[str, Any] | None]  # extra_params at the start; None in rows older than this column
    paused: Mapped[bool | None]  # the project, at the start; None in rows older than this column
    adapter: Mapped[int] = mapped_column(default=0)  # in service at the start; once done, at the end
    queue: Mapped[int | None]
    candidates: Mapped[int] = mapped_column(default=0)  # number of tasks that the queue was selected from
    strategy: Mapped[str | None] = mapped_column(Text)
    choosing: Mapped[dict[str, Any] | None]  # how `auto` divided the queue among strategies, and why
    evaluation: Mapped[dict[str, Any] | None]
    stopping: Mapped[dict[str, Any] | None]  # evidence for and against stopping
    review: Mapped[dict[str, Any] | None]  # label errors, and inter-annotator agreement
    suggestions: Mapped[dict[str, Any] | None]  # by control: whether they are shown, and how many were right
    taught: Mapped[dict[str, Any] | None]  # what a teacher contributed
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)  # duration by step
    progress: Mapped[dict[str, Any] | None]  # of the running step: done, total, start time, update time
    tries: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by step: starts without a finish
    back_to: Mapped[int | None]  # adapter requested to go back to instead of training
    error: Mapped[str | None] = mapped_column(Text)


class Adapter(Base):
    """A trained adapter version whose files are complete."""

    __tablename__ = "adapters"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    base_model: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of all inputs that determine the training result
    targets: Mapped[list[dict[str, Any]]]  # learned targets, with thresholds tuned on held-out labels
    examples: Mapped[int]  # labeled texts
    soft: Mapped[int] = mapped_column(default=0)  # texts with a soft label of a teacher
    created_at: Mapped[float] = mapped_column(Float)
    digest: Mapped[str | None] = mapped_column(String(64))  # of its checksums file; None if not in shared storage
    given_up: Mapped[bool] = mapped_column(default=False)  # an earlier version was restored in its place

    @property
    def tuned(self) -> bool:
        """Whether it learned from texts; otherwise its features are the base model's embeddings."""
        return self.examples + self.soft > 0


class QueueItem(Base):
    """A task at its position in a queue."""

    __tablename__ = "queue_items"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    queue: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger)
    audit: Mapped[bool]
    score: Mapped[float | None] = mapped_column(Float)  # from the strategy; None for held-out tasks
    probability: Mapped[float | None] = mapped_column(Float)  # of this draw given the earlier ones; None: not drawn
    chosen_by: Mapped[str | None] = mapped_column(Text)  # the member of a combined strategy
    why: Mapped[dict[str, Any] | None]  # model outputs and reasons for the selection, shown to users


class PublishedQueue(Base):
    """A queue version of this backend that may still have predictions in Label Studio."""

    __tablename__ = "published_queues"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    queue: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(Text)


class Worker(Base):
    """A current or former worker process."""

    __tablename__ = "workers"
    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(Text, default="")
    beat_at: Mapped[float] = mapped_column(Float)  # time of its last heartbeat
    label_studio: Mapped[str | None] = mapped_column(Text)  # its problem with Label Studio at that time
