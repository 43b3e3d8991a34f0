"""Projects: the share of tasks that is held out, which `audit_share: auto` decides once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("held_out_share", sa.Float()))
    table = sa.table("projects", sa.column("id", sa.Integer()), sa.column("split", sa.String()),
                     sa.column("held_out_share", sa.Float()))  # fmt: skip
    decided = sa.select(table.c.id, table.c.split).where(table.c.split.is_not(None))
    for number, split in op.get_bind().execute(decided).all():
        share = float(split.partition(":")[2])
        op.execute(table.update().where(table.c.id == number).values(held_out_share=share))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0015")
