"""The app on a SQLite store of the test's own, with the real pipeline; nothing is started."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.store import Failed
from service_event_checker.engine.heartbeat import HEARTBEAT_SETTING
from service_event_checker.engine.services import Services
from service_event_checker.stores.sql.store import SqlStore
from service_event_checker.web import create_app

CONFIG = {
    "checkers": {
        "github": {"kind": "statuspage", "url": "https://www.githubstatus.com"},
        "retool": {"kind": "feed", "url": "https://status.retool.com/history.rss"},
        "office365": {"kind": "statuspage", "url": "env:O365_URL"},
    },
    "destinations": {
        "chat": {"kind": "console"},
        "azure_devops": {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"},
    },
    "rules": [{"name": "all", "send": ["chat", "azure_devops"]}],
}
MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store without a row; copying it is faster than migrating for each test."""
    file = tmp_path_factory.mktemp("web") / "empty.db"
    store = SqlStore(f"sqlite:///{file}")
    store.prepare()
    store.close()  # the last connection takes the write-ahead log into the file
    return file


@pytest.fixture
def make_app(tmp_path: Path, empty_database: Path) -> MakeApp:
    """Build an app; other keywords are variables of its environment. All apps of a test share the store."""
    file, database = tmp_path / "config.json", tmp_path / "store.db"
    shutil.copy(empty_database, database)

    def build(config: object = CONFIG, **environ: str) -> Flask:
        file.write_text(json.dumps(config))
        app = create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{database}", **environ})
        if "DATABASE_URL" not in environ:
            app.extensions["services"].store.prepare()  # as the start does
        return app

    return build


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A local caller of an app without tokens."""
    return app.test_client()


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions["services"]
    return found


@pytest.fixture
def ingest(services: Services) -> Callable[[Event], Alert]:
    """Send an event through the pipeline, as if it were seen now."""

    def send(event: Event) -> Alert:
        return services.pipeline.ingest([event], datetime.now(UTC))[event.key]

    return send


def beat(services: Services, ago: timedelta = timedelta(0)) -> None:
    """Leave the heartbeat that some process' engine would leave."""
    services.store.set_setting(HEARTBEAT_SETTING, (datetime.now(UTC) - ago).isoformat())


def give_up(services: Services, receiver: str, reason: str) -> str:
    """Let the next delivery of a receiver die; return its id."""
    now = datetime.now(UTC)
    (claimed,) = services.store.claim(receiver, limit=1, owner="test", now=now, until=now + timedelta(seconds=30))
    services.store.settle(claimed.delivery, Failed(reason=reason), now)
    return claimed.delivery.id


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"}}
