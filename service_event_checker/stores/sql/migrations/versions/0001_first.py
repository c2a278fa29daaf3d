"""The first schema: alerts, their past episodes, the outbox, links, timeline, slots and settings."""

import sqlalchemy as sa

from service_event_checker.stores.sql.dialects import LARGE_TEXT
from service_event_checker.stores.sql.migrations.steps import create_index, create_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_table(
        "alerts",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("withheld", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    create_index("alerts_archivable", "alerts", ["archived", "open"])
    create_index("alerts_fingerprint", "alerts", ["fingerprint"])
    create_index("alerts_open_page", "alerts", ["open", "updated_at", "key"])
    create_index("alerts_page", "alerts", ["updated_at", "key"])
    create_index("alerts_severity_page", "alerts", ["open", "severity", "updated_at", "key"])
    create_index("alerts_source_page", "alerts", ["source", "open", "updated_at", "key"])
    create_index("alerts_withheld", "alerts", ["withheld"])
    create_table(
        "deliveries",
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("receiver", sa.String(length=60), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    create_index("deliveries_age", "deliveries", ["dead", "created_at"])
    create_index("deliveries_due", "deliveries", ["receiver", "dead", "severity", "due_at"])
    create_index("deliveries_lane", "deliveries", ["key", "receiver", "dead"])
    create_table(
        "episodes",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", "episode"),
    )
    create_index("episodes_ended", "episodes", ["ended_at"])
    create_table(
        "internal_ids",
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    create_table(
        "lanes",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("receiver", sa.String(length=60), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=120), nullable=False),
        sa.Column("dead_episode", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "receiver"),
    )
    create_table(
        "links",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.String(length=60), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", "episode", "receiver"),
    )
    create_index("links_external", "links", ["receiver", "external_id"])
    create_table(
        "settings",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    create_table(
        "slots",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    create_table(
        "timeline",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("doc", LARGE_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", "revision"),
    )
