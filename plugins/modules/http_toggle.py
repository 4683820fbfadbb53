#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn on what services offer over HTTP for an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: http_toggle
short_description: Turn on services' own maintenance mode or circuit breakers over HTTP, so that lift can turn them off again
description:
  - Calls, for each service of this host that declares C(maintenance), the request C(maintenance.on); with
    O(capability=circuit_breaker), for each of its C(circuit_breakers), the request C(open).
  - Where C(status) is declared, it is read before and after. The toggle is on when every key that C(status.expect)
    (without it, the JSON body of C(on) or C(open)) shares with the JSON object that comes back is equal.
  - What is on already stays as it is, and M(incidentctl.response.lift) will leave it so. If it is on because of another
    incident, M(incidentctl.response.lift) turns it off when both are lifted.
  - A circuit breaker with C(egress) instead of requests is left to M(incidentctl.response.traffic_rule); the fact
    C(egress) names it.
  - Any 2xx answer counts as accepted, or exactly C(expect_status) where a request declares it. Redirects are not
    followed.
  - Records each call in the host's ledger before it acts.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  capability:
    description: The role that asks; it names the ledger entries.
    type: str
    choices: [circuit_breaker, maintenance_mode]
    required: true
"""

EXAMPLES = r"""
- name: Put the checkout service into maintenance
  incidentctl.response.http_toggle:
    capability: maintenance_mode
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
"""

RETURN = r"""
incident:
  description: What was done, one action per service or circuit breaker (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: maintenance_mode
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: maintenance of checkout turned on
        entry: 000001-maintenance-mode-checkout
        verified: true
    facts: {}
    files: []
"""

from ansible_collections.incidentctl.response.plugins.module_utils._http_toggle import run
from ansible_collections.incidentctl.response.plugins.module_utils._module import capability, main, options

ARGUMENT_SPEC = options(
    capability={"type": "str", "choices": ["circuit_breaker", "maintenance_mode"], "required": True},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
