"""Rounds: the project's options when the round began, to notice options that changed since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("options", sa.JSON()))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0010")
