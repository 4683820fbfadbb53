"""Many light hosts on this machine: each a network, mount and process namespace with an sshd. Needs root.

They share one bridge in a network namespace of their own, which is entered to reach them. /etc/passwd, sudoers,
/home, /root, /run and /var/log are each host's own, so nothing of this machine is touched; a host has no systemd. All of it
ends with its processes, which end with the one that made it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

# Users: free becomes root without a password, asked with one; su asks for root's.
PASSWORD, ROOT_PASSWORD = "open sesame", "open said the barley"
_NETWORK = "10.231.0"
_TOOLS = ("ip", "nsenter", "unshare", "sshd", "ssh-keygen", "sudo", "iptables", "openssl")
_SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_SSHD = """\
ListenAddress 0.0.0.0
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
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
exec {sshd} -D -e -f {folder}/sshd_config
"""


def missing() -> str:
    """Say what light hosts lack on this machine; "" if nothing."""
    if os.geteuid() != 0:
        return "light hosts need root"
    lacking = [tool for tool in _TOOLS if _find(tool) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


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

    def first_process(self, name: str) -> int:
        """Return the id, as this machine sees it, of the host's sshd."""
        parent = self._hosts[name]
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

    def variables(self, name: str, user: str = "free") -> dict[str, Any]:
        """Return what Ansible has to know of a host."""
        return {
            "ansible_host": f"{_NETWORK}.{1 + int(name[1:])}",
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
            "link set hub up",
            "link set lo up",
        ]
        hosts = {}
        for number in range(1, count + 1):
            script = _HOST.format(folder=folder, address=f"{_NETWORK}.{number + 1}", sshd=_find("sshd"))
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
            _until(lambda name=name: _answers(made, name), seconds=30)
        yield made


def _prepare(folder: Path, count: int) -> None:
    folder.chmod(0o755)  # sshd reads keys as the user who logs in
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    public = (folder / "host_key.pub").read_text()
    known = [f"{_NETWORK}.{number + 1} {public}" for number in range(1, count + 1)]
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
    address = hosts.variables(name)["ansible_host"]
    probe = hosts.beside("timeout", "1", "bash", "-c", f"head -c 3 </dev/tcp/{address}/22")
    return subprocess.run(probe, capture_output=True, check=False).stdout == b"SSH"


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=_SEARCHED)


@contextmanager
def _process(argv: list[str], log: Any = subprocess.DEVNULL) -> Iterator[int]:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _until(true: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("a light host did not start; its log is beside its keys")
        time.sleep(0.02)
