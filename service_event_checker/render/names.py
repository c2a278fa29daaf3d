"""How people call a source: GitHub for `github`. Wiring says it once; what is not said is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping

from service_event_checker.render.text import line

_names: dict[str, str] = {}


def use(names: Mapping[str, str]) -> None:
    """Call these sources so from now on."""
    _names.update(names)


def platform_name(source: str) -> str:
    """Return how people call a source: `azure_devops` is Azure DevOps, `rest:shop` is shop."""
    name = source.rpartition(":")[2] or source
    return _names.get(name) or line(name, 60)
