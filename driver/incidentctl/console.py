"""What a person sees: the live host × step matrix, the plan, the options, the questions. rich lives in the console*.py alone.

Everything for people goes to stderr, so that stdout is free for data. Text that people or hosts wrote is shown
with its control characters made visible: it cannot move the cursor or change a colour.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console as RichConsole
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from incidentctl import console_diagnosis, console_options, console_verdict, keyboard
from incidentctl.console_diagnosis import MANY_HOSTS
from incidentctl.dependencies import Root
from incidentctl.errors import DecisionAwaited, IncidentctlError
from incidentctl.event_data import texts
from incidentctl.history import History
from incidentctl.incident import ENDED, Event, Incident
from incidentctl.judgement import Judgement
from incidentctl.outcome import story as story_of
from incidentctl.text import fitted, wrapped
from incidentctl.text import readable as plain
from incidentctl.verdict import Verdict

# A sign beside each word, so that nothing hangs on colour alone.
_SIGNS = {
    "done": ("✓", "green"),
    "unchanged": ("=", "green"),
    "skipped": ("–", "dim"),
    "running": ("…", "cyan"),
    "failed": ("✗", "red"),
    "refused": ("!", "yellow"),
    "unreachable": ("⌀", "red"),
    "unknown": ("?", "yellow"),
    "not_attempted": ("·", "dim"),
}
_LOG_HEIGHT = 1000  # a log file has no last line
_ENDLESS = 10_000  # columns
_FINE = ("done", "unchanged", "skipped")
_ELSEWHERE = "Answered elsewhere."


class Console:
    """The terminal, or a log file where there is none. One for each command."""

    def __init__(self, interactive: bool | None = None, quiet: bool = False) -> None:
        """Ask questions only when `interactive` (default: stdin and stderr are terminals)."""
        # A log file has no edge to wrap at.
        # Not as rich says: FORCE_COLOR makes a pipe a terminal for it, and what is drawn in place would stay there.
        self._at_screen = sys.stderr.isatty()
        width = None if self._at_screen else 160
        self._rich = RichConsole(stderr=True, markup=False, highlight=False, emoji=False, quiet=quiet, width=width)
        at_terminal = sys.stdin is not None and sys.stdin.isatty() and self._at_screen  # None: it was closed
        self.interactive = at_terminal if interactive is None else interactive and at_terminal
        self._live: Live | None = None
        self._busy = False
        self._phase: dict[str, Any] = {}
        self._plans: Mapping[str, Any] = {}
        self._heard = 0
        self._speak: Callable[[], None] = lambda: None

    def show(self, kind: str, **facts: Any) -> None:
        """Show one thing that happened; `kind` names it (the workflow's words)."""
        if self._busy:
            self.close()
        getattr(self, f"_show_{kind}")(**facts)

    def ask(self, question: str, **facts: Any) -> str | None:
        """Ask a person; None when nobody can be asked, or when they want to answer later."""
        if not self.interactive:
            return None
        self.close()
        keyboard.forget()
        answer: str | None = getattr(self, f"_ask_{question}")(**facts)
        return answer

    def say(self, text: str = "") -> None:
        """Say a line to the person."""
        self._rich.print(text)

    def in_place(self, text: str) -> bool:
        """Show a text where the one before it stood, shortened to the terminal; False where nothing stays in place."""
        if not (sys.stdout.isatty() and self._at_screen):
            return False
        if self._live is None:
            self._draw(Live(console=self._rich, auto_refresh=False))
        assert self._live is not None  # noqa: S101 - it was begun
        self._live.update(Text(fitted(text, self._rich.width, self._rich.height)), refresh=True)
        return True

    def data(self, text: str) -> None:
        """Print data to stdout, as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()  # who reads along in a pipe waits for it

    def words(self, text: str) -> None:
        """Print words to stdout, at a terminal wrapped between words; commands are left whole, to be copied."""
        if sys.stdout.isatty():
            text = wrapped(text, self._rich.width)
        self.data(text)

    def error(self, error: IncidentctlError) -> None:
        """Say what went wrong, why, and what to do."""
        label, style = ("Waiting", "bold yellow") if isinstance(error, DecisionAwaited) else ("Error", "bold red")
        self._rich.print(Text(f"{label}: {plain(error.what)}", style=style))
        for line in error.why.splitlines():
            self._rich.print(plain(line, 2000), soft_wrap=True)
        if error.fix:
            self._rich.print(Text(f"Fix: {plain(error.fix, 2000)}", style="bold"), soft_wrap=True)

    def plain(self, text: object) -> str:
        """Return any text safe to show on one line."""
        return plain(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live, self._busy = None, False
            self._speak()

    def _draw(self, live: Live) -> None:
        """Draw in place; what is typed meanwhile is not shown, for it would be left standing there."""
        self._live, self._speak = live, keyboard.hush()
        live.start()

    # --- what happened ---------------------------------------------------------------------------

    def _show_declared(self, incident: Incident) -> None:
        self._rich.print(Text(f"{incident.incident_id}  {incident.severity}  {plain(incident.title)}", style="bold"))

    def _show_note(self, text: str) -> None:
        self._rich.print(plain(text))

    def _show_heard(self, events: Iterable[Event]) -> None:
        """Say once who joined, which alerts came, and who else set another severity."""
        for event in events:
            if event.seq > self._heard and (told := _heard(event)):
                self._rich.print(Text(plain(f"{event.actor} {told}"), style="bold"))
                self._heard = event.seq

    def _show_busy(self, text: str) -> None:
        """Say at a terminal what takes a moment, until something is shown again. A log needs no such line."""
        self.close()
        if self._at_screen:
            self._draw(Live(Text(f"… {text}", style="dim"), console=self._rich, transient=True))
            self._busy = True

    def _show_phase(self, phase: str, capabilities: Sequence[str], hosts: Sequence[str]) -> None:
        self.close()
        columns = [_stem(name) for name in capabilities]
        cells = {host: dict.fromkeys(columns, "") for host in hosts}
        self._phase = {"name": phase, "columns": columns, "cells": cells, "told": {}, "sums": {}}
        if self._at_screen:
            self._draw(Live(self._matrix(), console=self._rich, refresh_per_second=8, transient=True))

    def _show_cell(self, host: str, capability: str, outcome: str, told: str = "") -> None:
        row = self._phase.get("cells", {}).get(host)
        if row is not None and capability in row:
            row[capability] = outcome
            self._phase["told"][host, capability] = told
            if self._live is not None:
                self._live.update(self._matrix())

    def _show_sum(self, capability: str, told: str) -> None:
        """Say of all hosts together how far they are, where there are too many for a row each."""
        self._phase.setdefault("sums", {})[capability] = told
        if self._live is not None:
            self._live.update(self._matrix())

    def _show_phase_done(self, outcome: Any, story: bool = True) -> None:
        self.close()
        for row in outcome.rows:
            self._phase["cells"].setdefault(row.host, {})[row.capability] = row.outcome
        if self._at_screen:
            self._rich.print(self._matrix(outcome.seconds, [r.host for r in outcome.rows if r.outcome not in _FINE]))
        else:
            self._plain_phase(outcome)
        for who, how, text in story_of(outcome.rows) if story else ():
            self._rich.print(f"    {who}: {plain(text)}", style=_style(how))
        for row in outcome.rows if story else ():
            for change in row.diff if outcome.step.diff else ():
                self._change(row.host, change)

    def _change(self, host: str, change: Mapping[str, Any]) -> None:
        """What a diff says, as ansible-playbook --diff would."""
        before, after = (str(change.get(key, "")).splitlines() for key in ("before", "after"))
        name = f"{host}: {change.get('before_header') or 'before'}"
        for line in difflib.unified_diff(before, after, name, "after", lineterm=""):
            self._rich.print(f"    {plain(line)}", style={"+": "green", "-": "red"}.get(line[0], ""), soft_wrap=True)

    def _plain_phase(self, outcome: Any) -> None:
        count: dict[str, int] = {}
        for row in outcome.rows:
            count[row.outcome] = count.get(row.outcome, 0) + 1
        told = ", ".join(f"{number} {_word(name)}" for name, number in count.items())
        self._rich.print(f"{outcome.step.phase:<10} {outcome.seconds:5.1f} s   {told}")

    def _matrix(self, seconds: float | None = None, need_look: Sequence[str] = ()) -> Table:
        cells: dict[str, dict[str, str]] = self._phase["cells"]
        title = self._phase["name"] + (f"  {seconds:.1f} s" if seconds is not None else " …")
        table = _table(title)
        table.add_column("host")
        for column in self._phase["columns"]:
            table.add_column(column)
        shown = [h for h in cells if len(cells) < MANY_HOSTS or h in need_look]
        for host in shown:
            told = self._phase["told"]
            row = [
                _cell(cells[host].get(column, ""), told.get((host, column), "")) for column in self._phase["columns"]
            ]
            table.add_row(plain(host), *row)
        if rest := [row for host, row in cells.items() if host not in shown]:
            name = f"{len(rest)} {'more' if shown else 'hosts'}"
            sums = self._phase["sums"] if seconds is None else {}
            tallies = {column: _tally([row.get(column, "") for row in rest]) for column in self._phase["columns"]}
            table.add_row(
                name, *(plain(f"{tally}  {sums.get(column, '')}".rstrip()) for column, tally in tallies.items())
            )
        room = self._rich.options.update(max_width=_ENDLESS)
        if Measurement.get(self._rich, room, table).maximum > self._rich.width:
            for head in table.columns:  # a name that is cut off cannot be typed
                head.header = str(head.header).replace("_", "_\n")
        return table

    def _show_monitoring(self, seen: Mapping[str, Any]) -> None:
        for what, told in (("down", "Prometheus misses"), ("alerts", "Alertmanager is alerting")):
            if seen[what]:
                self._rich.print(f"  {told}: {plain(', '.join(seen[what]))}")
        for problem in seen["problems"]:
            self._rich.print(f"  monitoring: {plain(problem)}", style="yellow")

    def _show_calmed(self, seen: Mapping[str, Any]) -> None:
        if seen["down"] == [] or seen["alerts"] == []:
            told = {"down": "Prometheus misses nothing", "alerts": "Alertmanager is silent"}
            self._rich.print(f"  {', '.join(text for key, text in told.items() if seen[key] == [])}")
        self._show_monitoring(seen)

    def _show_verified(self, found: Verdict, window_s: float | None = None, alerts: Any = None) -> None:
        for line in console_verdict.lines(found, window_s, alerts):
            self._rich.print(line)

    def _show_findings(self, judged: Judgement, history: History, current: str | None = None) -> None:
        height = self._rich.height if self._at_screen else _LOG_HEIGHT
        for line in console_diagnosis.screen(judged, history, current, self._rich.width, height):
            self._rich.print(line)

    def _show_roots(self, roots: tuple[Root, ...]) -> None:
        for line in console_diagnosis.deepest(roots):
            self._rich.print(line)

    def _show_options(self, options: Sequence[Mapping[str, Any]], judged: Mapping[str, Any] | None = None) -> None:
        at_screen = self._at_screen
        height = self._rich.height if at_screen else None
        self._lines(console_options.screen(options, self._rich.width, height, judged))
        if not at_screen and (best := next((o["letter"] for o in options if o["recommended"]), None)):
            self._lines(console_options.facts(options, best, self._rich.width))  # nobody can ask a log for it

    def _lines(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self._rich.print(line)

    def _show_plans(self, options: Sequence[Mapping[str, Any]], plans: Mapping[str, Any]) -> None:
        self._plans = plans
        for option in options:
            self._lines(console_options.plan(option, plans))

    def _show_report(self, path: Any) -> None:
        self._rich.print(f"Report: {path}", soft_wrap=True)

    # --- the questions ---------------------------------------------------------------------------

    def _ask_contain(self, step: Any, incident: Incident) -> str | None:
        self._rich.print(Text("Containment, as the severity allows", style="bold"))
        for host, capability, service in step.targets:
            self._rich.print(f"  {host}: {capability} ({service})")
        return self._yes_or_no(f"{incident.severity} allows it. Contain now? [Y/n] ", "yes")

    def _ask_forward(self, named: str) -> str | None:
        return self._yes_or_no(f"The rollback made it worse. Go forward again, {plain(named)}? [y/N] ", "no")

    def _yes_or_no(self, question: str, default: str) -> str | None:
        """Ask until the answer is one: a word that means neither is no no."""
        words = {"": default, "y": "yes", "yes": "yes", "n": "no", "no": "no"}
        while (answer := self._read(question)) is not None:
            if (word := answer.strip().lower()) in words:
                return words[word]
            self._rich.print(f"Neither yes nor no: {plain(answer)}")
        return None

    def _ask_decide(self, options: Sequence[Mapping[str, Any]], poll: Callable[[], Incident]) -> str | None:
        able = {o["letter"].lower(): o["key"] for o in options if o["feasible"]}
        best = next((o["letter"] for o in options if o["recommended"]), None)
        letters = "/".join(letter.upper() for letter in sorted(able))
        hint = f"{letters}, {f'Enter = {best}, ' if best else ''}i = why, q = decide later"

        before = poll()

        def answered() -> str:
            now = poll()
            if now.decision is not None or now.status in ENDED:
                return _ELSEWHERE
            return "" if now.affected == before.affected else "Somebody joined: the ways out are weighed anew."

        while True:
            answer = self._read(f"Which way? [{hint}] ", answered)
            if answer is None or answer.strip().lower() in ("q", "later"):
                return None
            word = answer.strip().lower() or (best or "").lower()
            if word in able or word in able.values():
                return str(able.get(word, word))
            if asked := console_options.asked_about(word, options):
                self._lines(console_options.facts(options, asked, self._rich.width))
                self._lines(console_options.plan(next(o for o in options if o["letter"] == asked), self._plans))
                continue
            why = next((o["why_not"] for o in options if word in (o["letter"].lower(), o["key"])), None)
            told = (
                f"{word} is not possible: {plain(why)}"
                if why
                else f"Not one of {', '.join(map(str.upper, sorted(able)))}."
            )
            self._rich.print(told)

    def _ask_playbook(self, names: Sequence[str], poll: Callable[[], Incident]) -> str | None:
        told = ", ".join(f"{number} = {plain(name)}" for number, name in enumerate(names, 1))
        known = {**{str(number): name for number, name in enumerate(names, 1)}, **{name: name for name in names}}
        while True:
            answer = self._read(
                f"Which playbook? [{told}, q = decide later] ", lambda: _ELSEWHERE if poll().decision else ""
            )
            if answer is None or answer.strip() in ("q", "later"):
                return None
            if answer.strip() in known:
                return known[answer.strip()]

    def _ask_approve(self, told: str, plan: Sequence[str], mine: bool, poll: Callable[[], bool]) -> str | None:
        self._rich.print(Text(plain(told), style="bold"))
        self._lines(Text(f"  {plain(line)}") for line in plan)
        prompt = "Do you approve it as well? [y, q = leave it]" if mine else "Waiting for another person [q = leave it]"
        while (answer := self._read(f"{prompt} ", lambda: _ELSEWHERE if poll() else "")) is not None:
            word = answer.strip().lower()
            if word in ("q", "later", "n", "no") or (mine and word in ("y", "yes")):
                return "yes" if word[0] == "y" else None
        return None

    def _ask_review(self) -> str | None:
        answer = self._read("Reviewed by whom? (name, or no) ")
        name = (answer or "").strip()
        return None if name.lower() in ("", "n", "no") else name

    def _read(self, prompt: str, moved: Callable[[], str] = str) -> str | None:
        """Read a line; None at the end of input, or as soon as `moved` says why no answer is waited for any more."""
        self._rich.print(prompt, end="", style="bold")
        typed = keyboard.line(lambda: bool(moved()))
        if typed is None:
            self._rich.print(f"\n{told}" if (told := moved()) else "")
        return typed


def _heard(event: Event) -> str:
    """Return what somebody else said of an incident, as the rest of a sentence that begins with who it was; "" for the rest."""
    if event.kind == "severity_changed":
        return f"set the severity to {event.data.get('severity')}"
    if event.kind != "note" or not {"joined", "alert"} & event.data.keys():
        return ""
    named = ", ".join(texts(event.data.get("affected")))
    return f"joined: {event.data.get('text')}" + (f" ({named} counts as affected)" if named else "")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2))


def _cell(outcome: str, told: str = "") -> Text:
    sign, style = _SIGNS.get(outcome, (" ", ""))
    return Text(f"{sign} {told or _word(outcome)}" if outcome else "", style=style)


def _tally(seen: Sequence[str]) -> str:
    return " ".join(f"{_SIGNS[name][0]}{seen.count(name)}" for name in _SIGNS if name in seen)


def _style(outcome: str) -> str:
    return _SIGNS.get(outcome, ("", ""))[1] if outcome not in _FINE else ""


def _word(outcome: str) -> str:
    return outcome.replace("_", " ")


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".yml").removesuffix(".yaml")
