"""A rollback to a release that is healthy and loses orders: worse, and forward again."""

from __future__ import annotations

from pathlib import Path

from tests.shop import Shop

# What an older release may do to data that it does not know: it clears up when it starts.
CLEARS_UP = """
import pathlib, sqlite3, sys
with sqlite3.connect(pathlib.Path(sys.argv[sys.argv.index("--root") + 1]) / "data/shop.db") as database:
    database.execute("DELETE FROM orders WHERE id % 2 = 0")
"""


def test_orders_that_are_gone_are_worse_though_it_is_healthy_and_it_goes_forward_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    verify = {"window": "1s", "within": "20s", "on_worse": "forward"}
    shop.lay_out(severities={"high": {"contain": []}}, verify=verify)
    shop.start()
    try:
        assert [shop.checkout() for _ in range(7)] == [201] * 7
        shop.break_it(3)
        program = shop.root / "releases" / "41" / "app.py"
        program.write_text(
            program.read_text().replace('if __name__ == "__main__":', CLEARS_UP + 'if __name__ == "__main__":')
        )
        done = shop.run("run", "-s", "high", "--yes", "--option", "rollback", "checkout returns 500")
        assert done.returncode == 12, done.stderr
        assert "worse after rollback" in done.stderr
        incident = shop.status()
        assert incident["verified"]["verdict"] == "worse"
        (reason,) = incident["verified"]["reasons"]
        assert reason == "this-machine: shop.db: orders: 8 rows \u2192 4 rows: 4 fewer"
        assert incident["question"] is not None
        assert shop.checkout() == 500  # it is the release from before
        assert (shop.root / "current").readlink().name == "42"
    finally:
        shop.stop()
