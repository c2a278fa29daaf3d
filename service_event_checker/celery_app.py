"""The jobs on Celery: `celery -A service_event_checker.celery_app worker` (or `beat`).

There is one task, of a job's name and an id. Importing this starts nothing. A worker holds an engine as the web process
does: it ticks slowly, and runs the jobs itself while Redis is away.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning
from dotenv import load_dotenv

from service_event_checker import logs, wiring
from service_event_checker.broker import EXPIRES, TASK, Broker
from service_event_checker.config.load import ConfigError
from service_event_checker.engine import jobs
from service_event_checker.engine.schedule import Engine
from service_event_checker.reload import Reloader

HALTS = 3  # exit code for what no restart can repair, as Gunicorn's
POOLS = ("thread", "solo")  # modules of celery.concurrency
QUIET = ("celery.app.trace", "celery.worker.strategy", "celery.beat")


def set_up_logs(**_: Any) -> None:
    """Write logs as the web process does; a line for each task would hide what changes."""
    logs.set_up(level=os.environ.get("LOG_LEVEL", "INFO"), form=os.environ.get("LOG_FORMAT", "console"))
    # Celery announces at each lost connection that its default for running tasks may change.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def build() -> tuple[Broker, Engine, Reloader]:
    """Return the broker, this process' engine, and what reloads its configuration. Raises ConfigError."""
    settings, config = wiring.examine(os.environ)
    if not settings.broker_url:
        raise ConfigError(
            "environment", ["CELERY_BROKER_URL: is not set. Set it like CELERY_BROKER_URL=redis://localhost:6379/0"]
        )
    broker = Broker(settings.broker_url)
    engine = Engine(wiring.build(settings, config), broker=broker)
    reloader = Reloader(engine, os.environ)
    engine.follow = reloader.follow
    return broker, engine, reloader


load_dotenv(Path(__file__).parent.parent / ".env")
set_up_logs()
try:
    broker, engine, reloader = build()
except ConfigError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(HALTS)

app = broker.app
app.conf.worker_concurrency = engine.most_at_once
app.conf.beat_scheduler = "celery.beat:Scheduler"  # keeps nothing on disk
app.conf.beat_schedule = {
    name: {"task": TASK, "args": (name, ""), "schedule": every, "options": {"expires": EXPIRES}}
    for name, every in jobs.periodic(engine.services).items()
    if not jobs.JOBS[name].receiving
}


def run(name: str, id: str = "") -> None:
    """Run a job if it is known here: during an update an older process may get a newer one's."""
    if name in jobs.JOBS:
        engine.run(name, id)


def demand_threads(instance: Any, **_: Any) -> None:
    """Stop where the tasks would run in other processes than the engine."""
    pool = instance.pool_cls.__module__.rpartition(".")[2]
    if pool not in POOLS:
        sys.stderr.write(f"The pool {pool} is not supported: jobs run in threads. Leave out -P and --pool\n")
        sys.exit(HALTS)


def start(**_: Any) -> None:
    signal.signal(signal.SIGHUP, reloader.ask)  # Celery's own would start anew, and end with a wrong file
    engine.port, engine.receives = 0, False  # it listens nowhere
    engine.start()


def stop(**_: Any) -> None:
    """Begin nothing new. In a thread: a signal may have come while this one held a lock that stop() needs."""
    threading.Thread(target=engine.stop).start()


app.task(name=TASK, ignore_result=True)(run)
signals.setup_logging.connect(set_up_logs)
signals.celeryd_after_setup.connect(demand_threads)
signals.worker_ready.connect(start)
signals.worker_shutting_down.connect(stop)
