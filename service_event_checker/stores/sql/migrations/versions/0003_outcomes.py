"""What became of deliveries: rows of the timeline that belong to no revision of the alert."""

import sqlalchemy as sa

from service_event_checker.stores.sql.dialects import LARGE_TEXT
from service_event_checker.stores.sql.migrations.steps import create_index, create_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_table(
        "outcomes",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", "episode", "revision", "name"),
    )
    create_index("outcomes_newest", "outcomes", ["key", "at"])
