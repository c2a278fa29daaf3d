"""What an address and a key of Opsgenie or JSM cannot do, and what to correct."""

from __future__ import annotations

from collections.abc import Iterator

from service_event_checker.core.errors import DeliveryError
from service_event_checker.destinations.opsgenie.client import DIALECTS, OpsAlerts
from service_event_checker.destinations.opsgenie.config import Config
from service_event_checker.remote.marks import TAG

_WRITE_ONLY = (
    "JSM's integration API can neither take back an acknowledgement nor be asked what it holds: it is left out of "
    "every reconciliation, a rise in severity is told in a note only, and a note may appear twice after a time-out. "
    "For these use its REST API (api: jsm)"
)


def warnings(config: Config, alerts: OpsAlerts) -> Iterator[str]:
    """Yield the warnings; makes one call where alerts can be read."""
    if not DIALECTS[config.spoken].readable:
        yield _WRITE_ONLY
    else:
        try:
            alerts.search(f'status: open AND tag: "{TAG}"')
        except DeliveryError as error:
            yield f"alerts cannot be read: {error}"
    if config.spoken == "jsm" and not config.responders:
        yield "no responders are set: alerts made through JSM's REST API call nobody by themselves"
    if not config.integration_id:
        yield "OPSGENIE_INTEGRATION_ID is not set: webhooks of any integration are taken"
