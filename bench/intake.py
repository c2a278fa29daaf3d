"""Taking in: alerts a second, CPU and latency at 1, 10 and 100 alerts a message, all servers in turn in each round.

Noise of the machine so meets all alike, and a ratio is made of figures of one round. Each turn starts with a new store.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench import load
from bench.servers import Measured
from bench.terminal import say
from bench.variants import ALERTA, POSTGRESQL_2, SQLITE_1, SQLITE_2, STORED, World

SIZES = (1, 10, 100)
#: neighbours are compared with each other
VARIANTS = (
    SQLITE_1.bare,
    SQLITE_1,
    replace(SQLITE_1, stored=STORED),
    replace(SQLITE_1, receiver="slack"),
    replace(SQLITE_1, receiver="console"),
    SQLITE_2.bare,
    SQLITE_2,
    replace(SQLITE_2, receiver="slack"),
    POSTGRESQL_2.bare,
    POSTGRESQL_2,
    replace(POSTGRESQL_2, stored=STORED),
    replace(POSTGRESQL_2, receiver="slack"),
    ALERTA,
)
QUIET = 0.1  # of one processor: less than that, and what it had begun is done
LOOK_SECONDS = 0.2
SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One server in one round: alerts a second, milliseconds of CPU per alert, latency of a message in milliseconds.

    `refused`: messages that were answered with an error, like 503.
    """

    rate: float
    cpu: float
    p50: float | None
    p99: float | None
    refused: int


def run(world: World, seconds: float, rounds: int) -> dict[str, Any]:
    """Return `samples`: by variant and size the samples of all rounds, and `starts`: seconds until ready."""
    samples: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    starts: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for variant in world.here(VARIANTS):
            with world.running(variant) as (server, took):
                starts[variant.name].append(took)
                settle(server)  # a second worker may be starting still
                load.send(server.url + server.intake, alerts=1, seconds=1)  # caches, pools, first connections
                for size in SIZES:
                    sample = measure(server, size, seconds)
                    samples[variant.name][str(size)].append(asdict(sample))
                    say(f"round {number + 1}: {variant.name}, {size} a message: {sample.rate:,.0f} alerts/s")
    return {"samples": samples, "starts": starts, "missing": world.missing}


def measure(server: Measured, size: int, seconds: float) -> Sample:
    settle(server)
    cpu, count = server.cpu(), server.count()
    done = load.send(server.url + server.intake, alerts=size, seconds=seconds)
    cpu, after = server.cpu() - cpu, server.count()
    # Where a message takes as long as a round, those that were answered say too little: what is stored counts.
    taken = done.taken * size if count is None or after is None else after - count
    each = cpu / max(taken, 1) * 1000
    return Sample(rate=taken / done.seconds, cpu=each, p50=done.p50, p99=done.p99, refused=done.refused)


def settle(server: Measured) -> None:
    """Wait until it has ended what it had begun when the last load ended."""
    until = time.monotonic() + SETTLE_SECONDS
    used = server.cpu()
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        before, used = used, server.cpu()
        if used - before <= LOOK_SECONDS * QUIET:
            return
