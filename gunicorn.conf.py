"""How Gunicorn serves the app; found by itself in the working directory, as on Azure App Service.

Everything here has a reason that is written beside it. Flags on the command line win over this file.
"""

import ctypes
import errno
import gc
import ipaddress
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import structlog
from dotenv import dotenv_values
from gunicorn.glogging import Logger
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

ROOT = Path(__file__).parent
sys.path.append(str(ROOT))  # for a start from another folder

from service_event_checker import logs  # noqa: E402  # only now it is found
from service_event_checker.config.load import ConfigError  # noqa: E402
from service_event_checker.config.settings import Settings  # noqa: E402

HALTS = 3  # Gunicorn's exit code for what no restart can repair
BIND_TRIES = 5  # seconds; a process that is being stopped still holds its port


def _refuse() -> NoReturn:
    """Print every mistake, also those of config.json, and exit."""
    from service_event_checker import wiring  # slow to import, and the app's own part otherwise

    try:
        wiring.examine({name: value or "" for name, value in _environment.items()})
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
    sys.exit(HALTS)


# The app reads .env too, but later: the port is asked first. The real environment wins.
_environment = {**dotenv_values(ROOT / ".env"), **os.environ}
try:
    _settings = Settings.read({name: value or "" for name, value in _environment.items()})
except ConfigError:
    _refuse()

bind = f"0.0.0.0:{_settings.port}"

# One worker: polls, outbox and page share its memory and its SQLite file, which is enough for one machine. More are
# safe (each poll and delivery is leased in the store), they only cost memory.
workers = _settings.processes

# Requests wait for the store and for Slack, not for the processor: threads serve them. So many, because each of them
# may wait 5 seconds for a store that hangs, while Slack stops waiting after 3 and a probe must not wait at all.
threads = 32

# Gunicorn waits for a request, and for the client to take the answer, as long as that likes: so many half requests as
# there are threads would be the end of the service, and it takes no token to send them.
FIRST_BYTE_SECONDS = 10  # for a connection on which nothing has been sent
READ_SECONDS = 10  # for a request as a whole; who sends 8 MiB of alerts in one is near
TAKE_SECONDS = 10  # for a client that takes nothing of its answer
ANSWER_SECONDS = 120  # until the whole answer has been taken

ACCEPTED_AT_ONCE = 64
GARBAGE_AFTER = 20_000  # objects until Python looks for rings of them; a message of 100 alerts makes more than its 700


def _open_files(wanted: int) -> int:
    """Return how many files this process may open: as many as wanted, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return wanted if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


# glibc gives every thread a heap of its own, none of which shrinks: two for all need a quarter less memory after a
# storm of alerts. One processor's work at a time needs no more.
MALLOC_ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h
with suppress(OSError, AttributeError):  # other C libraries have no such setting
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, MALLOC_ARENAS)

# Beyond so many connections the one that has been idle longest is closed. The other files: store, log, outgoing calls.
worker_connections = max(2 * threads, min(2000, _open_files(4096) - 256))


class Worker(ThreadWorker):
    """Gunicorn's threads, none of which a slow client keeps, nor the loop that gives them their work."""

    def init_process(self) -> None:
        self._served: dict[Any, float] = {}  # connections that have a thread, since when
        self._fresh: dict[Any, float] = {}  # connections that have sent nothing yet, the oldest first
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Leave a new connection to the poller until it is readable; Gunicorn would have a thread wait for it."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, address = listener.accept()
            except OSError as problem:
                if problem.errno in (errno.EMFILE, errno.ENFILE):
                    self._drop_oldest_fresh()
                elif problem.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                    raise
                return
            self.nr_conns += 1
            conn = TConn(self.cfg, client, address, listener.getsockname())
            self._fresh[conn] = time.monotonic()
            self.poller.register(client, selectors.EVENT_READ, partial(self._on_first_byte, conn))
            if self.nr_conns >= self.worker_connections:
                self._drop_oldest_fresh()

    def _on_first_byte(self, conn: Any, client: Any) -> None:
        if self._fresh.pop(conn, None) is None:
            return  # it was dropped in this round of the loop
        self.poller.unregister(client)
        conn.data_ready = True
        self.enqueue_req(conn)

    def _drop_oldest_fresh(self) -> None:
        conn = next(iter(self._fresh), None)
        if conn is not None:
            del self._fresh[conn]
            self.poller.unregister(conn.sock)
            self.nr_conns -= 1
            conn.close()

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
        while self._fresh and (not self.alive or now - next(iter(self._fresh.values())) > FIRST_BYTE_SECONDS):
            self._drop_oldest_fresh()
        for conn, since in list(self._served.items()):
            if now - since > READ_SECONDS:
                how = socket.SHUT_RDWR if now - since > ANSWER_SECONDS else socket.SHUT_RD
                with suppress(OSError):
                    conn.sock.shutdown(how)


worker_class = Worker

# Built before anything listens, so that a wrong configuration is the last thing printed. Building starts no thread and
# opens no connection; both would not survive the fork.
preload_app = True

# A worker that does not answer the master for so long is killed; with threads only a stuck process can be.
timeout = 120

# A stop ends within 5 seconds, the way out included: what is in flight then is safe in the store, and goes on at the
# next start.
graceful_timeout = 3

# Gunicorn 27 opens a socket for gunicornc under the home directory by default. Nobody asked for one.
control_socket_disable = True

# Which path a request has is said by its request line alone. Gunicorn takes SCRIPT_NAME from a loopback peer by
# default, with which a client behind a proxy would pass by the proxy's filters.
forwarder_headers = ""

# Requests are counted in /metrics, and what they change is logged; a line for each probe would hide that.
accesslog = None

_LEVEL = _environment.get("LOG_LEVEL") or "INFO"
loglevel = "info" if _LEVEL.upper() == "DEBUG" else _LEVEL  # Gunicorn's DEBUG is about Gunicorn

log = structlog.get_logger()


class Log(Logger):
    """Has Gunicorn's own lines written as all others are: one format, secrets masked."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.set_up(level=_LEVEL, form=_environment.get("LOG_FORMAT") or "console")
        if cfg.errorlog == "-":
            self.error_log.handlers.clear()
            self.error_log.propagate = True


logger_class = Log


def on_starting(server: Any) -> None:
    """Say in one line when the port cannot be had; and let a SIGHUP reload the configuration, and nothing else."""
    from service_event_checker.reload import Board  # slow to import; the app that is loaded by now has done it

    reloader = getattr(server.app.wsgi(), "extensions", {}).get("reloader")
    if reloader is not None:
        reloader.board = Board()  # before the first fork: all workers read it
        server.handle_hup = partial(_reload, reloader)
    if not {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():  # sockets that are given to us are open already
        for address in server.cfg.address:
            if isinstance(address, tuple):
                _demand_free(address)


def when_ready(server: Any) -> None:
    """Warn of a service that listens to the network and tells local callers from others by their address alone."""
    gc.collect()
    gc.freeze()  # what is loaded stays: a full collection would look at all of it, while every request waits
    gc.set_threshold(GARBAGE_AFTER)
    exposed = [str(listener) for listener in server.LISTENERS if not _is_loopback(listener.getsockname())]
    if exposed and not _settings.api_tokens:
        hint = "behind a plain TCP forward every caller looks local and may read and write. Set API_TOKENS"
        log.warning("api_tokens_not_set", listening=", ".join(exposed), hint=hint)


def _demand_free(address: tuple[str, int]) -> None:
    """Exit unless the address can be bound; wait some seconds for a process that is being stopped."""
    for _ in range(BIND_TRIES):
        problem = _bind_problem(address)
        if problem is None:
            return
        if problem.errno != errno.EADDRINUSE:
            break
        time.sleep(1)
    hint = "set PORT to another number, like PORT=8001, or stop the program that uses it"
    log.error("port_unavailable", port=address[1], reason=os.strerror(problem.errno or 0).lower(), hint=hint)
    sys.exit(HALTS)


def _bind_problem(address: tuple[str, int]) -> OSError | None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as problem:
            return problem
    return None


def _is_loopback(address: Any) -> bool:
    """Whether only this machine reaches an address; a Unix socket's is a path."""
    return not isinstance(address, tuple) or ipaddress.ip_address(address[0].partition("%")[0]).is_loopback


def _reload(reloader: Any) -> None:
    """Take the configuration anew, here for workers that start later, and have those that run take it."""
    try:
        reloader.reload_for_workers()
    except Exception:
        log.exception("config_reload_failed")  # a master that ends here would take all workers with it


def post_worker_init(worker: Any) -> None:
    """Start polling and delivering: importing the app starts nothing, so that tests and tools may import it."""
    # Ctrl-C reaches master and workers alike, and the master then sends the workers a SIGQUIT. Obeying both, the second
    # breaks off what the first began: worker_exit is not reached, or a lock is waited for that nobody gives back.
    # A function, not SIG_IGN: that would be passed on to the programs that the app starts.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: None)  # of a terminal that closes: the master says what is to be done
    engine = worker.app.callable.extensions["engine"]
    address = worker.sockets[0].getsockname()
    if isinstance(address, tuple):
        engine.port = address[1]  # as it is: flags on the command line win
    engine.start()  # prepares the store: whoever connects meanwhile waits, and gets no error


def worker_exit(server: Any, worker: Any) -> None:
    """Stop on every way out but kill -9: SIGTERM, Ctrl-C and SIGQUIT end here.

    Not in `worker_int`: that one runs inside the signal, where a lock that stop() needs may be held already.
    """
    app = worker.app.callable
    if app is not None:  # None when the app itself could not be loaded
        app.extensions["engine"].stop()
