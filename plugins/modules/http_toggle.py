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
  - Where C(status) is declared, it is read before and after, for up to C(status.within_s) seconds (3) until it says so.
    The toggle is on when all that C(status.expect) (without it, the JSON body of C(on) or C(open)) shares with the JSON
    object that comes back is equal, in mappings within mappings too.
  - Where on or off is answered wrongly or not in time, the status decides what came of it. What was never sent, as
    where nobody listens, leaves nothing to take back.
  - What is on already stays as it is, and M(incidentctl.response.lift) will leave it so. If it is on because of another
    incident, M(incidentctl.response.lift) turns it off when both are lifted.
  - A circuit breaker with C(egress) instead of requests is left to M(incidentctl.response.traffic_rule); the fact
    C(egress) names it.
  - A request has a C(url), a C(method), one body (C(json), C(form) or C(body), which is text), C(headers), a
    C(secret_ref), a C(ca_file), a C(timeout_s) for all of it (5) and C(expect_status), a number or a list of them. Any 2xx
    answer counts as accepted where it does not say. Redirects are not followed, certificates are always verified.
  - C(secret_ref) names a C(file) of the host or a variable of its environment (C(env)). It goes out in C(header)
    (Authorization) as it is, or by its C(scheme), C(bearer) or C(basic) with C(user); and is written nowhere.
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
  breakers:
    description: Of a service's circuit breakers, those of these names alone. Empty means all that it declares.
    type: list
    elements: str
    default: []
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

- name: Open the breaker of a service whose admin endpoint asks for a password
  incidentctl.response.http_toggle:
    capability: circuit_breaker
    services:
      - name: checkout
        hosts: web
        circuit_breakers:
          - name: payments
            open:
              url: https://127.0.0.1:8443/breakers/payments
              form: {state: open}
              expect_status: [200, 204]
              ca_file: /etc/checkout/ca.pem
              secret_ref: {file: /etc/checkout/admin, scheme: basic, user: incidentctl}
            close:
              url: https://127.0.0.1:8443/breakers/payments
              form: {state: closed}
              ca_file: /etc/checkout/ca.pem
              secret_ref: {file: /etc/checkout/admin, scheme: basic, user: incidentctl}
            status:
              url: https://127.0.0.1:8443/breakers/payments
              expect: {state: open}
              within_s: 10
              ca_file: /etc/checkout/ca.pem
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
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
    breakers={"type": "list", "elements": "str", "default": []},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
