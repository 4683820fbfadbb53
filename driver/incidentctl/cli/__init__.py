"""Words → one call → exit code. Click lives here; everything heavy is imported by the command that needs it.

`incidentctl --help` must answer in little more than Click's own time: no module of ours but errors is imported above
the commands (a test names the one that is).
"""

from __future__ import annotations

import codecs
import io
import os
import sys

import click

from incidentctl import __version__
from incidentctl.cli import declare, drill, keep, prepare, read, respond, say, secured
from incidentctl.errors import IncidentctlError

EXIT_CODES = """\b
Exit codes:
    0  done
    1  internal error
    2  wrong usage
    3  incidentctl.yml or the inventory cannot be used
   10  a decision is awaited
   11  partial: some hosts failed or could not be reached
   12  failed: not recovered, or evidence that was changed
   13  locked: another responder is at work here
   14  the plan changed since it was approved
   15  refused by a guard, or not possible as things stand
  130  interrupted
"""


_TAKE_TEXT = ("run", "note", "cancel")  # what a person types may begin with a dash
_SIGNS = {"✓": "+", "✗": "x", "⌀": "x", "–": "-", "·": ".", "…": "...", "→": "->"}  # where these cannot be shown


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Respond to a production incident: evidence, containment, diagnosis, recovery, report.

    \b
    incidentctl run --severity high "checkout returns 500"
    """


for module in (declare, respond, say, read, secured, keep, prepare, drill):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run a command and exit with its code (the only place that exits)."""
    _show_what_can_be_shown()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort as stopped:
        click.echo(_interrupted(stopped.__cause__), err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption):
            click.echo(f"Fix: {_fix(error)}", err=True)
        sys.exit(error.exit_code)
    except IncidentctlError as error:
        _say(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; there is nobody to tell
        sys.exit(1)
    except Exception as error:
        if os.environ.get("INCIDENTCTL_DEBUG"):
            raise
        # The last net: nobody reads a traceback at 3 a.m., and what was done is in the record.
        from incidentctl.files import way_out

        fix = way_out(error) if isinstance(error, OSError) else ""
        what = f"{error}" if fix else f"Internal error: {type(error).__name__}: {error}"
        usual = "incidentctl status says how to go on; INCIDENTCTL_DEBUG=1 shows where it broke"
        _say(IncidentctlError(what, fix=fix or usual))
        sys.exit(1)


def _interrupted(cause: BaseException | None) -> str:
    """Say what a Ctrl-C ended: Click has turned it into an Abort."""
    if cause is None:
        return "Nothing was done."  # at one of Click's own questions, which come before all else
    if type(cause) is KeyboardInterrupt or not cause.args:
        return f"Interrupted. {cause}".strip()
    return f"Interrupted in {cause}. The same command again goes on; the hosts know what was done."  # the phase


def _fix(error: click.NoSuchOption) -> str:
    if error.option_name in ("--dry-run", "--check", "-C"):
        return "incidentctl plan --check shows what would be done, and changes nothing"
    if error.ctx is not None and error.ctx.info_name in _TAKE_TEXT:
        return "put -- before a text that begins with a dash"
    names: list[str] = []
    context = error.ctx
    while context is not None and context.parent is not None:
        names, context = [str(context.info_name), *names], context.parent
    return f"{' '.join(['incidentctl', *names])} --help shows which there are"


def _show_what_can_be_shown() -> None:
    """What a terminal or log that is not UTF-8 cannot show gets another sign: a response must not end by it."""
    codecs.register_error("incidentctl", _in_place_of)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            stream.reconfigure(errors="incidentctl")


def _in_place_of(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - only output is given this
    return "".join(_SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def _say(error: IncidentctlError) -> None:
    from incidentctl.console import Console

    Console().error(error)
