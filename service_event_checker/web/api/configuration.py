"""POST /api/v1/config/reload: has all processes work with the configuration file as it is now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, request

from service_event_checker.config.load import ConfigError
from service_event_checker.web.context import reloader
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body

blueprint = Blueprint("configuration", __name__, url_prefix="/api/v1/config")


@blueprint.post("/reload")
def reload() -> dict[str, Any]:
    """Read the file again; a wrong one is refused (422) with each problem, and nothing changes.

    The process that answers works with it at once, the others within seconds. The environment is read at start only.
    """
    if json_body(request) != {}:
        raise invalid("body", "has keys. Send {}")
    try:
        found = reloader().reload()
    except ConfigError as error:
        details = {"file": error.file, "problems": error.problems, "warnings": error.warnings}
        raise Refused(422, f"{error}", details=details) from None
    return {
        "file": found.file,
        "checksum": found.checksum,
        **{name: list(names) for name, names in asdict(found.changes).items()},
        "warnings": list(found.warnings),
    }
