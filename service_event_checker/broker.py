"""Redis as Celery's broker: how a job is handed to a worker, and whether Redis answers. Only here Celery is set up.

Nothing is kept in Redis: a message is a job's name and an id, and what is due is in the store. So a lost message is
sent again at the next tick, and one that comes twice finds nothing to do.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import structlog

from service_event_checker.config.load import ConfigError

if TYPE_CHECKING:
    from celery import Celery

TASK = "run"  # the only type of task
QUEUE = "outage-checker"
EXPIRES = 300  # seconds; by then it was sent again many times. Clocks that differ by less harm nothing
VISIBILITY_TIMEOUT = 120  # seconds until Redis hands on what a killed worker had; leases in the store decide who works
CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 5.0
AWAY_SECONDS = 5.0  # after a failure; meanwhile nobody waits for Redis

log = structlog.get_logger()


def make_app(url: str) -> Celery:
    """Return the Celery app of a broker; connects to nothing. Raises ConfigError where Celery is not installed."""
    try:
        import redis  # noqa: F401  # Celery's own message names neither the package nor the remedy
        from celery import Celery
    except ImportError as error:
        hint = "pip install --require-hashes -r requirements-celery.txt"
        raise ConfigError(
            "environment", [f"CELERY_BROKER_URL: is set, and {error.name} is not installed. Run: {hint}"]
        ) from None
    app = Celery("service_event_checker", broker=url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_pool="threads",  # jobs wait for the network
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=10,
        worker_enable_remote_control=True,  # Flower asks through it
        worker_send_task_events=False,  # Flower switches them on
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "max_retries": 0,  # of a sender, which goes on without Redis; a worker has its own retries
        },
    )
    return app


class Broker:
    """Hands jobs to Celery workers; safe to call from several threads, and built before a fork."""

    def __init__(self, url: str) -> None:
        self.app = make_app(url)
        self._url = url
        self._away_until = 0.0
        self._away = False
        self._telling = threading.Lock()

    def send(self, name: str, id: str) -> bool:
        """Have a worker run a job; False while Redis is away: then the caller does it."""
        if time.monotonic() < self._away_until:
            return False
        try:
            self.app.send_task(TASK, (name, id), expires=EXPIRES, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001  # Celery, kombu, redis and the system have a type each
            self._away_until = time.monotonic() + AWAY_SECONDS
            if self._is_news(away=True):
                hint = "jobs run in this process until it is back"
                log.error("redis_unavailable", reason=_reason(error), hint=hint)  # noqa: TRY400  # a state, not a crash
            return False
        if self._away and self._is_news(away=False):
            log.info("redis_available")
        return True

    def _is_news(self, *, away: bool) -> bool:
        """Note whether Redis is away, and say whether that is told for the first time, by one thread."""
        with self._telling:
            before, self._away = self._away, away
        return before is not away

    def trouble(self) -> str:
        """Return why Redis cannot be used, "" if it answers now."""
        from redis import Redis
        from redis.exceptions import RedisError

        try:
            with Redis.from_url(
                self._url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS
            ) as client:
                client.ping()
        except (RedisError, OSError, ValueError) as error:
            return f"Redis does not answer ({_reason(error)})"
        return ""


def _reason(error: BaseException) -> str:
    """Say what went wrong in a word: the texts of the libraries may hold the address with its password."""
    cause: Any = error.__cause__ or error.__context__ or error
    return type(cause).__name__
