"""Which paths a database may be at. Format of /proc/mounts: man 5 proc, fstab(5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.stores.sql.mounts import refuses_network_mount

APP_SERVICE = """overlay / overlay rw,relatime,lowerdir=/a 0 0
proc /proc proc rw 0 0
/dev/sda1 /appsvctmp ext4 rw 0 0
//10.0.0.1/volume-1-default/3f /home cifs rw,relatime,vers=3.1.1,username=x 0 0
none /home/tmp tmpfs rw 0 0
"""


def mounts(kind: str, place: str = "/data") -> str:
    return f"/dev/sda1 / ext4 rw 0 0\nserver:/x {place} {kind} rw 0 0\n"


def test_the_home_of_app_service_is_refused_with_what_and_where() -> None:
    why = refuses_network_mount("/home/site/wwwroot/instance/outage_checker.db", APP_SERVICE)

    assert why.startswith("/home/site/wwwroot/instance/outage_checker.db is on a network file system (cifs at /home)")


@pytest.mark.parametrize("path", ["/a.db", "/homework/a.db", "/home/tmp/a.db", "/appsvctmp/a.db", "/home/../a.db"])
def test_what_is_on_a_disk_of_this_machine_is_not_refused(path: str) -> None:
    assert refuses_network_mount(path, APP_SERVICE) == ""


@pytest.mark.parametrize("kind", ["cifs", "smb3", "nfs", "nfs4", "CIFS", "fuse.azure", "fuse.blobfuse2", "fuse.sshfs"])
def test_every_network_file_system_is_refused(kind: str) -> None:
    assert refuses_network_mount("/data/a.db", mounts(kind))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuse.ext4", "fuse.fuse-overlayfs"])
def test_every_local_file_system_is_not(kind: str) -> None:
    assert refuses_network_mount("/data/a.db", mounts(kind)) == ""


def test_the_mount_itself_counts_and_so_does_a_root_on_the_network() -> None:
    assert refuses_network_mount("/data", mounts("nfs"))
    assert refuses_network_mount("/data/a.db", "server:/root / nfs4 rw 0 0")


def test_of_two_mounts_on_one_place_the_last_is_seen() -> None:
    assert refuses_network_mount("/data/a.db", mounts("nfs") + "/dev/sdb /data ext4 rw 0 0\n") == ""
    assert refuses_network_mount("/data/a.db", mounts("ext4") + "server:/x /data nfs rw 0 0\n")


def test_a_place_with_a_space_is_read_as_it_is_written() -> None:
    assert refuses_network_mount("/my data/a.db", mounts("nfs", r"/my\040data"))


def test_without_a_list_of_mounts_nothing_is_refused() -> None:
    assert refuses_network_mount("/data/a.db", "") == ""


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_text_is_read(path: str, text: str) -> None:
    assert isinstance(refuses_network_mount(f"/{path}", text), str)
