"""The whole demo: a shop sells, a bad release breaks its checkout, incidentctl brings it back.

`python demo/run.py`, with the Python that incidentctl is installed in. In a terminal it asks which way
out to take; elsewhere it takes the rollback. Nothing is pretended: the shop, its database, the error and
the repair are real. All that is written lies in the checkout's .demo folder, and all that was started is
stopped at the end. Exit code 0: everything was as it should be.
"""

from __future__ import annotations

import fcntl
import http.client
import importlib.util
import json
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = REPOSITORY / "demo" / "shop"
CONFIG = REPOSITORY / "demo" / "incidentctl.yml"
DEMO = REPOSITORY / ".demo"
ROOT = DEMO / "shop"
PORT = 18480  # as in inventories/demo
GOOD, BAD = "41", "42"
CARTS = [("coffee-1kg", 1), ("mug", 4), ("tea-100g", 2), ("filter-100", 3)]
SALES, FAILURES = 8, 36  # orders placed before, and checkouts tried after, the bad release
RESPONSE_S = 600  # how long an unattended response may take
END_S = 30  # how long the driver may take to end in its own order


class DemoError(Exception):
    """The demo cannot go on; the message says what, why and how to fix it."""


# --- the shop -------------------------------------------------------------------------------------


def shop_tool(tool: str, *words: str, check: bool = True) -> int:
    """Run demo/shop/TOOL on our shop; return its exit code. Raise DemoError if it fails and `check`."""
    argv = [sys.executable, str(TOOLS / tool), *words, "--root", str(ROOT)]
    finished = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and finished.returncode != 0:
        raise DemoError(f"{tool} {' '.join(words)} failed.\n{finished.stderr.strip()}")
    return finished.returncode


def start(program: str) -> None:
    """Start the shop or its worker and wait until it is up."""
    shop_tool("control.py", "start", program, "--port", str(PORT))


def stop(program: str) -> None:
    """Stop the shop or its worker: its own process, and no other."""
    shop_tool("control.py", "stop", program)


def deploy(release: str) -> None:
    """Make `release` current and restart what runs, as any deployment would."""
    shop_tool("deploy.py", "switch", release)
    for program in ("shop", "worker"):
        stop(program)
        start(program)


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send the shop one request; return the status and the JSON of its answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def checkout(number: int) -> tuple[int, Any]:
    """Be the customer with this number: order something; return what the shop answers."""
    sku, quantity = CARTS[number % len(CARTS)]
    return ask("POST", "/checkout", {"sku": sku, "quantity": quantity})


# --- before and after -----------------------------------------------------------------------------


@contextmanager
def alone() -> Iterator[None]:
    """Hold the demo folder. Raise DemoError if another demo is at work in it."""
    DEMO.mkdir(mode=0o700, exist_ok=True)
    with (DEMO / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError("Another demo is running.\nBoth would use .demo.\nFix: wait for it to end") from error
        yield


def prepare() -> None:
    """Stop and remove what an earlier demo left, and lay out a fresh shop. Raise DemoError if it cannot be."""
    if importlib.util.find_spec("incidentctl") is None:
        raise DemoError(
            f"incidentctl cannot be run.\n{sys.executable} does not have it.\n"
            f"Fix: {sys.executable} -m pip install {REPOSITORY}"
        )
    if (ROOT / "run").is_dir():
        stop_all()
    try:
        socket.create_server(("127.0.0.1", PORT)).close()
    except OSError as error:
        raise DemoError(
            f"Port {PORT} is taken.\nThe demo's shop needs it, and something else listens there.\n"
            f"Fix: see what it is (ss -ltnp 'sport = :{PORT}'), stop it, run the demo again"
        ) from error
    for leftover in DEMO.iterdir():
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != ".lock":
            leftover.unlink()
    shop_tool("deploy.py", "lay-out")
    password = DEMO / "backup_password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="utf-8")


def stop_all() -> None:
    """Stop what of the shop runs."""
    for program in ("worker", "shop"):
        stop(program)


def sell() -> list[int]:
    """Have a few customers order; return the ids of their orders. Raise DemoError if one cannot."""
    answers = [checkout(number) for number in range(SALES)]
    if any(status != 201 for status, _body in answers) or ask("GET", "/health")[0] != 200:
        raise DemoError(f"Release {GOOD} does not sell.\nIt answered {answers}.\nFix: see {ROOT}/logs/shop.log")
    return [body["order"] for _status, body in answers]


def fail() -> int:
    """Have customers try to order from the bad release; return how many got a 500."""
    failed = [checkout(number)[0] for number in range(FAILURES)].count(500)
    if failed != FAILURES or ask("GET", "/health")[0] != 500:
        raise DemoError(
            f"Release {BAD} is not broken enough: {failed} of {FAILURES} checkouts failed.\n"
            f"Fix: see {ROOT}/logs/shop.log"
        )
    return failed


def look(sold: list[int]) -> list[tuple[str, bool]]:
    """See with our own eyes, not with incidentctl's, whether all is well; return (what, whether it is so)."""

    def orders() -> set[int]:
        with closing(sqlite3.connect(f"{(ROOT / 'data' / 'shop.db').as_uri()}?mode=ro", uri=True)) as database:
            return {row[0] for row in database.execute("SELECT id FROM orders")}

    return [
        ("a customer can order again", _holds(lambda: checkout(0)[0] == 201)),
        ("the shop says that it is healthy", _holds(lambda: ask("GET", "/health")[0] == 200)),
        ("maintenance is off", _holds(lambda: ask("GET", "/admin/maintenance-mode")[1]["mode"] == "disabled")),
        ("the worker runs", shop_tool("control.py", "status", "worker", check=False) == 0),
        (f"release {GOOD} is current", (ROOT / "current").resolve().name == GOOD),
        (f"release {BAD} is kept", (ROOT / "releases" / BAD / "app.py").is_file()),
        (f"all {len(sold)} orders from before are there", _holds(lambda: orders().issuperset(sold))),
    ]


def _holds(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (OSError, ValueError, http.client.HTTPException, sqlite3.Error):
        return False


# --- incidentctl ----------------------------------------------------------------------------------


def incidentctl(*words: str) -> list[str]:
    """Return the argv of an incidentctl command with the demo's configuration."""
    return [sys.executable, "-m", "incidentctl", *words, "--config", str(CONFIG)]


def respond() -> int:
    """Let incidentctl handle the incident; return its exit code. In a terminal it asks for the decision."""
    attended = sys.stdin.isatty() and sys.stdout.isatty()
    words = ["run", "--severity", "high", "--yes", *([] if attended else ["--option", "rollback"])]
    driver = subprocess.Popen([*incidentctl(*words), "checkout returns 500"], cwd=REPOSITORY)
    try:
        return driver.wait(None if attended else RESPONSE_S)
    except subprocess.TimeoutExpired as error:
        end(driver)
        raise DemoError(f"incidentctl run did not end within {RESPONSE_S} s.") from error
    except SystemExit:
        end(driver)
        raise
    except KeyboardInterrupt:
        # Ctrl-C has reached the driver too: let it end in its own order.
        end(driver, patience_s=END_S)
        raise


def end(driver: subprocess.Popen[bytes], patience_s: float = 0) -> None:
    """Wait, then ask the driver to end, then end it."""
    for act, wait_s in ((None, patience_s), (driver.terminate, END_S), (driver.kill, None)):
        if act is not None:
            act()
        try:
            driver.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
        return


def read_incident() -> dict[str, Any]:
    """Return what the record says: {incident_id, status, phases: [{name, seconds, outcome}], report: path}."""
    finished = subprocess.run(
        incidentctl("status", "--json"), capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    try:
        return dict(json.loads(finished.stdout))
    except ValueError as error:
        raise DemoError(
            f"incidentctl status --json exited {finished.returncode} without JSON.\n{finished.stderr.strip()}"
        ) from error


# --- the story ------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Tell what the demo itself does, apart from what incidentctl tells."""
    print(f"demo: {text}", flush=True)


def show(incident: dict[str, Any], response_s: float) -> None:
    """Print what happened and how long each phase took."""
    say(f"{incident['incident_id']} is {incident['status']}; the response took {response_s:.1f} s:")
    for phase in incident["phases"]:
        took = "cut off" if phase["seconds"] is None else f"{phase['seconds']:5.1f} s"
        say(f"  {phase['name']:<10} {took:>7}  {phase['outcome'] or ''}".rstrip())
    say(f"report: {Path(incident['report']).resolve()}")


def play() -> bool:
    """Play the demo from a healthy shop to a healthy shop; return whether everything was as it should be."""
    start("shop")
    start("worker")
    sold = sell()
    say(f"release {GOOD} sells on http://127.0.0.1:{PORT}: {len(sold)} orders, healthy")
    deploy(BAD)
    say(f"release {BAD} deployed: {fail()} customers got a 500, health says the same")
    say('incidentctl run --severity high "checkout returns 500"')
    started = time.monotonic()
    code = respond()
    response_s = time.monotonic() - started
    seen = look(sold)
    incident = read_incident()
    seen.append((f"incidentctl ended well, with exit code {code}", code == 0))
    seen.append(("the incident is closed", incident["status"] == "closed"))
    seen.append(("the report is written", Path(incident["report"]).is_file()))
    show(incident, response_s)
    for what, so in seen:
        say(f"{'yes' if so else 'NO '}  {what}")
    return all(so for _what, so in seen)


def main() -> int:
    """Play the demo, and stop all of it however it ends; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with alone():
            prepare()
            try:
                return 0 if play() else 1
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave the shop running
                stop_all()
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; what was started is stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
