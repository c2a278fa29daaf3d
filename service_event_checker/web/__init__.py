"""The Flask app: one blueprint per resource, thin views, one place for errors and access rules."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from service_event_checker import cli, wiring
from service_event_checker.tasks import Engine


def create_app(environ: Mapping[str, str]) -> Flask:
    """Build the app from the environment. Starts nothing. Raises ConfigError."""
    services = wiring.build(environ)
    app = Flask(__name__)
    app.extensions["services"] = services
    app.extensions["engine"] = Engine(services)
    cli.register(app, services)

    @app.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "ok"}

    return app
