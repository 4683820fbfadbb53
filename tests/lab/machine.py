"""This machine, made fit for the lab: its tools, podman, and the image that hosts are made of, one for each Debian version.

Standard library only. Debian with root; nothing is pulled from an image registry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

LAB = Path(__file__).resolve().parent
STATE = LAB.parents[1] / ".lab"  # keys, known_hosts, containers.conf: gone after `lab.py down`
IMAGE = "localhost/incidentctl-lab"
PACKAGES = LAB / "image" / "packages"
CUSTOMIZE = LAB / "image" / "customize"
TOOLS = {  # command → the Debian packages that bring it, and what it needs here
    "podman": ("podman", "netavark", "iptables"),
    "runc": ("runc",),
    "mmdebstrap": ("mmdebstrap",),
    "ssh": ("openssh-client",),
}


class Suite(NamedTuple):
    """A version of Debian, by what in its image is otherwise than the recipe in image/ has it."""

    python: str
    lacks: tuple[str, ...] = ()  # packages and units that it does not have
    more: tuple[str, ...] = ()  # packages


SUITE = "bookworm"
SUITES = {
    "bullseye": Suite(
        "3.9",
        ("aardvark-dns", "netavark", "podman-compose", "podman-restart.service"),
        ("containernetworking-plugins",),
    ),
    SUITE: Suite("3.11"),
    "trixie": Suite("3.13", ("e2scrub_all.timer", "e2scrub_reap.service")),
}
UNREAD = ("doc", "info", "javascript", "locale", "man")  # folders of /usr/share that no host needs
# Needed on hybrid cgroups, which crun refuses, and without CAP_SYS_RESOURCE, which the default limits want.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


class LabError(Exception):
    """The lab cannot go on; the message says what, why and how to fix it."""


def run(*argv: str, check: bool = True, feed: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, with `feed` as its input. Raise LabError if it fails and `check`."""
    config = containers_conf()
    env = os.environ | ({"CONTAINERS_CONF": str(config)} if config.exists() else {})
    done = subprocess.run(argv, input=feed or b"", capture_output=True, check=False, env=env)
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise LabError(f"{' '.join(argv)}\nexited {done.returncode}: {said[-2000:]}")
    return done


def podman(*words: str, check: bool = True, feed: bytes | None = None) -> str:
    """Run podman; return what it printed. Raise LabError if it fails and `check`."""
    return run("podman", *words, check=check, feed=feed).stdout.decode("utf-8", "replace").strip()


def containers_conf() -> Path:
    """Return where podman's settings for this machine are, if it needs any."""
    return STATE / "containers.conf"


def make_fit(suite: str = SUITE) -> str:
    """Install what is missing, build a suite's image if its recipe has none yet, see it run; return its name."""
    if os.geteuid() != 0:
        raise LabError(
            "The lab needs root: its hosts run systemd, and reach each other over a bridge.\nFix: sudo make lab"
        )
    STATE.mkdir(mode=0o700, exist_ok=True)
    _install_missing()
    repository = IMAGE if suite == SUITE else f"{IMAGE}-{suite}"
    name = f"{repository}:{_recipe(suite)}"
    if run("podman", "image", "exists", name, check=False).returncode != 0:
        _build(suite, repository, name)
    _see_it_run(name)
    return name


def _install_missing() -> None:
    missing = [package for tool, packages in TOOLS.items() if shutil.which(tool) is None for package in packages]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LabError(
            f"{', '.join(missing)}: not installed, and no apt-get here.\nFix: install them as your system does"
        )
    print(f"lab: installing {', '.join(missing)}", flush=True)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update")
    run("apt-get", "install", "--yes", "--no-install-recommends", *missing)


def _packages(suite: str) -> list[str]:
    return [word for word in PACKAGES.read_text().split() if word not in SUITES[suite].lacks] + [*SUITES[suite].more]


def _customize(suite: str) -> str:
    """Return the script that makes a suite's Debian a lab host; it was written for SUITE."""
    script = CUSTOMIZE.read_text().replace(f"python{SUITES[SUITE].python}", f"python{SUITES[suite].python}")
    for word in SUITES[suite].lacks:
        script = script.replace(f" {word}", "")
    return script


def _recipe(suite: str) -> str:
    words = " ".join((suite, *UNREAD)) + "".join(f"{package}\n" for package in _packages(suite))
    return hashlib.sha256((words + _customize(suite)).encode()).hexdigest()[:12]


def _build(suite: str, repository: str, name: str) -> None:
    print(f"lab: building the host image of {suite}, which takes minutes, once", flush=True)
    with tempfile.TemporaryDirectory(
        prefix="incidentctl-lab-", dir="/var/tmp"
    ) as folder:  # too large for a /tmp in memory
        tar, customize = Path(folder) / "host.tar", Path(folder) / "customize"
        customize.write_text(_customize(suite))
        customize.chmod(0o755)
        run(
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(_packages(suite))}",
            *(f"--dpkgopt=path-exclude=/usr/share/{unread}/*" for unread in UNREAD),
            f'--customize-hook={customize} "$1"',
            suite,
            str(tar),
        )
        podman("import", "--quiet", str(tar), name)
    for old in podman("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split():
        if old != name:
            podman("rmi", old, check=False)  # refused while a host still runs on it


def _see_it_run(name: str) -> None:
    probe = ("podman", "run", "--rm", "--network=none", name, "true")
    if run(*probe, check=False).returncode != 0:
        containers_conf().write_text(CONTAINERS_CONF)
        run(*probe)
