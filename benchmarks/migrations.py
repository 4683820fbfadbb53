"""What the reader of migrations makes of a real project: each release of a Git repository against the one before it.

    .venv/bin/python benchmarks/migrations.py GIT-DIRECTORY FOLDER RELEASE RELEASE…
    .venv/bin/python benchmarks/migrations.py --list GIT-DIRECTORY FOLDER RELEASE RELEASE…   each migration, to check by hand

FOLDER is the folder of migrations within the project. Releases are tags or commits, the oldest first; their folders are
taken out of the history into a temporary place. Nothing of them is run. Understood is a migration of which every
operation is known; how many of those are right, a person has to say.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from ansible_collections.incidentctl.response.plugins.module_utils import _migrations  # noqa: E402 - found above


def take_out(repository: str, folder: str, release: str, target: Path) -> Path:
    """Write a project's folder of migrations, as a release has it, below `target`; return where."""
    target.mkdir()
    listed = ["git", "-C", repository, "ls-tree", "-r", "--name-only", release, folder]
    names = [
        name for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
        if name.endswith((".py", ".rb", ".sql"))
    ]  # fmt: skip
    packed = subprocess.run(
        ["git", "-C", repository, "archive", release, "--", *names], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / folder


def main(words: list[str]) -> None:
    """Compare each release with the one before it, and print what was found."""
    told = "--list" in words
    repository, folder, *releases = [word for word in words if word != "--list"]
    states: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    spent = 0.0
    with tempfile.TemporaryDirectory() as place:
        folders = [take_out(repository, folder, one, Path(place, str(at))) for at, one in enumerate(releases)]
        for (older, newer), (before, after) in zip(pairwise(folders), pairwise(releases), strict=True):
            began = time.process_time()
            found = _migrations.between(newer, older)
            spent += time.process_time() - began
            states[found.state] += 1
            print(f"{before} → {after}: {found.state}, {len(found.names or [])} migrations; {found.reason[:300]}")
            for problem in found.problems:
                kinds["not read, changed or removed"] += 1
                if told:
                    print(f"    !  {problem}")
            for migration in found.migrations:
                verdicts = {one.harmless for one in migration.operations}
                kind = "breaking" if False in verdicts else "unknown" if None in verdicts else "compatible"
                wholly = all(one.op != "unknown" for one in migration.operations)
                kinds[kind if wholly else f"{kind}, with parts not understood"] += 1
                if told:
                    print(f"    {migration.name}: {kind}, reversible {migration.reversible} ({migration.why})")
                    for one in migration.operations:
                        print(f"        {'+' if one.harmless else '?' if one.harmless is None else '-'} {one}")
    print(f"pairs: {dict(states)}")
    print(f"migrations: {sum(kinds.values())}: {dict(kinds)}; {spent:.1f} s of CPU in all")


if __name__ == "__main__":
    main(sys.argv[1:])
