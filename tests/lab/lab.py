"""Real hosts on this machine: systemd, sshd and sudo, in containers, reached over ssh as any server is.

lab.py up [HOST…]     start them (by default all but those of other Debian versions); what runs already is left alone
lab.py reset HOST…    bring them back to how they started
lab.py status         say which run
lab.py down           back to nothing; the image is kept, so that the next `up` takes seconds

inventories/lab describes them to Ansible. Standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from machine import LAB, STATE, SUITE, LabError, containers_conf, make_fit, podman, run

REPOSITORY = LAB.parents[1]
PREFIX = "incidentctl-lab"
IPV4, IPV6 = "10.213.77.", "fd1c:7e4b:9a20::"
MAC = "02:1c:7e:4b:9a:"
USER = "ops"
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"
CARGO = ("tests/lab/hosts", "demo/shop/deploy.py", "demo/shop/releases/41")  # what provisioning needs on the host
READY_S = 60  # seconds a host may take to boot
TOLD = ("on_call", "team", "management", "customers", "partners")  # each has a page of mon1's inbox
INBOX_PORT = 8025


class Host(NamedTuple):
    """A host of the lab."""

    number: int  # the last part of both its addresses
    role: str  # provisioned by hosts/ROLE.sh; bare: not at all
    suite: str = SUITE  # its version of Debian

    @property
    def addresses(self) -> tuple[str, str]:
        """Its IPv4 and its IPv6 address."""
        return f"{IPV4}{self.number}", f"{IPV6}{self.number}"


HOSTS = {
    "web1": Host(11, "web"),
    "web2": Host(12, "web"),
    "db1": Host(21, "db"),
    "worker1": Host(31, "worker"),
    "mon1": Host(41, "monitoring"),
}
# Of other versions of Debian. No part of the site that inventories/lab describes: started only when named.
OTHERS = {"deb11": Host(71, "bare", "bullseye"), "deb13": Host(73, "bare", "trixie")}


def described(name: str) -> Host:
    """Return a host by its name. Raise KeyError if there is none."""
    return HOSTS[name] if name in HOSTS else OTHERS[name]


def up(names: list[str]) -> None:
    """Start the hosts that do not run yet, each provisioned and seen over ssh."""
    start([name for name in names if not running(name)])


def reset(names: list[str]) -> None:
    """Replace hosts by new ones, as they were when the lab started."""
    remove(names)
    start(names)


def down() -> None:
    """Remove all that `up` made, but the image."""
    if shutil.which("podman"):
        remove([*HOSTS, *OTHERS])
        podman("network", "rm", "--force", PREFIX, check=False)
    shutil.rmtree(STATE, ignore_errors=True)


def running(name: str) -> bool:
    """Say whether a host runs."""
    if not KEY.exists():  # then it was not this lab that started it, or podman is not even there
        return False
    return podman("inspect", "--format={{.State.Running}}", container(name), check=False) == "true"


def container(name: str) -> str:
    """Return the name of a host's container."""
    return f"{PREFIX}-{name}"


def ssh(name: str, *words: str, feed: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a command on a host as its login user, with `feed` as its input. Raise LabError if it fails."""
    options = ("BatchMode=yes", f"UserKnownHostsFile={KNOWN_HOSTS}", "StrictHostKeyChecking=yes", "ConnectTimeout=5")
    flags = [word for option in options for word in ("-o", option)]
    return run("ssh", "-F", "none", "-i", str(KEY), *flags, f"{USER}@{described(name).addresses[0]}", *words, feed=feed)


def start(names: list[str]) -> None:
    """Start new hosts, two at a time, and see each over ssh."""
    if not names:
        return
    images = {suite: make_fit(suite) for suite in sorted({described(name).suite for name in names})}
    make_key()
    make_addresses()
    make_network()
    with ThreadPoolExecutor(max_workers=2) as pool:
        keys = dict(zip(names, pool.map(lambda name: boot(name, images[described(name).suite]), names), strict=True))
    know(keys)
    for name in names:
        ssh(name, "sudo", "true")


def boot(name: str, image: str) -> str:
    """Start and provision one new host; return its public ssh host key."""
    began = time.monotonic()
    host = described(name)
    remove([name])
    others = [f"--add-host={other}:{address}" for other, it in HOSTS.items() for address in it.addresses]
    podman(
        "run",
        "--detach",
        f"--name={container(name)}",
        f"--hostname={name}",
        "--systemd=always",
        "--privileged",
        # The same MAC address each time: whoever talked to the host before has it in the neighbour table.
        f"--network={PREFIX}:ip={host.addresses[0]},ip={host.addresses[1]},mac={MAC}{host.number:02}",
        *others,
        "--volume=/var/lib/containers",  # its own containers need a disk that is not an overlay
        image,
        "/lib/systemd/systemd",
    )
    wait_for_boot(name)
    archive = run("tar", "--create", f"--directory={REPOSITORY}", *CARGO).stdout
    inside(name, "tar", "--extract", "--no-same-owner", "--one-top-level=/opt/lab", feed=archive)
    if containers_conf().exists():
        inside(name, "tee", "/etc/containers/containers.conf", feed=containers_conf().read_bytes())
    inside(name, "sh", "-eu", "/opt/lab/tests/lab/hosts/common.sh", USER, KEY.with_suffix(".pub").read_text())
    if host.role != "bare":
        inside(name, "sh", "-eu", f"/opt/lab/tests/lab/hosts/{host.role}.sh")
    print(f"lab: {name} runs after {time.monotonic() - began:.1f} s", flush=True)
    return inside(name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")


def inside(name: str, *words: str, feed: bytes | None = None) -> str:
    """Run a command on a host as root, without ssh; return what it printed. Raise LabError if it fails."""
    return podman("exec", *(["--interactive"] if feed is not None else []), container(name), *words, feed=feed)


def wait_for_boot(name: str) -> None:
    """Wait until systemd has started everything. Raise LabError if something did not start."""
    deadline = time.monotonic() + READY_S
    while (
        state := podman("exec", container(name), "systemctl", "is-system-running", "--wait", check=False)
    ) != "running":
        if state == "degraded" or time.monotonic() > deadline:
            raise LabError(f"{name}: systemd says {state!r}.\n{inside(name, 'systemctl', '--failed', '--no-pager')}")
        time.sleep(0.2)


def reboot(name: str) -> None:
    """Restart a host, its disk kept, and see it over ssh."""
    podman("restart", "--time=10", container(name))
    wait_for_boot(name)
    ssh(name, "true")


def remove(names: list[str]) -> None:
    """Remove hosts with all that they hold; one that is not there is no error."""
    for name in names:
        podman("rm", "--force", "--time=0", "--volumes", "--ignore", container(name))


def make_key() -> None:
    """Make the key that opens the hosts, unless it is there."""
    if not KEY.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", PREFIX, "-f", str(KEY))


def make_addresses() -> None:
    """Write where people and the tracker are told: to incidentctl such an address is a secret, so each is a file."""
    inbox = f"{HOSTS['mon1'].addresses[0]}:{INBOX_PORT}"
    (STATE / "addresses").mkdir(mode=0o700, exist_ok=True)
    for name, scheme in (*((name, "json") for name in TOLD), ("tickets", "http")):
        (STATE / "addresses" / name).write_text(f"{scheme}://{inbox}/{name}\n")


def make_network() -> None:
    """Make the dual-stack network, unless it is there."""
    if run("podman", "network", "exists", PREFIX, check=False).returncode != 0:
        subnets = (f"--subnet={IPV4}0/24", f"--subnet={IPV6}/64")
        podman("network", "create", "--disable-dns", "--ipv6", *subnets, PREFIX)


def know(keys: dict[str, str]) -> None:
    """Write the hosts' keys to known_hosts, in place of older ones of the same hosts."""
    old = KNOWN_HOSTS.read_text().splitlines() if KNOWN_HOSTS.exists() else []
    kept = [line for line in old if line.split(",")[0] not in keys]
    new = [f"{','.join((name, *described(name).addresses))} {' '.join(key.split()[:2])}" for name, key in keys.items()]
    KNOWN_HOSTS.write_text("\n".join([*kept, *new]) + "\n")


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other command works on the lab, and keep it so."""
    folder = os.open(LAB, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main() -> int:
    """Read the words of the command, do it, say how long it took; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("up", "down", "reset", "status"))
    parser.add_argument("hosts", nargs="*", metavar="HOST", help=", ".join((*HOSTS, *OTHERS)))
    options = parser.parse_args()
    if unknown := [name for name in options.hosts if name not in (*HOSTS, *OTHERS)]:
        parser.error(f"no such host: {', '.join(unknown)}. There are {', '.join((*HOSTS, *OTHERS))}")
    if options.verb == "reset" and not options.hosts:
        parser.error("reset which host?")
    names = options.hosts or list(HOSTS)
    if options.verb == "status":
        for name in names:
            print(f"{name:8} {described(name).addresses[0]:14} {'runs' if running(name) else 'does not run'}")
        return 0
    began = time.monotonic()
    try:
        with alone():
            {"up": lambda: up(names), "reset": lambda: reset(names), "down": down}[options.verb]()
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"lab: {options.verb} took {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
