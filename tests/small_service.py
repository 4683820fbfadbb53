"""Real, small things for tests to act on: a service under commands, and an HTTP endpoint that is scripted."""

from __future__ import annotations

import http.server
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Serves what `current/health` said when it started: a status code, or `silent` (runs, but does not listen),
# or `crash`. While it runs there is a file `pid`.
_SERVER = """
import http.server, json, os, pathlib, signal, sys
home, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
said = home / "current" / "health"
health = said.read_text().strip() if said.exists() else "200"
maintenance, breaker = {"enabled": False}, {"state": "closed"}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(int(health) if self.path == "/health" else 200)
    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (breaker if self.path == "/breaker" else maintenance).update(said)
        self.answer(200)
    def answer(self, status):
        body = json.dumps(breaker if self.path == "/breaker" else maintenance).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_words):
        pass

def end(*_signal):
    (home / "pid").unlink()
    sys.exit(0)

if health == "crash":
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
if health != "silent":
    http.server.HTTPServer.allow_reuse_address = True
    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
(home / "pid.new").write_text(str(os.getpid()))
(home / "pid.new").rename(home / "pid")
if health == "silent":
    signal.pause()
server.serve_forever()
"""


class SmallService:
    """A service in a folder of its own, as the catalogue has it, with all that a role may need of it."""

    def __init__(self, home: Path, name: str = "shop") -> None:
        """Lay out the folder; nothing runs yet."""
        self.home, self.name, self.port = home, name, free_port()
        self.pid = home / "pid"
        self.current = home / "current"
        home.mkdir(parents=True)
        (home / "server.py").write_text(_SERVER)
        (home / "start.sh").write_text(
            f"[ -e {self.pid} ] || exec setsid {sys.executable} {home}/server.py {home} {self.port} >{home}/log 2>&1 &\n"
        )

    def entry(self, *parts: str, **more: Any) -> dict[str, Any]:
        """Return the service as the catalogue has it, with the optional `parts` that are named."""
        url = f"http://127.0.0.1:{self.port}"
        all_parts: dict[str, Any] = {
            "health": {"url": f"{url}/health", "timeout_s": 10},
            "releases": {"kind": "symlink", "root": str(self.home / "releases"), "current": str(self.current)},
            "maintenance": {
                "on": {"url": f"{url}/maintenance", "json": {"enabled": True}},
                "off": {"url": f"{url}/maintenance", "json": {"enabled": False}},
                "status": {"url": f"{url}/maintenance"},
            },
            "circuit_breakers": [
                {
                    "name": "payments",
                    "open": {"url": f"{url}/breaker", "json": {"state": "open"}},
                    "close": {"url": f"{url}/breaker", "json": {"state": "closed"}},
                    "status": {"url": f"{url}/breaker"},
                }
            ],
        }
        control = {
            "start": ["sh", str(self.home / "start.sh")],
            "stop": ["sh", "-c", f"kill $(cat {self.pid})"],
            "status": ["test", "-e", str(self.pid)],
        }
        service = {"name": self.name, "hosts": "all", "manager": "command", "control": control}
        return {**service, **{part: all_parts[part] for part in parts}, **more}

    def release(self, name: str, health: str = "200", migrations: dict[str, str] | None = None) -> Path:
        """Add a release whose server answers so, with these migration files (None: without the folder)."""
        folder = self.home / "releases" / name
        folder.mkdir(parents=True)
        (folder / "health").write_text(health)
        if migrations is not None:
            (folder / "migrations").mkdir()
            for file, text in migrations.items():
                (folder / "migrations" / file).write_text(text)
        return folder

    def point(self, release: str) -> None:
        """Let `current` point at a release, relatively, as deployment tools do it."""
        self.current.unlink(missing_ok=True)
        self.current.symlink_to(Path("releases") / release)

    def start(self) -> None:
        """Start it and wait until it runs."""
        subprocess.run(["sh", str(self.home / "start.sh")], check=True)
        deadline = time.monotonic() + 60
        while not self.running():
            assert time.monotonic() < deadline, (self.home / "log").read_text()
            time.sleep(0.02)

    def running(self) -> bool:
        """Say whether it runs."""
        return self.pid.exists()

    def end(self) -> None:
        """End it for good, whatever state it is in."""
        if self.running():
            os.kill(int(self.pid.read_text()), signal.SIGKILL)
            self.pid.unlink()


_PORTS = range(20000, 32000)  # the kernel gives out those from 32768 on
_OURS: list[socket.socket] = []  # the names of ports, which are given back when this process ends


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, and that nobody else is given while this process lives.

    The kernel, which gives ports out by itself, would give it to another by the time that ours comes to listen. Other tests
    know it by a name, which belongs to a network as ports do.
    """
    draw = random.SystemRandom()  # what a test draws from may be seeded, alike in each process
    while True:
        port = draw.choice(_PORTS)
        ours = socket.socket(socket.AF_UNIX)
        try:
            ours.bind(f"\0incidentctl-test-port-{port}")
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            ours.close()
            continue
        _OURS.append(ours)
        return port


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a new folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_nobody(ask: Callable[[], Any]) -> Any:
    """Return what `ask` answers (as JSON) in a process of a user who owns nothing. Only root can do that."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(65534)
            os.write(writing, json.dumps(ask()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


Answer = tuple[int, Any]  # status, and what is sent as JSON; a str is sent as it is


class Endpoint:
    """An HTTP endpoint that answers by `script` and keeps the requests: (method, path, body, headers).

    `most` is how many it was busy with at once. A body that says it is JSON is kept as what it means, any other as its text.
    """

    def __init__(self, script: Callable[[str, str, Any], Answer]) -> None:
        """Take the script: (method, path, body) → answer."""
        self.script = script
        self.requests: list[tuple[str, str, Any, dict[str, str]]] = []
        self.url = ""
        self.most = self._busy = 0
        self._counting = threading.Lock()

    def answer(self, *request: Any) -> Answer:
        """Answer one request by the script."""
        with self._counting:
            self._busy += 1
            self.most = max(self.most, self._busy)
        try:
            return self.script(*request)
        finally:
            with self._counting:
                self._busy -= 1


@contextmanager
def endpoint(script: Callable[[str, str, Any], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """Serve a script on an ephemeral port of 127.0.0.1, over TLS if a context is given."""
    served = Endpoint(script)

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = "json" in self.headers.get("Content-Type", "")
            body = (json.loads(raw) if is_json else raw.decode()) if raw else None
            served.requests.append((self.command, self.path, body, dict(self.headers)))
            status, said = served.answer(self.command, self.path, body)
            text = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{served.url}/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        do_DELETE = do_PUT = do_PATCH = do_POST  # noqa: N815 - the names that the server calls

        def log_message(self, *_words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    if tls:  # a handshake that fails is told to the client, and no matter of ours
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
