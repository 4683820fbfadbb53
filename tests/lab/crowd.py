"""A crowd of strangers on the lab's network, and edge1, a host of their own that they connect to.

The crowd is one container with many addresses of both families: the first source is the attacker. edge1 is a
host as the others are; it says back what it hears, on a port of its own and on one that a container publishes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import lab
from machine import containers_conf, make_fit, podman

EDGE, CLIENT = lab.Host(61, "web"), lab.Host(62, "crowd")
NAME = f"{lab.PREFIX}-crowd"
OF_CONTAINER, OF_HOST = 8000, 9000
SOURCES = 21
_NETWORK6 = "fd1c:7e4b:9b"  # the crowd's own /40: each source has a /64 of it

ECHO = """
import asyncio, socket, sys
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
async def main():
    listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, backlog=512, dualstack_ipv6=True)
    async with await asyncio.start_server(echo, sock=listener) as server:
        await server.serve_forever()
asyncio.run(main())
"""
_UNIT = "[Service]\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
_HOST_COMMAND = f"/usr/bin/python3 /srv/echo.py {OF_HOST}"
_CONTAINER_COMMAND = (
    f"/usr/local/bin/podman run --rm --replace --name echo --network shop --publish {OF_CONTAINER}:{OF_CONTAINER} "
    f"--volume /srv:/srv localhost/python /usr/bin/python3 /srv/echo.py {OF_CONTAINER}"
)
# Each try is one SYN: it gives up before the kernel would send a second. Whoever got through may wait: edge1 may be busy.
_CONNECT = """
import concurrent.futures, json, socket, sys
plan = json.load(sys.stdin)
def attempt(source):
    with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET) as s:
        s.settimeout(0.9)
        try:
            s.bind((source, 0))
            s.connect((plan["address"], plan["port"]))
            s.settimeout(20)
            s.sendall(b"hello")
            return source, s.recv(5) == b"hello"
        except OSError:
            return source, False
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(attempt, plan["sources"]))))
"""
# Ends when it is told to, and says then how much it sent, and how much of that came back.
_TRANSFER = """
import select, socket, sys, time
source, address, port = sys.argv[1:]
s = socket.create_connection((address, int(port)), timeout=5, source_address=(source, 0))
print("open", flush=True)
sent = back = 0
while not select.select([sys.stdin], [], [], 0.05)[0]:
    s.sendall(b"x" * 10000)
    sent += 10000
    while back < sent:
        back += len(s.recv(65536))
print(sent, back, flush=True)
"""


def source(number: int, family: str) -> str:
    """Return an address of the crowd's source of that number."""
    return f"{lab.IPV4}{100 + number}" if family == "ipv4" else f"{_NETWORK6}{number:02x}::1"


def neighbours(family: str) -> list[str]:
    """Return addresses that the attacker can choose among: in IPv6 several of one /64."""
    first = source(0, family)
    return [first] if family == "ipv4" else [first, f"{first[:-1]}2", f"{first[:-1]}3"]


def connect(sources: list[str], family: str, port: int) -> dict[str, int]:
    """Have each source connect to edge1 once for each time it is named; return how often each got through."""
    plan = {"sources": sources, "address": EDGE.addresses[family == "ipv6"], "port": port}
    answer = podman("exec", "--interactive", NAME, "python3", "-c", _CONNECT, feed=json.dumps(plan).encode())
    through = dict.fromkeys(sources, 0)
    for address, got_through in json.loads(answer):
        through[address] += got_through
    return through


@contextmanager
def transfer(family: str, port: int) -> Iterator[list[int]]:
    """Keep one connection of the attacker's busy; the list gets what was sent and what came back, in the end."""
    figures: list[int] = []
    words = [source(0, family), EDGE.addresses[family == "ipv6"], str(port)]
    config = {"CONTAINERS_CONF": str(containers_conf())} if containers_conf().exists() else {}
    process = subprocess.Popen(
        ["podman", "exec", "--interactive", NAME, "python3", "-c", _TRANSFER, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **config},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    try:
        yield figures
    finally:
        with suppress(BrokenPipeError):  # its connection broke, and it ended
            process.stdin.write("enough\n")
            process.stdin.close()
        figures += map(int, process.stdout.read().split())
        process.stdout.close()
        process.wait(10)


@contextmanager
def present() -> Iterator[None]:
    """Start edge1 and the crowd; remove both in the end."""
    lab.HOSTS["edge1"] = EDGE
    try:
        with lab.alone():
            lab.start(["edge1"])
            serve()
            gather()
        yield
    finally:
        podman("rm", "--force", "--time=0", "--ignore", NAME)
        lab.remove(["edge1"])
        del lab.HOSTS["edge1"]


def serve() -> None:
    """Have edge1 say back what it hears, in place of the shop."""
    lab.inside("edge1", "systemctl", "disable", "--now", "--quiet", "shop.service")
    lab.inside("edge1", "tee", "/srv/echo.py", feed=ECHO.encode())
    for name, command in (("echo-host", _HOST_COMMAND), ("echo-container", _CONTAINER_COMMAND)):
        lab.inside("edge1", "tee", f"/etc/systemd/system/{name}.service", feed=_UNIT.format(command=command).encode())
        lab.inside("edge1", "systemctl", "enable", "--now", "--quiet", f"{name}.service")


def gather() -> None:
    """Start the crowd's container, with an address of each family for each source."""
    podman("rm", "--force", "--time=0", "--ignore", NAME)
    network = f"--network={lab.PREFIX}:ip={CLIENT.addresses[0]},ip={CLIENT.addresses[1]}"
    podman("run", "--detach", f"--name={NAME}", "--privileged", network, make_fit(), "sleep", "infinity")
    lines = [f"address add {source(n, 'ipv4')}/24 dev eth0" for n in range(SOURCES)]
    lines += [f"address add {source(n, 'ipv6')}/64 dev eth0 nodad" for n in range(SOURCES)]
    lines += [f"address add {address}/64 dev eth0 nodad" for address in neighbours("ipv6")[1:]]
    podman("exec", "--interactive", NAME, "ip", "-batch", "-", feed="\n".join(lines).encode())
    lead_back()


def lead_back() -> None:
    """Tell edge1 the way to the crowd's own network: again after each reboot."""
    lab.inside("edge1", "ip", "-6", "route", "replace", f"{_NETWORK6}00::/40", "via", CLIENT.addresses[1])


def inventory() -> dict[str, Any]:
    """Return what Ansible has to know of edge1, beside what it knows of the lab."""
    services = {"echo-in-container": [OF_CONTAINER], "echo-on-host": [22, OF_HOST]}
    about = {
        "ansible_host": EDGE.addresses[0],
        "ansible_ssh_private_key_file": str(lab.KEY),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.KNOWN_HOSTS} -o StrictHostKeyChecking=yes",
        "incident_services": [{"name": n, "hosts": "edge1", "ports": ports} for n, ports in services.items()],
    }
    return {"all": {"hosts": {"edge1": about}}}
