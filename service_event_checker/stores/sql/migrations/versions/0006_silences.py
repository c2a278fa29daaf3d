"""Silences that people make, and how often what processes keep in memory was changed."""

import sqlalchemy as sa

from service_event_checker.stores.sql.dialects import LARGE_TEXT
from service_event_checker.stores.sql.migrations.steps import create_index, create_table

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    create_table(
        "silences",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    create_index("silences_end", "silences", ["ends_at"])
    create_table(
        "revisions",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
