"""Several workers: fencing tokens of projects, hosts of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"))
    with op.batch_alter_table("workers") as workers:
        workers.add_column(sa.Column("host", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0008 is not supported; restore MODEL_DIR from a backup")
