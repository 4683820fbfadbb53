#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect volatile state, logs and configuration of a host into one bundle."""

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Collect volatile state, logs and configuration of a host into one bundle with a hashed manifest
description:
  - Reads what the host forgets first (connections, processes, memory, load, disks), then the logs that the catalogue names,
    rotated ones too, then the configuration of the services and the host. It goes behind whatever else the host has to do.
  - Writes one C(tar.zst) or C(tar.gz) into a fresh folder, mode 0700, that belongs to the user Ansible logs in as. The same task
    brings it home to O(dest), by SFTP or as the connection does it, sees that it has the size and the SHA-256 that the host said,
    and removes it from the host.
  - A bundle of more than 50 MB whose transfer was cut off is not collected anew within an hour; over SSH its transfer goes on.
  - Files are read only if they are regular ones on a disk, and copied byte for byte. One that is a symbolic link is refused;
    a link in a folder above is followed if it belongs to root, or to the owner of what it leads to. Rotated files that are
    compressed come as they are, whole or not at all. What is cut, refused or missing is in the manifest with its reason, and
    does not fail the module.
  - Files that are known to hold passwords of accounts or private keys are refused. What is collected is not redacted.
  - It never reports a change, for nothing of it stays on the host.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  dest:
    description:
      - Where the bundle will be on the controller, in a folder of the host's name. Nothing that is there is overwritten.
      - It ends in C(.tar.gz); a bundle that is packed with zstd gets C(.tar.zst) instead.
    type: str
    required: true
  login_user:
    description: The user that Ansible logs in as, who gets the bundle. Without it, the one that sudo or the kernel remembers.
    type: str
  max_bytes:
    description:
      - Bytes that are collected at most on this host, before they are compressed. Refused over 1,000,000,000, for no larger
        bundle could be verified.
    type: int
    default: 52428800
  max_file_bytes:
    description: Bytes that are kept at most of one log, or one part of the volatile state; of a log, the last ones.
    type: int
    default: 10485760
  lines:
    description:
      - Lines that are kept of each log, the last ones. 0 means no limit but that in bytes.
      - Where the file has fewer, its newest rotated files are read as well.
      - With O(since_s) it does not count.
    type: int
    default: 10000
  since_s:
    description:
      - Keep only what was logged in the last so many seconds, rotated files that were written to since included. 0 means no
        such limit.
      - Of a log file whose lines tell no time that can be read, none is left out for its age.
    type: int
    default: 0
  max_seconds:
    description: Seconds that collecting may take on this host. What is not read by then is missing, and named.
    type: int
    default: 60
  max_cpu_seconds:
    description: CPU seconds that it may take, those of the commands it starts included. Looked at before each part.
    type: int
    default: 20
  compression:
    description:
      - V(auto) packs with zstd where both the host and the controller have a program of that name, else with gzip.
      - V(gzip) packs with gzip, for bundles that are read where there is no zstd.
    type: str
    choices: [auto, gzip]
    default: auto
  state:
    description:
      - V(collected) collects.
      - V(undelivered) removes a bundle that could not be brought home, and fails, so that nobody believes to have it.
    type: str
    choices: [collected, undelivered]
    default: collected
  bundle:
    description: The bundle on the host that did not come home, for O(state=undelivered).
    type: str
    default: ""
  reason:
    description: Why it did not, for O(state=undelivered).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Collect evidence of this host
  incidentctl.response.evidence:
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
    dest: /srv/incidents/INC-20260101-0300-abcd/evidence/web1/evidence.tar.gz
    login_user: "{{ ansible_user | default(omit) }}"
    since_s: 7200
"""

RETURN = r"""
bundle:
  description: Where the bundle was on the host.
  returned: when something was collected
  type: str
  sample: /var/tmp/incidentctl-evidence-INC-20260101-0300-abcd-web1-k2v9x1q_/evidence.tar.gz
incident:
  description:
    - What was collected (docs/contracts.md, 3).
    - C(facts.members) and C(facts.bytes) count what is in the bundle, unpacked, C(facts.estimated_bytes) what was expected
      of logs and configuration. C(facts.cut) lists what did not fit, C(facts.refused) and C(facts.missing) what is not there,
      with reasons. C(files) names the bundle as it lies on the controller.
  returned: always
  type: dict
  sample:
    capability: log_collection
    outcome: done
    actions:
      - target: bundle
        outcome: done
        summary: 13 parts, 77047 bytes, 1 refused
    facts:
      members: 13
      bytes: 77047
      estimated_bytes: 61440
      cut: []
      refused: ["/srv/shop/app.log: it is a symbolic link"]
      missing: []
      seconds: 0.09
      cpu_s: 0.05
    files:
      - path: /srv/incidents/INC-20260101-0300-abcd/evidence/web1/evidence.tar.gz
        sha256: 277a119600e14fd28d7e6580acdfd61ef3c2f58d67b7e36d375f8a409006b0b6
        bytes: 17550
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._evidence import CAPABILITY, run
from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options

ARGUMENT_SPEC = options(
    dest={"type": "str", "required": True},
    login_user={"type": "str"},
    max_bytes={"type": "int", "default": 50 * 1024 * 1024},
    max_file_bytes={"type": "int", "default": 10 * 1024 * 1024},
    lines={"type": "int", "default": 10000},
    since_s={"type": "int", "default": 0},
    max_seconds={"type": "int", "default": 60},
    max_cpu_seconds={"type": "int", "default": 20},
    compression={"type": "str", "choices": ["auto", "gzip"], "default": "auto"},
    state={"type": "str", "choices": ["collected", "undelivered"], "default": "collected"},
    bundle={"type": "str", "default": ""},
    reason={"type": "str", "default": ""},
)


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return CAPABILITY


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
