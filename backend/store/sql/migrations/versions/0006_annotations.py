"""Annotations per annotator with their times, stopping, label review, strategies of combined queues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "annotations",
        sa.Column("project_id", sa.Integer, primary_key=True),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("annotator", sa.BigInteger, nullable=True),
        sa.Column("skipped", sa.Boolean, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Float, nullable=True),
    )
    op.create_index("annotations_by_task", "annotations", ["project_id", "task_id"])
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("stopping", sa.JSON, nullable=True))
        rounds.add_column(sa.Column("choosing", sa.JSON, nullable=True))
        rounds.add_column(sa.Column("review", sa.JSON, nullable=True))
    with op.batch_alter_table("queue_items") as items:
        items.add_column(sa.Column("chosen_by", sa.Text, nullable=True))
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("stopped", sa.JSON, nullable=True))
    op.execute("UPDATE projects SET reread = true")


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0006 is not supported; restore MODEL_DIR from a backup")
