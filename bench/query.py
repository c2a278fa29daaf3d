"""Asking: CPU of one page of 50 open alerts out of 50,000, from the product and from Alerta, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from bench import load
from bench.servers import Measured
from bench.terminal import say
from bench.variants import ALERTA, POSTGRESQL_2, SQLITE_1, STORED, World

VARIANTS = tuple(replace(one, stored=STORED) for one in (SQLITE_1, POSTGRESQL_2, ALERTA))
PAGE = 50


def run(world: World, seconds: float, rounds: int) -> dict[str, Any]:
    """Return `samples`: by variant, of each round, the milliseconds of CPU of a call and its median latency."""
    samples: dict[str, list[Any]] = defaultdict(list)
    with _all(world) as servers:
        for name, server in servers.items():
            if len(load.ask(server.url + server.query)["alerts"]) != PAGE:
                raise SystemExit(f"{name} does not answer with {PAGE} alerts")
            load.send(server.url + server.query, alerts=0, seconds=1, connections=1)
        for number in range(rounds):
            for name, server in servers.items():
                sample = measure(server, seconds)
                samples[name].append(sample)
                say(f"round {number + 1}: {name}, a page of open alerts: {sample['cpu']:.1f} ms of CPU")
    return {"samples": samples, "missing": world.missing}


def measure(server: Measured, seconds: float) -> dict[str, Any]:
    """Ask one call after the other."""
    cpu = server.cpu()
    done = load.send(server.url + server.query, alerts=0, seconds=seconds, connections=1)
    return {"cpu": (server.cpu() - cpu) / max(done.taken, 1) * 1000, "p50": done.p50}


@contextmanager
def _all(world: World) -> Iterator[dict[str, Measured]]:
    with ExitStack() as stack:
        yield {one.name: stack.enter_context(world.running(one))[0] for one in world.here(VARIANTS)}
