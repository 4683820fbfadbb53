"""The demo's shop: a real little shop whose release 42 really breaks checkout."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.small_service import free_port

SHOP = Path(__file__).parents[2] / "demo" / "shop"
CART = {"sku": "mug", "quantity": 2}


class Demo:
    """One laid-out shop in a folder and on a port of its own."""

    def __init__(self, root: Path) -> None:
        """Lay the shop out under `root`."""
        self.root = root
        self.port = free_port()
        self.deploy("lay-out")

    def deploy(self, *words: str) -> None:
        """Run deploy.py, which has to succeed."""
        subprocess.run([sys.executable, SHOP / "deploy.py", *words, "--root", self.root], check=True)

    def control(self, verb: str, program: str) -> subprocess.CompletedProcess[str]:
        """Run control.py on pipes: it would hang here if what it starts kept them open."""
        words = [verb, program, "--root", self.root, "--port", str(self.port)]
        return subprocess.run(
            [sys.executable, SHOP / "control.py", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def restart_with(self, release: str) -> None:
        """Make `release` the one that answers."""
        self.deploy("switch", release)
        assert self.control("stop", "shop").returncode == 0
        assert self.control("start", "shop").returncode == 0

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Send one request to the shop; return the status and the text of its answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ask_json(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """As `ask`, with the answer read as JSON."""
        status, text = self.ask(method, path, body)
        return status, json.loads(text)

    def log(self, program: str) -> str:
        """Return what a program has logged so far."""
        return (self.root / "logs" / f"{program}.log").read_text()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    laid_out = Demo(tmp_path / "shop")
    yield laid_out
    for program in ("shop", "worker"):
        laid_out.control("stop", program)


@pytest.fixture
def shop(demo: Demo) -> Demo:
    assert demo.control("start", "shop").returncode == 0
    return demo


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_release_41_sells_and_is_healthy(shop: Demo) -> None:
    assert shop.ask_json("POST", "/checkout", CART) == (201, {"order": 1, "total": 1980, "release": "41"})
    assert shop.ask_json("GET", "/orders/count") == (200, {"orders": 1})
    assert shop.ask_json("GET", "/health") == (
        200,
        {"status": "ok", "release": "41", "maintenance": "disabled"},
    )


@pytest.mark.parametrize(
    ("cart", "status"),
    [
        ({"sku": "mug", "quantity": 0}, 400),
        ({"sku": "mug", "quantity": True}, 400),
        ({"sku": ["mug"], "quantity": 1}, 400),
        (["mug"], 400),
        ({"sku": "unicorn", "quantity": 1}, 404),
    ],
)
def test_a_cart_that_cannot_be_sold_is_the_customers_error(shop: Demo, cart: Any, status: int) -> None:
    assert shop.ask("POST", "/checkout", cart)[0] == status
    assert shop.ask_json("GET", "/orders/count") == (200, {"orders": 0})


def test_release_42_answers_500_and_logs_why(shop: Demo) -> None:
    shop.ask("POST", "/checkout", CART)
    shop.restart_with("42")

    assert shop.ask("POST", "/checkout", CART)[0] == 500
    assert shop.ask_json("GET", "/orders/count") == (200, {"orders": 1})
    stamped = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR "
    why = r"sqlite3\.OperationalError: no such column: unit_price$"
    assert re.search(stamped + "checkout failed: " + why + r"\nTraceback .*?^" + why, shop.log("shop"), re.M | re.S)


def test_health_is_deep_and_answers_in_maintenance_too(shop: Demo) -> None:
    shop.restart_with("42")
    shop.ask("POST", "/admin/maintenance-mode", {"mode": "enabled"})
    status, body = shop.ask_json("GET", "/health")
    assert (status, body["status"], body["maintenance"]) == (500, "failing", "enabled")
    assert body["reason"] == "sqlite3.OperationalError: no such column: unit_price"

    shop.restart_with("41")
    assert shop.ask("GET", "/health")[0] == 200
    assert shop.ask_json("GET", "/orders/count") == (200, {"orders": 0}), "a health check must not sell"


def test_maintenance_refuses_checkouts_until_it_ends_and_survives_a_restart(shop: Demo) -> None:
    enabled = {"mode": "enabled", "message": "back soon – bald zurück"}
    assert shop.ask_json("POST", "/admin/maintenance-mode", enabled) == (200, enabled)
    shop.restart_with("41")
    assert shop.ask_json("GET", "/admin/maintenance-mode") == (200, enabled)
    assert shop.ask("POST", "/checkout", CART)[0] == 503

    assert shop.ask("POST", "/admin/maintenance-mode", {"mode": "disabled"})[0] == 200
    assert shop.ask_json("GET", "/admin/maintenance-mode") == (200, {"mode": "disabled", "message": ""})
    assert shop.ask("POST", "/checkout", CART)[0] == 201


@pytest.mark.parametrize("body", [{"mode": "on"}, {}, {"mode": "enabled", "message": 3}, "enabled"])
def test_maintenance_takes_nothing_but_its_two_modes(shop: Demo, body: Any) -> None:
    assert shop.ask("POST", "/admin/maintenance-mode", body)[0] == 400
    assert shop.ask_json("GET", "/admin/maintenance-mode") == (200, {"mode": "disabled", "message": ""})


def test_the_open_breaker_leaves_the_recommendations_out_until_it_is_closed_and_survives_a_restart(shop: Demo) -> None:
    page = "/admin/circuit-breakers/recommendations"
    shop.ask("POST", "/checkout", CART)
    assert shop.ask_json("GET", "/recommendations") == (200, {"products": ["mug"]})

    assert shop.ask_json("POST", page, {"state": "open"}) == (200, {"state": "open"})
    shop.restart_with("41")
    assert shop.ask_json("GET", page) == (200, {"state": "open"})
    assert shop.ask_json("GET", "/recommendations") == (200, {"products": []})
    assert shop.ask("POST", "/checkout", CART)[0] == 201

    assert shop.ask_json("POST", page, {"state": "closed"}) == (200, {"state": "closed"})
    assert shop.ask_json("GET", "/recommendations") == (200, {"products": ["mug"]})
    assert shop.ask("POST", page, {"state": "ajar"})[0] == 400


def test_metrics_count_orders_and_requests_by_path_and_code(shop: Demo) -> None:
    shop.ask("POST", "/checkout", CART)
    shop.ask("GET", '/no"such\npage'.replace("\n", "%0a"))
    status, text = shop.ask("GET", "/metrics")
    assert status == 200
    assert "shop_up 1" in text.splitlines()
    assert "shop_orders_total 1" in text.splitlines()
    assert 'shop_requests_total{path="/checkout",code="201"} 1' in text.splitlines()
    assert 'shop_requests_total{path="other",code="404"} 1' in text.splitlines()


def test_the_worker_writes_heartbeats_until_it_is_stopped(demo: Demo) -> None:
    assert demo.control("start", "worker").returncode == 0
    assert _eventually(lambda: "INFO heartbeat: nothing sold yet" in demo.log("worker"))
    assert demo.control("stop", "worker").returncode == 0
    assert demo.control("status", "worker").returncode == 3


def test_starting_or_stopping_twice_is_the_same_as_once(shop: Demo) -> None:
    first = shop.control("status", "shop").stdout
    again = shop.control("start", "shop")
    assert (again.returncode, shop.control("status", "shop").stdout) == (0, first)

    assert shop.control("stop", "shop").returncode == 0
    assert shop.control("stop", "shop").returncode == 0
    assert shop.control("status", "shop").returncode == 3


def test_two_starts_at_once_start_one_shop(demo: Demo) -> None:
    words = ["start", "shop", "--root", demo.root, "--port", str(demo.port)]
    starts = [subprocess.Popen([sys.executable, SHOP / "control.py", *words]) for _ in range(4)]
    assert [start.wait(30) for start in starts] == [0, 0, 0, 0]
    assert demo.log("shop").count("sells on port") == 1


def test_stopping_one_program_leaves_the_other_alone(shop: Demo) -> None:
    assert shop.control("start", "worker").returncode == 0
    assert shop.control("stop", "worker").returncode == 0
    assert shop.ask("GET", "/health")[0] == 200


def test_stop_does_not_touch_a_process_that_inherited_the_pid(demo: Demo) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (demo.root / "run" / "shop.pid").write_text(str(stranger.pid))
        assert demo.control("status", "shop").returncode == 3
        assert demo.control("stop", "shop").returncode == 0
        assert stranger.poll() is None
        assert demo.control("start", "shop").returncode == 0
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_shop_counts_as_stopped_and_starts_again(shop: Demo) -> None:
    pid = (shop.root / "run" / "shop.pid").read_text()
    subprocess.run(["kill", "-KILL", pid], check=True)
    assert _eventually(lambda: shop.control("status", "shop").returncode == 3)
    assert shop.control("start", "shop").returncode == 0
    assert shop.ask("GET", "/health")[0] == 200


def test_start_fails_and_points_to_the_log_when_the_port_is_taken(demo: Demo) -> None:
    with closing(socket.create_server(("127.0.0.1", demo.port))):
        failed = demo.control("start", "shop")
    assert failed.returncode == 1
    assert "Fix: " in failed.stderr
    assert "Address already in use" in demo.log("shop")
    assert demo.control("status", "shop").returncode == 3


def test_control_without_a_shop_says_so(tmp_path: Path) -> None:
    words = ["start", "shop", "--root", tmp_path / "nowhere"]
    failed = subprocess.run([sys.executable, SHOP / "control.py", *words], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("no shop is laid out here: ")


def test_a_shop_is_never_laid_out_over_another(shop: Demo) -> None:
    shop.ask("POST", "/checkout", CART)
    with pytest.raises(subprocess.CalledProcessError):
        shop.deploy("lay-out")
    assert shop.ask_json("GET", "/orders/count") == (200, {"orders": 1})


def test_a_release_that_is_not_installed_does_not_become_current(demo: Demo) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        demo.deploy("switch", "43")
    assert (demo.root / "current").resolve().name == "41"


def test_the_releases_carry_the_same_migrations() -> None:
    def migrations(release: str) -> dict[str, str]:
        return {path.name: path.read_text() for path in (SHOP / "releases" / release / "migrations").iterdir()}

    assert migrations("41") == migrations("42") != {}
