"""A flood on a real host, from its beginning to the closed incident: seen, held back, counted, taken back, told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import crowd
import pytest
import yaml
from machine import podman
from tests.lab.edge import EDGE
from tests.lab.play import lab
from tests.lab.test_whole_incident import Driver, installed

PORT = 8080
AGE = Path(__file__).parent / "faults" / "site" / "age.sh"
CUSTOMERS = range(1, 11)
# Takes 300 connections at once and turns others away at once; who says nothing for five seconds is let go.
SHOP = """
import asyncio
open_now = 0
async def serve(reader, writer):
    global open_now
    open_now += 1
    try:
        if open_now <= 300:
            await asyncio.wait_for(reader.readuntil(b"\\r\\n\\r\\n"), 5)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        pass
    finally:
        open_now -= 1
        writer.close()
async def main():
    async with await asyncio.start_server(serve, "0.0.0.0", 8080, backlog=4096) as server:
        await server.serve_forever()
asyncio.run(main())
"""
# Opens connections and says half a word, again and again: 30,000 of them, for three minutes, at most.
FLOOD = """
import socket, sys, time
from collections import deque
held, until = deque(), time.monotonic() + 180
for number in range(30_000):
    if time.monotonic() > until:
        break
    one = socket.socket()
    one.setblocking(False)
    one.bind((sys.argv[1], 0))
    one.connect_ex((sys.argv[2], int(sys.argv[3])))
    held.append(one)
    if len(held) > 900:
        held.popleft().close()
    time.sleep(0.004)
"""
ASK = """
import json, sys, urllib.request, http.client
def ask(source):
    try:
        one = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2, source_address=(source, 0))
        one.request("GET", "/")
        return one.getresponse().status
    except OSError:
        return None
    except http.client.HTTPException:
        return None
print(json.dumps([ask(source) for source in sys.argv[3:]]))
"""


@pytest.fixture
def shop(edge: Path) -> Iterator[None]:
    lab.inside(EDGE, "tee", "/srv/small_shop.py", feed=SHOP.encode())
    unit = crowd._UNIT.format(command="/usr/bin/python3 /srv/small_shop.py")
    lab.inside(EDGE, "tee", "/etc/systemd/system/small-shop.service", feed=unit.encode())
    lab.inside(EDGE, "systemctl", "enable", "--now", "--quiet", "small-shop.service")
    # A unit that was put there a minute before a flood is a likely cause, too: this one has been there for weeks.
    lab.inside(EDGE, "sh", "-eu", "/dev/stdin", feed=AGE.read_bytes())
    yield
    lab.inside(EDGE, "systemctl", "disable", "--now", "--quiet", "small-shop.service")


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """incidentctl for edge1 alone."""
    about: dict[str, Any] = crowd.inventory()["all"]["hosts"][EDGE]
    health = {"url": f"http://127.0.0.1:{PORT}/", "timeout_s": 3}
    about["incident_services"] = [
        {"name": "small-shop", "hosts": EDGE, "manager": "systemd", "unit": "small-shop.service", "health": health,
         "ports": [PORT], "user_facing": True},
    ]  # fmt: skip
    about |= {"ansible_user": "ops", "ansible_python_interpreter": "/usr/bin/python3"}
    about["incident_management_cidrs"] = ["10.213.77.1/32", "fd1c:7e4b:9a20::1/128"]
    inventory = tmp_path / "edge.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {EDGE: about}}}))
    run = installed(tmp_path, inventory)
    config = tmp_path / "incidentctl.yml"
    settings = yaml.safe_load(config.read_text()) | {"tracker": {"kind": "file"}, "monitoring": {}, "audiences": {}}
    settings["severities"] = {"high": {"contain": []}}
    settings["verify"] = {"within": "60s", "window": "10s"}
    config.write_text(yaml.safe_dump(settings))
    return run


def attacker() -> str:
    return crowd.source(0, "ipv4")


def served() -> list[int | None]:
    """Have ten customers ask, each from an address of its own; return what each got."""
    sources = [crowd.source(n, "ipv4") for n in CUSTOMERS]
    answer: list[int | None] = json.loads(
        podman("exec", crowd.NAME, "python3", "-c", ASK, crowd.EDGE.addresses[0], str(PORT), *sources)
    )
    return answer


@contextmanager
def flood() -> Iterator[None]:
    """Open connections from one address until the end of the block, or until it has had enough by itself."""
    words = [attacker(), crowd.EDGE.addresses[0], str(PORT)]
    podman("exec", "--detach", crowd.NAME, "sh", "-c", 'echo $$ >/run/flood; exec python3 -c "$@"', "sh", FLOOD, *words)
    try:
        yield
    finally:
        podman("exec", crowd.NAME, "sh", "-c", "kill $(cat /run/flood) 2>/dev/null || true")


def test_a_flood_is_seen_held_back_counted_and_the_incident_closed(shop: None, driver: Driver, capsys: Any) -> None:
    assert served() == [200] * 10
    began = time.monotonic()
    with flood():
        while any(served()):
            assert time.monotonic() < began + 30, "the flood does no harm"
        words = ["--severity", "high", "--yes", "--option", "mitigate", "customers see nothing"]
        refused = driver("run", *words)  # one source with nearly all connections might be a proxy: a person has to say
        assert (refused.returncode, "--override proxy" in refused.stderr) == (15, True), refused.stdout + refused.stderr
        done = driver("resume", "--option", "mitigate", "--override", "proxy")
        held_s = time.monotonic() - began
        assert done.returncode == 10, done.stdout + done.stderr
        assert "mitigated, not solved" in done.stderr
        incident = json.loads(driver("status", "--json").stdout)
        cause = incident["judged"]["causes"][0]
        assert (cause["kind"], attacker() in cause["title"]) == ("connections", True), incident["judged"]["causes"]
        option = next(option for option in incident["options"] if option["key"] == "mitigate")
        # What a guard refuses is not recommended: a person names it, and overrides the guard.
        assert (option["recommended"], "restart" in option["capabilities"]) == (False, False)
        assert [row["capability"] for row in incident["contained"]] == ["rate_limit"]
        assert [(row["text"], bool(row["owner"])) for row in incident["follow_ups"]] == [
            ("Schedule the proper fix, then lift the mitigation", True)
        ]
        assert served() == [200] * 10  # while it goes on
        look = driver("play", "rate_limit", "--incident", incident["incident_id"], "--service", "small-shop", "--json")
        (limit,) = json.loads(look.stdout)[0]["facts"]["limits"]
        assert limit["counted"]["busiest"][0]["source"] == attacker()
        standing = report(driver)
        status = driver("status").stdout
        assert "rate_limit small-shop\n    " in status
        assert " attempts to connect dropped" in status
    assert driver("lift").returncode == 0
    lifted = next(e for e in events(driver) if e["kind"] == "containment_lifted")["data"]
    counted = lifted["counted"]
    closed = driver("close")
    assert closed.returncode == 0, closed.stdout + closed.stderr
    with capsys.disabled():
        print(f"\nheld {held_s:.0f} s after the first connection; {lifted['held_back']}; {counted}")
    assert counted["ports"] == [PORT]
    assert counted["dropped"] >= limit["counted"]["dropped"] > 100
    assert counted["busiest"][0]["dropped"] > 0.9 * counted["dropped"]
    assert f"rate_limit small-shop, port {PORT}" in standing
    row = next(line for line in report(driver).splitlines() if f"small-shop, port {PORT} | " in line)
    assert f"{counted['dropped']:,} of {counted['dropped'] + counted['passed']:,} attempts to connect dropped" in row
    assert f" % from {attacker()}" in row


def events(driver: Driver) -> list[dict[str, Any]]:
    return [json.loads(line) for line in driver("timeline", "--json").stdout.splitlines()]


def report(driver: Driver) -> str:
    return Path(driver("report").stdout.strip()).read_text().replace("\\", "")
