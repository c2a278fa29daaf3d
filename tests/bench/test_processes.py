"""CPU and memory of a server are those of all its processes, also of those that have ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.processes import cpu_seconds, pss_bytes

SPEND = "import time\nwhile time.process_time() < 0.4: pass"
WAIT = f"{SPEND}\nprint('ready', flush=True)\ninput()"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {SPEND!r}])
living = subprocess.Popen([sys.executable, "-c", {WAIT!r}])
living.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_count_while_they_live_and_after_their_end() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        used, held = cpu_seconds(parent.pid), pss_bytes(parent.pid)
        parent.kill()

    assert 0.7 <= used < 2.0  # 0.4 s each; the kernel counts in whole ticks
    assert held > 1 << 20
    assert cpu_seconds(parent.pid) == 0.0
