"""The real parts that tests run against: what they are, where they are found, how they are got.

A part is looked for at each question, never remembered: it may be installed in between.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.root import ROOT

TOOLS = ROOT / "tests" / "tools"
#: daemons stand where an ordinary user's PATH does not look
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")
#: made by Debian's package: migrated, with the default trackers, statuses, roles and workflows, and nothing else
REDMINE_DATABASE = Path("/var/lib/dbconfig-common/sqlite3/redmine/instances/default/redmine_default")


def version_by_flag(program: Path) -> str:
    """Return what `program --version` says on its first line; "" when it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.partition("\n")[0].strip() if answer.returncode == 0 else ""


def version_by_letter(program: Path) -> str:
    """Return 1.22.1 where `program -v` says "nginx version: nginx/1.22.1" on its standard error; "" otherwise."""
    try:
        answer = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.search(r"/(\d+(?:\.\d+)+)", answer.stderr)
    return said[1] if said else ""


def version_in_words(program: Path) -> str:
    """Return 2.42.0 where `program --version` says "prometheus, version 2.42.0 (branch: ...)"; "" without one."""
    said = re.search(r"\bversion (\S+)", version_by_flag(program))
    return said[1] if said else ""


def version_by_number(program: Path) -> str:
    """Return 156.0.8078.79 where it says "Chromium 156.0.8078.79 built on ..."; "" without a number."""
    said = re.search(r"\b\d+(?:\.\d+)+", version_by_flag(program))
    return said[0] if said else ""


def version_by_banner(program: Path) -> str:
    """Return 9.2p1 where the program says "OpenSSH_9.2p1 Debian-2" of itself, as to any wrong option; "" otherwise."""
    try:
        answer = subprocess.run([program, "-?"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.search(r"OpenSSH_(\S+?),? ", f"{answer.stderr} ")
    return said[1] if said else ""


def version_of_package(script: Path) -> str:
    """Return the version of the npm package that this script belongs to; "" when it has none."""
    for folder in script.parents:
        if (folder / "package.json").is_file():
            return str(json.loads((folder / "package.json").read_text()).get("version", ""))
    return ""


def version_of_redmine(rack_file: Path) -> str:
    """Return the version of the Redmine around this config.ru; "" where tests cannot copy its empty database."""
    source = rack_file.parent / "lib/redmine/version.rb"
    if not source.is_file() or not os.access(REDMINE_DATABASE, os.R_OK):
        return ""
    numbers = re.findall(r"^ +(?:MAJOR|MINOR|TINY) += (\d+)", source.read_text(), re.MULTILINE)
    return ".".join(numbers)


@dataclass(frozen=True, slots=True)
class Part:
    """One program. `places` are names on PATH or paths; `variable` names the environment variable that wins.

    `debconf`: the answers that its packages would otherwise ask a person for, as debconf-set-selections reads them.
    """

    name: str
    variable: str
    places: tuple[str, ...]
    version: Callable[[Path], str]
    how: str
    apt: tuple[str, ...] = ()
    needs: tuple[Part, ...] = ()
    debconf: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Return the program's path; None when it, or a part that it needs, is not here or does not run."""
        if any(part.find() is None for part in self.needs):
            return None
        found = self._place()
        return found if found and self.version(found) else None

    def reason(self) -> str:
        """Say why tests that need this part are skipped."""
        return f"{self.name} is missing: {self.how}"

    def _place(self) -> Path | None:
        if named := os.environ.get(self.variable):
            return Path(named) if Path(named).is_file() else None
        folders = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
        for place in self.places:
            found = place if Path(place).is_file() else shutil.which(place, path=folders)
            if found:
                return Path(found)
        return None


NODE = Part("node", "NODE", ("node", "nodejs"), version_by_flag, "apt install nodejs npm", apt=("nodejs",))
AZURITE = Part(
    "azurite",
    "AZURITE_JS",
    (str(TOOLS / "node_modules/azurite/dist/src/table/main.js"),),
    version_of_package,
    "npm ci --ignore-scripts in tests/tools, or AZURITE_JS=<.../azurite/dist/src/table/main.js>",
    needs=(NODE,),
)
PROMETHEUS = Part(
    "prometheus", "PROMETHEUS", ("prometheus",), version_in_words, "apt install prometheus", apt=("prometheus",)
)
PROMTOOL = Part("promtool", "PROMTOOL", ("promtool",), version_in_words, "apt install prometheus", apt=("prometheus",))
ALERTMANAGER = Part(
    "alertmanager",
    "ALERTMANAGER",
    ("prometheus-alertmanager", "alertmanager"),  # Debian's name, the project's own
    version_in_words,
    "apt install prometheus-alertmanager",
    apt=("prometheus-alertmanager",),
)
AMTOOL = Part(
    "amtool",
    "AMTOOL",
    ("amtool",),
    version_in_words,
    "apt install prometheus-alertmanager",
    apt=("prometheus-alertmanager",),
)
BUNDLE = Part("bundle", "BUNDLE", ("bundle",), version_by_flag, "apt install ruby-bundler")
PUMA = Part("puma", "PUMA", ("puma",), version_by_flag, "apt install puma")
REDMINE = Part(
    "redmine",
    "REDMINE_RU",
    ("/usr/share/redmine/config.ru",),
    version_of_redmine,
    "apt install redmine redmine-sqlite puma, as root on Debian, with its default database in SQLite",
    apt=("redmine", "redmine-sqlite", "puma"),
    needs=(BUNDLE, PUMA),
    debconf=(
        "redmine redmine/instances/default/dbconfig-install boolean true",
        "redmine redmine/instances/default/database-type select sqlite3",
        "redmine redmine/default-language select en",
    ),
)
CHROMIUM = Part(
    "chromium",
    "CHROMIUM",
    ("chromium", "chromium-browser", "google-chrome"),  # Debian's name, others'
    version_by_number,
    "apt install chromium",
    apt=("chromium",),
)

#: Debian keeps the server out of PATH, one folder for each version
_POSTGRES = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")), reverse=True)
POSTGRESQL = Part(
    "postgresql",
    "POSTGRES",
    (*_POSTGRES, "/usr/lib/postgresql/15/bin/postgres", "postgres"),
    version_by_number,
    "apt install postgresql",
    apt=("postgresql",),
)
MARIADB = Part(
    "mariadb",
    "MARIADBD",
    ("mariadbd",),
    version_by_number,
    "apt install mariadb-server",
    apt=("mariadb-server",),
)
REDIS = Part(
    "redis", "REDIS_SERVER", ("redis-server",), version_by_number, "apt install redis-server", apt=("redis-server",)
)
NGINX = Part("nginx", "NGINX", ("nginx",), version_by_letter, "apt install nginx-light", apt=("nginx-light",))
SSHD = Part(
    "sshd", "SSHD", ("/usr/sbin/sshd", "sshd"), version_by_banner, "apt install openssh-server", apt=("openssh-server",)
)

PARTS = (
    NODE,
    AZURITE,
    PROMETHEUS,
    PROMTOOL,
    ALERTMANAGER,
    AMTOOL,
    REDMINE,
    CHROMIUM,
    POSTGRESQL,
    MARIADB,
    REDIS,
    NGINX,
    SSHD,
)


def table() -> str:
    """Return one line per part: its name, found or missing, its version, and how to get what is missing."""
    return "\n".join(_line(part) for part in PARTS)


def missing() -> list[Part]:
    return [part for part in PARTS if part.find() is None]


def all_are_required() -> bool:
    """Tell whether a missing part fails the tests instead of skipping some; CI says so."""
    return os.environ.get("REQUIRE_ALL_PARTS", "") not in ("", "0")


def _line(part: Part) -> str:
    found = part.find()
    if found is None:
        return f"  {part.name:<12} missing  {part.how}"
    return f"  {part.name:<12} found    {part.version(found)}"
