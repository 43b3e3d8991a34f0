"""Labeled tasks that get a second opinion, and how much the labels of each annotator count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_opinions",
        sa.Column("project_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("task_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("former", sa.JSON()),
        sa.Column("raised", sa.Boolean(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("learned_in", sa.Integer()),
    )
    # Not in batch mode, in which SQLite would copy the table.
    op.add_column("projects", sa.Column("trust", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0019")
