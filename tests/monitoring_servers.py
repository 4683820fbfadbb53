"""Real Prometheus and Alertmanager servers of this machine, with a login and TLS or without, for as long as a test needs them."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.certificates import Authority
from tests.small_service import free_port

PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"
USER, PASSWORD = "incidentctl", "s3same-canary"
_HASH = "$2b$04$xQ1WF9HRnodStT3ax9QZAucu1wEVlzrUmeePiy4tROEjTUpZS3juW"  # of PASSWORD, by bcrypt


@dataclass(frozen=True)
class Server:
    """One that runs: where it is, the folder that it reads rules from, and who vouches for it (if it asks for a login)."""

    url: str
    rules: Path
    ca_file: Path | None = None

    def ask(self, path: str, document: Any = None, method: str | None = None) -> Any:
        """Return what it answers to one who knows its login."""
        headers = {"Content-Type": "application/json"}
        if self.ca_file:
            headers["Authorization"] = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        trust = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        if trust:
            trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - of a test
        with urllib.request.urlopen(request, timeout=60, context=trust) as answer:  # noqa: S310 - of a test
            return json.loads(answer.read() or b"{}")

    def groups(self) -> list[str]:
        """Return the names of a Prometheus' groups of rules."""
        return [group["name"] for group in self.ask("/api/v1/rules")["data"]["groups"]]

    def alert(self, **labels: str) -> None:
        """Let an alert fire in an Alertmanager."""
        self.ask("/api/v2/alerts", [{"labels": labels}])

    def silences(self) -> list[dict[str, str]]:
        """Return what an Alertmanager keeps silent: the labels of each silence that has not ended."""
        found = self.ask("/api/v2/silences")
        return [
            {matcher["name"]: matcher["value"] for matcher in one["matchers"]}
            for one in found
            if one["status"]["state"] != "expired"
        ]


def needs_the_programs() -> None:
    """Skip the test where Debian's prometheus or prometheus-alertmanager is not installed."""
    for program in (PROMETHEUS, ALERTMANAGER):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine")


@contextmanager
def servers(folder: Path, authority: Authority | None, *programs: str) -> Iterator[list[Server]]:
    """Run one server of each program that is named; with an authority, behind TLS and a login."""
    with ExitStack() as running:
        made = [
            running.enter_context(_server(folder / f"{number}", authority, name))
            for number, name in enumerate(programs)
        ]
        for server in made:
            _wait_for(server)
        yield made


@contextmanager
def _server(folder: Path, authority: Authority | None, program: str) -> Iterator[Server]:
    rules = folder / "rules"
    rules.mkdir(parents=True)
    place = f"127.0.0.1:{free_port()}"
    (folder / "config.yml").write_text(yaml.safe_dump(_config(program, rules)))
    words = [program, f"--config.file={folder}/config.yml", f"--web.listen-address={place}"]
    if program == PROMETHEUS:
        words += [f"--storage.tsdb.path={folder}/data", "--web.enable-lifecycle"]
    else:
        words += [f"--storage.path={folder}/data", "--cluster.listen-address="]
    if authority:
        certificate = authority.vouch("IP:127.0.0.1")
        tls = {"cert_file": str(certificate.file), "key_file": str(certificate.key)}
        (folder / "web.yml").write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {USER: _HASH}}))
        words.append(f"--web.config.file={folder}/web.yml")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env={**os.environ, "GOMAXPROCS": "1"})
    try:
        yield Server(f"http{'s' if authority else ''}://{place}", rules, authority.file if authority else None)
    finally:
        process.kill()
        process.wait()


def _config(program: str, rules: Path) -> dict[str, Any]:
    if program == PROMETHEUS:
        return {"global": {"scrape_interval": "1s"}, "rule_files": [f"{rules}/*.yml"]}
    return {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


def _wait_for(server: Server) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.ask("/-/ready", method="HEAD")
        except OSError as error:
            if time.monotonic() > deadline:
                raise AssertionError((server.rules.parent / "log").read_text()) from error
            time.sleep(0.1)
        else:
            return
