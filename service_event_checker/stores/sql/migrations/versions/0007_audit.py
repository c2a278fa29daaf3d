"""The audit: rows that are only appended, in one chain of hashes."""

import sqlalchemy as sa

from service_event_checker.stores.sql.dialects import LARGE_TEXT
from service_event_checker.stores.sql.migrations.steps import create_table

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_table(
        "audit",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("what", LARGE_TEXT, nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
