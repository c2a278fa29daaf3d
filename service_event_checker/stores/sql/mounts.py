"""Is a path on a network file system? SQLite must not be: its locks and its log need a disk of this machine.

Reads the text of /proc/mounts, which the caller fetches; no I/O here. https://www.sqlite.org/wal.html, point 2.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

#: file systems that another machine serves; App Service mounts /home as cifs
NETWORK = frozenset(
    {"cifs", "smb3", "smbfs", "nfs", "nfs4", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ncpfs"}
)
#: kinds of fuse that lead to another machine; others, like fuse.ext4 or fuse-overlayfs, stay here
NETWORK_FUSE = ("azure", "blobfuse", "sshfs", "s3fs", "goofys", "gcsfuse", "rclone", "glusterfs", "ceph", "nfs", "smb")
_ESCAPE = re.compile(r"\\([0-7]{3})")  # proc(5): a space, tab, line feed or backslash is written in octal


@dataclass(frozen=True, slots=True)
class _Mount:
    place: str
    kind: str


def refuses_network_mount(path: str, mounts_text: str) -> str:
    """Return why a database must not be at `path`, "" if it may.

    `path`: absolute, with its symbolic links resolved. `mounts_text`: what /proc/mounts holds; "" (no such file, as
    on macOS) refuses nothing.
    """
    mounts = [mount for mount in map(_mount, mounts_text.splitlines()) if mount and _holds(mount.place, path)]
    if not mounts:
        return ""
    # The longest place is the one that holds it; of several mounted on one place the last hides the others.
    home = max(enumerate(mounts), key=lambda numbered: (len(numbered[1].place), numbered[0]))[1]
    if not _is_network(home.kind):
        return ""
    return f"{path} is on a network file system ({home.kind} at {home.place}), where SQLite loses data"


def _mount(line: str) -> _Mount | None:
    """Return the mount of a line `device place kind options 0 0`, None for another line."""
    fields = line.split(" ")
    if len(fields) < 3 or not fields[1].startswith("/"):
        return None
    return _Mount(_ESCAPE.sub(lambda found: chr(int(found.group(1), 8)), fields[1]), fields[2].lower())


def _holds(place: str, path: str) -> bool:
    inside = place.rstrip("/") + "/"
    return f"{posixpath.normpath(path)}/".startswith(inside)


def _is_network(kind: str) -> bool:
    if kind in NETWORK:
        return True
    return kind.startswith("fuse.") and any(name in kind for name in NETWORK_FUSE)
