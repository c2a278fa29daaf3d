"""The folder of a private Redmine: an instance beside Debian's own, which serves only as the program and the template.

As root all of it runs as www-data, who alone may read Debian's settings; the folder must be reachable for that user,
which one of pytest's is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.real.parts import BUNDLE, REDMINE, REDMINE_DATABASE, TOOLS

_USER = "www-data"
_LOCK_FILE = Path("/var/lib/redmine/Gemfile.lock")
#: Debian looks for REDMINE_INSTANCE in here: /usr/share/redmine/lib/redmine/multi_tenancy.rb
_INSTANCES = Path("/usr/share/redmine/instances")
_SEED = Path(__file__).with_name("redmine_seed.rb")
_SEED_SECONDS = 180
#: seeded once, then copied; holds a .gitignore of its own
_CACHE = TOOLS / "redmine"


@contextmanager
def private_folder(prefix: str = "redmine-") -> Iterator[Path]:
    """Yield an empty folder that another user's server can reach; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


def lay_out(folder: Path, database: Path) -> None:
    """Put into an empty folder what Redmine needs to run from it, with a copy of this database."""
    for name in ("config", "files", "log", "public", "tmp"):
        (folder / name).mkdir(parents=True)
    own = folder / "redmine.sqlite3"
    shutil.copyfile(database, own)
    settings = {"production": {"adapter": "sqlite3", "database": str(own), "timeout": 5000}}
    (folder / "config" / "database.yml").write_text(json.dumps(settings))  # JSON is YAML
    (folder / "config" / "secret_key.txt").write_text(secrets.token_hex(20))
    (folder / "Gemfile").write_text("eval_gemfile '/usr/share/redmine/Gemfile'\ngem 'puma'\n")
    shutil.copyfile(_LOCK_FILE, folder / "Gemfile.lock")
    if _is_root():
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, _USER, _USER)


def command(*words: str) -> list[str]:
    """Return the command that runs this as a program of Redmine's bundle, as the right user."""
    # setpriv becomes bundle, and bundle becomes the program: so the process that a test kills is the server.
    drop = ["setpriv", "--reuid", _USER, "--regid", _USER, "--init-groups"] if _is_root() else []
    return [*drop, str(BUNDLE.find()), "exec", *words]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the whole environment: nothing of the caller's but PATH, so that nothing of it changes Redmine."""
    instance = {"REDMINE_INSTANCE": os.path.relpath(folder, _INSTANCES), "RAILS_ENV": "production"}
    ruby = {"BUNDLE_GEMFILE": str(folder / "Gemfile"), "HOME": str(folder), "LANG": "C.UTF-8"}
    return {"PATH": os.environ["PATH"], **instance, **ruby, **more}


def seeded(variables: Mapping[str, str]) -> Path:
    """Return the database that the seed has filled, given these variables; the first time this takes 10 seconds."""
    rack = REDMINE.find()
    assert rack is not None
    facts = [REDMINE.version(rack), _SEED.read_text(), json.dumps(dict(variables))]
    name = hashlib.sha256("\n".join(facts).encode() + REDMINE_DATABASE.read_bytes()).hexdigest()[:16]
    cached = _CACHE / f"{name}.sqlite3"
    with _alone():
        if not cached.exists():
            with private_folder() as folder:
                lay_out(folder, REDMINE_DATABASE)
                _seed(rack.parent, folder, variables)
                # A run that is killed in the midst of the copy leaves no half of one behind under this name.
                whole = shutil.copyfile(folder / "redmine.sqlite3", cached.with_suffix(".unfinished"))
            whole.replace(cached)
    return cached


@contextmanager
def _alone() -> Iterator[None]:
    """Make the cache, and let no other worker or run seed one meanwhile: it waits, and finds it done."""
    _CACHE.mkdir(exist_ok=True)
    (_CACHE / ".gitignore").write_text("*\n")
    folder = os.open(_CACHE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _seed(redmine: Path, folder: Path, variables: Mapping[str, str]) -> None:
    script = shutil.copyfile(_SEED, folder / "seed.rb")  # www-data may not be let into the checkout
    script.chmod(0o644)
    answer = subprocess.run(
        command(str(redmine / "bin" / "rails"), "runner", str(script)),
        cwd=redmine,
        env=environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SEED_SECONDS,
    )
    if answer.returncode:
        raise RuntimeError(f"{_SEED.name} failed: {answer.stderr[-2000:]}")


def _is_root() -> bool:
    return os.geteuid() == 0
