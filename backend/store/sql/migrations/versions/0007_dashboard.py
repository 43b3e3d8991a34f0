"""For the dashboard: titles, progress of steps, reasons for a selection, pause, chosen strategy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("title", sa.Text, nullable=False, server_default=""))
        projects.add_column(sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
        projects.add_column(sa.Column("chosen_strategy", sa.Text, nullable=True))
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("progress", sa.JSON, nullable=True))
    with op.batch_alter_table("queue_items") as items:
        items.add_column(sa.Column("why", sa.JSON, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0007 is not supported; restore MODEL_DIR from a backup")
