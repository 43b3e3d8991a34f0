"""Projects: the base model chosen for them, and the refitted head. Projects from before keep the former default."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("encoder", sa.JSON()))
        for name in ("head", "head_labels"):
            projects.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    table = sa.table("projects", sa.column("encoder", sa.JSON()))
    op.execute(table.update().values(encoder={"base_model": "minilm", "by": "upgrade"}))
    with op.batch_alter_table("projects") as projects:
        projects.alter_column("encoder", nullable=False)


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0011")
