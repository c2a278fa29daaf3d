"""The tables of the SQL store; times are microseconds since 1970 UTC. Migrations make them, this describes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, SmallInteger, String, Table

from service_event_checker.stores.sql.dialects import LARGE_TEXT

metadata = MetaData()

# One row per key: its newest episode. It stays when the episode is archived (the head of the key).
alerts = Table(
    "alerts",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("source", String(100), nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("status", String(12), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("withheld", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("alerts_page", "updated_at", "key"),
    Index("alerts_open_page", "open", "updated_at", "key"),
    Index("alerts_severity_page", "open", "severity", "updated_at", "key"),
    Index("alerts_source_page", "source", "open", "updated_at", "key"),
    Index("alerts_fingerprint", "fingerprint"),
    Index("alerts_withheld", "withheld"),
    Index("alerts_archivable", "archived", "open"),
)

# The open members of groups: which alerts count for the alert of a group, and what is counted of them.
members = Table(
    "members",
    metadata,
    Column("group_key", String(20), primary_key=True),
    Column("key", String(20), primary_key=True),
    Column("severity", SmallInteger, nullable=False),
    Column("firing", Boolean, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("members_order", "group_key", "severity", "opened_at", "key"),
    Index("members_key", "key"),
)

# Past episodes: archived ones, and ones that a new episode has followed.
episodes = Table(
    "episodes",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("episode", Integer, primary_key=True),
    Column("ended_at", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("episodes_ended", "ended_at"),
)

# Internal ids; they outlive the archive.
internal_ids = Table(
    "internal_ids",
    metadata,
    Column("code", String(12), primary_key=True),
    Column("key", String(20), nullable=False),
    Column("episode", Integer, nullable=False),
)

timeline = Table(
    "timeline",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("episode", Integer, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
)

# What became of deliveries, written with them: rows of the timeline that belong to no revision of the alert.
outcomes = Table(
    "outcomes",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("episode", Integer, primary_key=True),
    Column("revision", BigInteger, primary_key=True),  # of the delivery; 0 for updates
    Column("name", String(100), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("outcomes_newest", "key", "at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("key", String(20), nullable=False),
    Column("receiver", String(60), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("severity", SmallInteger, nullable=False),  # Delivery.rank
    Column("due_at", BigInteger),
    Column("lease_until", BigInteger),
    Column("owner", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("deliveries_due", "receiver", "dead", "severity", "due_at"),
    Index("deliveries_lane", "key", "receiver", "dead"),
    Index("deliveries_age", "dead", "created_at"),
    Index("deliveries_waiting", "dead", "receiver", "created_at"),
)

lanes = Table(
    "lanes",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("receiver", String(60), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("head", String(120), nullable=False),
    Column("dead_episode", Integer, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("episode", Integer, primary_key=True),
    Column("receiver", String(60), primary_key=True),
    Column("external_id", String(255), nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("links_external", "receiver", "external_id"),
)

# What was put aside: refused bodies, events that wait for their object.
kept = Table(
    "kept",
    metadata,
    Column("shelf", String(60), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("source", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("kept_newest", "shelf", "at", "id"),
    Index("kept_source", "shelf", "source", "at", "id"),
)

# What people silence while the app runs; `ends_at` is indexed for what is not over.
silences = Table(
    "silences",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
    Index("silences_end", "ends_at"),
)

# How often something was changed that processes keep in memory: whoever changes it raises it in the same transaction.
revisions = Table(
    "revisions",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

slots = Table(
    "slots",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("doc", LARGE_TEXT, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", LARGE_TEXT, nullable=False),
)

# `what` is canonical JSON; `core.audit` says what the hashes stand for.
audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("what", LARGE_TEXT, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
