"""Thirty hostile cases against evidence, on a real file system: nothing is written elsewhere, nothing hangs, bytes are equal.

Those that only root can lay out are left out for anybody else. docs/evidence.md has them as a table.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence, _evidence_place
from ansible_collections.incidentctl.response.plugins.plugin_utils import _homecoming
from tests import packages

from incidentctl import bundles

CAP = 1 << 20
MOST = 60 << 20
WITHIN_S = 60.0
NOBODY = 65534
MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made there
SECRET = b"the secret of somebody else"
RED = b"\x1b[2J\x1b]0;owned\x07 red\n"
is_root = os.geteuid() == 0
no_zstd = packages.lacking({"zstd": "zstd"})
zstd = packages.find("zstd") or ""
needs_zstd = pytest.mark.skipif(bool(no_zstd), reason=no_zstd)


@dataclass
class Host:
    """A folder in which a hostile service has laid out its logs and its configuration."""

    top: Path
    logs: dict[str, str] = field(default_factory=dict)
    expected: dict[str, tuple[str, Any]] = field(default_factory=dict)
    ends: list[Callable[[], object]] = field(default_factory=list)
    many: Path = Path()

    def log(self, case: str, path: Path | str, verdict: str, what: Any = None) -> None:
        """Have a log collected: it is `refused` or `missing` for a reason, `equal` to bytes, or `within` what was written."""
        self.logs[case] = str(path)
        self.expected[case] = (verdict, what)

    def folder(self, case: str) -> Path:
        folder = self.top / "srv" / case
        folder.mkdir(parents=True)
        return folder


def lay_out(host: Host) -> None:
    """Logs that are something else, or lead elsewhere."""
    secret = host.top / "secret.log"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    plain = host.folder("plain") / "app.log"
    plain.write_bytes(b"a line\n")
    host.log("dots", f"{plain.parent}/../plain/./app.log", "equal", b"a line\n")
    host.log("relative", "srv/app.log", "refused", "not absolute")
    link = host.folder("symlink") / "app.log"
    link.symlink_to(secret)
    host.log("symlink", link, "refused", "symbolic link")
    dangling = host.folder("dangling") / "app.log"
    dangling.symlink_to("/nowhere/at/all")
    host.log("dangling symlink", dangling, "refused", "symbolic link")
    circle = host.folder("circle")
    (circle / "a").symlink_to("b")
    (circle / "b").symlink_to("a")
    host.log("circle of links", circle / "a" / "app.log", "refused", "no end")
    fifo = host.folder("fifo") / "app.log"
    os.mkfifo(fifo)
    host.log("FIFO", fifo, "refused", "FIFO")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(host.folder("socket") / "app.log"))
    host.ends.append(listener.close)
    host.log("socket", host.top / "srv/socket/app.log", "refused", "socket")
    host.log("device", "/dev/zero", "refused", "character device")
    host.log("folder", host.folder("folder"), "refused", "folder")
    host.log("endless file of the kernel", "/proc/kmsg", "refused", "on no disk")
    host.log("NUL", "/srv/app\0.log", "refused", "NUL")
    host.log("name too long", f"/{'x' * 300}/app.log", "missing", "name too long")
    host.log("gone", host.folder("gone") / "app.log", "missing", "No such file")
    lay_out_contents(host)
    lay_out_of_others(host, secret)


def lay_out_contents(host: Host) -> None:
    """Logs that hold what nobody should hold against us."""
    giant = host.folder("giant") / "app.log"
    with giant.open("wb") as stream:
        stream.truncate(1 << 40)
        stream.seek(0, os.SEEK_END)
        stream.write(b"the end")
    host.log("sparse giant", giant, "equal", bytes(CAP - 7) + b"the end")
    endless = host.folder("endless") / "app.log"
    endless.write_bytes(b"x" * (3 * CAP))
    host.log("endless line", endless, "equal", b"x" * CAP)
    binary = host.folder("binary") / "app.log"
    binary.write_bytes(bytes(range(256)) * 99)
    host.log("content that is no UTF-8", binary, "equal", binary.read_bytes())
    ansi = host.folder("ansi") / os.fsdecode(b"app\x1b[2J.log")
    ansi.write_bytes(RED)
    host.log("terminal commands in name and content", ansi, "equal", RED)
    raw = host.folder("name") / os.fsdecode(b"app\xff\xfe.log")
    raw.write_bytes(b"raw name\n")
    host.log("name that is no UTF-8", raw, "equal", b"raw name\n")
    slip = host.folder("slip") / "..\\..\\x;$(id)`id`.log"
    slip.write_bytes(b"slip\n")
    host.log("name that is a command", slip, "equal", b"slip\n")


def lay_out_moving(host: Host) -> None:
    """Logs that grow and rotate as fast as they can, while they are read."""
    growing, turning = host.folder("growing") / "app.log", host.folder("turning") / "app.log"
    for path in (growing, turning):
        path.write_bytes(b"begun\n")
    stop = threading.Event()

    def grow() -> None:
        with growing.open("ab", buffering=0) as stream:
            while not stop.wait(0.0005):
                stream.write(b"grown\n" * 500)

    def turn() -> None:
        while not stop.wait(0.002):
            with turning.open("ab", buffering=0) as stream:
                stream.write(b"turned\n" * 10)
            turning.rename(turning.with_name("app.log.1"))
            turning.write_bytes(b"begun\n")

    host.ends.append(stop.set)
    threads = [threading.Thread(target=act) for act in (grow, turn)]
    for thread in threads:
        thread.start()
        host.ends.append(thread.join)
    host.log("grows while it is read", growing, "within", {b"begun", b"grown"})
    host.log("rotates while it is read", turning, "within", {b"begun", b"turned"})


def lay_out_of_others(host: Host, secret: Path) -> None:
    if not is_root:
        return
    theirs = host.folder("hardlink")
    os.link(secret, theirs / "app.log")
    os.chown(theirs, NOBODY, NOBODY)
    host.log("hard link to a file of others", theirs / "app.log", "refused", "hard link")
    parent = host.folder("parent")
    (host.top / "private").mkdir(mode=0o700)
    (host.top / "private" / "app.log").write_bytes(SECRET)
    (parent / "logs").symlink_to(host.top / "private")
    os.chown(parent / "logs", NOBODY, NOBODY, follow_symlinks=False)
    host.log("link in a folder above", parent / "logs" / "app.log", "refused", "its owner")


def configuration(host: Host) -> list[str]:
    """Lay out a folder of 100,000 files, one whose names are no text, and one with a key and links in it."""
    odd, mixed = (host.folder(name) for name in ("odd", "mixed"))
    place = MEMORY if os.access(MEMORY, os.W_OK) else None  # a disk takes its time for so many
    host.many = Path(tempfile.mkdtemp(prefix="incidentctl-test-", dir=place))
    host.ends.append(lambda: shutil.rmtree(host.many))
    for number in range(100_000):
        os.close(os.open(f"{host.many}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    (odd / os.fsdecode(b"\xff\x1b[2J.conf")).write_bytes(b"odd")
    (mixed / "tls.key").write_bytes(SECRET)
    (mixed / "up").symlink_to(host.top)
    (mixed / "link.conf").symlink_to(host.top / "secret.log")
    os.mkfifo(mixed / "pipe")
    return [str(path) for path in (host.many, odd, mixed)]


@dataclass
class Seen:
    """What came of it."""

    host: Host
    answer: dict[str, Any]
    members: dict[str, bytes]
    manifest: dict[str, Any]
    bundle: Path
    seconds: float
    outside: tuple[dict[str, Any], dict[str, Any]]

    def of(self, origin: str) -> tuple[str, Any]:
        for verdict in ("refused", "missing"):
            for row in self.manifest[verdict]:
                if row["origin"] == origin:
                    return verdict, row["reason"]
        return "there", next(row for row in self.manifest["members"] if row["origin"] == origin)


def outside(top: Path) -> dict[str, Any]:
    """Return what lies around, but for where bundles are made and what moves by itself."""
    moving, found = {"work", "growing", "turning"}, {}
    for here, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in moving]
        for path in (Path(here, name) for name in (*folders, *names)):
            status = path.lstat()
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_uid)
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Collect from the hostile host, once."""
    top = tmp_path_factory.mktemp("hostile")
    top.chmod(0o755)
    host, work = Host(top), top / "work"
    work.mkdir()
    patch = pytest.MonkeyPatch()
    patch.setattr(_evidence_place, "_WORK_PLACES", (str(work),))
    with contextlib.ExitStack() as ending:
        ending.callback(patch.undo)
        ending.callback(lambda: [end() for end in host.ends])
        lay_out(host)
        paths = configuration(host)
        lay_out_moving(host)
        logs = [{"kind": "file", "path": path} for path in host.logs.values()]
        before = outside(top)
        begun = time.monotonic()
        answer = _evidence.run(
            {
                "services": [{"name": "shop", "hosts": "web", "logs": logs, "config": paths}],
                "only": [],
                "host_name": "web1",
                "host_groups": ["web"],
                "incident_id": "INC-1",
                "dest": "/controller/web1/evidence.tar.gz",
                "login_user": None,
                "max_bytes": MOST,
                "max_file_bytes": CAP,
                "lines": 0,
                "since_s": 0,
                "max_seconds": 120,
                "max_cpu_seconds": 60,
                "compression": "gzip",
                "state": "collected",
                "bundle": "",
                "reason": "",
            },
            False,
        )
        seconds = time.monotonic() - begun
    bundle = Path(answer["bundle"])
    with tarfile.open(bundle) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    manifest = json.loads(members.pop("manifest.json"))
    yield Seen(host, answer, members, manifest, bundle, seconds, (before, outside(top)))
    shutil.rmtree(top)


LOGS = (
    "dots", "relative", "symlink", "dangling symlink", "circle of links", "FIFO", "socket", "device", "folder",
    "endless file of the kernel", "NUL", "name too long", "gone", "sparse giant", "endless line", "content that is no UTF-8",
    "terminal commands in name and content", "name that is no UTF-8", "name that is a command", "grows while it is read",
    "rotates while it is read", "hard link to a file of others", "link in a folder above",
)  # fmt: skip


@pytest.mark.parametrize("case", LOGS)
def test_a_hostile_log(case: str, seen: Seen) -> None:
    if case not in seen.host.expected:
        pytest.skip("only root can lay it out")
    verdict, what = seen.host.expected[case]
    found, told = seen.of(seen.host.logs[case])
    if verdict in ("refused", "missing"):
        assert (found, what in told) == (verdict, True), told
        return
    content = seen.members[told["name"]]
    assert len(content) <= CAP
    if verdict == "equal":
        assert content == what
    else:
        assert set(content.splitlines()) <= {*what, b""} | {line[n:] for line in what for n in range(len(line))}
        assert content.endswith(b"\n")


def test_a_folder_of_100_000_files_costs_a_bounded_part_of_them(seen: Seen) -> None:
    taken = [row for row in seen.manifest["members"] if row["origin"].startswith(f"{seen.host.many}/")]
    assert 0 < len(taken) <= 1000
    assert seen.of(str(seen.host.many))[0] == "missing"


def test_configuration_whose_names_are_no_text_comes_as_it_is(seen: Seen) -> None:
    name = f"{seen.host.top}/srv/odd/" + os.fsdecode(b"\xff\x1b[2J.conf")
    assert seen.members[seen.of(name)[1]["name"]] == b"odd"


def test_keys_links_and_pipes_in_configuration_are_left(seen: Seen) -> None:
    mixed = [row["origin"] for row in seen.manifest["members"] if "/srv/mixed/" in row["origin"]]
    assert mixed == []
    assert seen.of(f"{seen.host.top}/srv/mixed/tls.key")[0] == "refused"


def test_nothing_was_written_elsewhere_within_the_caps_and_in_time(seen: Seen) -> None:
    before, after = seen.outside
    assert after == before
    assert seen.seconds < WITHIN_S
    assert sum(map(len, seen.members.values())) <= MOST
    assert list((seen.host.top / "work").iterdir()) == [seen.bundle.parent]


def test_no_member_leads_anywhere_and_no_secret_is_in_one(seen: Seen) -> None:
    with tarfile.open(seen.bundle) as tar:
        for member in tar:
            assert member.isreg()
            assert not member.name.startswith("/")
            assert ".." not in member.name.split("/")
            assert member.name.isascii()
            assert member.name.isprintable()
    assert all(SECRET not in content for content in seen.members.values())


def test_what_is_told_of_it_is_fit_for_a_terminal(seen: Seen) -> None:
    told = json.dumps(seen.answer, ensure_ascii=False)
    assert json.loads(told)
    texts = [a["summary"] for a in seen.answer["incident"]["actions"]]
    texts += [text for key in ("refused", "missing", "cut") for text in seen.answer["incident"]["facts"][key]]
    texts += seen.answer["warnings"]
    assert all(text.isprintable() for text in texts)
    assert len(told) < 100_000


def test_the_bundle_is_as_its_manifest_says(seen: Seen) -> None:
    with bundles.opened(seen.bundle) as stream:
        inside = bundles.look(stream, "web1", "INC-1")
    assert inside.problems == []
    assert inside.members == len(seen.members)


def test_a_bomb_comes_as_it_lies_there_and_is_never_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(_evidence_place, "_WORK_PLACES", (str(tmp_path / "work"),))
    log, bomb = tmp_path / "app.log", tmp_path / "app.log.1.gz"
    log.write_text("one line\n")
    with gzip.open(bomb, "wb", compresslevel=9) as stream:
        for _ in range(100):
            stream.write(bytes(1 << 20))
    logs = [{"kind": "file", "path": str(log)}]
    answer = _evidence.run(
        {
            "services": [{"name": "shop", "hosts": "all", "logs": logs}], "only": [], "host_name": "web1", "host_groups": [],
            "incident_id": "INC-1", "dest": "/x/web1/e.tar.gz", "login_user": None, "max_bytes": MOST, "max_file_bytes": CAP,
            "lines": 1000, "since_s": 0, "max_seconds": 60, "max_cpu_seconds": 5, "compression": "gzip", "state": "collected",
        },
        False,
    )  # fmt: skip
    with tarfile.open(answer["bundle"]) as tar:
        content = tar.extractfile("logs/shop/01.01-app.log.1.gz")
        assert content is not None
        assert content.read() == bomb.read_bytes()
    with bundles.opened(Path(answer["bundle"])) as stream:
        assert bundles.look(stream, "web1", "INC-1").problems == []


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_what_we_may_not_read_is_missing(tmp_path: Path) -> None:
    top = Path("/var/tmp") / f"incidentctl-test-{os.getpid()}"  # noqa: S108 - where somebody else can come to
    (top / "work").mkdir(parents=True)
    (top / "app.log").write_text("x")
    (top / "app.log").chmod(0)
    os.chown(top / "work", NOBODY, NOBODY)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setresuid(NOBODY, NOBODY, NOBODY)
            from ansible_collections.incidentctl.response.plugins.module_utils import _untrusted_path  # noqa: PLC0415

            try:
                _untrusted_path.open_file(str(top / "app.log"))
            except OSError as error:
                os.write(writing, (error.strerror or str(error)).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    said = os.read(reading, 1000)
    os.close(reading)
    shutil.rmtree(top)
    assert said == b"Permission denied"


@pytest.mark.parametrize("name", ["../../x", "/x", "..", "a/../../x"])
def test_a_host_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    assert _evidence_place.why_not(name)
    answer = _evidence.run({"state": "collected", "host_name": name}, False)
    assert answer["incident"]["outcome"] == "refused"


# --- what a hostile host makes us bring home, and look at ------------------------------------------------------------


def packed(*members: tuple[tarfile.TarInfo, bytes], manifest: Any = None) -> io.BytesIO:
    """Return a bundle of these members; with the manifest, or with one that is true of those that are files."""
    rows = [
        {"name": info.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for info, content in members
        if info.isreg()
    ]
    said = {"host": "web1", "incident": "INC-1", "members": rows} if manifest is None else manifest
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for info, content in (*members, (file("manifest.json", text), text)):
            tar.addfile(info, io.BytesIO(content))
    stream.seek(0)
    return stream


def file(name: str, content: bytes = b"", **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info


def row(name: str, content: bytes, **other: Any) -> dict[str, Any]:
    return {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **other}


def of(*rows: Any, **other: Any) -> dict[str, Any]:
    return {"host": "web1", "incident": "INC-1", "members": list(rows), **other}


A = (file("logs/a", b"a"), b"a")
LIES = {
    "hash": (packed(A, manifest=of(row("logs/a", b"b"))), "not as its manifest says"),
    "size": (packed(A, manifest=of(row("logs/a", b"a", bytes=2))), "not as its manifest says"),
    "name": (packed(A, manifest=of(row("logs/b", b"a"))), "'logs/b' is not there"),
    "one that is not listed": (packed(A, manifest=of()), "not in its manifest"),
    "a member twice": (packed(A, A), "there twice"),
    "a row twice": (packed(A, manifest=of(row("logs/a", b"a"), row("logs/a", b"a"))), "names 'logs/a' twice"),
    "another host": (packed(A, manifest=of(row("logs/a", b"a"), host="web2")), "of the host 'web2'"),
    "another incident": (packed(A, manifest=of(row("logs/a", b"a"), incident="INC-2")), "of the incident 'INC-2'"),
    "no JSON": (packed(A, manifest=b"{"), "cannot be read"),
    "JSON without end": (packed(A, manifest=b"[" * 200_000), "cannot be read"),
    "no mapping": (packed(A, manifest=b"[]"), "no manifest that can be read"),
    "rows that are none": (packed(A, manifest=of(7, None, ["x"])), "not in its manifest"),
    "cut off": (io.BytesIO(packed(A).getvalue()[:60]), "cannot be read"),
    "no archive": (io.BytesIO(b"not an archive" * 100), "cannot be read"),
    "dots": (packed((file("../../x", b"a"), b"a")), "leads out"),
    "absolute": (packed((file("/etc/cron.d/x", b"a"), b"a")), "leads out"),
    "symlink": (packed((file("logs/a", type=tarfile.SYMTYPE, linkname="/etc"), b"")), "no regular file"),
    "hard link": (packed(A, (file("logs/b", type=tarfile.LNKTYPE, linkname="/etc/shadow"), b"")), "no regular file"),
    "device": (packed((file("logs/a", type=tarfile.BLKTYPE), b"")), "no regular file"),
    "FIFO": (packed((file("logs/a", type=tarfile.FIFOTYPE), b"")), "no regular file"),
}


def with_zstd(stream: io.BytesIO) -> io.BytesIO:
    """Return the same bundle, packed with zstd; what is cut off, or is no archive, as far as it goes."""
    raw = stream.getvalue()
    try:
        archive, lost = gzip.decompress(raw), 0
    except (EOFError, gzip.BadGzipFile):
        archive, lost = raw * 20, 40
    packed = subprocess.run([zstd, "-qc"], input=archive, capture_output=True, check=True).stdout
    return io.BytesIO(packed[: len(packed) - lost])


PACKERS = [pytest.param(lambda stream: stream, id="gzip"), pytest.param(with_zstd, id="zstd", marks=needs_zstd)]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("lie", LIES)
def test_a_bundle_that_lies_is_seen_through_and_nothing_is_unpacked(
    lie: str, packer: Callable[[io.BytesIO], io.BytesIO], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream, why = LIES[lie]
    inside = bundles.look(packer(stream), "web1", "INC-1")  # type: ignore[arg-type]
    assert any(why in problem for problem in inside.problems), inside.problems
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("packer", PACKERS)
def test_a_bundle_that_tells_the_truth_has_no_problem(packer: Callable[[io.BytesIO], io.BytesIO]) -> None:
    assert bundles.look(packer(packed(A)), "web1", "INC-1").problems == []  # type: ignore[arg-type]


@pytest.mark.parametrize("packer", PACKERS)
def test_a_bundle_that_unpacks_without_end_is_left(
    packer: Callable[[io.BytesIO], io.BytesIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MOST_BYTES", 4 << 20)
    zeros = bytes(8 << 20)
    inside = bundles.look(packer(packed((file("logs/a", zeros), zeros))), "web1", "INC-1")  # type: ignore[arg-type]
    assert "unpacks to more than" in inside.told


@pytest.mark.parametrize("packer", PACKERS)
def test_a_header_that_asks_for_all_memory_is_left(packer: Callable[[io.BytesIO], io.BytesIO]) -> None:
    header = file("x", type=tarfile.XHDTYPE)
    header.size = 1 << 40
    stream = io.BytesIO(
        gzip.compress(header.tobuf(tarfile.USTAR_FORMAT if header.size < 8**11 else tarfile.GNU_FORMAT))
    )
    assert "asked for at once" in bundles.look(packer(stream), "web1", "INC-1").told


def test_what_headers_say_of_members_does_not_pile_up_in_memory() -> None:
    said = {f"{number:06d}": "x" for number in range(3000)}
    members = []
    for number in range(40):
        member = file(f"logs/{number}")
        member.pax_headers = said
        members.append(member.tobuf(tarfile.PAX_FORMAT))
    stream = io.BytesIO(gzip.compress(b"".join(members)))
    tracemalloc.start()
    try:
        inside = bundles.look(stream, "web1", "INC-1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert inside.members == 40
    assert peak < 8 << 20


def test_a_name_without_end_is_not_kept() -> None:
    assert "more than 500 characters" in bundles.look(packed((file("logs/" + "a" * 600), b"")), "web1", "INC-1").told  # type: ignore[arg-type]


def test_more_members_than_a_bundle_can_have_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST_MEMBERS", 10)
    inside = bundles.look(packed(*((file(f"logs/{n}"), b"") for n in range(20))), "web1", "INC-1")  # type: ignore[arg-type]
    assert "more than 10 members" in inside.told


@pytest.mark.parametrize("named", ["/etc/shadow", "/var/tmp/incidentctl-evidence-x/../../etc/evidence.tar.gz", None])  # noqa: S108
def test_a_host_that_names_another_file_is_not_believed(named: Any) -> None:
    with pytest.raises(_homecoming.NotHomeError):
        _homecoming.source_of(named)
