"""The open members of groups of alerts."""

import sqlalchemy as sa

from service_event_checker.stores.sql.migrations.steps import create_index, create_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_table(
        "members",
        sa.Column("group_key", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("firing", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("group_key", "key"),
    )
    create_index("members_order", "members", ["group_key", "severity", "opened_at", "key"])
    create_index("members_key", "members", ["key"])
