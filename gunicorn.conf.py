"""How Gunicorn serves the app; found by itself in the working directory, as on Azure App Service.

Everything here has a reason that is written beside it. Flags on the command line win over this file.
"""

import os
import signal
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import ThreadWorker

# The app reads .env too, but only in the workers: the port is asked before there is one. The real environment wins.
_settings = {**dotenv_values(Path(__file__).with_name(".env")), **os.environ}

bind = f"0.0.0.0:{_settings.get('PORT') or '8000'}"

# One worker: polls, outbox and page share its memory and its SQLite file, which is enough for one machine. More are
# safe (each poll and delivery is leased in the store), they only cost memory.
workers = int(_settings.get("WEB_CONCURRENCY") or "1")

# Requests wait for the store and for Slack, not for the processor: threads serve them. So many, because each of them
# may wait 5 seconds for a store that hangs, while Slack gives up after 3 and a probe must not wait at all.
threads = 32

# Gunicorn waits for a request, and for the client to take the answer, as long as that likes: so many half requests as
# there are threads would be the end of the service, and it takes no token to send them.
READ_SECONDS = 10  # for a request as a whole; who sends 8 MiB of alerts in one is near
TAKE_SECONDS = 10  # for a client that takes nothing of its answer
ANSWER_SECONDS = 120  # until the whole answer has been taken


class Worker(ThreadWorker):
    """Gunicorn's threads, none of which a slow client keeps, nor the loop that gives them their work."""

    def init_process(self) -> None:
        self._served: dict[Any, float] = {}  # connections that have a thread, since when
        super().init_process()

    def handle(self, conn: Any) -> Any:
        self._served[conn] = time.monotonic()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", TAKE_SECONDS, 0))
        try:
            keep = super().handle(conn)
            if not keep:
                close_graceful(conn.sock, timeout=1.0)  # waits for the client; Gunicorn would do it in its loop
            return keep
        finally:
            del self._served[conn]

    def murder_pending(self) -> None:
        """Called by Gunicorn about once a second. Who reads from a socket that is shut down gets its end."""
        super().murder_pending()
        now = time.monotonic()
        for conn, since in list(self._served.items()):
            if now - since > READ_SECONDS:
                how = socket.SHUT_RDWR if now - since > ANSWER_SECONDS else socket.SHUT_RD
                with suppress(OSError):
                    conn.sock.shutdown(how)


worker_class = Worker

# Never preloaded: the engine's threads and the store's connections would not survive the fork.
preload_app = False

# A worker that does not answer the master for so long is killed; with threads only a stuck process can be.
timeout = 120

# A stop ends within 5 seconds, the way out included: what is in flight then is safe in the store, and goes on at the
# next start.
graceful_timeout = 3

# Gunicorn 27 opens a socket for gunicornc under the home directory by default. Nobody asked for one.
control_socket_disable = True

# Requests are counted in /metrics, and what they change is logged; a line for each probe would hide that.
accesslog = None


def post_worker_init(worker: Any) -> None:
    """Start polling and delivering: importing the app starts nothing, so that tests and tools may import it."""
    # Ctrl-C reaches master and workers alike, and the master then sends the workers a SIGQUIT. Obeying both, the second
    # breaks off what the first began: worker_exit is not reached, or a lock is waited for that nobody gives back.
    # A function, not SIG_IGN: that would be passed on to the programs that the app starts.
    signal.signal(signal.SIGINT, lambda *_: None)
    worker.app.callable.extensions["engine"].start()


def worker_exit(server: Any, worker: Any) -> None:
    """Stop on every way out but kill -9: SIGTERM, Ctrl-C and SIGQUIT end here.

    Not in `worker_int`: that one runs inside the signal, where a lock that stop() needs may be held already.
    """
    app = worker.app.callable
    if app is not None:  # None when the app itself could not be loaded
        app.extensions["engine"].stop()
