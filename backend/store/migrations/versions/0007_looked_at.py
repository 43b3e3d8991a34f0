"""What people see and ask for on the dashboard: how far a step is, why a task was chosen, a pause, another strategy."""

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
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0007")
