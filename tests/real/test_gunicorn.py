"""Our Gunicorn settings start and stop the engine in the worker; the app here only writes down what is done to it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.real.server import Server
from tests.root import ROOT

SETTINGS = ROOT / "gunicorn.conf.py"
APP = """
import os, threading
from flask import Flask

class Engine:
    def start(self): write(f"started in {os.getpid()}")
    def stop(self): write(f"stopped in {os.getpid()}")

def write(line):
    with open("diary", "a") as diary:
        diary.write(line + "\\n")

write("imported")
app = Flask(__name__)
app.extensions["engine"] = Engine()
app.add_url_rule("/livez", view_func=lambda: str(os.getpid()), endpoint="livez")
app.add_url_rule("/hang", view_func=lambda: threading.Event().wait(60) or "", endpoint="hang")
"""


class Gunicorn(Server):
    #: more options; a worker that has no time left is killed and writes nothing, so some tests give it more
    options: tuple[str, ...] = ()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "gunicorn", "-c", str(SETTINGS), *self.options, "app:app"]

    def environment(self) -> dict[str, str]:
        home = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}
        return {**os.environ, **home, "PORT": str(self.port), "WEB_CONCURRENCY": "1"}

    def diary(self) -> list[str]:
        return (self.folder / "diary").read_text().splitlines()


@pytest.fixture
def options() -> tuple[str, ...]:
    return ()


@pytest.fixture
def gunicorn(tmp_path: Path, options: tuple[str, ...]) -> Iterator[Gunicorn]:
    (tmp_path / "app.py").write_text(APP)
    server = Gunicorn(tmp_path)
    server.options = options
    server.start()
    yield server
    server.stop()


def worker_of(server: Gunicorn) -> str:
    with urlopen(f"http://127.0.0.1:{server.port}/livez", timeout=60) as answer:  # noqa: S310 - our own loopback address
        return str(answer.read().decode())


@pytest.mark.parametrize("options", [("--graceful-timeout", "15")], ids=["patient"])
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_the_engine_lives_in_the_worker_from_its_start_to_its_end(gunicorn: Gunicorn, by: signal.Signals) -> None:
    worker = worker_of(gunicorn)

    gunicorn.stop(by)

    assert gunicorn.diary() == ["imported", f"started in {worker}", f"stopped in {worker}"]


def test_it_opens_no_control_socket(gunicorn: Gunicorn) -> None:
    worker_of(gunicorn)

    gunicorn.stop()

    assert "control socket" not in gunicorn.log.read_text().lower()


def test_a_stop_does_not_wait_for_a_request_that_hangs(gunicorn: Gunicorn) -> None:
    with pytest.raises(TimeoutError):
        # So long that it has its thread: Gunicorn's quick stop waits in vain for one that is being started just then.
        urlopen(f"http://127.0.0.1:{gunicorn.port}/hang", timeout=2)  # noqa: S310 - our own loopback address

    gunicorn.stop()

    assert not gunicorn.forced
    assert gunicorn.diary()[-1].startswith("stopped")
