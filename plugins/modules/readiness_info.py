#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look whether a host has what an incident would need."""

from __future__ import annotations

DOCUMENTATION = r"""
module: readiness_info
short_description: Look whether a host has what an incident would need
description:
  - Looks at the disks where ledger, evidence and backups would go, at the programs that the catalogue makes necessary on this
    host, at the secrets and authorities that its requests refer to, and whether the password of the backups opens their
    repository.
  - What is missing fails it. What is only poor (a disk from 85 % full, no promtool beside Prometheus) is a warning.
  - Changes nothing, and does the same in check mode.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  asked_at:
    description:
      - The controller's clock when it asked, in seconds since 1970.
      - Comes back beside the host's own clock. Who adds when the answer came knows how far the two can be apart.
    type: float
    required: true
  repository:
    description: Where backups are kept. A folder on the host, or the address of any repository of restic, or C(file:) and the
      path of a file that holds it.
    type: str
    default: /var/backups/incidentctl
  password_file:
    description: File on the host with the password of the restic repository.
    type: str
    default: /etc/incidentctl/restic
  password_required:
    description: Miss the password if it is not there. Otherwise plain archives are taken to be meant.
    type: bool
    default: false
  prometheus_hosts:
    description: The inventory group or host that runs Prometheus.
    type: str
    default: monitoring
"""

EXAMPLES = r"""
- name: Look whether this host is ready
  incidentctl.response.readiness_info:
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    asked_at: "{{ now().timestamp() }}"
    password_required: true
"""

RETURN = r"""
incident:
  description:
    - What was looked at, one action per area (docs/contracts.md, 3).
    - C(facts.findings) holds what is C(wrong) and what is worth a C(warning), each with a way to mend it.
  returned: always
  type: dict
  sample:
    capability: readiness
    outcome: failed
    actions:
      - target: disks
        outcome: unchanged
        summary: "disks: nothing is missing"
      - target: programs
        outcome: failed
        summary: >-
          shop: podman is here, but not podman-compose: stopping and starting it would fail. Fix: install it, or correct the
          catalogue
      - target: backups
        outcome: unchanged
        summary: "backups: nothing is missing"
      - target: logins
        outcome: unchanged
        summary: "logins: nothing is missing"
    facts:
      clock: {asked_at: 1767262800.113, began_at: 1767262800.482, ended_at: 1767262801.127}
      findings:
        - level: wrong
          text: "shop: podman is here, but not podman-compose: stopping and starting it would fail"
          fix: install it, or correct the catalogue
    files: []
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options
from ansible_collections.incidentctl.response.plugins.module_utils._readiness import CAPABILITY, run

ARGUMENT_SPEC = options(
    asked_at={"type": "float", "required": True},
    repository={"type": "str", "default": "/var/backups/incidentctl"},
    password_file={"type": "str", "default": "/etc/incidentctl/restic"},
    password_required={"type": "bool", "default": False},
    prometheus_hosts={"type": "str", "default": "monitoring"},
)


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return CAPABILITY


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
