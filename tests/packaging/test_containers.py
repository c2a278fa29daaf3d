"""Dockerfile, docker-compose.yml and the systemd units hang together and say of this app what is true.

No container engine has seen them here: the image's commands are run in a folder that holds what the image holds.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.real.product import Product
from tests.root import ROOT
from tools.bootstrap import BECOMES

DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OWN = ("alert-handler", "celery-worker", "celery-beat", "flower")
COPIED = [Path(word) for line in re.findall(r"^COPY (?!--)(.+)$", FINAL, re.MULTILINE) for word in line.split()[:-1]]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def test_the_image_has_the_python_and_the_locks_of_everywhere() -> None:
    version = (ROOT / "runtime.txt").read_text().strip().removeprefix("python-")

    assert set(re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE)) == {version}
    assert "--require-hashes" in DOCKERFILE
    assert "COPY requirements.txt requirements-celery.txt" in DOCKERFILE


def test_all_that_is_copied_is_there_and_passes_the_ignore_file() -> None:
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert {str(path) for path in COPIED} | {"requirements.txt", "requirements-celery.txt"} == passed
    assert all((ROOT / path).exists() for path in COPIED)


def test_the_image_runs_what_is_run_everywhere_as_the_user_of_the_pod() -> None:
    pod = yaml.safe_load((ROOT / "deploy/kubernetes/deployment.yaml").read_text())["spec"]["template"]["spec"]
    (command,) = re.findall(r"^CMD (\[.+\])$", FINAL, re.MULTILINE)

    assert tuple(yaml.safe_load(command)) == BECOMES["run"] == tuple(pod["containers"][0]["command"])
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in FINAL


@pytest.mark.real
def test_the_app_runs_in_a_folder_that_holds_what_the_image_holds(tmp_path: Path) -> None:
    class Image(Product):
        def command(self) -> list[str]:
            return [sys.executable, "-m", *BECOMES["run"]]

    image = Image(tmp_path / "data", {})
    for path in COPIED:
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, tmp_path / "data" / path.name)
    (check,) = re.findall(r'CMD \["python", "-c", "(.+)"\]', FINAL)
    image.start()
    try:
        assert requests.get(f"{image.url}/livez", timeout=10).json() == {"status": "ok"}
        exec(check.replace('\\"', '"').replace("os.environ.get('PORT')", repr(image.port)))  # noqa: S102  # our own file
    finally:
        image.stop()


def test_the_services_have_their_names_and_the_small_set_up_is_the_app_alone() -> None:
    assert set(SERVICES) == {*OWN, "nginx", "redis", "postgres"}
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["alert-handler"]


def test_only_nginx_is_published_to_the_network() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"alert-handler", "nginx", "flower"}
    assert published["alert-handler"] == ["127.0.0.1:8000:8000"]
    assert published["flower"] == ["127.0.0.1:5555:5555"]


def test_each_container_is_without_rights_and_ours_are_read_only() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
    for name in (*OWN, "nginx", "redis"):
        assert SERVICES[name]["read_only"] is True, name
        assert SERVICES[name]["cap_drop"] == ["ALL"], name


def test_no_secret_stands_in_the_files() -> None:
    for text in (DOCKERFILE, (ROOT / "docker-compose.yml").read_text(), *(unit.read_text() for unit in UNITS)):
        assert not re.search(r"(PASSWORD|TOKEN|SECRET|_PAT|_AUTH)=\S", text)


def test_commands_name_the_app_that_is_there() -> None:
    commands = [shlex.split(line) for unit in UNITS for line in re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.M)]
    commands += [SERVICES[name]["command"] for name in ("celery-worker", "celery-beat")]

    assert [command[1:] for command in commands if "gunicorn" in command[0]] == [list(BECOMES["run"][1:])]
    celery = [command[1:4] for command in commands if command[0].endswith("celery")]
    roles = sorted(celery_role[2] for celery_role in celery)
    assert roles == ["beat", "beat", "worker", "worker"]
    assert {tuple(each[:2]) for each in celery} == {("-A", "service_event_checker.celery_app")}


def test_units_have_no_rights_that_they_do_not_need() -> None:
    assert [unit.name for unit in UNITS] == [
        "outage-checker-beat.service",
        "outage-checker-worker.service",
        "outage-checker.service",
    ]
    for unit in UNITS:
        text = unit.read_text()
        for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "User=outage-checker"):
            assert line in text, unit.name
