"""What a restart does to rules and clocks: in the window, with the rules saved by then, and long after (lockout.py)."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

from tests.faults import bad_rules
from tests.faults.lockout_hosts import FAMILIES, Lab, lab, login, root, rules
from tests.faults.lockout_play import Play, left_behind, moment, wait_for_login

LATE_S = 5.0  # after the deadline, or after the boot, if that is later
_BAD = ("all dropped on the way in", "new ones dropped", "another range spared")
_PACKAGES = ("netfilter-persistent", "iptables-persistent")
_UNIT = "[Unit]\nAfter={after}\n[Service]\nType=oneshot\nRemainAfterExit=yes\n{does}\n[Install]\nWantedBy=multi-user.target\n"
Told = tuple[str, list[str]]


class Way(Protocol):
    """How an administrator has rules saved, and loaded at boot."""

    def __call__(self, name: str, verb: str) -> None:
        """Set it up on a host (`prepare`), `save` the rules that are in, do so `anew`, or take it away (`remove`)."""


def _netfilter_persistent(name: str, verb: str) -> None:
    """Debian's own."""
    if verb == "prepare":
        for package in _packages():
            lab.inside(name, "tee", f"/tmp/{package.name}", feed=package.read_bytes())  # noqa: S108 - of a host of ours
        lab.inside(name, "sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg -i /tmp/*persistent*.deb")
        lab.inside(name, "systemctl", "enable", "netfilter-persistent.service")
    if verb in ("save", "anew"):
        lab.inside(name, "netfilter-persistent", "save")
    if verb == "remove":
        lab.inside(name, "sh", "-c", "dpkg --purge iptables-persistent netfilter-persistent; rm -rf /etc/iptables")


def _boot_script(name: str, verb: str) -> None:
    """A script of one's own, late: after sshd."""
    _by_unit(
        name, verb, "/usr/local/etc/rules", after="ssh.service", does="ExecStart=/bin/sleep 3\nExecStart={restore}"
    )


def _at_shutdown(name: str, verb: str) -> None:
    """Saved when the host goes down, whatever is in then."""
    does = "ExecStart={restore}\nExecStop={save}"
    if verb == "anew":
        lab.inside(name, "systemctl", "restart", "own-rules.service")
    elif verb != "save":
        _by_unit(name, verb, "/etc/rules", after="local-fs.target", does=does)


def _rc_local(name: str, verb: str) -> None:
    """The file that every old guide names."""
    if verb == "prepare":
        _write(name, "/etc/rc.local", f"#!/bin/sh\n{_commands('restore', '/root/rules')}\n", "755")
        lab.inside(name, "systemctl", "daemon-reload")
    if verb in ("save", "anew"):
        lab.inside(name, "sh", "-c", _commands("save", "/root/rules"))
    if verb == "remove":
        lab.inside(name, "sh", "-c", "rm -f /etc/rc.local /root/rules*; systemctl daemon-reload")


def _nftables(name: str, verb: str) -> None:
    """nftables.service, with what `nft list ruleset` says of rules that iptables has put in: their comments are lost."""
    if verb == "prepare":
        lab.inside(name, "sh", "-c", "cp /etc/nftables.conf /root/before.conf; systemctl enable nftables.service")
    if verb in ("save", "anew"):
        lab.inside(
            name, "sh", "-c", "(echo flush ruleset; nft list ruleset) >/etc/nftables.conf; nft -c -f /etc/nftables.conf"
        )
    if verb == "remove":
        lab.inside(name, "sh", "-c", "mv /root/before.conf /etc/nftables.conf; systemctl disable nftables.service")


WAYS: dict[str, Way] = {
    "netfilter-persistent": _netfilter_persistent,
    "a late boot script": _boot_script,
    "rc.local": _rc_local,
    "nftables.service": _nftables,
    "saved at shutdown": _at_shutdown,
}


def boots(site: Lab, top: Path, ways: list[str]) -> Iterator[Callable[[], Told]]:
    """Give what restarts the host, in each way; each returns what there is to say of it, and what was wrong."""
    (host,) = site.names()
    lab.inside(
        host, "systemctl", "disable", "--now", "--quiet", "shop.service"
    )  # its containers have rules of their own
    families, bad = cycle(FAMILIES), cycle(_BAD)
    for confirm_s in (5, 5, 25, 25):
        yield partial(_in_the_window, site, top, next(families), next(bad), confirm_s, None)
    yield partial(_confirmed_after_a_restart, site, top, next(families))
    yield partial(_forgotten, site, top, next(families))
    for name, way in ((name, WAYS[name]) for name in ways):
        way(host, "prepare")
        for confirm_s in (5, 25):
            yield partial(_named, name, _in_the_window, site, top, next(families), next(bad), confirm_s, way)
        yield partial(_named, name, _later, site, top, next(families), way)
        if way is _netfilter_persistent:
            yield partial(_named, name, _forgotten, site, top, next(families), way)
        way(host, "remove")


def _named(name: str, what: Callable[..., Told], *words: Any) -> Told:
    told, wrong = what(*words)
    return f"{name}: {told}", wrong


def _in_the_window(site: Lab, top: Path, family: str, bad: str, confirm_s: int, way: Way | None) -> Told:
    """Restart it while nobody has confirmed; where the rules were saved, once more when the clock has struck."""
    (host,) = site.names()
    play = Play(
        site, host, "rate_limit", family, top, bad_rules.collection(bad, top), rate_limit_confirm_within=confirm_s
    )
    (entry,) = play.loaded()
    play.kill()
    if way:
        way(host, "save")
    up, deadline, wrong = restart(host), moment(entry["confirm_by"]), []
    if up + 2 < deadline and login(site, host, family) is (way is not None):
        wrong.append("the restart has let everybody in" if way is None else "what was saved was not loaded")
    told, more = _comes_in(play, family, max(up, deadline))
    told, wrong = f"{bad}, {family}, restart in a window of {confirm_s} s: {told}", [*wrong, *more]
    if way is None:
        return told, wrong + left_behind(play, None, LATE_S)
    wrong += _swept(play)
    again, more = _comes_in(play, family, restart(host))
    wrong += more + _swept(play)
    way(host, "anew")
    return f"{told}; at the next boot: {again}", wrong + left_behind(play, None, LATE_S)


def _later(site: Lab, top: Path, family: str, way: Way) -> Told:
    """Put in what is good, have it saved, lift it, restart: it must not be back, and nothing is left once it is saved anew."""
    (host,) = site.names()
    # A rate limit has a match that `nft list` can show, and nft cannot load.
    play = Play(site, host, "circuit_breaker", family, top)
    wrong = [] if play.wait() == 0 else [play.said()[-500:]]
    if way is _at_shutdown:
        restart(host)
    way(host, "save")
    lift = Play(site, host, "lift", family, top, incident_id=play.incident)
    if lift.wait() != 0:
        wrong.append(lift.said()[-500:])
    if not _clocks(site, host).exists():
        wrong.append("the saved rules were not found")
    up = restart(host)
    wrong += _swept(play, up + LATE_S)
    way(host, "anew")
    return f"{family}, lifted, then restarted", wrong + left_behind(play, None, LATE_S)


def _confirmed_after_a_restart(site: Lab, top: Path, family: str) -> Told:
    """The rules are gone with the restart; whoever confirms them then must be told."""
    (host,) = site.names()
    bad = bad_rules.collection(_BAD[0], top)
    play = Play(site, host, "rate_limit", family, top, bad, rate_limit_confirm_within=60)
    play.loaded()
    play.kill()
    restart(host)
    about = {"capability": "rate_limit", "state": "confirmed", "services": [], "host_name": host, "keep_going": True}
    inventory = play.folder / "hosts.json"
    words = ["ansible", host, "-i", str(inventory), "--become", "-m", "incidentctl.response.traffic_rule"]
    options = {**about, "incident_id": play.incident, "state_dir": site.state_dir}
    done = subprocess.run(
        [*words, "-a", json.dumps(options)], cwd=bad_rules.ROOT, capture_output=True, text=True, check=False
    )
    wrong = [] if "not confirmed: the rules are not all there any more" in done.stdout else [done.stdout + done.stderr]
    return f"{family}, restarted, then confirmed", wrong + left_behind(play, None, LATE_S)


def _forgotten(site: Lab, top: Path, family: str, way: Way | None = None) -> Told:
    """Nobody lifts it. It ends when its time is over: by itself, or (saved) when the power, which failed, is back later."""
    (host,) = site.names()
    play = Play(site, host, "rate_limit", family, top, rate_limit_expires_after=15)
    wrong = [] if play.wait() == 0 else [play.said()[-500:]]
    (entry,) = play.entries()
    over = moment(entry["expires_at"])
    if time.time() < over and not any("incidentctl" in line for line in rules(site, host)):
        wrong.append("it ended too early")
    if way:
        way(host, "save")
        over = max(over, restart(host, off_until=over + 2))
    time.sleep(max(0.0, over - time.time()))
    wrong += _swept(play, over + LATE_S)
    (entry,) = play.entries()
    if entry.get("lifted_because") != "its time ran out":
        wrong.append(f"the ledger says {entry['state']}, {entry.get('lifted_because')}")
    if way:
        way(host, "anew")
    return f"{family}, forgotten{', and the power off at its end' if way else ''}", wrong + left_behind(
        play, None, LATE_S
    )


def restart(host: str, off_until: float = 0.0) -> float:
    """Restart a host, or (with a time) cut its power and give it back then; return when it has started all it starts."""
    if off_until:
        lab.podman("kill", lab.container(host))
        lab.podman("wait", lab.container(host))
        lab.podman("container", "cleanup", lab.container(host))  # else the network's rules may be there yet
        time.sleep(max(0.0, off_until - time.time()))
        lab.podman("start", lab.container(host))
    else:
        lab.podman("restart", "--time=10", lab.container(host))
    lab.wait_for_boot(host)
    return time.time()


def _comes_in(play: Play, family: str, deadline: float) -> Told:
    time.sleep(max(0.0, deadline - time.time()))
    late = wait_for_login(play.site, play.host, family, deadline, LATE_S)
    return ("LOCKED OUT", ["locked out"]) if late is None else (late, [])


def _swept(play: Play, until: float = 0.0) -> list[str]:
    """Return what of an act is still in the packet filter at a time, of those that iptables sees and of those that nft does."""
    until = until or time.time() + LATE_S
    while True:
        seen = [line for line in rules(play.site, play.host) if "incidentctl" in line]
        listed = lab.inside(play.host, "nft", "list", "ruleset").splitlines()
        seen += [line for line in listed if "incidentctl" in line]
        if not seen or time.time() > until:
            return [f"still there: {seen}"] if seen else []
        time.sleep(0.2)


def _clocks(site: Lab, host: str) -> Path:
    return Path(f"{root(site, host)}{site.state_dir}", "clocks")


def _packages() -> list[Path]:
    """Return Debian's packages, brought here by apt."""
    folder = lab.STATE / "packages"
    folder.mkdir(exist_ok=True)
    if len(list(folder.glob("*.deb"))) < len(_PACKAGES):
        subprocess.run(["apt-get", "download", *_PACKAGES], cwd=folder, capture_output=True, check=True)
    return sorted(folder.glob("*.deb"))


def _by_unit(name: str, verb: str, place: str, after: str, does: str) -> None:
    """Have rules saved at a place and loaded from there by two scripts, which a unit calls."""
    scripts = {what: f"/usr/local/sbin/own-rules-{what}" for what in ("save", "restore")}
    if verb == "prepare":
        for what, path in scripts.items():
            _write(name, path, f"#!/bin/sh -e\n{_commands(what, place)}\n", "755")
        _write(name, "/etc/systemd/system/own-rules.service", _UNIT.format(after=after, does=does.format(**scripts)))
        lab.inside(name, "sh", "-c", "systemctl daemon-reload; systemctl enable --now own-rules.service")
    if verb in ("save", "anew"):
        lab.inside(name, scripts["save"])
    if verb == "remove":
        files = f"/etc/systemd/system/own-rules.service {' '.join(scripts.values())} {place}.v4 {place}.v6"
        lab.inside(
            name, "sh", "-c", f"systemctl disable --now own-rules.service; rm -f {files}; systemctl daemon-reload"
        )


def _commands(verb: str, place: str) -> str:
    """Return the shell's words that save the rules of both families at a place, or restore those that are there."""
    if verb == "save":
        return f"iptables-save >{place}.v4\nip6tables-save >{place}.v6"
    return (
        f"test ! -e {place}.v4 || iptables-restore <{place}.v4\ntest ! -e {place}.v6 || ip6tables-restore <{place}.v6"
    )


def _write(name: str, path: str, text: str, mode: str = "644") -> None:
    lab.inside(name, "tee", path, feed=text.encode())
    lab.inside(name, "chmod", mode, path)
