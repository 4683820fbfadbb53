"""Many light hosts on this machine: each a network, mount and process namespace with an sshd. Needs root.

They share one bridge in a network namespace of their own, which is entered to reach them. /etc/passwd, sudoers,
/home, /root, /run and /var/log are each host's own, so nothing of this machine is touched; a host has no systemd. All of it
ends with its processes, which end with the one that made it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests import packages

# Users: free becomes root without a password, asked with one; su asks for root's.
PASSWORD, ROOT_PASSWORD = "open sesame", "open said the barley"
_NETWORK, _NETWORK6 = "10.231.0", "fd1c:231"
# What can be wrong with the way to a host: what is run there, as root, to break it.
_REFUSE = "-p tcp --dport 22 -j REJECT --reject-with tcp-reset"
_BREAKS = {
    "refusing": [f"iptables -I INPUT {_REFUSE}"],
    "silent": ["iptables -I INPUT -j DROP", "iptables -I OUTPUT -j DROP"],
    "full": [
        "mkdir -p /root/full",
        "mount -t tmpfs -o size=16k,mode=0700 none /root/full",
        "dd if=/dev/zero of=/root/full/filler bs=1k count=16 status=none",
    ],
}
_MENDS = {
    "refusing": [f"iptables -D INPUT {_REFUSE}"],
    "silent": ["iptables -D INPUT -j DROP", "iptables -D OUTPUT -j DROP"],
    "full": ["umount /root/full"],
}  # fmt: skip
_TOOLS = {  # command → the Debian package that brings it
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "iptables": "iptables",
    "openssl": "openssl",
}
_SSHD = """\
Port 22
Port 2222
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""
_SUDOERS = """\
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL) ALL
free ALL=(ALL) NOPASSWD: ALL
asked ALL=(ALL) ALL
"""
_HOST = """\
set -e
for file in passwd shadow group sudoers; do mount --bind {folder}/$file /etc/$file; done
for mask in /run /home /root /var/log; do mount -t tmpfs -o mode=0755 none $mask; done
mkdir -p /run/sshd /home/free /home/asked
chown 9001:9001 /home/free && chown 9002:9002 /home/asked
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip link set lo up && ip address add {address}/16 dev eth0 && ip link set eth0 up
ip address add {address6}/64 dev eth0 nodad
exec {sshd} -D -e -f {folder}/sshd_config
"""


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a new folder for one who logs in: ssh's sockets lie below it, whose paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ic-") as folder:
        yield Path(folder)


def missing() -> str:
    """Install what light hosts need, where that can be done; say what is missing then, "" if nothing."""
    return "light hosts need root" if os.geteuid() != 0 else packages.lacking(_TOOLS)


class LightHosts:
    """Hosts that run: their inventory, and how to run a command beside them or inside."""

    def __init__(self, folder: Path, bridge: int, hosts: dict[str, int]) -> None:
        """Keep the process ids: of the bridge's namespace, and of each host by its name."""
        self._folder, self._bridge, self._hosts = folder, bridge, hosts

    def names(self) -> list[str]:
        """Return the hosts' names."""
        return list(self._hosts)

    def beside(self, *argv: str) -> list[str]:
        """Return the command that runs `argv` where the hosts can be reached."""
        return ["nsenter", f"--target={self._bridge}", "--net", *argv]

    def inside(self, name: str, *argv: str) -> str:
        """Run a command as root on a host; return what it printed."""
        # unshare itself stays in the old process namespace; its child, the sshd, is the host's first process.
        enter = ["nsenter", f"--target={self.first_process(name)}", "--net", "--mount", "--pid"]
        return subprocess.run([*enter, *argv], capture_output=True, text=True, check=True).stdout

    def path(self, name: str, path: str) -> Path:
        """Return where this machine sees a file of a host."""
        return Path(f"/proc/{self.first_process(name)}/root{path}")

    def break_(self, name: str, fault: str) -> None:
        """Have a host refuse connections, swallow all packets (silent), or have no room in /root/full (full)."""
        for line in _BREAKS[fault]:
            self.inside(name, "sh", "-c", line)

    def mend(self, name: str, fault: str) -> None:
        """Take back what `break_` did."""
        for line in _MENDS[fault]:
            self.inside(name, "sh", "-c", line)

    def change_key(self, name: str) -> None:
        """Have whoever logs in know another key of a host than it has; called again, the right one."""
        known = self._folder / "known_hosts"
        address = f"{self.variables(name)['ansible_host']} "
        right, wrong = ((self._folder / f"{key}.pub").read_text() for key in ("host_key", "key"))
        lines = known.read_text().splitlines(keepends=True)
        turned = [line.replace(*((right, wrong) if right in line else (wrong, right))) for line in lines]
        known.write_text(
            "".join(t if line.startswith(address) else line for line, t in zip(lines, turned, strict=True))
        )

    def sessions(self, name: str) -> int:
        """Return how many commands a host has been sent over ssh so far, whichever connections they came by."""
        return (self._folder / f"{name}.log").read_text(errors="replace").count("Starting session: ")

    def connections(self, name: str) -> int:
        """Return how many connections to its sshd a host has seen so far, logged in or not."""
        return (self._folder / f"{name}.log").read_text(errors="replace").count("Connection from ")

    def first_process(self, name: str) -> int:
        """Return the id, as this machine sees it, of the host's sshd."""
        parent = self._hosts[name]
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

    def variables(self, name: str, user: str = "free") -> dict[str, Any]:
        """Return what Ansible has to know of a host."""
        return {
            "ansible_host": address(int(name[1:])),
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self._folder / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self._folder}/known_hosts -o StrictHostKeyChecking=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def bytes_seen(self, name: str) -> tuple[int, int]:
        """Return how many bytes have gone (to, from) a host so far, TCP and all."""
        shown = subprocess.run(
            self.beside("ip", "-json", "-statistics", "link", "show", name), capture_output=True, check=True
        )
        counted = json.loads(shown.stdout)[0]["stats64"]
        return counted["tx"]["bytes"], counted["rx"]["bytes"]


def address(number: int, version: int = 4) -> str:
    """Return the IP address of that version of the host of that number."""
    return f"{_NETWORK}.{number + 1}" if version == 4 else f"{_NETWORK6}::{number + 1:x}"


@contextmanager
def running(count: int) -> Iterator[LightHosts]:
    """Start hosts h1 … hN; end them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="light-hosts-")))
        _prepare(folder, count)
        bridge = stack.enter_context(_process(["unshare", "--net", "sleep", "infinity"]))
        at_bridge = ["nsenter", f"--target={bridge}", "--net"]
        _until(lambda: Path(f"/proc/{bridge}/ns/net").readlink() != Path("/proc/self/ns/net").readlink())
        lines = [
            "link add hub type bridge",
            f"address add {_NETWORK}.1/16 dev hub",
            f"address add {_NETWORK6}::1/64 dev hub nodad",
            "link set hub up",
            "link set lo up",
        ]
        hosts = {}
        for number in range(1, count + 1):
            addresses = {"address": address(number), "address6": address(number, 6)}
            script = _HOST.format(folder=folder, sshd=packages.find("sshd"), **addresses)
            unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            log = stack.enter_context((folder / f"h{number}.log").open("wb"))
            hosts[f"h{number}"] = stack.enter_context(_process([*unshare, "sh", "-c", script], log))
        here = Path("/proc/self/ns/net").readlink()
        _until(lambda: all(Path(f"/proc/{pid}/ns/net").readlink() != here for pid in hosts.values()))
        for name, pid in hosts.items():
            lines += [f"link add {name} type veth peer name eth0 netns {pid}", f"link set {name} master hub up"]
        subprocess.run([*at_bridge, "ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        made = LightHosts(folder, bridge, hosts)
        for name in hosts:
            _until(lambda name=name: _answers(made, name))
        yield made


def _prepare(folder: Path, count: int) -> None:
    folder.chmod(0o755)  # sshd reads keys as the user who logs in
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    public = (folder / "host_key.pub").read_text()
    known = [
        f"{place} {public}"
        for number in range(1, count + 1)
        for place in (address(number), address(number, 6), f"[{address(number)}]:2222")
    ]
    (folder / "known_hosts").write_text("".join(known))
    hashed, root = (_hashed(word) for word in (PASSWORD, ROOT_PASSWORD))
    users = "free:x:9001:9001::/home/free:/bin/bash\nasked:x:9002:9002::/home/asked:/bin/bash\n"
    (folder / "passwd").write_text(
        f"root:x:0:0::/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n{users}"
    )
    (folder / "shadow").write_text(
        f"root:{root}:1::::::\nsshd:!:1::::::\nfree:{hashed}:1::::::\nasked:{hashed}:1::::::\n"
    )
    (folder / "group").write_text("root:x:0:\nshadow:x:42:\nnogroup:x:65534:\nfree:x:9001:\nasked:x:9002:\n")
    (folder / "sudoers").write_text(_SUDOERS)
    (folder / "sshd_config").write_text(_SSHD.format(folder=shlex.quote(str(folder))))
    for name, mode in {"shadow": 0o640, "sudoers": 0o440}.items():
        (folder / name).chmod(mode)


def _hashed(password: str) -> str:
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, text=True, capture_output=True, check=True
    )
    return made.stdout.strip()


def _answers(hosts: LightHosts, name: str) -> bool:
    place = hosts.variables(name)["ansible_host"]
    probe = hosts.beside("timeout", "1", "bash", "-c", f"head -c 3 </dev/tcp/{place}/22")
    return subprocess.run(probe, capture_output=True, check=False).stdout == b"SSH"


@contextmanager
def _process(argv: list[str], log: Any = subprocess.DEVNULL) -> Iterator[int]:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("a light host did not start; its log is beside its keys")
        time.sleep(0.02)
