"""Ansible as the user has set it up: their ansible.cfg, their inventory, and our own copy of the collection."""

from __future__ import annotations

import configparser
import contextlib
import json
import locale
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from incidentctl import inventory_files
from incidentctl.errors import ConfigurationError

# Ours where the user's own ansible.cfg says nothing: (section, option), environment, value. Pipelining saves round trips.
_DEFAULTS = (
    (("defaults", "forks"), "ANSIBLE_FORKS", "50"),
    (("connection", "pipelining"), "ANSIBLE_PIPELINING", "True"),
    (("defaults", "timeout"), "ANSIBLE_TIMEOUT", "10"),
    # ansible-runner would switch it off.
    (("defaults", "host_key_checking"), "ANSIBLE_HOST_KEY_CHECKING", "True"),
)  # fmt: skip
# A host that vanished in the middle is given up after 20 s instead of never. Ours in any case, and behind all that the
# user or the inventory say (ssh_args, ansible_ssh_common_args): of two values ssh takes the first, so theirs counts
# where they set one. Only an ansible_ssh_extra_args of the inventory takes the place of this (ansible-core 2.19 to 2.21).
_KEEP_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_KEPT_ALIVE = {f"{program}_extra_args": f"ANSIBLE_{program.upper()}_EXTRA_ARGS" for program in ("ssh", "sftp", "scp")}
# The longest folder of ssh's sockets: an address has 107 bytes, of which Ansible's name of a host takes 11 and the one
# that ssh gives it meanwhile 17.
_SOCKETS_MAX, _SOCKETS_IN = 79, "ANSIBLE_SSH_CONTROL_PATH_DIR"

_LOCALES = ("", "C.UTF-8", "en_US.UTF-8")  # the user's own; Linux has the second, others the third


def read_inventory(sources: tuple[str, ...], within_s: float) -> dict[str, Any]:
    """Return what `ansible-inventory --list` says of the sources. Raise ConfigurationError if it cannot, in that time."""
    for source in sources:
        if "," not in source and not Path(source).exists():
            raise ConfigurationError(
                f"The inventory {source} does not exist.", fix="name one that does with -i, or in incidentctl.yml"
            )
    argv = [sys.executable, "-m", "ansible", "inventory", "--list"]
    for source in sources:
        argv += ["-i", source]
    env = {**os.environ, **environment(), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True"}
    try:
        done = subprocess.run(
            argv, env=env, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=within_s
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"Ansible did not read the inventory within {within_s:.0f} s.",
            "A script or plugin of it hangs: " + (", ".join(sources) or "the one that Ansible is configured with"),
            "ansible-inventory --list -i INVENTORY shows the same; deadlines.phase in incidentctl.yml is how long it may take",
        ) from None
    if done.returncode != 0:
        broken, _twice = inventory_files.wrong(source for source in sources if "," not in source)
        raise ConfigurationError(
            "Ansible cannot read the inventory.",
            "\n".join(broken) or done.stderr.strip()[-2000:],
            "ansible-inventory --list -i INVENTORY shows the same",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def own_inventory() -> bool:
    """Say whether Ansible itself has an inventory configured: then -i can be left out."""
    if os.environ.get("ANSIBLE_INVENTORY") or Path("/etc/ansible/hosts").exists():
        return True
    return _configured(_ansible_cfg()).has_option("defaults", "inventory")


def collection_root() -> Path:
    """Return the folder whose ansible_collections holds the copy that belongs to this driver.

    A checkout (also one installed with pip -e) runs itself, an installed wheel runs what came with it.
    """
    here = Path(__file__).resolve()
    checkout = here.parents[2]
    if (checkout / "ansible_collections" / "incidentctl" / "response" / "galaxy.yml").exists():
        return checkout
    return here.parents[1]


def environment(patience_s: float | None = None) -> dict[str, str]:
    """Return what Ansible needs in its environment, the user's own ansible.cfg honoured.

    A task on a host may take `patience_s` seconds, if that is given.
    """
    cfg = _ansible_cfg()  # ansible-runner works in a folder of its own, where Ansible would not find it
    configured = _configured(cfg)
    usual = "~/.ansible/collections:/usr/share/ansible/collections"
    theirs = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or configured.get(
        "defaults", "collections_path", fallback=usual
    )
    base = cfg.parent if cfg else Path.cwd()
    paths = [str(base / Path(part).expanduser()) for part in (theirs or usual).split(":") if part]
    env = {"ANSIBLE_COLLECTIONS_PATH": ":".join(dict.fromkeys([str(collection_root()), *paths]))}
    if cfg:
        env["ANSIBLE_CONFIG"] = str(cfg)
    for (section, option), name, value in _DEFAULTS:
        if name in os.environ:
            continue
        found = configured.get(section, option, fallback=None)
        if name == "ANSIBLE_HOST_KEY_CHECKING":
            env[name] = found or value
        elif found is None:
            env[name] = value
    if (
        patience_s
        and "ANSIBLE_TASK_TIMEOUT" not in os.environ
        and not configured.has_option("defaults", "task_timeout")
    ):
        env["ANSIBLE_TASK_TIMEOUT"] = str(max(1, int(patience_s)))
    env |= _ssh(configured) | _locale()
    env["ANSIBLE_NOCOLOR"] = "1"
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return env


def _locale() -> dict[str, str]:
    """Return a locale of UTF-8 where the user's own is none, or is not installed here: Ansible does not begin without."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in _LOCALES:
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, name)
                if (locale.getlocale()[1] or "").lower() in ("utf-8", "utf8"):  # as Ansible asks
                    return {"LC_ALL": name} if name else {}
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return {}


def _ssh(configured: configparser.ConfigParser) -> dict[str, str]:
    """Return how ssh is run: one connection a host for as long as phases follow each other, and none that hangs."""

    def said(option: str, variable: str) -> str | None:
        return os.environ.get(variable, configured.get("ssh_connection", option, fallback=None))

    env = {}
    for option, variable in _KEPT_ALIVE.items():
        env[variable] = f"{said(option, variable) or ''} {_KEEP_ALIVE}".strip()
    # Not Ansible's own folder: connections that its other users left open there are without keep-alives.
    sockets = Path.home() / ".ansible" / "incidentctl"
    fits = len(os.fsencode(sockets)) <= _SOCKETS_MAX
    own = said("control_path_dir", _SOCKETS_IN) or said("control_path", "ANSIBLE_SSH_CONTROL_PATH")
    if fits and not own:
        env[_SOCKETS_IN] = str(sockets)
    if said("ssh_args", "ANSIBLE_SSH_ARGS") is None:
        env["ANSIBLE_SSH_ARGS"] = "-C -o ControlMaster=auto -o ControlPersist=60s" if fits or own else "-C"
    return env


def _ansible_cfg() -> Path | None:
    """Find ansible.cfg where Ansible would: environment, this folder (unless others may write it), home, /etc."""
    named = os.environ.get("ANSIBLE_CONFIG")
    if named:
        path = Path(named).expanduser().absolute()
        return path / "ansible.cfg" if path.is_dir() else path
    places = [Path.home() / ".ansible.cfg", Path("/etc/ansible/ansible.cfg")]
    if not Path.cwd().stat().st_mode & stat.S_IWOTH:
        places.insert(0, Path.cwd() / "ansible.cfg")
    return next((place for place in places if place.is_file()), None)


def _configured(cfg: Path | None) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    if cfg is not None:
        try:
            parser.read(cfg, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ConfigurationError(f"Ansible's own {cfg} cannot be read.", str(error), "mend that file") from error
    return parser
