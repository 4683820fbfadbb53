#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limit connections to services, cut those to what they depend on, or a whole host off, during an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_rule
short_description: Limit connections to services, cut those to what they depend on, or a host off, until lift or a deadline
description:
  - With O(capability=rate_limit), limits new TCP connections to the C(ports) of this host's services, for each source
    address by itself, in IPv4 and, for each /64, in IPv6. Open connections live on. What containers publish is limited
    like the host's own services.
  - Loopback, O(management_cidrs), the address of the current ssh login and the port of ssh are never limited.
  - With O(capability=circuit_breaker), resets all TCP connections, new and open ones, to the C(host) and C(port) of each
    C(egress) among the services' C(circuit_breakers), for processes of the host as for its containers. Those that wait for
    an answer are ended by C(ss); where that is not installed, they end when they next send something. A name is resolved
    on the host, and the ledger keeps the addresses. Breakers without C(egress) are left to
    M(incidentctl.response.http_toggle).
  - With O(capability=quarantine), drops all that comes in to this host and goes out, in IPv4 and IPv6, if it runs a service
    that O(only) names. That is its own traffic and that of its containers, new connections and open ones. The latter are ended by
    C(ss); where that is not installed, they hang. What stays on the host is left alone, and so are O(management_cidrs), the
    address of the current ssh login, DHCP, IPv6 neighbour, router and listener discovery, and word of packets that are too
    large. It is refused where O(only) is empty, or where one of two address families could not be cut.
  - A circuit breaker refuses to cut off the address of the current ssh login, O(management_cidrs), and the host itself.
  - The rules go into a chain of their own, all of them or none. Before that, two clocks are started on the host
    itself. One takes the rules out again unless a fresh login confirms them with O(state=confirmed). The other ends
    what was forgotten. Both survive a reboot, and need neither network nor controller.
  - Records each act in the host's ledger before it acts. M(incidentctl.response.lift) removes exactly that.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  capability:
    description: The role that asks; it names the ledger entries.
    type: str
    choices: [circuit_breaker, quarantine, rate_limit]
    required: true
  breakers:
    description: Of a service's circuit breakers, those of these names alone. Empty means all that it declares.
    type: list
    elements: str
    default: []
  state:
    description: C(limited) puts the rules in. C(confirmed) says, over a fresh login, that the host can still be reached.
    type: str
    choices: [limited, confirmed]
    default: limited
  per_minute:
    description: New connections that a source may make each minute, 1 to 10000.
    type: int
    default: 10
  burst:
    description: New connections that a source may make at once, 1 to 10000.
    type: int
    default: 10
  total_per_minute:
    description:
      - New connections that all sources together may make each minute, and at once, in each address family; 0 to 100000. 0 means
        that only the limit for each source counts.
      - What a source is too much for by itself does not count here.
    type: int
    default: 0
  expires_after:
    description:
      - Seconds after which the rules take themselves back, a year (31536000) at most. 0 means never.
      - Run again in the second half of that time, the module sets the clock anew.
    type: int
    default: 14400
  confirm_within:
    description: Seconds to wait for O(state=confirmed) before the rules take themselves back. 0 means that none is needed.
    type: int
    default: 60
  management_cidrs:
    description: Networks that are never limited nor cut off, because the host is managed from there.
    type: list
    elements: str
    default: []
  exempt_cidrs:
    description: More networks that are never limited, such as load balancers, which stand for all their clients.
    type: list
    elements: str
    default: []
  proxies_known:
    description:
      - With O(capability=rate_limit), every proxy by which users come is among O(exempt_cidrs), or there is none.
        No other source is taken for one then, and O(max_source_fraction) does not count.
    type: bool
    default: false
  max_source_fraction:
    description:
      - With O(capability=rate_limit), the part of a port's established connections, of 20 at least, that one source may hold.
        Who holds more is taken for a proxy, which stands for all who come by it, and the limit is refused.
        Loopback, O(management_cidrs) and O(exempt_cidrs) are not counted.
    type: float
    default: 0.3
  allow_proxy:
    description: Limit it all the same.
    type: bool
    default: false
  allow_proxy_of:
    description: Limit it all the same for these services alone.
    type: list
    elements: str
    default: []
  acted:
    description: With O(state=confirmed), the C(actions) of the act that is confirmed. They come back with the outcome.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Let every source connect ten times a minute
  incidentctl.response.traffic_rule:
    capability: rate_limit
    services: "{{ incident_services }}"
    only: [checkout]
    management_cidrs: [192.0.2.0/24]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
  register: limited

- name: Confirm it over a fresh login
  incidentctl.response.traffic_rule:
    capability: rate_limit
    state: confirmed
    acted: "{{ limited.incident.actions }}"
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    incident_id: INC-20260101-0300-abcd
  vars:
    ansible_ssh_args: -o ControlPath=none

- name: Cut the shop off from a search that no longer answers
  incidentctl.response.traffic_rule:
    capability: circuit_breaker
    services:
      - name: shop
        hosts: web
        circuit_breakers: [{name: search, egress: {host: 10.0.0.9, port: 9200}}]
    management_cidrs: [192.0.2.0/24]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd

- name: Cut the shop's hosts off
  incidentctl.response.traffic_rule:
    capability: quarantine
    services: "{{ incident_services }}"
    only: [shop]
    management_cidrs: [192.0.2.0/24]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
"""

RETURN = r"""
incident:
  description: What was done, one action per service (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: rate_limit
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: "checkout limited on port 8000: 10 new connections a minute for each source, 10 at once, until it is lifted"
        entry: 000001-rate-limit-checkout
        verified: true
    facts:
      limits:
        - service: checkout
          held_back: {ipv4: 4812, ipv6: 0}
          sources: 3
          expires_at: null
          entry: 000001-rate-limit-checkout
          counted:
            ports: [8000]
            dropped: 4812
            passed: 459
            sources: 3
            more_sources: false
            busiest: [{source: 192.0.2.44, dropped: 4790}, {source: 198.51.100.7, dropped: 22}]
            since: "2026-01-01T03:04:05.678+00:00"
      to_confirm: [checkout]
    files: []
"""

from ansible_collections.incidentctl.response.plugins.module_utils._module import capability, main, options
from ansible_collections.incidentctl.response.plugins.module_utils._traffic_rule import run

ARGUMENT_SPEC = options(
    capability={"type": "str", "choices": ["circuit_breaker", "quarantine", "rate_limit"], "required": True},
    breakers={"type": "list", "elements": "str", "default": []},
    state={"type": "str", "choices": ["limited", "confirmed"], "default": "limited"},
    per_minute={"type": "int", "default": 10},
    burst={"type": "int", "default": 10},
    total_per_minute={"type": "int", "default": 0},
    expires_after={"type": "int", "default": 14400},
    confirm_within={"type": "int", "default": 60},
    management_cidrs={"type": "list", "elements": "str", "default": []},
    exempt_cidrs={"type": "list", "elements": "str", "default": []},
    proxies_known={"type": "bool", "default": False},
    max_source_fraction={"type": "float", "default": 0.3},
    allow_proxy={"type": "bool", "default": False},
    allow_proxy_of={"type": "list", "elements": "str", "default": []},
    acted={"type": "list", "elements": "dict", "default": []},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
