"""Draw probabilities of queue items, number of candidates, ground truth to evaluate with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("queue_items") as items:
        items.add_column(sa.Column("probability", sa.Float, nullable=True))
    with op.batch_alter_table("tasks") as tasks:
        tasks.add_column(sa.Column("truth", sa.Boolean, nullable=False, server_default=sa.false()))
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("candidates", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0005 is not supported; restore MODEL_DIR from a backup")
