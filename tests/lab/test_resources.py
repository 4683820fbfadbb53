"""What a host is short of, caused for real on one host, is found and named: in one diagnosis, all of it at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.lab.play import Hosts, lab

WORKER = "worker1"
SERVICES: list[dict[str, Any]] = [
    {"name": "leaky", "hosts": WORKER, "manager": "systemd", "unit": "leaky.service"},
    {"name": "front", "hosts": WORKER, "health": {"url": "https://127.0.0.1:8443/"}},
    {"name": "web", "hosts": WORKER, "ports": [8080], "logs": [{"kind": "file", "path": "/var/log/web.log"}]},
    {"name": "files", "hosts": WORKER, "data": [{"kind": "files", "path": "/srv/full"}]},
    {"name": "sessions", "hosts": WORKER, "data": [{"kind": "files", "path": "/srv/crowded"}]},
]
PEERS = 300
# Everything ends by itself after two minutes. Where control groups are of version 1, a host in a container has none of its
# units': there the unit makes itself one.
BREAK = """
set -e
mkdir -p /srv/full /srv/crowded /root/broken
cd /root/broken
mount -t tmpfs -o size=20m tmpfs /srv/full
mkdir -p /srv/full/cache/thumbnails && head -c 20000000 /dev/zero >/srv/full/cache/thumbnails/all
mount -t tmpfs -o nr_inodes=3000 tmpfs /srv/crowded
mkdir /srv/crowded/sessions && cd /srv/crowded/sessions && seq 2950 | xargs touch && cd /root/broken

cat >loop.py <<'E'
while True:
    pass
E
cat >flood.py <<'E'
import time
with open("/var/log/web.log", "a") as log:
    while True:
        log.write("x" * 100_000 + "\\n")
        log.flush()
        time.sleep(0.05)
E
cat >leak.py <<'E'
import pathlib, time
old = pathlib.Path("/sys/fs/cgroup/memory")
if old.is_dir():
    own = old / "leaky"
    own.mkdir(exist_ok=True)
    (own / "memory.limit_in_bytes").write_text("40M")
    (own / "memory.swappiness").write_text("0")
    (own / "cgroup.procs").write_text("0")
kept = []
while True:
    kept.append(bytearray(b"x") * (4 << 20))
    time.sleep(0.1)
E
cat >listen.py <<'E'
import socket, time
server = socket.create_server(("0.0.0.0", 8080), backlog=512)
kept = []
while True:
    kept.append(server.accept())
E
openssl req -newkey rsa:2048 -nodes -batch -keyout key.pem -out asked.pem -subj /CN=front.example 2>/dev/null
openssl x509 -req -in asked.pem -signkey key.pem -days -1 -out certificate.pem 2>/dev/null
cat >tls.py <<'E'
import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/broken/certificate.pem", "/root/broken/key.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), http.server.BaseHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
E
for unit in loop flood leak listen tls; do
    name=$unit; [ $unit != leak ] || name=leaky
    cat >/run/systemd/system/$name.service <<E
[Service]
ExecStart=/usr/bin/python3 /root/broken/$unit.py
RuntimeMaxSec=120
E
done
printf 'MemoryMax=40M\\nMemorySwapMax=0\\n' >>/run/systemd/system/leaky.service
printf '[Timer]\\nOnCalendar=yearly\\n' >/run/systemd/system/loop.timer
systemctl daemon-reload
systemctl start loop.timer loop flood listen tls leaky
"""
MEND = """
systemctl stop loop.timer loop flood listen tls leaky 2>/dev/null
systemctl reset-failed leaky 2>/dev/null
cd /run/systemd/system && rm -f loop.timer loop.service flood.service leaky.service listen.service tls.service
systemctl daemon-reload
umount /srv/full /srv/crowded
rmdir /srv/full /srv/crowded
rm -rf /root/broken /var/log/web.log
[ ! -d /sys/fs/cgroup/memory/leaky ] || rmdir /sys/fs/cgroup/memory/leaky
true
"""


@pytest.fixture(scope="module")
def found(hosts: Hosts) -> Iterator[list[dict[str, Any]]]:
    """Give what a diagnosis finds on a host on which all of it is broken."""
    hosts.need(WORKER)
    with ExitStack() as until_the_end:
        until_the_end.callback(lab.inside, WORKER, "sh", "-s", feed=MEND.encode())
        lab.inside(WORKER, "sh", "-s", feed=BREAK.encode())
        address = (lab.described(WORKER).addresses[0], 8080)
        deadline = time.monotonic() + 20
        while True:
            try:
                until_the_end.enter_context(socket.create_connection(address, 5))
                break
            except ConnectionRefusedError:  # it has only just been started
                assert time.monotonic() < deadline
                time.sleep(0.2)
        for _peer in range(PEERS):
            until_the_end.enter_context(socket.create_connection(address, 5))
        played = hosts.play("diagnosis", WORKER, incident_services=SERVICES)
        facts = played.block(WORKER)["facts"]
        assert facts["resources"]["interval_s"] >= 0.8
        yield facts["findings"]


def one(found: list[dict[str, Any]], kind: str, **about: Any) -> dict[str, Any]:
    """Return the one finding of a kind that is about this."""
    fitting = [row for row in found if row["kind"] == kind and about.items() <= row["about"].items()]
    assert len(fitting) == 1, found
    return fitting[0]


def test_job_of_a_timer_that_runs_away(found: list[dict[str, Any]]) -> None:
    job = one(found, "process", unit="loop.service")
    assert (job["about"]["name"], job["about"]["scheduled"]) == ("python3 loop.py", True)
    assert "loop.service, by loop.timer" in job["text"]


def test_disk_that_is_full_and_the_file_that_fills_it(found: list[dict[str, Any]]) -> None:
    assert one(found, "disk", path="/srv/full")["severity"] == "critical"
    assert one(found, "folder_growing", disk="/srv/full")["about"]["path"] == "/srv/full/cache/thumbnails/all"


def test_disk_without_inodes_and_the_folder_that_has_them(found: list[dict[str, Any]]) -> None:
    assert one(found, "inodes", path="/srv/crowded")["severity"] == "critical"
    assert one(found, "folder_growing", disk="/srv/crowded")["about"]["path"] == "/srv/crowded/sessions"


def test_log_that_is_flooded_and_who_writes_it(found: list[dict[str, Any]]) -> None:
    assert one(found, "folder_growing", path="/var/log/web.log")["about"]["name"] == "python3 flood.py"


def test_unit_whose_process_was_killed_for_want_of_memory(found: list[dict[str, Any]]) -> None:
    kill = one(found, "oom", unit="leaky.service")
    assert (kill["severity"], kill["service"]) == ("critical", "leaky")


def test_peer_that_has_most_connections_to_a_port(found: list[dict[str, Any]]) -> None:
    flood = one(found, "connections", port=8080)
    assert flood["service"] == "web"
    assert flood["about"]["count"] >= 200
    assert flood["about"]["share"] > 0.9


def test_certificate_that_a_port_shows_and_that_has_expired(found: list[dict[str, Any]]) -> None:
    expired = one(found, "certificate", port=8443)
    assert (expired["severity"], expired["service"]) == ("critical", "front")
    assert " expired at " in expired["text"]
