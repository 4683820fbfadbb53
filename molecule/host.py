"""The host that all scenarios share: a bare one of the lab's image, with systemd and sudo, reached over ssh.

host.py up        start it, unless it runs; write down what it looks like bare
host.py start     start a new one, whether it runs or not
host.py down      remove it, and all that `up` wrote
host.py journal   the end of its journal, and what failed

Standard library only. molecule/inventory describes it to Ansible.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))  # its modules are commands, and find each other beside them

from lab import USER, container, inside, remove, wait_for_boot  # noqa: E402
from machine import LabError, make_fit, podman, run  # noqa: E402

NAME = "molecule1"
NETWORK = "incidentctl-molecule"  # apart from the lab's, so that `make lab-down` leaves it alone
IPV4, IPV6 = "10.213.80.", "fd1c:7e4b:9a22::"
ADDRESSES = (f"{IPV4}11", f"{IPV6}11")
STATE = REPOSITORY / ".cache" / "molecule"
KEY, KNOWN_HOSTS, BARE = STATE / "id_ed25519", STATE / "known_hosts", STATE / "bare"
CARGO = ("tests/lab/hosts/common.sh", "demo/shop")  # what provisioning and prepare.yml need on the host


def up() -> None:
    """Start the host, unless it runs."""
    if not (BARE.exists() and podman("inspect", "--format={{.State.Running}}", container(NAME), check=False) == "true"):
        start()


def start() -> None:
    """Start a new host, provision it, note its key and how it looks bare."""
    began = time.monotonic()
    image = make_fit()
    down()
    STATE.mkdir(mode=0o700, parents=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NETWORK, "-f", str(KEY))
    subnets = (f"--subnet={IPV4}0/24", f"--subnet={IPV6}/64")
    podman("network", "create", "--disable-dns", "--ipv6", *subnets, NETWORK)
    podman(
        "run",
        "--detach",
        f"--name={container(NAME)}",
        f"--hostname={NAME}",
        "--systemd=always",
        "--privileged",
        f"--network={NETWORK}:ip={ADDRESSES[0]},ip={ADDRESSES[1]}",
        "--volume=/var/lib/containers",
        image,
        "/lib/systemd/systemd",
    )
    wait_for_boot(NAME)
    for family in ("-4", "-6"):  # it reaches this machine and nothing else: a scenario needs no network
        inside(NAME, "ip", family, "route", "delete", "default")
    archive = run("tar", "--create", "--exclude=__pycache__", f"--directory={REPOSITORY}", *CARGO).stdout
    inside(NAME, "tar", "--extract", "--no-same-owner", "--one-top-level=/opt/lab", feed=archive)
    inside(NAME, "sh", "-eu", "/opt/lab/tests/lab/hosts/common.sh", USER, KEY.with_suffix(".pub").read_text())
    key = inside(NAME, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    KNOWN_HOSTS.write_text(f"{','.join(ADDRESSES)} {' '.join(key)}\n")
    BARE.write_text(inside(NAME, "sh", feed=(HERE / "shared" / "state.sh").read_bytes()) + "\n")
    print(f"molecule: {NAME} runs after {time.monotonic() - began:.1f} s", flush=True)


def down() -> None:
    """Remove the host with all that it holds; if it is not there, that is no error."""
    remove([NAME])
    podman("network", "rm", "--force", NETWORK, check=False)
    shutil.rmtree(STATE, ignore_errors=True)


def journal() -> None:
    """Print what helps to see why a scenario went red."""
    print(inside(NAME, "systemctl", "--failed", "--no-pager"))
    print(inside(NAME, "journalctl", "--no-pager", "--lines=60"))


def main() -> int:
    """Do what the one word says; return the exit code."""
    verbs = {"up": up, "start": start, "down": down, "journal": journal}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verbs[sys.argv[1]]()
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
