"""Write the reference pages from what the code itself says; `--check` fails when one on disk differs.

roles/<role>/README.md and docs/roles/<role>.md from the role's argument_specs, docs/reference/variables.md from the
defaults of all of them, docs/reference/cli.md from the help of every command, docs/reference/settings.md from the
settings' own types and defaults.
"""

from __future__ import annotations

import argparse
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import BaseModel

from incidentctl import _settings_outside as outside
from incidentctl import _settings_values as values
from incidentctl import guards, plan, settings
from incidentctl.cli import cli

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- Written by tools/reference.py. Do not edit: `make docs` writes it anew. -->"
WIDTH = 100
_ANSIBLE_MARKUP = re.compile(r"\b(?:C|O|V|RV|M|P|B|I)\(([^)#]+)(?:#\w+)?\)")
_INVENTORY_VARIABLE = re.compile(r"\{\{ (incident_\w+)(?: \| default\((.*?)\))? \}\}")

# What each key of incidentctl.yml is for. `not yet` says that it is accepted and checked, and read by nothing so far.
KEYS = {
    "inventory": "Ansible inventory, a file or a folder. Without it, Ansible's own configured inventory.",
    "state_dir": "Folder of the record, the evidence, the reports and the tickets. `$INCIDENTCTL_STATE_DIR` goes before it.",
    "record_url": "The database of the record, without a password in it. Default: `record.db` in `state_dir`.",
    "severities": "What each severity sets going. What is left out keeps its default, below.",
    "severities.NAME.contain": "Capabilities of the containment, in their order.",
    "severities.NAME.notify": "Audiences that are told when it is declared, decided, resolved and closed.",
    "severities.NAME.sla.acknowledge": "Target for the acknowledgement, from the declaration on.",
    "severities.NAME.sla.contain": "Target for the containment.",
    "severities.NAME.sla.resolve": "Target for the resolution.",
    "severities.NAME.approvals": "People who must approve the same plan of a recovery before it is carried out; 0 counts as 1.",
    "severities.NAME.ticket": "Open a ticket.",
    "severities.NAME.watch": "`incidentctl watch` without an incident looks at these again, and proposes to escalate.",
    "severities.NAME.escalate": "`incidentctl watch` raises the severity by itself instead of proposing it.",
    "audiences": "Who is told. `notify` names them.",
    "audiences.NAME.kind": "What they are told, and when. Internal and on-call: the facts. Management: one page of plain "
    "words, from severity high on. Customers and partners: after the triage, when a service with `user_facing`, or one "
    "with `integrations`, is affected; no host, no error.",
    "audiences.NAME.send": "Addresses that apprise understands.",
    "audiences.NAME.template": "Text of the message. Not yet: all get the same.",
    "audiences.NAME.escalate_after": "Tell the next audience when nobody acknowledges in this time. Seen to "
    "by a response that goes on, and by `incidentctl followup`.",
    "audiences.NAME.then": "The next audience.",
    "status_page.folder": "Folder for a web server: `index.html`, and `incidents/<id>.json` as Statuspage has them. Only "
    "incidents of services with `user_facing`.",
    "tracker.kind": "Where tickets are opened: JSON files in `state_dir`, a JSON document by POST, or issues on GitHub.",
    "tracker.url": "Where the webhook is. Needed by it, and by it alone.",
    "tracker.repository": "The repository of the issues, as `OWNER/NAME`. Needed by github, and by it alone.",
    "tracker.token": "What GitHub knows us by; it must be allowed to write issues there. Needed by github, and by it alone.",
    "tracker.labels": "Labels of each issue.",
    "tracker.api": "GitHub's API; of GitHub Enterprise Server it is `https://HOST/api/v3`.",
    "monitoring.prometheus": "Each Prometheus that is asked for its down targets, at the triage, by `watch` and after the "
    "lift; and for [the plots of the report](../evidence.md#what-prometheus-measured). A server is its URL, or "
    "`{url, user, password, token, ca_file}`: `password` (of `user`) and `token` are secrets, `ca_file` is the authority "
    "that signed its certificate.",
    "monitoring.alertmanager": "Each Alertmanager that is asked for its active alerts, likewise.",
    "monitoring.queries": "What Prometheus is asked when a recovery is verified: PromQL by a name for it, five at most, of "
    "which less is better, as latency or an error rate. `$service` stands for each affected service. Compared is what it "
    "gave before the onset, from then until the recovery began, and now ([verification](../verification.md)). Each is plotted in "
    "the report.",
    "alerts.token": "The bearer token that `watch --listen` asks Alertmanager for. Without it, none is asked for.",
    "alerts.severities": "What other words of the label `severity` mean, beside the names and aliases of `--severity`. "
    "What is written here takes the place of the whole default.",
    "alerts.severity": "The severity of an alert whose label says none that is known.",
    "alerts.diagnose": "Look into what an alert declares: health, evidence, diagnosis. It changes no host.",
    "guards.max_hosts_changed": "Refuse what changes more hosts.",
    "guards.max_fraction_changed": "Refuse what changes a larger part of the inventory. "
    f"From {guards.FRACTION_FROM_HOSTS} hosts on.",
    "guards.never_isolate": "Hosts and groups on which isolation and quarantine are refused.",
    "guards.max_backup_age": "How old the last verified backup may be before a rollback across a schema change.",
    "guards.max_source_fraction": "The part of a port's connections above which a source is a proxy, and not limited.",
    "verify.window": "How long health must hold before an incident counts as recovered.",
    "verify.within": "How long health may take to come back. A rollback goes forward again after it.",
    "verify.on_worse": "When a rollback made it worse, as by rows that are gone: ask whether to go forward again, or go "
    "`forward`.",
    "deadlines.phase": "How long one phase may take, on all hosts together.",
    "mitigate": "What option C, mitigate, does, in this order: names of containments, and `restart`. Of these it does what "
    "touches the likeliest cause, where one does, and on that cause's service.",
    "custom_playbooks": "Recoveries of your own, by name: a playbook's path, or these three.",
    "custom_playbooks.NAME.playbook": "The playbook. It is run on the hosts of the likeliest cause that it is for, "
    "which it gets as `incident_cause: {kind, hosts, service}`; without such a cause, on the incident's hosts.",
    "custom_playbooks.NAME.for": "The kinds of causes that it is for ([kinds](../diagnosis.md#kinds-of-findings)). "
    "Where the likeliest cause is of one of them it is weighed, and may be recommended; without any, nothing is known of it.",
    "custom_playbooks.NAME.title": "What it does, in a few words, for the question.",
    "drills.folder": "Folder of drills, each a folder with a `drill.yml`: [drills](../drills.md).",
    "drills.hosts": "The hosts that a drill may break, and over which its incident is declared: a pattern as of `--limit`.",
    "memory_bank": "Folder whose `activeContext.md` and `progress.md` get a line for each closed incident.",
    "execution.kind": "Where Ansible runs. Here, so far.",
}


def main() -> int:
    """Write what differs, or with --check only say so; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page differs")
    check = parser.parse_args().check
    wanted = pages()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left_over = [path for path in written_before() if path not in wanted]
    for path in sorted([*stale, *left_over]):
        print(f"{'differs' if check else 'written' if path in stale else 'removed'}: {path.relative_to(ROOT)}")
    if check:
        return 1 if stale or left_over else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in left_over:
        path.unlink()
    return 0


def pages() -> dict[Path, str]:
    """Return every page that there should be."""
    found: dict[Path, str] = {}
    specs = {path.parents[1].name: _spec(path) for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))}
    for role, spec in specs.items():
        found[ROOT / "roles" / role / "README.md"] = role_page(role, spec, "../../docs/")
        found[ROOT / "docs" / "roles" / f"{role}.md"] = role_page(role, spec, "../")
    reference = ROOT / "docs" / "reference"
    found[reference / "variables.md"] = variables_page(specs)
    found[reference / "cli.md"] = cli_page()
    found[reference / "settings.md"] = settings_page()
    return found


def written_before() -> Iterator[Path]:
    """Yield the pages on disk that this tool wrote."""
    for pattern in ("roles/*/README.md", "docs/roles/*.md", "docs/reference/*.md"):
        for path in ROOT.glob(pattern):
            if MARK in path.read_text(encoding="utf-8"):
                yield path


def role_page(role: str, spec: dict[str, Any], docs: str) -> str:
    """Return the page of one role; `docs` is the way from the page to the docs folder."""
    lines = [f"# {role}", "", MARK, "", _plain(spec["short_description"]) + ".", ""]
    lines += [_plain(text) for text in _listed(spec.get("description"))] + [""]
    options: dict[str, Any] = spec["options"]
    if not options:
        return "\n".join(lines)
    only = "isolation/checkout" if role == "lift" else "checkout"
    chosen = f' -e \'{{"{role}_only": ["{only}"]}}\'' if f"{role}_only" in options else ""
    service = " --service checkout" if chosen and role != "lift" else ""
    lines += [
        "```",
        f"ansible-playbook incidentctl.response.{role} -i inventory -l web{chosen}",
        *([f"incidentctl play {role}{service} -l web"] if role in plan.PLAYABLE else []),
        "```",
        "",
        "`--check` says what would be done and changes nothing; with `ansible-playbook`, `--diff` shows before and after.",
        *_batches(role),
        "",
        *_table(("Variable", "Type", "Default", "What it is for"), (_option(*item) for item in options.items())),
        "",
        f"A default of `incident_…` is a variable of the inventory, for all roles: "
        f"[variables]({docs}reference/variables.md).",
    ]
    return "\n".join([*lines, ""])


def variables_page(specs: dict[str, dict[str, Any]]) -> str:
    """Return the page of the inventory variables, from the defaults of all roles."""
    users: dict[tuple[str, str], list[str]] = {}
    for role, spec in specs.items():
        for option in spec["options"].values():
            match = _INVENTORY_VARIABLE.fullmatch(str(option.get("default")))
            if match:
                users.setdefault((match[1], (match[2] or "none: it must be set").strip("'")), []).append(role)
    rows = (
        (f"`{name}`", f"`{default}`" if ":" not in default else default, ", ".join(roles))
        for (name, default), roles in sorted(users.items())
    )
    return "\n".join(
        [
            "# Variables of the inventory",
            "",
            MARK,
            "",
            "One place for all roles. The shape of `incident_services` is in [contracts](../contracts.md), 1. "
            "`incident_become` (default `true`) decides whether the playbooks become root.",
            "",
            *_table(("Variable", "Default", "Read by"), rows),
            "",
        ]
    )


def cli_page() -> str:
    """Return the help of every command."""
    width = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    whole = click.Context(cli, info_name="incidentctl", **{**cli.context_settings, **width})
    lines = ["# Commands", "", MARK, "", *_block(cli.get_help(whole))]
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=whole)
        lines += [f"## {name}", "", *_block(command.get_help(context))]
        for below, part in sorted(getattr(command, "commands", {}).items()):
            told = part.get_help(click.Context(part, info_name=below, parent=context))
            lines += [f"### {name} {below}", "", *_block(told)]
    return "\n".join(lines)


def settings_page() -> str:
    """Return every key of incidentctl.yml with its type and default. Exit when KEYS does not describe them all."""
    rows = list(_keys(settings.Settings, ""))
    names = {key for key, _hint, _default in rows}
    if names != set(KEYS):
        sys.exit(f"KEYS in {__file__} and the settings differ: {', '.join(sorted(names ^ set(KEYS)))}")
    table = _table(
        ("Key", "Type", "Default", "What it is for"),
        ((f"`{key}`", _type(hint), default, KEYS[key]) for key, hint, default in rows),
    )
    severities = yaml.safe_dump({"severities": settings.DEFAULT_SEVERITIES}, sort_keys=False, default_flow_style=None)
    return "\n".join(
        [
            "# incidentctl.yml",
            "",
            MARK,
            "",
            "Looked for as `--config FILE`, `$INCIDENTCTL_CONFIG`, `./incidentctl.yml`, and `incidentctl.yml` in your own "
            "configuration folder. Every key is optional. A relative path starts at the folder of the file. A duration is "
            "`30s`, `5m`, `4h`, `1d`, or a number of seconds. A secret is never written there: `{env: NAME}` or "
            "`{file: PATH}` says where it is.",
            "",
            *table,
            "",
            "The severities, if nothing is said:",
            "",
            "```yaml",
            *severities.splitlines(),
            "```",
            "",
        ]
    )


def _batches(role: str) -> list[str]:
    """Say how many hosts at a time the playbook acts on, where that is not all of them."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / f"{role}.yml").read_text(encoding="utf-8"))
    match = re.fullmatch(r"\{\{ (\w+) \| default\((\w+)\) \}\}", str(play.get("serial")))
    if not match:
        return []
    told = f"Run by hand, it acts on {match[2]} host(s) at a time; `-e {match[1]}=25%` changes that."
    return [f"{told} It begins no further batch once one of its hosts was not helped."]


def _block(text: str) -> list[str]:
    return ["```", *(line.rstrip() for line in text.splitlines()), "```", ""]


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any, str]]:
    hints = typing.get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        key, hint = f"{prefix}{field.alias or name}", hints[name]
        inner = typing.get_args(hint)[1] if typing.get_origin(hint) is dict else None
        if _is_section(hint):
            yield from _keys(hint, f"{key}.")
            continue
        yield key, hint, _default(key, hint, field)
        if _is_section(inner):
            yield from _keys(inner, f"{key}.NAME.")


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel) and hint is not settings.Secret


def _default(key: str, hint: Any, field: Any) -> str:
    if key == "severities" or ".sla." in key:
        return "see below"
    if key == "state_dir" or field.is_required():
        return "needed" if field.is_required() else "your state folder, mostly `~/.local/state/incidentctl`"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", (), {}):
        return "–"
    if _type(hint) == "duration":
        return f"`{_duration(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{_inline(value)}`"


def _duration(seconds: float) -> str:
    unit, size = next((pair for pair in (("m", 60), ("s", 1)) if seconds % pair[1] == 0), ("s", 1))
    return f"{seconds / size:g}{unit}"


def _type(hint: Any) -> str:
    """Return a type as a person writes it into the file."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        functions = {getattr(part, "func", None) for part in hint.__metadata__}
        named = {
            values._seconds: "duration",
            values._existing: "path of a file",
            values._from_folder: "path",
            values._url: "URL",
            values._record_url: "database URL",
            outside._servers: "server, or a list of servers",
        }
        return next((word for function, word in named.items() if function in functions), "") or _type(hint.__origin__)
    if origin in (typing.Union, types.UnionType):
        return _type(next(part for part in arguments if part is not type(None)))
    if origin is tuple:
        return f"list of {_type(arguments[0])}s"
    if origin is dict:
        return "mapping of names" if _is_section(arguments[1]) else f"mapping of name to {_type(arguments[1])}"
    if origin is typing.Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    plain = {bool: "true or false", int: "whole number", float: "number", str: "name", Path: "path"}
    return "secret" if hint is settings.Secret else plain[hint]


def _option(name: str, option: dict[str, Any]) -> tuple[str, str, str, str]:
    kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    default = option.get("default")
    shown = "–" if default in (None, "") else f"`{_inline(default)}`"
    return f"`{name}`", kind, shown, " ".join(_plain(text) for text in _listed(option["description"]))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {meant}' for name, meant in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(value)] if isinstance(value, str) else [str(text) for text in value]


def _plain(text: str) -> str:
    return _ANSIBLE_MARKUP.sub(r"`\1`", text)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(header)
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body]]


def _spec(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
    return found


if __name__ == "__main__":
    sys.exit(main())
