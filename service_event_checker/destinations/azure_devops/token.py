"""What people write for a personal access token: itself, base64 of it, or of `:PAT`."""

from __future__ import annotations

import base64
import binascii
import re

_PAT = re.compile(r":?(?P<pat>[A-Za-z0-9_-]{3,})")


def plain(text: str) -> str:
    """Return the PAT itself. What decodes to nothing like one is taken as it stands.

    A PAT has 52 or 84 letters and digits; that one of them were base64 of letters and digits only has a chance
    of 1 in 4**39.
    """
    text = "".join(text.split())
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return text
    found = _PAT.fullmatch(decoded.strip())
    return found["pat"] if found else text
