"""Pending requests to go back to an adapter, given-up adapters, batch halvings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("back_to", sa.Integer, nullable=True))
        projects.add_column(sa.Column("halvings", sa.JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("adapters") as adapters:
        adapters.add_column(sa.Column("given_up", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0004 is not supported; restore MODEL_DIR from a backup")
