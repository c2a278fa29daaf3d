"""/openapi.json, /docs (Swagger UI) and /redoc: all files are served from here, none from elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, render_template, send_from_directory, url_for

from service_event_checker.web.apidocs.document import document
from service_event_checker.web.errors import Refused

KEPT_SECONDS = 86_400  # by browsers
REDOC = "redoc.standalone.js"
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"  # the only address that it would load by itself
#: a file's name -> (the package that has it, its path inside); the packages are located, never imported
FILES = {
    "swagger-ui.css": ("flask_openapi3_swagger", "templates/swagger/css/swagger-ui.css"),
    "swagger-ui-bundle.js": ("flask_openapi3_swagger", "templates/swagger/js/swagger-ui-bundle.js"),
    REDOC: ("flask_openapi3_redoc", "templates/redoc/js/redoc.standalone.js"),
}

blueprint = Blueprint("apidocs", __name__)


@blueprint.get("/openapi.json")
def openapi() -> dict[str, Any]:
    found: dict[str, Any] | None = current_app.extensions.get("openapi")
    if found is None:
        found = document(current_app._get_current_object(), current_app.extensions["needs"])  # type: ignore[attr-defined]
        current_app.extensions["openapi"] = found
    return found


@blueprint.get("/docs")
def swagger() -> str:
    return render_template("swagger.html")


@blueprint.get("/redoc")
def redoc() -> str:
    return render_template("redoc.html")


@blueprint.get("/docs/files/<name>")
def file(name: str) -> Response:
    package, path = FILES.get(name, ("", ""))
    found = find_spec(package) if package else None
    if found is None or found.origin is None:
        raise Refused(404, "There is no such file. Its package may not be installed: pip install -r requirements.txt.")
    place = Path(found.origin).parent / path
    if name != REDOC:
        return send_from_directory(place.parent, place.name, max_age=KEPT_SECONDS)
    own = url_for("static", filename="icon.svg").encode()
    answer = Response(place.read_bytes().replace(_LOGO, own), mimetype="text/javascript")
    answer.cache_control.max_age = KEPT_SECONDS
    return answer
