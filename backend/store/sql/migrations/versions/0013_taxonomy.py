"""Projects: how taxonomies are learned. Projects from before go on learning one leaf per text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("taxonomy", sa.String(8)))
    table = sa.table("projects", sa.column("taxonomy", sa.String()))
    op.execute(table.update().values(taxonomy="leaf"))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0013")
