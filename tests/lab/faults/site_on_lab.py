"""A site on the lab's hosts that its faults matter to: a shop's door, orders, stock, a database, names, customers.

site_on_lab.py          lay it out on the hosts that `lab.py up` started; what is there already is mended
site_on_lab.py --age    make it look as if nothing had happened on it for weeks

Customers order at https://shop.lab.internal:8443 (nginx, web1), which is before the orders (worker1, web2, port 8100).
Those ask the stock (web2, port 8200) and PostgreSQL (db1) by names that mon1 serves. The customers run on mon1.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # the lab's programs are no package

import lab
from machine import LabError, run

# In the order in which they are laid out: each needs those before it.
PARTS = (
    ("names", "mon1"),
    *(("resolver", host) for host in ("web1", "web2", "worker1", "mon1")),
    ("database", "db1"),
    ("stock", "web2"),
    ("orders", "worker1"),
    ("orders", "web2"),
    ("front", "web1"),
)
AUTHORITY = "/usr/local/share/lab-ca.pem"
LOGINS = 4  # tried at most
CUSTOMERS = "/run/customers"  # what they saw, on mon1


def lay_out() -> None:
    """Lay the site out, and let the customers in. Raise LabError if something of it does not start."""
    for part, host in PARTS:
        run_there(host, HERE / "site", f"{part}.sh")
    authority = lab.ssh("web1", "cat", AUTHORITY).stdout
    lab.ssh("mon1", "sudo", "tee", AUTHORITY, feed=authority)
    for host in lab.HOSTS:
        run_there(host, HERE / "site", "snapshot.sh")
    run_there("mon1", HERE / "site", "customers.sh")
    back_up()
    age()


def back_up() -> None:
    """Do what the site does each night: without a backup that was proved, nobody goes back across a migration."""
    program = Path(sys.executable).with_name("incidentctl")
    run(str(program), "play", "backup", "--config", str(HERE / "incidentctl.yml"))


def age() -> None:
    """Make the hosts look as they would had nothing happened for weeks."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda host: run_there(host, HERE / "site", "age.sh"), lab.HOSTS))


def run_there(host: str, folder: Path, program: str) -> str:
    """Bring a folder to a host and run one of its programs there as root; return what it printed."""
    archive = run("tar", "--create", "--owner=root", "--group=root", f"--directory={folder.parent}", folder.name).stdout
    lines = (
        "place=$(mktemp --directory /run/faults.XXXXXX)",
        'trap "rm -rf $place" EXIT',
        "tar --extract --directory=$place",
        f"sh -eu $place/{folder.name}/{program} </dev/null",
    )
    return login(host, f"sudo sh -euc {shlex.quote('; '.join(lines))}", archive).decode().strip()


def login(host: str, line: str, feed: bytes = b"") -> bytes:
    """Run a line on a host; again where a busy one did not let us in: nothing has run there then."""
    for _attempt in range(LOGINS - 1):
        try:
            return lab.ssh(host, line, feed=feed).stdout
        except LabError as error:
            if "exited 255" not in str(error):
                raise
    return lab.ssh(host, line, feed=feed).stdout


def answers(last: int = 20) -> list[tuple[float, str, float]]:
    """Return what the last customers saw, as (when, status or what went wrong, seconds)."""
    lines = login("mon1", f"tail -n {last} {CUSTOMERS} || true").decode().splitlines()
    return [(float(at), said, float(took)) for at, said, took in map(str.split, lines)]


def _report() -> Iterator[str]:
    for at, said, took in answers(5):
        yield f"{at:.0f}  {said}  {took:.2f} s"


def main() -> int:
    """Read the words of the command, do it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--age", action="store_true", help="make it look as if nothing had happened for weeks")
    options = parser.parse_args()
    try:
        age() if options.age else lay_out()
        print("\n".join(_report()))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
