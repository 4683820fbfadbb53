"""An authority of our own, and servers that it vouches for: what TLS is tried with."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, in PEM."""

    file: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """Return what a server that shows it needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


class Authority:
    """One whom nobody trusts who does not know its file."""

    def __init__(self, folder: Path) -> None:
        """Make it in a folder. Skip the test where there is no openssl."""
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl to make certificates with")
        self.folder, self.vouched = folder, 0
        folder.mkdir(parents=True)
        self.own = self._make("authority", "-x509", "-days", "2", "-addext", "basicConstraints=critical,CA:true")

    @property
    def file(self) -> Path:
        """Return the file that trusts it."""
        return self.own.file

    def vouch(self, address: str) -> Certificate:
        """Return a certificate for `IP:…` or `DNS:…`."""
        self.vouched += 1
        asked = self._make(f"server{self.vouched}", "-addext", f"subjectAltName={address}")
        signed = asked.file.with_suffix(".pem")
        _openssl(
            "x509", "-req", "-in", str(asked.file), "-out", str(signed), "-days", "2", "-copy_extensions", "copy",
            "-CA", str(self.own.file), "-CAkey", str(self.own.key), "-CAcreateserial",
        )  # fmt: skip
        return Certificate(signed, asked.key)

    def dated(self, address: str, since: timedelta, until: timedelta) -> Certificate:
        """Return a certificate for `IP:…` or `DNS:…` that is valid between two times, as seen from now."""
        self.vouched += 1
        asked = self._make(f"server{self.vouched}", "-addext", f"subjectAltName={address}")
        signed, settings, index = asked.file.with_suffix(".pem"), self.folder / "ca.cnf", self.folder / "index"
        index.touch()
        settings.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={index}\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
            "policy=any\ncopy_extensions=copy\nunique_subject=no\nrand_serial=yes\n[any]\ncommonName=supplied\n"
        )
        begin, end = (_stamp(time.time() + when.total_seconds()) for when in (since, until))
        _openssl(
            "ca", "-batch", "-notext", "-config", str(settings), "-in", str(asked.file), "-out", str(signed),
            "-cert", str(self.own.file), "-keyfile", str(self.own.key), "-startdate", begin, "-enddate", end,
        )  # fmt: skip
        return Certificate(signed, asked.key)

    def alone(self, address: str) -> Certificate:
        """Return a certificate that vouches for itself."""
        return self._make("alone", "-x509", "-days", "2", "-addext", f"subjectAltName={address}")

    def _make(self, name: str, *how: str) -> Certificate:
        made = Certificate(self.folder / f"{name}.csr", self.folder / f"{name}.key")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        subject = ("-subj", f"/CN=incidentctl test {name}")
        _openssl("req", *curve, *subject, *how, "-keyout", str(made.key), "-out", str(made.file))
        return made


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
