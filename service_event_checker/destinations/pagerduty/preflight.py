"""What to correct at PagerDuty before it is needed: the service, the automation user, the webhook."""

from __future__ import annotations

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.pagerduty.client import Incidents
from service_event_checker.destinations.pagerduty.own_user import OwnUser, found_id


def at_service(incidents: Incidents, service_id: str) -> list[str]:
    """Say whether anybody is paged at all. Raises DeliveryError."""
    try:
        status = incidents.service().status
    except DeliveryError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return [f"PAGERDUTY_SERVICE_ID: there is no service {service_id}; nobody can be paged"]
    if status in ("disabled", "maintenance"):
        return [f"the service {service_id} is in status {status}: nobody is paged; enable it"]
    return []


def of_user(incidents: Incidents, user: OwnUser, sender: str) -> list[str]:
    """Say whether the automation user is known, and may write. Raises DeliveryError."""
    found = []
    if not user.look_up():
        how = "set PAGERDUTY_USER to the id (P…) of the automation user"
        found.append(f"PAGERDUTY_USER: not exactly one user is called {user.named}; {how}")
    id = found_id(sender, incidents.users(sender))
    if not id:
        found.append(f"PAGERDUTY_EMAIL: no user has the e-mail {sender}; PagerDuty will refuse what we write")
    elif user.id and id != user.id:
        found.append("PAGERDUTY_EMAIL and PAGERDUTY_USER are two users; what the first one does is carried back")
    return found


def of_webhook(incidents: Incidents, paths: tuple[str, ...], *, signed: bool) -> list[str]:
    """Say whether a subscription tells us what people do there. Raises DeliveryError."""
    proof = "until then a token (WEBHOOK_TOKEN_PAGERDUTY) must prove that a webhook comes from PagerDuty"
    found = [] if signed else [f"PAGERDUTY_WEBHOOK_SECRET is not set: {proof}"]
    try:
        methods = [each.delivery_method for each in incidents.subscriptions()]
    except DeliveryError as error:
        if error.reason in (Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.NOT_FOUND):
            return found  # a key need not be able to see them
        raise
    ours = [each for each in methods if each.url.rstrip("/").endswith(paths)]
    if not ours:
        found.append(f"no webhook subscription sends to {paths[0]}: what people do in PagerDuty is seen late")
    if any(each.temporarily_disabled for each in ours):
        found.append("PagerDuty has disabled the webhook subscription for a while: enable it again")
    return found
