"""Customers behind a real reverse proxy: the host that they come to by it refuses to limit its address, the other does not."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import crowd
import pytest
from machine import podman
from tests.lab.edge import EDGE, fresh_login
from tests.lab.play import Hosts, Play, lab

PORT, FRONT = 8090, "web1"
CUSTOMERS = [crowd.source(n, "ipv4") for n in range(1, crowd.SOURCES)]
# Each answer takes three seconds, and its connection stands so long.
SHOP = f"""
import asyncio
async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    await asyncio.sleep(3)
    writer.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "0.0.0.0", {PORT}, backlog=512) as server:
        await server.serve_forever()
asyncio.run(main())
"""
NGINX = f"""
user www-data;
pid /run/nginx.pid;
events {{ worker_connections 512; }}
http {{
  server {{
    listen {PORT};
    location / {{ proxy_pass http://{crowd.EDGE.addresses[0]}:{PORT}; proxy_connect_timeout 2s; }}
  }}
}}
"""
# Every customer asks twice at once; says how many answers each got.
ASK = """
import concurrent.futures, http.client, json, sys
def ask(source):
    try:
        one = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=12, source_address=(source, 0))
        one.request("GET", "/")
        return source, one.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return source, False
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    through = {}
    for source, well in pool.map(ask, sys.argv[3:] * 2):
        through[source] = through.get(source, 0) + well
print(json.dumps(through))
"""
SERVICES = [{"name": "small-shop", "hosts": "all", "ports": [PORT]}]


@pytest.fixture(scope="module")
def site(hosts: Hosts, edge: Path) -> Iterator[Path]:
    """nginx on web1 before a shop on edge1."""
    hosts.need(FRONT)
    lab.inside(EDGE, "tee", "/srv/slow_shop.py", feed=SHOP.encode())
    unit = crowd._UNIT.format(command="/usr/bin/python3 /srv/slow_shop.py")
    lab.inside(EDGE, "tee", "/etc/systemd/system/slow-shop.service", feed=unit.encode())
    lab.inside(EDGE, "systemctl", "enable", "--now", "--quiet", "slow-shop.service")
    lab.inside(FRONT, "tee", "/etc/nginx/nginx.conf", feed=NGINX.encode())
    lab.inside(FRONT, "systemctl", "restart", "nginx.service")
    yield edge
    lab.inside(FRONT, "systemctl", "stop", "nginx.service")


def served(customers: list[str] = CUSTOMERS) -> dict[str, int]:
    words = [lab.HOSTS[FRONT].addresses[0], str(PORT), *customers]
    return dict(json.loads(podman("exec", crowd.NAME, "python3", "-c", ASK, *words)))


@contextmanager
def shopping() -> Iterator[None]:
    """Have all customers ask, again and again, until the end of the block, or for a minute."""
    words = [lab.HOSTS[FRONT].addresses[0], str(PORT), *CUSTOMERS]
    again = 'echo $$ >/run/shopping; for n in $(seq 20); do python3 -c "$@" >/dev/null; done'
    podman("exec", "--detach", crowd.NAME, "sh", "-c", again, "sh", ASK, *words)
    time.sleep(1.5)  # so that they hold their connections
    try:
        yield
    finally:
        podman("exec", crowd.NAME, "sh", "-c", "kill $(cat /run/shopping) 2>/dev/null || true")


def test_a_host_behind_a_proxy_refuses_alone_to_limit_its_address(hosts: Hosts, site: Path, capsys: Any) -> None:
    incident = f"INC-{secrets.token_hex(4)}"

    def play(playbook: str, **more: Any) -> Play:
        variables = {"incident_id": incident, "incident_services": SERVICES, "rate_limit_continue": True, **more}
        return hosts.play(playbook, f"{FRONT},{EDGE}", "-i", str(site), **variables)

    assert set(served().values()) == {2}
    with shopping():
        limited = play("rate_limit")
    assert limited.block(FRONT)["outcome"] == "done", limited.said
    assert limited.block(EDGE)["outcome"] == "refused", limited.said
    reason = limited.block(EDGE)["reason"]
    assert f"{lab.HOSTS[FRONT].addresses[0]} holds 100% of the " in reason
    assert f"connections to port {PORT}, as a proxy does" in reason
    after = served()
    with capsys.disabled():
        print(f"\n{reason}\nserved while web1 limits: {sum(after.values())}/40", end="")
    assert set(after.values()) == {2}, "each customer is a source of its own at the proxy"

    with shopping():
        known = play("rate_limit", rate_limit_exempt_cidrs=[f"{lab.HOSTS[FRONT].addresses[0]}/32"])
    assert known.block(EDGE)["outcome"] == "done", known.said
    assert set(served().values()) == {2}, "the proxy is let be"
    assert play("lift").block(EDGE)["outcome"] == "done"

    with shopping():
        forced = play("rate_limit", rate_limit_allow_proxy=True)
    assert forced.block(EDGE)["outcome"] == "done", forced.said
    held = sum(served().values())
    fresh_login()
    lifted = play("lift")
    with capsys.disabled():
        print(f"; while edge1 limits the proxy all the same: {held}/40")
    assert held < 20, "what the guard keeps from happening"
    assert lifted.block(EDGE)["outcome"] == "done", lifted.said
    assert set(served().values()) == {2}
