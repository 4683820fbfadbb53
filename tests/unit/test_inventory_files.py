"""What is wrong with an inventory is told all at once, each with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from incidentctl import inventory_files, session
from incidentctl.errors import ConfigurationError
from incidentctl.settings import Settings

HOSTS = "all:\n  hosts:\n    web1: {ansible_connection: local}\n"
SERVICES = """\
incident_services:
  - name: shop
    hosts: web1
    user_facing: yes please
    managr: systemd
    health:
      url: http://127.0.0.1/health
      timeot_s: 3
    ports: [http]
    secret: !vault |
      $ANSIBLE_VAULT;1.1;AES256
  - name: mail
    hosts: wbe1
  - name: mail
    hosts: web1
  - hosts: web1
  - a name alone
"""


def inventory(folder: Path, **files: bytes | str) -> tuple[str, ...]:
    for name, text in {"hosts.yml": HOSTS, **{key.replace("__", "/"): text for key, text in files.items()}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return (str(folder),)


def told(folder: Path, sources: tuple[str, ...]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        session.hosts_of(Settings(state_dir=folder, memory_bank=folder), sources)
    return [line.removeprefix(f"{folder}/") for line in caught.value.why.splitlines()]


def test_every_error_of_the_catalogue_is_told_with_its_line(tmp_path: Path) -> None:
    plain = SERVICES.replace("    secret: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n", "")
    sources = inventory(tmp_path, **{"group_vars/all.yml": plain})
    place = "group_vars/all.yml"
    assert told(tmp_path, sources) == (
        [
            f"{place}:4: shop: user_facing must be true or false, not 'yes please'",
            f"{place}:5: shop: unknown key managr (did you mean manager?)",
            f"{place}:8: shop: unknown key health.timeot_s (did you mean timeout_s?)",
            f"{place}:9: shop: ports must be numbers from 1 to 65535, not 'http'",
            f"{place}:11: mail: hosts: no host or group is named 'wbe1' (did you mean web1?)",
            f"{place}:12: mail: is there twice",
            f"{place}:14: entry 4: name is missing",
            f"{place}:15: entry 5 must be a mapping",
        ]
    )


def test_what_is_no_yaml_is_told_of_every_file_at_once(tmp_path: Path) -> None:
    sources = inventory(
        tmp_path,
        **{
            "group_vars/all.yml": "a: [1\nb: 2\n",
            "host_vars/web1.yml": "a:\n\t- 1\n",
            "host_vars/web2.yml": b"a: 1\nb: caf\xe9\n",
            "group_vars/web/secret.yml": "$ANSIBLE_VAULT;1.1;AES256\n3061\n",
        },
    )
    lines = told(tmp_path, sources)
    assert [line.partition(": ")[0] for line in lines] == [
        "group_vars/all.yml:2",
        "host_vars/web1.yml:2",
        "host_vars/web2.yml:2",
    ]
    assert "is not UTF-8: byte 0xe9" in lines[2]


def test_a_key_that_is_there_twice_is_found_though_ansible_says_nothing(tmp_path: Path) -> None:
    sources = inventory(tmp_path, **{"more.yml": "web:\n  hosts: {a: }\nweb:\n  hosts: {b: }\n"})
    assert inventory_files.wrong(sources) == ([], [f"{tmp_path}/more.yml:3: web: is there twice (first in line 1)"])


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeffa: 1\r\n", "a: !vault |\n  $ANSIBLE_VAULT\n", "1: x\n"])
def test_what_ansible_takes_is_not_wrong(tmp_path: Path, text: str) -> None:
    assert inventory_files.wrong(inventory(tmp_path, **{"group_vars/all.yml": text})) == ([], [])


def test_services_are_found_beside_what_only_ansible_can_read(tmp_path: Path) -> None:
    found = inventory_files.entries(inventory(tmp_path, **{"group_vars/all.yml": SERVICES}))
    assert [(one.name, one.hosts) for one in found] == [
        ("shop", "web1"),
        ("mail", "wbe1"),
        ("mail", "web1"),
        ("", "web1"),
        ("", ""),
    ]
