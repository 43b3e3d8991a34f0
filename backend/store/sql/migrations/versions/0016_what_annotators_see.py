"""Rounds: which suggestions are shown, and how many of them were right. Projects: annotators' names, and whether
Label Studio requests training on every submission."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("suggestions", sa.JSON()))
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("annotators", sa.JSON(), nullable=False, server_default="{}"))
        projects.add_column(sa.Column("trains_on_submission", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0016")
