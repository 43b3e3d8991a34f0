"""Tasks that people put first, and tasks that the option `only` keeps out of the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode, in which SQLite would copy the table.
    op.add_column("tasks", sa.Column("first", sa.Integer()))
    no = sa.text("0") if op.get_bind().dialect.name == "sqlite" else sa.false()
    op.add_column("tasks", sa.Column("outside", sa.Boolean(), nullable=False, server_default=no))
    there = sa.text("first IS NOT NULL")
    op.create_index("tasks_first", "tasks", ["project_id", "first"], sqlite_where=there, postgresql_where=there)


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0018")
