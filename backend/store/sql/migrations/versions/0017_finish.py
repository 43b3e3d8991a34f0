"""Finishing a project: requests, the model's labels of the remaining tasks, and which tasks have or test them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tasks") as tasks:
        tasks.add_column(sa.Column("sampled", sa.Boolean(), nullable=False, server_default=sa.false()))
        tasks.add_column(sa.Column("taken", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "finishes",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("wanted", sa.String(16)),
        sa.Column("accuracy", sa.Float(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=False),
        sa.Column("labels", sa.Integer()),
        sa.Column("adapter", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.Float(), nullable=False),
        sa.Column("decided_at", sa.Float()),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("project_id", "number"),
    )
    op.create_table(
        "finished_tasks",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("finish", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("annotation", sa.BigInteger()),
        sa.PrimaryKeyConstraint("project_id", "finish", "task_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0017")
