"""Adapters in shared storage: digest of their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("adapters") as adapters:
        adapters.add_column(sa.Column("digest", sa.String(64)))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0009 is not supported; restore MODEL_DIR from a backup")
