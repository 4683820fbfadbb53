#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go back to an earlier release of a service, rehearse that, or deploy a hotfix."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Roll services back or deploy their hotfix, verified by their health
description:
  - With O(state=prepared) nothing changes. RV(incident.facts) says, per service, what a rollback would do, which
    migrations lie between and whether the older release can run on the schema, and whether its preconditions hold.
  - With O(state=rolled_back) each service in O(only) goes back, is restarted, and must become healthy. If the older
    release is no better than the newer one was, it goes forward again and the act is failed.
  - The last known good release is the nearest one before the current one, in natural order (41, 42, 100), that is
    neither known to be bad on this host, because a rollback away from it succeeded, nor was seen here without ever
    being healthy. RV(incident.facts) says why it is that one.
  - Releases of kind C(symlink) are folders under C(root); the symlink C(current) is switched in one step.
  - Releases of kind C(compose_image) are tags of C(image) on this host. The variable C(variable) in the C(.env) beside
    the compose file is switched in one step, and the services of the file that run this image are made anew. None is
    pulled.
  - Releases of kind C(command) are switched by the service's own commands C(rollback) and, if declared, C(forward).
  - With O(state=hotfixed) each service in O(only) runs its own command C(hotfix), once in an incident, and must become
    healthy. If it is no better than before, the release from before is switched back to and the act is failed.
  - One that declares C(build) has a new tag of its image built instead, C(hotfix-<incident>-<number>), from what lies in its
    C(context) now, without a cache and without a registry, and is switched to it. An image that did not help is kept, and
    known to be bad. What is built from other files is another hotfix.
  - A second run in the same incident goes no further back, unless O(to) names another release.
  - Each rollback is recorded in the host's ledger before it happens. M(incidentctl.response.lift) leaves it in place.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  state:
    description:
      - Whether to rehearse a rollback, to do it, or to deploy a hotfix.
      - V(forward) undoes the rollback of the same incident, whatever health says of either release, and notes the older one
        as bad. It is for a rollback that was found to be worse by more than health.
    type: str
    choices: [prepared, rolled_back, forward, hotfixed]
    required: true
  to:
    description:
      - The release to go back to, also when it is known to be bad. Without it, the last good release before the
        current one.
      - Not for releases of kind C(command), whose own command chooses.
    type: str
  stay_at:
    description:
      - With O(state=rolled_back), by service the SHA-256 of the names of releases to stay at, where one of them is the current
        one and O(to) names no other. They are those that other hosts go back to.
    type: dict
    default: {}
  remember:
    description:
      - With O(state=prepared), also look at the health of each service, as after a switch, and note in the host's
        state folder under which release it was healthy or sick. For the end of a deployment.
    type: bool
    default: false
  within_s:
    description: Seconds within which a service must become healthy after the switch.
    type: float
    default: 60
  window_s:
    description: Seconds for which it must then stay healthy.
    type: float
    default: 3
  build_within_s:
    description: With O(state=hotfixed), seconds that the hotfix command or the build may take. What is not done then is ended.
    type: float
    default: 900
  reserve_mb:
    description: With O(state=hotfixed), megabytes that must stay free where images are kept, before and during a build.
    type: int
    default: 200
  number:
    description: With O(state=hotfixed), the number at the end of the tag that is built, or the first one after it that is free.
    type: int
    default: 1
  reviewed:
    description:
      - With O(state=hotfixed), by service the SHA-256 of the build that was reviewed, as RV(incident.facts) has it. What is
        not that any more is not built.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Rehearse rolling back whatever declares releases on this host
  incidentctl.response.release:
    state: prepared
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd

- name: Roll the checkout service back to its last good release
  incidentctl.response.release:
    state: rolled_back
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
    within_s: 120
"""

RETURN = r"""
incident:
  description:
    - What was done, one action per service (docs/contracts.md, 3). C(facts.services) has one item per service.
    - "For O(state=prepared): C(kind), C(from), C(to), C(why) (it is that one), C(feasible), C(rehearsed) (all
      preconditions hold), C(reason) (why not, or null), C(migrations) (names, or null if unknown),
      C(migrations_reason) (why unknown, or null), C(schema) and C(deployed_at)."
    - "C(schema): C(state) (V(none), V(compatible), V(breaking) or V(unknown), for the older release), C(reversible) (or null
      if unknown), C(reason), and C(operations) in words, the worst first."
    - "For O(state=rolled_back): C(from), C(to), C(why), C(forward_again), C(seconds) (from the switch to the first healthy
      answer, null if there was none), C(health_before) and C(health_after)."
    - "For O(state=hotfixed): C(from), C(to), C(switched_back), C(seconds) (from the switch, or the start of the command),
      C(health_before), C(health_after), and C(build), null for a command: C(context), C(file), C(tag), C(digest), C(files),
      C(bytes), C(changed) (C(count), C(names), C(since), or null if unknown), C(revision) (C(commit), C(subject),
      C(uncommitted), or null) and C(seconds)."
  returned: always
  type: dict
  sample:
    capability: rollback
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: "checkout went back from 42 to 41: 200"
        entry: 000001-rollback-checkout
        verified: true
    facts:
      services:
        checkout:
          from: "42"
          to: "41"
          why: "the last one seen healthy here, 2026-01-01 02:11 UTC"
          forward_again: false
          seconds: 1.52
          health_before: {healthy: false, status: 500, latency_ms: 2.1, detail: "500 (expected 200): broken"}
          health_after: {healthy: true, status: 200, latency_ms: 1.4, detail: "200 in 1 ms", probes: 7, failures: 0}
    files: []
"""

from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options
from ansible_collections.incidentctl.response.plugins.module_utils._release import capability, run

ARGUMENT_SPEC = options(
    state={"type": "str", "choices": ["prepared", "rolled_back", "forward", "hotfixed"], "required": True},
    to={"type": "str"},
    stay_at={"type": "dict", "default": {}},
    remember={"type": "bool", "default": False},
    within_s={"type": "float", "default": 60},
    window_s={"type": "float", "default": 3},
    build_within_s={"type": "float", "default": 900},
    reserve_mb={"type": "int", "default": 200},
    number={"type": "int", "default": 1},
    reviewed={"type": "dict", "default": {}},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
