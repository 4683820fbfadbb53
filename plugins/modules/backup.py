#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up the data of a host's services and prove it by restoring."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up the data of a host's services, and prove each backup by restoring it
description:
  - Backs up every C(data) item of this host's services, of kind C(files), C(sqlite) or C(postgresql).
  - Uses restic where the host has it and O(password_file) is there, else a C(tar.gz) with a manifest, mode 0600.
  - Of each item a copy is made first; of SQLite with its own online backup, checked with C(integrity_check). The backup is
    restored into a temporary folder and compared with that copy in every SHA-256, mode and row count. Only then is it
    C(verified).
  - A PostgreSQL database is dumped by C(pg_dump) in its custom format, with the roles of the server beside it, as the OS
    user that C(user) names where root can become it. The dump is restored into a scratch database of the same server,
    C(incidentctl_verify_...), which is dropped afterwards, and the rows of every table are compared with those counted in
    the snapshot that was dumped. Passwords come from C(~/.pgpass), never from the catalogue.
  - Content that this incident has backed up already, and that still restores, is left unchanged. No backup is ever pruned.
  - Any exit code of restic but 0 is a failure. A lock in the repository is taken away only if whoever held it is gone, as
    C(restic unlock) tells.
  - Refuses, with figures, an item that would take a disk below its reserve.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  repository:
    description:
      - Where backups are kept. A folder on the host, or, with restic, the address of any repository of it.
      - C(file:) and the path of a file on the host that holds the address, for one with a password in it. An address that
        holds one is refused, for it would show in the process list.
      - A repository that does not exist is initialised.
    type: str
    default: /var/backups/incidentctl
  password_file:
    description: File on the host with the password of the restic repository. Without that file, plain archives are made.
    type: str
    default: /etc/incidentctl/restic
  reserve_mb:
    description:
      - Megabytes that have to stay free on each disk that takes part. Looked at before, when 2.2 times the size of the item must
        be free beyond it (3.3 times where a PostgreSQL server keeps its data on the same disk), and 16 MB.
      - Looked at again all the while that something is written, which is stopped and removed in time.
    type: int
    default: 200
  initialise:
    description:
      - Whether a restic repository that does not exist is made. C(never) backs up nothing where there is none, C(only) does
        nothing else.
      - Left out, hosts of one play make a repository that they share one after the other.
    type: str
    choices: [auto, never, only]
    default: auto
"""

EXAMPLES = r"""
- name: Back up the data of the checkout service
  incidentctl.response.backup:
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
    repository: /srv/backups
"""

RETURN = r"""
incident:
  description:
    - What was done, one action per data item (docs/contracts.md, 3).
    - C(facts.services) has, by service, one entry per item; C(restore) is the command that puts it back, with the
      service stopped; C(recreate) that for a PostgreSQL server which has neither database nor roles. C(where) is an
      archive, or the id of a restic snapshot. An item that has no verified backup says C(reason) instead.
  returned: always
  type: dict
  sample:
    capability: backup
    outcome: done
    actions:
      - target: checkout sqlite /srv/checkout/shop.db
        outcome: done
        summary: "/srv/checkout/shop.db: 8192 bytes backed up with tar, and restored to prove it"
        verified: true
    facts:
      services:
        checkout:
          - kind: sqlite
            path: /srv/checkout/shop.db
            verified: true
            at: "2026-01-01T03:02:01.123+00:00"
            bytes: 8192
            where: /var/backups/incidentctl/archives/web1/checkout-sqlite-1f2e3d4c-20260101T030201.123456Z.tar.gz
            tool: tar
            repository: /var/backups/incidentctl
            seconds: 0.02
            restore: >-
              rm -f /srv/checkout/shop.db-wal /srv/checkout/shop.db-shm /srv/checkout/shop.db-journal &&
              mkdir -p /srv/checkout && tar -xpzf
              /var/backups/incidentctl/archives/web1/checkout-sqlite-1f2e3d4c-20260101T030201.123456Z.tar.gz
              -C /srv/checkout
    files: []
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._backup import CAPABILITY, run
from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options

ARGUMENT_SPEC = options(
    repository={"type": "str", "default": "/var/backups/incidentctl"},
    password_file={"type": "str", "default": "/etc/incidentctl/restic", "no_log": False},
    reserve_mb={"type": "int", "default": 200},
    initialise={"type": "str", "choices": ["auto", "never", "only"], "default": "auto"},
)


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return CAPABILITY


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
