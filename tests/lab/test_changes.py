"""What changed on a real host: each thing that somebody does to it is told once, by what it is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _changes_units
from tests.lab.play import Hosts, lab

HOST = "worker1"
UNIT = "t-changes.service"
SERVICE = {
    "name": "t-changes", "hosts": "workers", "manager": "systemd", "unit": UNIT,
    "config": ["/srv/t-changes/app.ini"], "data": [{"kind": "files", "path": "/srv/t-changes/data"}],
    "releases": {"kind": "symlink", "root": "/srv/t-changes/releases", "current": "/srv/t-changes/current"},
}  # fmt: skip
LAY_OUT = f"""set -e
mkdir -p /srv/t-changes/releases/41 /srv/t-changes/releases/42 /srv/t-changes/data
ln -sfn releases/41 /srv/t-changes/current
echo port=1 > /srv/t-changes/app.ini
useradd --system t-shop
chown t-shop /srv/t-changes/data
printf '[Service]\\nUser=t-shop\\nExecStart=/bin/sleep infinity\\n' > /etc/systemd/system/{UNIT}
systemctl daemon-reload
systemctl start {UNIT}
folder=$(mktemp -d)
mkdir -p $folder/DEBIAN $folder/etc/t-tiny
echo size=1 > $folder/etc/t-tiny/tiny.conf
printf 'Package: t-tiny\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: t <t@example.org>\\nDescription: t\\n' \
    > $folder/DEBIAN/control
printf '#!/bin/sh\\nchown root:root /srv/t-changes/data\\nchmod 700 /srv/t-changes/data\\n' > $folder/DEBIAN/postinst
chmod 755 $folder $folder/DEBIAN/postinst
dpkg-deb --build --root-owner-group $folder /srv/t-changes/t-tiny.deb
rm -r $folder
sleep 3
"""
CHANGE = f"""set -e
dpkg --install /srv/t-changes/t-tiny.deb
ln -sfn releases/42 /srv/t-changes/current
echo port=2 > /srv/t-changes/app.ini
echo Environment=A=1 >> /etc/systemd/system/{UNIT}
echo '* * * * * root true' > /etc/cron.d/t-changes
useradd t-eve
systemctl daemon-reload
systemctl restart {UNIT}
"""
CLEAR = f"""systemctl stop {UNIT}
dpkg --purge t-tiny
userdel t-eve
userdel t-shop
rm -rf /srv/t-changes /etc/systemd/system/{UNIT} /etc/cron.d/t-changes /etc/t-tiny
systemctl daemon-reload
"""


@pytest.fixture
def changed(hosts: Hosts) -> Iterator[float]:
    """A host to which all of this was done; give the moment before it was."""
    hosts.need(HOST)
    while int(hosts.run(HOST, "ps", "-o", "etimes=", "-p", "1")) <= _changes_units._SINCE_BOOT_S:
        time.sleep(1)  # what starts before is taken for what the boot started
    try:
        shell(LAY_OUT)
        began = float(hosts.run(HOST, "date", "+%s"))  # dpkg says whole seconds
        shell(CHANGE)
        yield began
    finally:
        shell(CLEAR)


def shell(script: str) -> None:
    lab.ssh(HOST, "sudo sh -s", feed=script.encode())


def look(hosts: Hosts, **more: Any) -> dict[str, Any]:
    own = {"incident_id": f"INC-{secrets.token_hex(4)}", "incident_services": [SERVICE]}
    return dict(hosts.play("diagnosis", HOST, **own, **more).block(HOST)["facts"])


def test_everything_that_was_done_to_a_host_is_told_once(hosts: Hosts, changed: float) -> None:
    facts = look(hosts, diagnosis_changes_hours=1)
    found = [one for one in facts["changes"] if datetime.fromisoformat(one["at"]).timestamp() >= changed]
    told = sorted((one["kind"], one["text"], one["service"]) for one in found if one["kind"] != "login")
    assert told == [
        ("configuration", "had /srv/t-changes/app.ini changed", "t-changes"),
        ("cron", "had cron file /etc/cron.d/t-changes changed", "t-changes"),
        ("package", "had t-tiny installed", None),
        ("permission", "had mode or owner of /srv/t-changes/data changed", "t-changes"),
        ("release", "got release 42 of t-changes (before it: 41)", "t-changes"),
        ("restart", f"had {UNIT} started", "t-changes"),
        ("unit", f"had /etc/systemd/system/{UNIT} changed", "t-changes"),
        ("user", "got group t-eve", None),
        ("user", "got user t-eve", None),
    ], facts["changes_notes"]
    detail = {one["kind"]: one["detail"] for one in found}
    assert detail["package"] == "1.0 by dpkg"
    locked_out = "t-shop, as whom t-changes runs, may not write there"
    assert detail["permission"] == f"now root:root 0700; while packages were installed: t-tiny; {locked_out}"
    (finding,) = (one for one in facts["findings"] if one["kind"] == "changed")
    assert (finding["severity"], finding["about"]) == ("critical", {"path": "/srv/t-changes/data", "name": "t-shop"})
