"""A PostgreSQL server of a test's own, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.small_service import free_port

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Server:
    """A PostgreSQL server of the tests' own; root runs it as the OS user that Debian's package makes."""

    def __init__(self, folder: Path, auth: str = "peer", listen: str = "", **settings: str) -> None:
        """Make and start it; it listens on a socket in `folder`, and at the address `listen`, if it is given.

        With `auth` trust anybody may log in as anybody. `settings` are those of postgresql.conf.
        """
        assert BIN
        self.folder, self.port = folder, str(free_port())
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.data = folder / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._do(f"{BIN}/initdb", f"--auth={auth}", "--encoding=UTF8", "--no-sync", "-D", str(self.data))
        given = "".join(f" -c {name}={value}" for name, value in settings.items())
        self._options = f"-k {folder} -p {self.port} -c listen_addresses='{listen}' -c fsync=off{given}"
        self.start()

    def start(self) -> None:
        """Start it, also after it was ended."""
        self._do(f"{BIN}/pg_ctl", "-w", "-D", str(self.data), "-l", f"{self.folder}/log", "-o", self._options, "start")

    def end(self) -> None:
        self._do(f"{BIN}/pg_ctl", "-w", "-D", str(self.data), "-m", "immediate", "stop")

    def sql(self, text: str, database: str = "postgres") -> str:
        words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", self.port, "-d", database]
        return self._do(*words, "-c", text)

    def item(self, database: str = "shop") -> dict[str, Any]:
        where = {"host": str(self.folder), "port": self.port, "user": self.user}
        return {"kind": "postgresql", "database": database, **where}

    def leftovers(self) -> str:
        return self.sql("SELECT datname FROM pg_database WHERE starts_with(datname, 'incidentctl_verify_')")

    def _do(self, *argv: str) -> str:
        prefix = ["runuser", "-u", self.user, "--"] if os.geteuid() == 0 else []
        done = subprocess.run([*prefix, *argv], cwd="/", stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()
