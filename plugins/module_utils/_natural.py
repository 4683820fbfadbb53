"""The order in which people count: 41 before 100, and 1.9 before 1.10."""

from __future__ import annotations

import re
from typing import Any


def natural(name: str) -> tuple[list[Any], str]:
    """Return the sort key that puts 41 before 100, and 1.9 before 1.10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name
