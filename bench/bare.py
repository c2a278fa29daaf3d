"""The least that could be durable: one table, a message in, one executemany and one commit, then 200.

It keeps no history, detects no change and tells nobody. Gunicorn serves it with the product's own settings.
`BARE_DATABASE` is a file of SQLite or an address of PostgreSQL.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from typing import Any

import psycopg
from flask import Flask, request

DATABASE = os.environ["BARE_DATABASE"]
ON_POSTGRESQL = DATABASE.startswith("postgresql:")
MARK = "%s" if ON_POSTGRESQL else "?"
TABLE = "CREATE TABLE IF NOT EXISTS alerts (fingerprint TEXT PRIMARY KEY, status TEXT NOT NULL, doc TEXT NOT NULL)"
UPSERT = (
    f"INSERT INTO alerts VALUES ({MARK}, {MARK}, {MARK})"  # noqa: S608  # marks only
    " ON CONFLICT (fingerprint) DO UPDATE SET status = excluded.status, doc = excluded.doc"
)

app = Flask(__name__)
_own = threading.local()


class Engine:
    """Gunicorn's settings start and stop one; here it makes the table."""

    def start(self) -> None:
        connection = connect()
        if ON_POSTGRESQL:
            connection.execute("SELECT pg_advisory_xact_lock(1)")  # two workers at once, and one of them fails
        connection.execute(TABLE)
        connection.commit()
        connection.close()

    def stop(self) -> None:
        """Nothing runs."""


app.extensions["engine"] = Engine()


@app.get("/readyz")
def ready() -> str:
    return "ready"


@app.post("/alert")
def take() -> dict[str, Any]:
    alerts = request.get_json()["alerts"]
    rows = sorted((alert["fingerprint"], alert["status"], json.dumps(alert)) for alert in alerts)
    write(rows)
    return {"accepted": len(rows)}


def write(rows: list[tuple[str, str, str]]) -> None:
    if not hasattr(_own, "connection"):
        _own.connection = connect()
    _own.connection.cursor().executemany(UPSERT, rows)
    _own.connection.commit()


def connect() -> Any:
    if ON_POSTGRESQL:
        return psycopg.connect(DATABASE)
    connection = sqlite3.connect(DATABASE, timeout=5)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection
