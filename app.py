"""The entry point: `gunicorn app:app`, `python app.py`, `flask --app app …`. Importing it starts nothing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from dotenv import load_dotenv

from service_event_checker import logs
from service_event_checker.config.load import ConfigError
from service_event_checker.web import create_app

GUNICORN_HALTS = 3  # its exit code for a worker that can never boot; any other makes it try for ever

load_dotenv(Path(__file__).parent / ".env")  # no other: gunicorn.conf.py and ./outage read this one
logs.set_up(level=os.environ.get("LOG_LEVEL", "INFO"), form=os.environ.get("LOG_FORMAT", "console"))
try:
    app = create_app(os.environ)
except ConfigError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(GUNICORN_HALTS)

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, app.extensions["reloader"].ask)
    app.extensions["engine"].start()
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT") or 8000), threaded=True, use_reloader=False)
