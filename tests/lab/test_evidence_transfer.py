"""A large bundle whose transfer is cut off, over ssh from a real host: the next collection goes on with it, or starts anew."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import packages
from tests.bundle import contents
from tests.lab.play import Hosts, Play

no_zstd = packages.lacking({"zstd": "zstd"})
needs_zstd = pytest.mark.skipif(bool(no_zstd), reason=no_zstd)
NAME = "web1"  # it has zstd, and db1 has none
LOG = "/var/log/incidentctl-test.log"
SIZE = 60_000_000  # of what no program can make smaller
CAME = 15_000_000  # bytes, after which the transfer is cut off
SERVICES = [{"name": "big", "hosts": "all", "logs": [{"kind": "file", "path": LOG}]}]


class Collection:
    """Evidence of one host, of which a large log is nearly all."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder / NAME
        self._told: dict[str, Any] = {
            "incident_services": SERVICES,
            "log_collection_max_bytes": 4 * SIZE,
            "log_collection_max_file_bytes": 2 * SIZE,
            "log_collection_lines": 0,
            "incident_evidence_dir": str(folder),
        }

    def run(self, **more: Any) -> Play:
        return self.hosts.play("log_collection", NAME, **{**self._told, **more})

    def cut_off(self) -> Path:
        """Collect, kill sftp in the middle of the transfer, and return what came."""
        killed = threading.Event()
        watcher = threading.Thread(target=self._kill, args=(killed,))
        watcher.start()
        play = self.run()
        watcher.join()
        assert killed.is_set(), play.said
        assert (play.code, play.block(NAME)["outcome"]) == (2, "failed"), play.said
        assert "the next collection goes on from there" in play.block(NAME)["reason"]
        (part,) = self.folder.glob(".*.part")
        assert {path.name for path in self.folder.iterdir()} == {part.name, f"{part.name}.json"}
        return part

    def _kill(self, killed: threading.Event) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(path.stat().st_size > CAME for path in self.folder.glob(".*.part")):
                for pid in transfers():
                    os.kill(pid, signal.SIGKILL)
                    killed.set()
                return
            time.sleep(0.01)

    def is_whole(self, play: Play) -> None:
        """See one bundle here, as the host said, with all of the log, and nothing there."""
        assert play.code == 0, play.said
        (bundle,) = self.folder.iterdir()
        (told,) = play.block(NAME)["files"]
        raw = bundle.read_bytes()
        assert (told["path"], told["bytes"]) == (str(bundle), len(raw))
        assert told["sha256"] == hashlib.sha256(raw).hexdigest()
        (log,) = [part for name, part in contents(bundle).items() if name.startswith("logs/big/")]
        assert hashlib.sha256(log).hexdigest() == self.hosts.run(NAME, "sha256sum", LOG).split()[0]
        assert self.on_host() == ""

    def sent(self) -> int:
        """Return how many bytes the host has sent since it started."""
        return int(self.hosts.run(NAME, "cat /sys/class/net/eth0/statistics/tx_bytes"))

    def on_host(self) -> str:
        """Return where a bundle lies on the host."""
        return self.hosts.says(NAME, "sh", "-c", "'ls -d /var/tmp/incidentctl-evidence-*/*'")


def transfers() -> list[int]:
    """Return the sftp clients that this process has started, directly or not."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        parents[int(folder.name)] = int(rest.split()[1]), name

    def is_ours(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid][0]
        return pid == os.getpid()

    return [pid for pid, (_parent, name) in parents.items() if name == "sftp" and is_ours(pid)]


@pytest.fixture
def collection(hosts: Hosts, tmp_path: Path) -> Iterator[Collection]:
    hosts.need(NAME)
    hosts.run(NAME, "sh", "-c", f"'head -c {SIZE} /dev/urandom >{LOG}'")
    hosts.run(NAME, "tc qdisc replace dev eth0 root tbf rate 160mbit burst 256kb latency 50ms")
    yield Collection(hosts, tmp_path)
    hosts.run(NAME, "tc qdisc del dev eth0 root")
    hosts.run(NAME, "rm", LOG)


def test_the_next_collection_goes_on_where_it_was_cut_off(collection: Collection) -> None:
    came = collection.cut_off().stat().st_size
    earlier = collection.on_host()
    assert earlier
    digest = collection.hosts.run(NAME, "sha256sum", earlier).split()[0]
    before = collection.sent()
    play = collection.run()
    assert collection.sent() - before < SIZE - came + 2_000_000
    collection.is_whole(play)
    assert play.block(NAME)["files"][0]["sha256"] == digest, "it was collected anew"
    assert f"gone on from byte {came} of a transfer that was cut off" in play.block(NAME)["actions"][0]["summary"]


@pytest.mark.parametrize("spoil", ["truncate --size=-1", f"dd conv=notrunc bs=1M seek=50 count=1 if={LOG}", "rm"])
def test_a_bundle_that_is_not_what_it_was_is_collected_anew(collection: Collection, spoil: str) -> None:
    collection.cut_off()
    earlier = collection.on_host()
    collection.hosts.run(NAME, spoil, f"of={earlier}" if spoil.startswith("dd") else earlier)
    play = collection.run()
    collection.is_whole(play)
    assert "gone on" not in play.block(NAME)["actions"][0]["summary"]
    assert "It is collected anew" in play.said


@needs_zstd
@pytest.mark.parametrize(("name", "suffix"), [("web1", ".tar.zst"), ("db1", ".tar.gz")])
def test_where_a_host_has_zstd_it_is_packed_with_that_else_with_gzip(
    name: str, suffix: str, hosts: Hosts, tmp_path: Path
) -> None:
    hosts.need(name)
    assert bool(hosts.says(name, "which", "zstd")) is (suffix == ".tar.zst")
    play = hosts.play("log_collection", name, incident_services=[], incident_evidence_dir=str(tmp_path))
    assert play.code == 0, play.said
    (bundle,) = (tmp_path / name).iterdir()
    assert bundle.name.endswith(suffix)
    found = contents(bundle)
    manifest = json.loads(found.pop("manifest.json"))
    said = {row["name"]: row["sha256"] for row in manifest["members"]}
    assert said == {part: hashlib.sha256(content).hexdigest() for part, content in found.items()}
    assert "note" not in manifest


@needs_zstd
def test_where_zstd_is_killed_in_the_middle_the_log_comes_with_gzip(collection: Collection) -> None:
    # Once something is packed: not the trial, which packs nothing.
    begun = "until test -s /var/tmp/incidentctl-evidence-*/evidence.tar.zst; do sleep 0.02; done"
    kill = ("timeout", "120", "sh", "-c", f"'{begun}; pkill -KILL -x zstd'")
    killer = threading.Thread(target=collection.hosts.says, args=(NAME, *kill))
    killer.start()
    play = collection.run()
    killer.join()
    collection.is_whole(play)
    (bundle,) = collection.folder.iterdir()
    assert bundle.name.endswith(".tar.gz"), "it was not killed"
    note = json.loads(contents(bundle)["manifest.json"])["note"]
    assert note == "zstd was ended by signal 9; all was read once more after that, and is packed with gzip"


def test_who_wants_something_else_gets_that(collection: Collection) -> None:
    collection.cut_off()
    play = collection.run(log_collection_max_file_bytes=SIZE // 100)
    assert play.code == 0, play.said
    assert play.block(NAME)["files"][0]["bytes"] < SIZE // 50
    assert len(list(collection.folder.iterdir())) == 1
    assert collection.on_host() == ""
