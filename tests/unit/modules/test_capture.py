"""What a command says is kept, and no command is waited for beyond its time."""

from __future__ import annotations

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _capture


def test_a_command_that_closes_its_output_and_goes_on_is_ended_in_time() -> None:
    with pytest.raises(OSError, match="did not finish"):
        _capture.capture(["sh", "-c", "exec >&- 2>&-; sleep 5"], 100, 0.2)


def test_what_a_command_says_before_it_ends_is_kept() -> None:
    assert _capture.capture(["sh", "-c", "echo a; echo b"], 2, 20.0) == (b"b\n", True)
