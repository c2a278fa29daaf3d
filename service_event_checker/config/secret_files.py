"""Secrets in files, as containers give them: NAME_FILE names the file that holds the value of NAME."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

_SECRET = re.compile(
    r"TOKEN|HEARTBEAT_URL|SECRET|PASSWORD|_PAT|_KEY|CONNECTION_STRING|WEBHOOK_URL|DATABASE_URL|BROKER_URL"
)
#: files that other software reads itself, again and again, as their content changes
_FOREIGN = frozenset({"AZURE_FEDERATED_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"})
_END = "_FILE"


def is_secret(variable: str) -> bool:
    """Whether a variable of this name holds a secret, which no log may show."""
    return _SECRET.search(variable) is not None


def read(
    environ: Mapping[str, str], known: Callable[[], frozenset[str]] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Return the environment with the secrets of its files in place of their names, and what is wrong with them.

    `known`: the variables that a part reads; without it, all. What is wrong with the files of other software is not
    our concern, and such a variable stays as it is.
    """
    found, problems = dict(environ), []
    for variable, path in environ.items():
        name = variable.removesuffix(_END)
        if name == variable or not path.strip() or variable in _FOREIGN or not is_secret(name):
            continue
        del found[variable]  # WEBHOOK_TOKEN_FILE is not the token of a sender named FILE
        try:
            found[name] = _content(variable, name, path, environ)
        except ValueError as problem:
            if known is None or name in known():
                problems.append(str(problem))
            else:
                found[variable] = path
    return found, problems


def _content(variable: str, name: str, path: str, environ: Mapping[str, str]) -> str:
    """Return what the file holds. Raises ValueError with what is wrong."""
    if environ.get(name, "").strip():
        raise ValueError(f"{variable}: {name} is set as well. Set one of them")
    try:
        return Path(path.strip()).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not a text in UTF-8"
        raise ValueError(f"{variable}: {path} cannot be read: {reason}") from None
