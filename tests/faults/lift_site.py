"""What the campaign on lift contains, on a host of the lab or in a folder here: services, acts, another administrator."""

from __future__ import annotations

import base64
import importlib
import json
import shlex
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo
from tests.faults import lift_look
from tests.faults.acts import UTILS, world
from tests.small_service import free_port

MODULES = "ansible_collections.incidentctl.response.plugins.modules"
PATIENCE_S = 300
RULES = "/etc/prometheus/rules.d"
# What is a service's own that must outlive it: its toggles and its release. What changes with each start is in `run`.
SERVER = """\
import http.server, json, os, pathlib, signal, sys
home, port, pid = pathlib.Path(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
release = (home / "current").resolve().name
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer((home / self.path[1:]).read_text() if self.path != "/health" else json.dumps(release))
    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        (home / self.path[1:]).write_text(said)
        self.answer(said)
    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words):
        pass
def end(*words):
    pid.unlink(missing_ok=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
pid.with_suffix(".new").write_text(str(os.getpid()))
pid.with_suffix(".new").rename(pid)
server.serve_forever()
"""
PAGES = """\
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("", 8600), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
COMPOSE = {
    "services": {
        "cache": {
            "image": "localhost/python",
            "command": ["/usr/bin/python3", "-c", PAGES],
            "ports": ["8600:8600"],
        }
    },
    "networks": {"default": {"external": True, "name": "site"}},
}
UNIT = "[Unit]\nDescription=Of the campaign on lift\n[Service]\nExecStart={}\nKillMode=mixed\n"
BOTH = ("iptables", "ip6tables")
WHO = {"iptables": "198.51.100", "ip6tables": "2001:db8:"}


class Change(NamedTuple):
    """What another administrator does, and takes back: shell. `midway`: what it is while something is contained."""

    do: str
    undo: str
    midway: str | None = None


class Act(NamedTuple):
    """What a module is given, and how the playbook is called that does the same (None: none is)."""

    module: str
    options: dict[str, Any]
    playbook: str | None = None
    variables: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, never changed

    @property
    def capability(self) -> str:
        return str(self.options["capability"])


@dataclass
class Site:
    """A place with services: how to run something there as root, what can be done to it, how it looks."""

    enter: list[str]
    top: Path
    state: Path
    python: str
    run: str  # what is here changes with each start, and is not looked at
    acts: dict[str, Act] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    look_at: dict[str, Any] = field(default_factory=dict)
    more: Callable[[], list[str]] = list  # what is seen from here alone
    before_each: str = "true"

    def sh(self, text: str) -> str:
        """Run shell there as root; return what it printed. Raise RuntimeError if it fails."""
        done = self._run(["sh", "-c", text], b"")
        if done.returncode != 0:
            raise RuntimeError(f"{text}\nexited {done.returncode}: {done.stderr.decode(errors='replace')[-1000:]}")
        return done.stdout.decode()

    def look(self) -> dict[str, list[str]]:
        """Return how it looks: section → lines."""
        done = self._run([self.python, "-", json.dumps(self.look_at)], Path(lift_look.__file__).read_bytes())
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
        return {**json.loads(done.stdout), "monitoring": self.more()}

    def act(self, name: str, incident: str, *before: str, **more: Any) -> dict[str, Any] | None:
        """Run an act's module behind other words; return its block, None if it was killed."""
        act = self.acts[name]
        own = {"host_name": "here", "host_groups": ["all"], **act.options, **more}
        return self._module(act.module, incident, own, before)

    def lift(self, incident: str, *before: str, sabotaged: bool = False) -> dict[str, Any] | None:
        """Run the module that lifts; return its block, None if it was killed."""
        return self._module("_lift", incident, {"capability": "lift"}, before, sabotaged)

    def _module(
        self, module: str, incident: str, options: dict[str, Any], before: tuple[str, ...], sabotaged: bool = False
    ) -> dict[str, Any] | None:
        spec = importlib.import_module(f"{MODULES}.{module[1:]}").ARGUMENT_SPEC
        params = {name: about.get("default") for name, about in spec.items()}
        params |= {"incident_id": incident, "state_dir": str(self.state), "keep_going": True, **options}
        message = {
            "module": module, "run": (f"{UTILS}.{module}", "run"), "capability": params["capability"], "params": params,
            "paths": [], "check_mode": False, "environment": {}, "log": False,
        }  # fmt: skip
        library = _cargo.pack("_act", module)
        program = _cargo.program("said", _sabotaged(library) if sabotaged else library, message)
        done = self._run([*before, self.python, "-I", "-S", "-B", "-"], program)
        said = [line for line in done.stdout.decode().splitlines() if line.startswith("said {")]
        if said:
            return dict(json.loads(said[-1][5:])["result"]["incident"])
        if done.returncode not in (-9, 137):
            raise RuntimeError(f"{module} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
        return None

    def _run(self, argv: list[str], feed: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*self.enter, *argv], input=feed, capture_output=True, timeout=PATIENCE_S, check=False)


def _sabotaged(library: str) -> str:
    """Return the same code, in which a lift says that it took things back, and does not."""
    sources = json.loads(zlib.decompress(base64.b64decode(library)))
    real, sham = "summary, verified = UNDO[kind](left, check_mode)", 'summary, verified = "taken back", True'
    assert real in sources["_lift"]
    sources["_lift"] = sources["_lift"].replace(real, sham)
    return base64.b64encode(zlib.compress(json.dumps(sources).encode())).decode()


def _lay_out(site: Site, ports: dict[str, int], units: bool) -> dict[str, dict[str, Any]]:
    """Write the services down; return how the catalogue knows them."""
    run = site.run
    made = [f"mkdir -p {run}", f"cat >{site.top}/server.py <<'END'\n{SERVER}END"]
    entries: dict[str, dict[str, Any]] = {}
    for name, port in ports.items():
        home, pid = f"{site.top}/{name}", f"{run}/{name}.pid"
        server = f"{site.python} {site.top}/server.py {home} {port} {pid}"
        made += [f"mkdir -p {home}/releases/41 {home}/releases/42 {home}/releases/43 {run}"]
        made += [f"touch {home}/releases/{release}/here" for release in (41, 42, 43)]
        made += [f"ln -sfn releases/42 {home}/current; echo -n off >{home}/maintenance; echo -n closed >{home}/breaker"]
        wait = f"until [ -e {pid} ]; do sleep 0.05; done"
        control = {
            "start": ["sh", "-c", f"[ -e {pid} ] || setsid {server} </dev/null >/dev/null 2>&1 & {wait}"],
            "stop": ["sh", "-c", f"kill $(cat {pid}); while [ -e {pid} ]; do sleep 0.05; done"],
            "status": ["test", "-e", pid],
        }
        entries[name] = {"name": name, "hosts": "all", "manager": "command", "control": control}
        if units and name != "worker":
            unit = f"/etc/systemd/system/site-{name}.service"
            made.append(f"cat >{unit} <<'END'\n{UNIT.format(server)}END")
            entries[name] = {"name": name, "hosts": "all", "manager": "systemd", "unit": f"site-{name}.service"}
        entries[name]["health"] = {"url": f"http://127.0.0.1:{port}/health", "timeout_s": 3}
    site.sh("\n".join(made))
    for name in ("worker", "resting"):
        entries[name]["essential"] = False
    url = f"http://127.0.0.1:{ports['shop']}"
    entries["shop"] |= {
        "ports": [ports["shop"], 8600],
        "releases": {"kind": "symlink", "root": f"{site.top}/shop/releases", "current": f"{site.top}/shop/current"},
        "maintenance": {
            "on": {"url": f"{url}/maintenance", "method": "POST", "json": {"on": True}},
            "off": {"url": f"{url}/maintenance", "method": "POST", "json": {"on": False}},
            "status": {"url": f"{url}/maintenance"},
        },
        "circuit_breakers": [
            {
                "name": "payments",
                "open": {"url": f"{url}/breaker", "method": "POST", "json": {"open": True}},
                "close": {"url": f"{url}/breaker", "method": "POST", "json": {"open": False}},
                "status": {"url": f"{url}/breaker"},
            },
            {"name": "search", "egress": {"host": "192.0.2.7", "port": 9200}},
            {"name": "search6", "egress": {"host": "2001:db8::7", "port": 9200}},
        ],
    }
    for toggle in ("maintenance", "breaker"):  # as its own off leaves it
        off = json.dumps({"on": False} if toggle == "maintenance" else {"open": False})
        site.sh(f"printf %s {shlex.quote(off)} >{site.top}/shop/{toggle}")
    return entries


def _control(entry: dict[str, Any], verb: str) -> str:
    """Return the shell that starts or stops a service, as a person does."""
    if entry["manager"] == "systemd":
        return f"systemctl {verb} {entry['unit']}"
    return (
        shlex.join(entry["control"]["status"])
        + (" || " if verb == "start" else " && ")
        + shlex.join(entry["control"][verb])
    )


def _acts(entries: dict[str, dict[str, Any]]) -> dict[str, Act]:
    every = list(entries.values())
    stops = {"services": every, "non_essential": False, "capability": "isolation"}
    limits = {
        "services": every, "state": "limited", "per_minute": 10, "burst": 10, "expires_after": 3600,
        "confirm_within": 60, "management_cidrs": ["10.213.77.1/32"], "exempt_cidrs": [],
        "proxies_known": False, "max_source_fraction": 0.3, "allow_proxy": False, "allow_proxy_of": [], "acted": [],
    }  # fmt: skip
    isolated = {name: {**stops, "only": [name]} for name in ("shop", "cache") if name in entries}
    switch = {"services": every, "only": ["shop"], "state": "rolled_back", "to": "41", "remember": False}
    return {
        "rate_limit": Act("_traffic_rule", {**limits, "capability": "rate_limit"}, "rate_limit"),
        "quarantine": Act("_traffic_rule", {**limits, "capability": "quarantine", "only": ["shop"]}, "quarantine"),
        "egress": Act("_traffic_rule", {**limits, "capability": "circuit_breaker"}, "circuit_breaker"),
        "circuit_breaker": Act("_http_toggle", {"services": every, "capability": "circuit_breaker"}, "circuit_breaker"),
        "maintenance_mode": Act(
            "_http_toggle", {"services": every, "capability": "maintenance_mode"}, "maintenance_mode"
        ),
        **{
            f"isolation {name}": Act("_service_state", options, "isolation", {"incident_only": [name]})
            for name, options in isolated.items()
        },
        "scale_down": Act(
            "_service_state", {"services": every, "non_essential": True, "capability": "scale_down"}, "scale_down"
        ),
        "rollback": Act("_release", {**switch, "within_s": 20, "window_s": 0.2, "capability": "rollback"}),
    }


def _changes(site: Site, entries: dict[str, dict[str, Any]]) -> dict[str, Change]:
    """Return what another administrator may do. Firewalls before and after ours, in both families."""
    shop, link = entries["shop"], f"{site.top}/shop/current"
    restart = f"{_control(shop, 'stop')}; {_control(shop, 'start')}"
    running = shlex.join(
        shop["control"]["status"] if shop["manager"] == "command" else ["systemctl", "is-active", "-q", shop["unit"]]
    )
    only_if = f"if {running}; then {restart}; fi"
    found: dict[str, Change] = {}
    for tool in BOTH:
        who = WHO[tool]
        one, two, old = (f"{who}{'.' if tool == 'iptables' else ':'}{n}" for n in (1, 2, 250))
        host, base = f"{tool} -w 10", f"-s {old} -j RETURN"
        found[f"{tool}: own chain"] = Change(
            f"{host} -N ADMIN; {host} -A ADMIN -s {one} -j DROP; {host} -I INPUT 1 -j ADMIN; {host} -A OUTPUT -j ADMIN",
            f"{host} -D INPUT -j ADMIN; {host} -D OUTPUT -j ADMIN; {host} -F ADMIN; {host} -X ADMIN",
        )
        for table, chain in (("mangle", "PREROUTING"), ("filter", "OUTPUT"), ("filter", "FORWARD")):
            found[f"{tool}: before and after ours in {chain}"] = Change(
                f"{host} -t {table} -I {chain} 1 -s {one} -j ACCEPT; {host} -t {table} -A {chain} -s {two} -j ACCEPT",
                f"{host} -t {table} -D {chain} -s {one} -j ACCEPT; {host} -t {table} -D {chain} -s {two} -j ACCEPT",
            )
        found[f"{tool}: removes an old rule"] = Change(
            f"{host} -t mangle -D PREROUTING {base}", f"{host} -t mangle -I PREROUTING 1 {base}"
        )
        site.sh(f"{host} -t mangle -C PREROUTING {base} 2>/dev/null || {host} -t mangle -I PREROUTING 1 {base}")
    off = "printf '{\"on\": false}' >" + f"{site.top}/shop/maintenance"
    return {
        **found,
        "stops a service": Change(_control(entries["other"], "stop"), _control(entries["other"], "start")),
        "starts a service that rested": Change(_control(entries["resting"], "start"), _control(entries["resting"], "stop")),
        "starts what was contained": Change(_control(entries["worker"], "start"), "true"),
        "deploys": Change(
            f"ln -sfn releases/43 {link}; {restart}", f"ln -sfn releases/42 {link}; {restart}",
            f"ln -sfn releases/43 {link}; {only_if}",
        ),
        "ends the maintenance by hand": Change(off, "true"),
    }  # fmt: skip


@contextmanager
def here(folder: Path) -> Iterator[Site]:
    """Give a site in a folder of this machine. The caller has a network, mounts and processes of its own."""
    with ExitStack() as stack:
        site = Site([], folder / "site", folder / "state", sys.executable, str(folder / "run"))
        for path in (site.top, folder / "watched"):
            path.mkdir(parents=True)
        ports = {name: free_port() for name in ("shop", "worker", "resting", "other")}
        entries = _lay_out(site, ports, units=False)
        watched = stack.enter_context(world("enhanced_monitoring", folder / "watched", site.state))
        site.acts = _acts(entries)
        site.acts["enhanced_monitoring"] = Act(
            "_monitoring_rule", {**watched.options, "capability": "enhanced_monitoring"}
        )
        site.changes = _changes(site, entries)
        urls = [f"http://127.0.0.1:{port}/health" for port in ports.values()]
        folders = [str(site.top), str(site.state), "/run/incidentctl", str(folder / "watched" / "rules.d")]
        site.look_at = {
            "folders": folders,
            "urls": urls,
            "state_dir": str(site.state),
            "systemd": False,
            "podman": False,
        }
        site.more = lambda: [str(watched.look())]
        stack.callback(lambda: site.sh("; ".join(_control(entry, "stop") for entry in entries.values()) + "; true"))
        site.sh("; ".join(_control(entries[name], "start") for name in ("shop", "worker", "other")))
        yield site


def on_lab(name: str, enter: list[str]) -> Site:
    """Return the site on a host of the lab, laid out anew; `enter` brings a command there as root."""
    site = Site(enter, Path("/srv/site"), Path("/var/lib/incidentctl"), "/usr/bin/python3", "/run/site")
    ports = {"shop": 8000, "worker": 8001, "resting": 8002, "other": 8003}
    site.sh(f"mkdir -p {site.top}/cache")
    site.sh("systemctl is-active -q prometheus || sh -eu /opt/lab/tests/lab/hosts/monitoring.sh")
    entries = _lay_out(site, ports, units=True)
    file = f"{site.top}/cache/compose.yml"
    site.sh(
        "podman image exists localhost/python || podman import --quiet /opt/python.tar localhost/python;"
        "podman network exists site || podman network create --ipv6 --subnet 10.213.79.0/24 --subnet fd1c:7e4b:9a22::/64 "
        f"site; cat >{file} <<'END'\n{yaml.safe_dump(COMPOSE)}END\npodman-compose -f {file} up -d"
    )
    entries["cache"] = {
        "name": "cache", "hosts": "all", "manager": "compose", "compose_file": file,
        "health": {"url": "http://127.0.0.1:8600/", "timeout_s": 3},
    }  # fmt: skip
    site.acts, site.changes = _acts(entries), _changes(site, entries)
    watched = {"services": list(entries.values()), "only": ["shop"], "prometheus_hosts": "all", "rules_dir": RULES}
    watched |= {"prometheus_url": "http://127.0.0.1:9090", "alertmanager_url": "http://127.0.0.1:9093"}
    watched |= {"prometheus_secret_ref": {}, "prometheus_ca_file": "", "alertmanagers": []}
    watched |= {"inventory": {"all": ["here"]}, "expires_after": 3600, "capability": "enhanced_monitoring"}
    variables = {"incident_prometheus_hosts": name, "incident_only": ["shop"]}
    site.acts["enhanced_monitoring"] = Act("_monitoring_rule", watched, "enhanced_monitoring", variables)
    reload, rule = "curl -sf -X POST http://127.0.0.1:9090/-/reload", f"{RULES}/admin.yml"
    site.changes["edits the compose file"] = Change(f"echo '# a note' >>{file}", f"sed -i '/# a note/d' {file}")
    site.changes["a rule for Prometheus"] = Change(
        f"printf 'groups: [{{name: admin, rules: []}}]\\n' >{rule}; {reload}", f"rm {rule}; {reload}"
    )
    site.changes["nftables"] = Change(
        "nft add table inet admin; nft add chain inet admin c '{ type filter hook input priority 5; }';"
        "nft add rule inet admin c ip saddr 198.51.100.9 drop",
        "nft delete table inet admin",
    )
    alert = json.dumps([{"labels": {"alertname": "Slow", "service": "shop", "instance": "here:8000"}}])
    site.before_each = (
        f"curl -sf -H 'Content-Type: application/json' -d {shlex.quote(alert)} http://127.0.0.1:9093/api/v2/alerts"
    )
    folders = ["/etc", "/srv", "/tmp", "/var/tmp", "/root", "/home", "/run/incidentctl", "/var/lib/incidentctl"]  # noqa: S108 - looked at
    folders += ["/run/systemd/system", "/var/lib/systemd/timers"]
    urls = [f"http://127.0.0.1:{port}/health" for port in ports.values()]
    urls += ["http://127.0.0.1:9090/api/v1/rules?type=alert", "http://127.0.0.1:9093/api/v2/silences"]
    site.look_at = {"folders": folders, "urls": urls, "state_dir": str(site.state), "systemd": True, "podman": True}
    site.sh("systemctl daemon-reload; " + "; ".join(_control(entries[n], "start") for n in ("shop", "worker", "other")))
    return site


def inventory(site: Site, name: str) -> dict[str, Any]:
    """Return the variables by which playbooks know the same services on a host of the lab."""
    services = next(iter(site.acts.values())).options["services"]
    return {"incident_services": [{**service, "hosts": name} for service in services]}
