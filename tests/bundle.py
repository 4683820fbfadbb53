"""What is in a bundle of evidence, however it is packed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import BinaryIO

from incidentctl import bundles


def contents(path: Path) -> dict[str, bytes]:
    """Return each part by its name, and its bytes."""
    with bundles.opened(path) as stream:
        return {name: _all(part) for name, part in bundles.parts(stream, bundles.Inside())}


def _all(part: BinaryIO) -> bytes:
    return b"".join(itertools.takewhile(bool, (part.read(1 << 16) for _ in itertools.count())))
