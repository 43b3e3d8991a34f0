"""Annotations: why a label cannot be learned. Projects: the first task without a text. All tasks are read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("annotations") as annotations:
        annotations.add_column(sa.Column("unusable", sa.JSON(none_as_null=True)))
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("unread", sa.JSON(none_as_null=True)))
    # Texts, too: more ways to name a field are understood now.
    table = sa.table("projects", sa.column("reread", sa.Boolean()), sa.column("task_mark", sa.BigInteger()))
    op.execute(table.update().values(reread=True, task_mark=0))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0012")
