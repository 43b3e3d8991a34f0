"""Replace the single class per task by values of several kinds of targets.

All annotations are read again from Label Studio; adapters of the former format are deleted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("tasks") as tasks:
        tasks.drop_index("tasks_by_label")
        tasks.drop_column("label")
        tasks.add_column(sa.Column("labels", sa.JSON, nullable=True))
        tasks.add_column(sa.Column("labeled", sa.Boolean, nullable=False, server_default=sa.false()))
        tasks.create_index("tasks_by_labeled", ["project_id", "labeled"])
    op.execute("UPDATE tasks SET learned_in = NULL")
    with op.batch_alter_table("rounds") as rounds:
        rounds.drop_column("classes")
        rounds.add_column(sa.Column("targets", sa.JSON, nullable=False, server_default="[]"))
    op.execute("UPDATE rounds SET evaluation = NULL")
    op.execute(
        "UPDATE projects SET reread = true, task_mark = 0, adapter = 0, adapter_floor = (SELECT MAX(used) FROM "
        "(SELECT number AS used FROM adapters WHERE adapters.project_id = projects.id UNION SELECT adapter_floor) AS t)"
    )
    op.execute("DELETE FROM adapters")
    with op.batch_alter_table("adapters") as adapters:
        adapters.drop_column("classes")
        adapters.add_column(sa.Column("targets", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    raise NotImplementedError("a downgrade below 0002 is not supported; restore MODEL_DIR from a backup")
