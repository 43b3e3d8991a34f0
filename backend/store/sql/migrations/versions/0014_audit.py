"""The audit trail. Rounds: whether the project was paused when they began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("project_id", sa.Integer()),
        sa.Column("detail", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_project", "audit", ["project_id", "id"])
    with op.batch_alter_table("rounds") as rounds:
        rounds.add_column(sa.Column("paused", sa.Boolean()))


def downgrade() -> None:
    raise NotImplementedError("restore MODEL_DIR from a backup to go back before 0014")
