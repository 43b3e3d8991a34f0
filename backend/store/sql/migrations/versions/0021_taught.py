"""What a teacher contributed to a round."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("taught", sa.JSON(), nullable=True))
    op.add_column("adapters", sa.Column("soft", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0021")
