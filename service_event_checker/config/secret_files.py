"""Secrets in files, as containers give them: NAME_FILE names the file that holds the value of NAME."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|_PAT|_KEY|CONNECTION_STRING|WEBHOOK_URL|DATABASE_URL|BROKER_URL")
#: files that other software reads itself, again and again, as their content changes
_FOREIGN = frozenset({"AZURE_FEDERATED_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"})
_END = "_FILE"


def is_secret(variable: str) -> bool:
    """Whether a variable of this name holds a secret, which no log may show."""
    return _SECRET.search(variable) is not None


def read(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment with the secrets of its files in place of their names, and what is wrong with them."""
    found, problems = dict(environ), []
    for variable, path in environ.items():
        name = variable.removesuffix(_END)
        if name == variable or not path.strip() or variable in _FOREIGN or not is_secret(name):
            continue
        del found[variable]  # WEBHOOK_TOKEN_FILE is not the token of a sender named FILE
        if environ.get(name, "").strip():
            problems.append(f"{variable}: {name} is set as well. Set one of them")
            continue
        try:
            found[name] = Path(path.strip()).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not a text in UTF-8"
            problems.append(f"{variable}: {path} cannot be read: {reason}")
    return found, problems
