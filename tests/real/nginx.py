"""nginx with the configuration that is shipped, on a free port; only its places and its upstream are other ones."""

from __future__ import annotations

import os
from pathlib import Path

from tests.real.parts import NGINX
from tests.real.server import Server, free_port
from tests.root import ROOT


class Nginx(Server):
    """`tls`: also listen with TLS on `tls_port`, by the shipped example, with this certificate and key."""

    def __init__(self, folder: Path, upstream: int, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(folder)
        self.upstream = upstream
        self.tls = tls
        self.tls_port = free_port() if tls else 0

    def command(self) -> list[str]:
        servers, conf = self.folder / "servers", self.folder / "nginx.conf"
        servers.mkdir(exist_ok=True)
        if self.tls:
            text = (ROOT / "deploy" / "nginx" / "tls.conf.example").read_text()
            for shipped, own in zip(("/run/secrets/tls.crt", "/run/secrets/tls.key"), self.tls, strict=True):
                text = replaced(text, shipped, str(own))
            (servers / "tls.conf").write_text(replaced(text, "listen 8443", f"listen {self.tls_port}"))
        text = replaced((ROOT / "nginx.conf").read_text(), " /tmp/", f" {self.folder}/")
        text = replaced(text, "alert-handler:8000", f"127.0.0.1:{self.upstream}")
        text = replaced(text, "listen 8080", f"listen {self.port}")
        conf.write_text(replaced(text, "/etc/nginx/servers", str(servers)))
        user = "user root;" if os.geteuid() == 0 else ""  # Debian's own user must not enter a test's folder
        return [str(NGINX.find()), "-e", "stderr", "-c", str(conf), "-p", str(self.folder), "-g", f"daemon off; {user}"]


def replaced(text: str, shipped: str, own: str) -> str:
    assert shipped in text, shipped
    return text.replace(shipped, own)
