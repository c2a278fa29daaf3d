"""Alerta, pinned in an environment of its own: installed once below `.bench`, known by the hash of its lock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from tests.root import ROOT

LOCK = Path(__file__).with_name("requirements-alerta.txt")
FOLDER = ROOT / ".bench" / "alerta"
PYTHON = FOLDER / "bin" / "python"
_STAMP = FOLDER / "installed"


def install() -> str:
    """Install what the lock names, unless it is; return why not, "" when it is there."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return ""
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv = (sys.executable, "-m", "uv")
    for command in (
        (*uv, "venv", "--python", sys.executable, str(FOLDER)),
        (*uv, "pip", "install", "--python", str(PYTHON), "--require-hashes", "-r", str(LOCK)),
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip()[-500:]
    _STAMP.write_text(wanted)
    return ""


def make_tables(environment: Mapping[str, str]) -> None:
    code = "from alerta import create_app; create_app()"
    subprocess.run((str(PYTHON), "-c", code), env=dict(environment), check=True, capture_output=True)


def fill(address: str, number: int) -> None:
    """Store so many open alerts: copies of one that it has taken, which differ in id and resource."""
    with psycopg.connect(address, autocommit=True) as connection:
        names = connection.execute(
            "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)"
            " FROM information_schema.columns"
            " WHERE table_name = 'alerts' AND table_schema = 'public' AND column_name NOT IN ('id', 'resource')"
        ).fetchone()
        assert names is not None
        connection.execute(
            f"INSERT INTO alerts (id, resource, {names[0]})"  # noqa: S608  # names of columns
            f" SELECT gen_random_uuid()::text, 'db-' || number, {names[0]}"
            f" FROM (SELECT * FROM alerts LIMIT 1) AS one, generate_series(1, {number}) AS number".encode()
        )
        connection.execute("VACUUM ANALYZE alerts")


def stored(address: str) -> int:
    with psycopg.connect(address) as connection:
        row = connection.execute("SELECT count(*) FROM alerts").fetchone()
    return int(row[0]) if row else 0
