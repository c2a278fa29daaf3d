"""Fills Jinja templates: those beside this module, and those that an adapter keeps in its own folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from service_event_checker.render.notice import Notice
from service_event_checker.render.texts import say

_SHARED = Path(__file__).parent / "templates"


def render(template: str, notice: Notice, *, folder: Path = _SHARED, **more: object) -> str:
    """Fill a template of `folder`; names that end in .html.j2 are escaped for HTML.

    A template sees `n` (the Notice), `say` (the texts of the receiver's language), what `more` names, and nothing else.
    """
    return _environment(folder).get_template(template).render(n=notice, say=say, **more).strip()


@cache
def _environment(folder: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
