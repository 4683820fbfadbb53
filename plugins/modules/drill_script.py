#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a script of a drill on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_script
short_description: Run a script of a drill
description:
  - Runs a shell script with C(/bin/sh -eu), in the folder C(/), with nothing on its standard input. It does a fault to the host,
    takes it back, or looks whether something holds.
  - It writes nothing to the ledger; whoever does a fault knows how to take it back. Unless it only looks, it waits for its turn
    on the host, as every act does, so that a fault is not taken back while it is still being done.
  - In check mode the script is not run.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident.ledger
options:
  content:
    description: The script itself, at most 100,000 bytes.
    type: str
    required: true
  within_s:
    description: Try again each second until the script exits 0, for so many seconds. 0 tries once.
    type: float
    default: 0
  timeout_s:
    description: Seconds that the script may take each time. It is killed then, with all that it started in its session.
    type: float
    default: 120
  only_looks:
    description: The script changes nothing.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Take a megabyte of the disk
  incidentctl.response.drill_script:
    content: head --bytes=1M /dev/zero >/etc/checkout/filler

- name: Wait until it shows
  incidentctl.response.drill_script:
    content: test "$(stat --format=%s /etc/checkout/filler)" -gt 1000000
    within_s: 60
    only_looks: true

- name: Give it back
  incidentctl.response.drill_script:
    content: rm /etc/checkout/filler
"""

RETURN = r"""
incident:
  description: How the script ended (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: drill
    outcome: done
    actions:
      - target: script
        outcome: done
        summary: the script came to its end
    facts: {exit_code: 0, tries: 1, seconds: 0.2}
    files: []
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._drill_script import CAPABILITY, run
from ansible_collections.incidentctl.response.plugins.module_utils._module import LEDGER_OPTIONS, main

ARGUMENT_SPEC: dict[str, Any] = {
    "content": {"type": "str", "required": True},
    "within_s": {"type": "float", "default": 0},
    "timeout_s": {"type": "float", "default": 120},
    "only_looks": {"type": "bool", "default": False},
    **LEDGER_OPTIONS,
}


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return CAPABILITY


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
