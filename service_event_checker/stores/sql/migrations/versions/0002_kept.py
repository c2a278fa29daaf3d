"""What was put aside: refused bodies, events that wait for their object."""

import sqlalchemy as sa

from service_event_checker.stores.sql.dialects import LARGE_TEXT
from service_event_checker.stores.sql.migrations.steps import create_index, create_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_table(
        "kept",
        sa.Column("shelf", sa.String(length=60), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("shelf", "id"),
    )
    create_index("kept_newest", "kept", ["shelf", "at", "id"])
    create_index("kept_source", "kept", ["shelf", "source", "at", "id"])
