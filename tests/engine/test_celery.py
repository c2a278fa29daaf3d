"""The jobs on Celery workers with a real Redis: who does the work, and what is left when Redis is not there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from service_event_checker.broker import Broker
from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles.statuspages import StatusPages
from tests.real.product import Product
from tests.real.redis import Celery, Redis, run_celery

WITHIN = 60.0  # seconds on a busy machine; as a rule two


@pytest.fixture
def doubles() -> Iterator[tuple[StatusPages, Slack]]:
    with StatusPages() as pages, Slack() as slack:
        pages.page("vendor")
        yield pages, slack


@pytest.fixture
def parts(
    doubles: tuple[StatusPages, Slack], redis: Redis, postgresql: object, tmp_path: Path
) -> Iterator[tuple[Product, Celery]]:
    """A web process and a worker without beat, on one PostgreSQL."""
    pages, slack = doubles
    config = {
        "checkers": {"vendor": {"kind": "statuspage", "url": f"{pages.url}/page/vendor", "every": "1s"}},
        "destinations": {"slack": {"kind": "slack", "url": slack.api_url, "rate": 50, "burst": 50}},
        "rules": [{"name": "all", "send": ["slack"]}],
    }
    variables = {
        "SLACK_BOT_TOKEN": TOKEN,
        "CELERY_BROKER_URL": redis.url,
        "DATABASE_URL": postgresql.new_database(),  # type: ignore[attr-defined]
    }
    web = Product(tmp_path / "web", config, **variables)
    worker = Celery(tmp_path / "worker", "worker", config, **variables)
    web.start()
    worker.start()
    yield web, worker
    worker.stop()
    web.stop()


def test_a_worker_polls_and_delivers_and_the_web_process_takes_over_without_redis(
    parts: tuple[Product, Celery], doubles: tuple[StatusPages, Slack], redis: Redis
) -> None:
    (web, worker), (pages, slack) = parts, doubles
    pages.open_incident("vendor", "i1", "Trouble one", impact="critical")
    send(web, "first")
    assert wait_for(lambda: shown(slack, "Trouble one", "first") == [1, 1])
    assert '"event": "delivered"' not in web.log.read_text()
    assert requests.get(f"{web.url}/health/redis", timeout=10).json() == {"status": "healthy"}

    worker.kill()
    redis.kill()
    pages.open_incident("vendor", "i2", "Trouble two", impact="critical")
    send(web, "second")
    assert wait_for(lambda: shown(slack, "Trouble two", "second") == [1, 1])
    health = requests.get(f"{web.url}/health/redis", timeout=10)
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert requests.get(f"{web.url}/readyz", timeout=10).status_code == 200

    redis.start()
    worker.start()
    assert wait_for(lambda: '"event": "redis_available"' in web.log.read_text())
    send(web, "third")
    assert wait_for(lambda: shown(slack, "third") == [1])
    assert shown(slack, "Trouble one", "first", "Trouble two", "second") == [1, 1, 1, 1]


def test_a_worker_takes_what_the_web_process_has_reloaded_and_a_signal_does_not_end_it(
    redis: Redis, tmp_path: Path
) -> None:
    config = {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}
    variables = {"CELERY_BROKER_URL": redis.url, "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}
    web = Product(tmp_path / "web", config, **variables)
    worker = Celery(tmp_path / "worker", "worker", config, **variables)
    web.start()
    worker.start()

    for each in (web, worker):
        each.config_file.write_text(
            json.dumps({**config, "destinations": {"chat": {"kind": "console"}, "new": {"kind": "console"}}})
        )
    os.kill(web.pid, signal.SIGHUP)
    assert wait_for(lambda: '"added": "destination new"' in worker.log.read_text())
    worker.config_file.write_text("{")
    os.kill(worker.pid, signal.SIGHUP)
    assert wait_for(lambda: "config_not_reloaded" in worker.log.read_text())
    send(web, "first")
    assert wait_for(lambda: '"event": "delivered"' in worker.log.read_text())
    for each in (worker, web):
        each.stop()


def test_a_message_holds_a_name_and_an_id_and_a_redis_that_hangs_holds_up_nobody_for_long(redis: Redis) -> None:
    broker = Broker(redis.url)
    assert broker.send("poll", "github")
    assert broker.trouble() == ""

    redis.pause()
    started = time.monotonic()
    sent = [broker.send("poll", "github") for _ in range(100)]
    took = time.monotonic() - started
    redis.resume()

    assert sent == [False] * 100
    assert took < 20
    with broker.app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("outage-checker")
    assert message.payload[:2] == [["poll", "github"], {}]


def test_why_redis_is_away_is_said_without_its_password(redis: Redis) -> None:
    redis.kill()
    broker = Broker(redis.url.replace("//", "//:a-very-secret-word@"))

    assert not broker.send("poll", "github")
    assert broker.trouble() == "Redis does not answer (ConnectionRefusedError)"


@pytest.mark.parametrize(
    ("words", "url", "says"),
    [
        (("worker",), "", "CELERY_BROKER_URL: is not set"),
        (("worker",), "amqp://localhost", "CELERY_BROKER_URL: is not the address of a Redis server"),
        (("worker", "-P", "processes"), "redis://127.0.0.1:1/0", "The pool prefork is not supported"),
    ],
)
def test_a_worker_that_cannot_run_says_why_and_ends(words: tuple[str, ...], url: str, says: str) -> None:
    ended = run_celery(*words, CELERY_BROKER_URL=url)

    assert ended.returncode == 3
    assert says in ended.stderr


def send(web: Product, name: str) -> None:
    body = {"alerts": [{"status": "firing", "labels": {"alertname": name}}]}
    assert requests.post(f"{web.url}/alert", json=body, timeout=10).status_code == 200


def shown(slack: Slack, *names: str) -> list[int]:
    """Return how many messages show each of these."""
    with slack.lock:
        return [sum(name in message.shown for message in slack.roots()) for name in names]


def wait_for(done: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN
    while not done() and time.monotonic() < until:
        time.sleep(0.1)  # between looks at the doubles
    return done()
