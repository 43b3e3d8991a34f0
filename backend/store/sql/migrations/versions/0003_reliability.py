"""Webhook secrets, count differences, tries per step, rounds that restore an adapter, worker heartbeats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("webhook_secret", sa.Text, nullable=True))
        projects.add_column(sa.Column("miscount", sa.JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("tries", sa.JSON, nullable=False, server_default="{}"))
        rounds.add_column(sa.Column("back_to", sa.Integer, nullable=True))
    op.create_table(
        "workers",
        sa.Column("executor_id", sa.String(64), nullable=False),
        sa.Column("beat_at", sa.Float, nullable=False),
        sa.Column("label_studio", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("executor_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0003 is not supported; restore MODEL_DIR from a backup")
