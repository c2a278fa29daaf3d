"""Display names: GitHub for `github`. Wiring sets them once; unknown names are shown unchanged."""

from __future__ import annotations

from collections.abc import Mapping

from service_event_checker.render.text import line

_names: dict[str, str] = {}


def use(names: Mapping[str, str]) -> None:
    """Set display names."""
    _names.update(names)


def platform_name(source: str) -> str:
    """Return the display name of a source or receiver: `azure_devops` is Azure DevOps, `rest:shop` is shop."""
    name = source.rpartition(":")[2] or source
    return _names.get(name) or line(name, 60)
