"""What was put aside: refused bodies, events that wait for their object."""

import sqlalchemy as sa
from alembic import op

from service_event_checker.stores.sql.dialects import LARGE_TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "kept",
        sa.Column("shelf", sa.String(length=60), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("shelf", "id"),
    )
    op.create_index("kept_newest", "kept", ["shelf", "at", "id"], unique=False)
    op.create_index("kept_source", "kept", ["shelf", "source", "at", "id"], unique=False)
