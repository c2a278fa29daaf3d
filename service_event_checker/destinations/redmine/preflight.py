"""What a person should correct in Redmine or in our settings, asked for once at start: Redmine itself keeps silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.config import Config
from service_event_checker.destinations.redmine.keys import Keyed


def advice(issues: Issues, keyed: Keyed, config: Config) -> list[str]:
    """Ask Redmine and return a sentence for each thing that is not as configured. Raises DeliveryError."""
    issues.me()
    try:
        trackers = issues.project_trackers(config.project)
    except DeliveryError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return [f"Redmine shows no project {config.project}: write its identifier, and make the key's user a member"]
    found = [*_of_tracker(trackers, config), *_of_statuses(issues, config), *_of_priorities(issues, config)]
    return [*found, *_of_field(keyed, config)] if config.tracker_id in trackers else found


def _of_tracker(trackers: Mapping[int, str], config: Config) -> Iterator[str]:
    if config.tracker_id not in trackers:
        yield (
            f"Redmine's project {config.project} has no tracker {config.tracker_id}: issues get its first one."
            f" Set REDMINE_TRACKER_ID to one of: {_options(trackers)}"
        )


def _of_statuses(issues: Issues, config: Config) -> Iterator[str]:
    statuses = issues.statuses()
    opening = {id: status.name for id, status in statuses.items() if not status.closed}
    closing = {id: status.name for id, status in statuses.items() if status.closed}
    if config.open_status_id not in opening:
        yield (
            f"Redmine has no open status {named(issues, config.open_status_id)}: issues begin in their tracker's first"
            f" one. Set REDMINE_OPEN_STATUS_ID to one of: {_options(opening)}"
        )
    if config.close_status_id not in closing:
        taken = next((f"{id} {name}" for id, name in closing.items()), "none")
        yield (
            f"Redmine has no closing status {named(issues, config.close_status_id)}: the first that the workflow allows"
            f" is taken, {taken} if it may be. Set REDMINE_CLOSE_STATUS_ID to one of: {_options(closing)}"
        )


def _of_priorities(issues: Issues, config: Config) -> Iterator[str]:
    there = issues.priorities()
    for severity, id in config.priorities.items():
        if id not in there:
            yield (
                f"Redmine has no priority {id} for {severity}: such issues get its default one."
                f" Set priorities to some of: {_options(there)}"
            )


def _of_field(keyed: Keyed, config: Config) -> Iterator[str]:
    if not config.custom_field:
        return
    keyed.look_for_field()
    if not keyed.field and keyed.seen:
        yield (
            f'No issue in Redmine shows a custom field "{config.custom_field}": our keys stand in the subjects.'
            " Make a text field of that name for the tracker, and let it be used as a filter"
        )
    elif keyed.field and not keyed.is_filter():
        yield f'Redmine does not search by the custom field "{config.custom_field}": let it be used as a filter'


def named(issues: Issues, status_id: int) -> str:
    """Return a status for people: its id and, where it is known, its name."""
    known = issues.known_statuses.get(status_id)
    return f"{status_id} {known.name}" if known else str(status_id)


def _options(there: Mapping[int, str]) -> str:
    return ", ".join(f"{id} {name}" for id, name in there.items()) or "none"
