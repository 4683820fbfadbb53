#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the services of a host during an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_info
short_description: Check the health of services, or find out what is wrong with them
description:
  - With O(capability=health_check), asks each service of this host for its health, and probes what it depends on. A sick
    service fails the check. A failing dependency of a healthy service is a warning.
  - With O(capability=diagnosis), also reads the last part of the logs for error patterns, the resources of the host, the
    releases, and how much was written to the data of each service since their last verified backup, and ranks what
    stands out. There a sick service is a fact; a log that cannot be read is the failure.
  - Changes nothing, and does the same in check mode.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  capability:
    description: The role that asks.
    type: str
    choices: [health_check, diagnosis]
    required: true
  window_s:
    description:
      - Seconds for which a service must stay healthy to pass. Zero asks once.
      - For O(capability=health_check) only.
    type: float
    default: 0
  within_s:
    description: Seconds to wait for health before the window begins. Without O(window_s) it has no effect.
    type: float
    default: 10
  figures:
    description:
      - Also find out the figures by which a recovery is verified. Of each SQLite and PostgreSQL database that a service
        declares, whether it is whole, and its rows by table; with O(window_s), how many errors came into its logs meanwhile.
      - It is read only, and bounded by a few seconds. Damage is a warning.
      - For O(capability=health_check) only.
    type: bool
    default: false
  log_bytes:
    description:
      - How much of the end of each log is read for errors, in bytes. Of a journal or a container's log at most 16 MiB.
      - For O(capability=diagnosis) only.
    type: int
    default: 268435456
  changes_hours:
    description:
      - How many hours back changes of the host are looked for.
      - For O(capability=diagnosis) only.
    type: float
    default: 48
  seen_well:
    description:
      - Of services, how many seconds ago they were seen well, a list for each; beside what this host noted itself.
        An error that was over then, and came again, began when it came again.
      - For O(capability=diagnosis) only.
    type: dict
    default: {}
  looks:
    description:
      - From when until when whoever asks was at work on this host, each as two numbers of seconds ago.
        An error that came only then, and in this look, is called one that our own looks provoke.
      - For O(capability=diagnosis) only.
    type: list
    elements: list
    default: []
"""

EXAMPLES = r"""
- name: See that checkout is healthy and stays so for 30 seconds
  incidentctl.response.diagnosis_info:
    capability: health_check
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    window_s: 30
    within_s: 60
    figures: true

- name: Find out what is wrong on this host
  incidentctl.response.diagnosis_info:
    capability: diagnosis
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    keep_going: true
  register: diagnosed
"""

RETURN = r"""
incident:
  description:
    - What was found, one action per service (docs/contracts.md, 3). Its C(facts) stay under 100 kB; texts and lists are
      cut for that, and C(left_out) counts services for which there was no room at all.
    - For O(capability=health_check), C(facts.services) holds per service what stands under C(health) here; with
      O(figures), C(data) and C(new_errors), too (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: diagnosis
    outcome: unchanged
    actions:
      - target: checkout
        outcome: unchanged
        summary: "checkout: 500 (expected 200): internal error; 63 error(s) of 1 kind(s)"
    facts:
      services:
        checkout:
          health:
            healthy: false
            status: 500
            latency_ms: 3.1
            detail: "500 (expected 200): internal error"
            running: true
            depends_on:
              - name: db
                check: "postgresql://shop@127.0.0.1/shop"
                ok: true
                detail: answers in 4 ms, 12 of 97 connections
                latency_ms: 4.1
                connect_ms: 0.2
                failing: null
                host: 127.0.0.1
                port: 5432
                connections: {used: 12, max: 97}
          errors:
            - template: order <n> failed
              count: 63
              first_seen: "2026-01-01T09:51:16.000+00:00"
              last_seen: "2026-01-01T09:55:40.000+00:00"
              again_since: null
              again_count: null
              sample: "2026-01-01T09:51:16Z ERROR order 7 failed"
              cause: "sqlite3.OperationalError: no such column: unit_price"
              cause_template: "sqlite3.OperationalError: no such column: unit_price"
              rate:
                since: "2026-01-01T09:51:16.000+00:00"
                until: "2026-01-01T09:55:40.000+00:00"
                per_minute: 14.3
                width_s: 60
                from: "2026-01-01T09:51:00.000+00:00"
                counts: [11, 15, 14, 13, 10]
              new: true
              new_since: release
          onset: "2026-01-01T09:51:16.000+00:00"
          onset_source: "first 'order <n> failed' in /var/log/shop.log"
          logs_since: "2026-01-01T03:10:00.000+00:00"
          release:
            kind: symlink
            current: "42"
            previous: "41"
            available: ["41", "42"]
            deployed_at: "2026-01-01T09:51:02.120+00:00"
          seen: {release: "42", healthy_at: null, sick_at: "2026-01-01T09:53:00.000+00:00"}
          seen_well: "2026-01-01T09:20:00.000+00:00"
          databases:
            - database: shop
              used: 12
              max: 97
              clients:
                - {user: shop, address: this host, state: idle, count: 12, longest_s: 31}
              locks:
                - {user: ann, address: 10.0.0.9, state: idle in transaction, waiting: 3, longest_s: 12, held_s: 90}
          since_backup:
            - kind: postgresql
              path: shop
              at: "2026-01-01T02:00:00.000+00:00"
              writes: {count: 1204, of: rows, at_least: false, bytes: null}
              source: by the server's statistics
          notes: []
      resources:
        interval_s: 1.2
        load1: 0.4
        cpus: 2
        cpu: {busy_percent: 61.0, iowait_percent: 0.4, steal_percent: 0.0, running: 2, waiting_for_disk: 0}
        jobs:
          - name: python3 report.py
            pid: 2201
            unit: cron.service
            container: ""
            parent: cron
            cron: true
            timer: ""
            service: null
            processes: 1
            cpu_percent: 97.3
            wanted_percent: 99.1
            started: "2026-01-01T09:50:01+00:00"
            young: true
        overlapping: []
        stuck: []
        memory: {total_bytes: 4102000000, available_bytes: 2907000000}
        swap: {total_bytes: 0, free_bytes: 0}
        disks:
          - path: /
            used_percent: 41.3
            total_bytes: 52800000000
            free_bytes: 31000000000
            inodes_used_percent: 7.0
            bytes_per_minute: 0
        folders: []
        growing:
          - {path: /var/log/shop.log, bytes_per_minute: 182000, by: [python3 shop.py], disk: /, log: true}
        deleted: []
        mounts: {read_only: [], missing: []}
        processes:
          by_memory:
            - pid: 812
              name: python3 shop.py
              unit: checkout.service
              container: ""
              rss_bytes: 181000000
              cpu_s: 12.4
          by_cpu: []
        connections:
          states: {listen: 4, established: 21, time_wait: 3}
          new_per_s: 4.2
          turned_away: 0
          ports:
            - port: 8000
              pid: self
              count: 20
              half_open: 0
              close_wait: 0
              waiting: 0
              peer: 192.0.2.10
              peer_count: 12
              peer_alive: 11
              turned_away: 0
              container: ""
              service: null
          outgoing: []
          local_ports: 28232
          tracked: 0
          tracked_limit: 262144
        ports: {"8000": checkout}
        certificates:
          - service: checkout
            host: localhost
            port: 8443
            path: null
            name: checkout.example
            is_for_host: false
            not_before: "2025-10-01T00:00:00+00:00"
            not_after: "2026-01-09T00:00:00+00:00"
        synchronised: true
        oom_kills: 1
        oom:
          - name: python3
            unit: checkout.service
            container: ""
            service: checkout
            count: 1
            first_at: "2026-01-01T09:51:40+00:00"
            last_at: "2026-01-01T09:51:40+00:00"
            rss_bytes: 62652416
            limited: true
        memory_growing: []
        units:
          - unit: checkout.service
            service: checkout
            result: success
            restarts: 1
            tasks: 4
            tasks_limit: 4915
            memory_bytes: 53149696
            memory_limit_bytes: 62914560
            memory_peak_bytes: 62914560
            oom_kills: 1
            pressure: {}
        pressure:
          cpu: {some10: 4.1, some60: 3.9, full10: 0.0, full60: 0.0}
        descriptors: {open: 2100, limit: 401245, processes: []}
        threads: {count: 180, limit: 32768}
        notes: []
      changes:
        - kind: release
          name: "42"
          text: "got release 42 of checkout (before it: 41)"
          detail: ""
          at: "2026-01-01T09:51:02.120+00:00"
          service: checkout
          path: null
      changes_notes: []
      clock: {now: "2026-01-01T10:00:10.000+00:00", after_s: 0.4}
      findings:
        - severity: critical
          kind: release
          text: >-
            checkout: release 42 was deployed 09:51:02 UTC, 14 s before the first
            'no such column: unit_price' (63 times)
          service: checkout
          at: "2026-01-01T09:51:16.000+00:00"
          about:
            release: "42"
            deployed_at: "2026-01-01T09:51:02.120+00:00"
            seconds_before: 13.88
            error: "no such column: unit_price"
            said: "no such column: unit_price"
            count: 63
            new: true
    files: []
"""

from ansible_collections.incidentctl.response.plugins.module_utils._diagnosis import run
from ansible_collections.incidentctl.response.plugins.module_utils._module import capability, main, options

ARGUMENT_SPEC = options(
    capability={"type": "str", "choices": ["health_check", "diagnosis"], "required": True},
    window_s={"type": "float", "default": 0},
    within_s={"type": "float", "default": 10},
    figures={"type": "bool", "default": False},
    log_bytes={"type": "int", "default": 256 * 1024 * 1024},
    changes_hours={"type": "float", "default": 48},
    seen_well={"type": "dict", "default": {}},
    looks={"type": "list", "elements": "list", "default": []},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
