"""Words at a terminal: wrapped where a reader would, and what is to be copied left whole."""

from __future__ import annotations

import pytest

from incidentctl.text import wrapped

COMMAND = "Next: incidentctl decide INC-20260101-0300-abcd rollback|wait|mitigate --plan 3f9a0c1d27be"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("short", "short"),
        ("  one two three four five", "  one two\n    three\n    four five"),
        ("db1: no-way-to-break-me", "db1:\n  no-way-to-break-me"),
        (COMMAND, COMMAND),
        ("a\n\nb", "a\n\nb"),
    ],
)
def test_lines_are_wrapped_between_words_and_commands_are_not(text: str, told: str) -> None:
    assert wrapped(text, 13) == told
