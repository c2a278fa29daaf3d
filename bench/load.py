"""The load: wrk with 8 connections, each of which sends its next request as soon as the last is answered."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench.message import alert

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 8
TIMEOUT = 30  # seconds for one answer
TRIES = 20
AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """`taken` requests were answered well in `seconds`, `refused` not, as 503 does.

    `p50` and `p99` are milliseconds, None where nothing was answered.
    """

    taken: int
    refused: int
    seconds: float
    p50: float | None
    p99: float | None


class NotTaken(Exception):
    """Requests were broken off, or most were refused: what was measured says nothing."""


def program() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is missing: apt install wrk (or brew install wrk)")
    return found


def send(url: str, *, alerts: int, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Post messages of so many distinct alerts, or GET where `alerts` is 0. Raises NotTaken."""
    # wrk takes whole seconds.
    options = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT}s", "-s", str(SCRIPT))
    command = (program(), *options, url, "--", str(alerts), secrets.token_hex(4))
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return parsed(output.splitlines()[-1])


def send_exactly(url: str, *, messages: int, alerts: int) -> int:
    """Post so many messages, each again after a 503, as Alertmanager does; return how many 503 came.

    Raises HTTPError for any other refusal, and when one message is refused too often.
    """
    now = datetime.now(UTC)

    def post(number: int) -> int:
        sent = [alert(f"{number * alerts + place:016x}", now) for place in range(alerts)]
        body = json.dumps({"version": "4", "status": "firing", "alerts": sent}).encode()
        return _posted(Request(url, body, {"Content-Type": "application/json"}))  # noqa: S310  # loopback

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(post, range(messages)))


def ask(url: str) -> Any:
    """Return the JSON that a GET is answered with. Raises HTTPError."""
    with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def _posted(request: Request) -> int:
    for refused in range(TRIES):
        try:
            urlopen(request, timeout=TIMEOUT).close()  # noqa: S310  # loopback
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or refused == TRIES - 1:
                raise
            time.sleep(AGAIN_SECONDS)
        else:
            break
    return refused


def parsed(line: str) -> Load:
    found = json.loads(line)
    if found["refused"] * 2 > found["requests"] or found["broken"] or found["late"]:
        raise NotTaken("{refused} refused, {broken} broken off, {late} unanswered of {requests}".format(**found))
    known = found["requests"] > 0
    return Load(
        taken=found["requests"] - found["refused"],
        refused=found["refused"],
        seconds=found["micros"] / 1e6,
        p50=found["p50"] / 1e3 if known else None,
        p99=found["p99"] / 1e3 if known else None,
    )
