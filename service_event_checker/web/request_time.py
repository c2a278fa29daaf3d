"""Measures how long requests that change something take, alerts and webhooks above all, by endpoint and status."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from service_event_checker.metrics import REQUEST_SECONDS

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    """Measure from before anything else is done; so this is to be installed first."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.begun = time.perf_counter()


def _end(response: Response) -> Response:
    if request.endpoint and request.method not in _READING and "begun" in g:
        seconds = time.perf_counter() - g.begun
        REQUEST_SECONDS.labels(request.endpoint, str(response.status_code)).observe(seconds)
    return response
