"""The headers that keep browsers from doing more with our answers than show them."""

from __future__ import annotations

from flask import Flask, Response, request

# https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
# Swagger UI and ReDoc write styles into the page, and draw with data: images; ReDoc searches in a worker of its own.
_STYLES = f"{_POLICY}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
_LOOSER = {"apidocs.swagger": _STYLES, "apidocs.redoc": f"{_STYLES}; worker-src blob:"}
_KEPT = frozenset({"static", "apidocs.file"})  # files without news, which a browser may keep
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install(app: Flask) -> None:
    app.after_request(_add)


def _add(answer: Response) -> Response:
    endpoint, headers = request.endpoint, answer.headers
    for name, value in _ALWAYS.items():
        headers.add(name, value)  # no view sets one of these
    if endpoint in _LOOSER:
        headers["Content-Security-Policy"] = _LOOSER[endpoint]
    if endpoint not in _KEPT:
        headers["Cache-Control"] = "no-store"
    return answer
