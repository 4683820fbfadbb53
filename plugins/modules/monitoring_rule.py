#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load alerting rules into Prometheus for the time of an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_rule
short_description: Load alerting rules into Prometheus for the time of an incident
description:
  - Writes one rule file for the affected services into a folder that Prometheus reads, checks it, reloads, and sees it loaded.
  - In check mode Prometheus is asked for each expression, and one that it does not take is failed with its reason.
  - The file is in the host's ledger before it is there. M(incidentctl.response.lift) removes it and reloads.
  - Rules are each service's own C(alerts), and one that fires when a scrape target on the service's hosts is down.
  - In each Alertmanager of O(alertmanager_url) and O(alertmanagers), what fires already for the services (by the label
    C(service)) or their hosts (by C(instance)) is silenced, each alert once and by exactly its labels, so that nobody is
    paged again for what is worked on; with O(only), for without it that would be the whole site.
    M(incidentctl.response.lift) ends these silences, and no others.
  - A server that is away, wants another login, redirects or is something else fails by itself, and is told; the others go on.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  prometheus_hosts:
    description: The inventory group or host that runs Prometheus. Other hosts are skipped.
    type: str
    required: true
  prometheus_url:
    description: Prometheus as its own host reaches it. It needs C(--web.enable-lifecycle).
    type: str
    default: http://127.0.0.1:9090
  prometheus_secret_ref:
    description: >-
      Where the login for Prometheus is kept, on this host; a C(file) or C(env), with the C(scheme) C(basic) and its C(user),
      or C(bearer).
    type: dict
    default: {}
  prometheus_ca_file:
    description: A file of this host with the authority that signed Prometheus's certificate. Without it, the host's own.
    type: str
    default: ""
  rules_dir:
    description: A folder that C(rule_files) of prometheus.yml matches with C(*.yml).
    type: path
    default: /etc/prometheus/rules.d
  alertmanager_url:
    description: Alertmanager as the host of Prometheus reaches it. Without it and O(alertmanagers), nothing is silenced.
    type: str
    default: ""
  alertmanagers:
    description: >-
      More Alertmanagers, each with its C(url), and C(secret_ref) and C(ca_file) as those of Prometheus. Those of one cluster
      share their silences; one of them is enough.
    type: list
    elements: dict
    default: []
  expires_after:
    description: Seconds after which Alertmanager ends a silence by itself, if nobody lifted it.
    type: int
    default: 14400
  inventory:
    description: Group name to host names, as C(groups) has it, to know the services' hosts.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Watch the checkout more closely
  incidentctl.response.monitoring_rule:
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    inventory: "{{ groups }}"
    prometheus_hosts: monitoring
    incident_id: INC-20260101-0300-abcd

- name: Watch it in a Prometheus that asks for a password, and silence what fires in two Alertmanagers
  incidentctl.response.monitoring_rule:
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    inventory: "{{ groups }}"
    prometheus_hosts: monitoring
    prometheus_url: https://mon1.example:9090
    prometheus_ca_file: /etc/prometheus/ca.pem
    prometheus_secret_ref: {file: /etc/incidentctl/prometheus, scheme: basic, user: incidentctl}
    alertmanagers:
      - url: http://mon1.example:9093
      - url: https://mon2.example:9093
        ca_file: /etc/prometheus/ca.pem
    incident_id: INC-20260101-0300-abcd
"""

RETURN = r"""
incident:
  description: What was done, one action for the rule file and one for each Alertmanager (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: enhanced_monitoring
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: incidentctl-INC-20260101-0300-abcd.yml loaded
        entry: 000001-enhanced-monitoring-incidentctl-inc-20260101-0300-abcd
        verified: true
    facts: {}
    files: []
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options
from ansible_collections.incidentctl.response.plugins.module_utils._monitoring_rule import CAPABILITY, run

ARGUMENT_SPEC = options(
    prometheus_hosts={"type": "str", "required": True},
    prometheus_url={"type": "str", "default": "http://127.0.0.1:9090"},
    prometheus_secret_ref={"type": "dict", "default": {}, "no_log": False},  # it says where the secret is
    prometheus_ca_file={"type": "str", "default": ""},
    rules_dir={"type": "path", "default": "/etc/prometheus/rules.d"},
    alertmanager_url={"type": "str", "default": ""},
    alertmanagers={"type": "list", "elements": "dict", "default": []},
    expires_after={"type": "int", "default": 14400},
    inventory={"type": "dict", "default": {}},
)


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return CAPABILITY


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
