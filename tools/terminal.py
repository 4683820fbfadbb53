"""Record the picture of the README: a real `make demo` in a terminal, up to the question.

`.venv/bin/python tools/terminal.py`, in a checkout whose path may be seen in the picture. It needs tmux, which is the
terminal here. The demo is then answered and played to its end; the picture is written only when it ended well.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "terminal.svg"
COLUMNS, LINES = 100, 48
TMUX = ("tmux", "-L", "incidentctl-picture", "-f", "/dev/null")
PATIENCE_S = 300
DARK = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (177, 186, 196)],
    [(110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255),
     (86, 212, 221), (240, 246, 252)],
)  # fmt: skip
# rich's own, without the web font that it would fetch.
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
<style>
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; }}
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def tmux(*words: str, check: bool = True) -> str:
    """Run one command of our own tmux server; return what it says."""
    return subprocess.run([*TMUX, *words], check=check, capture_output=True, text=True).stdout


def wait_for(text: str) -> None:
    """Wait until the text stands on the screen. Raise TimeoutError with the screen if it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while text not in tmux("capture-pane", "-p"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{text!r} does not come:\n{tmux('capture-pane', '-p')}")
        time.sleep(0.5)


def record() -> str:
    """Play the demo in a terminal; return its screen at the question, with colours as escape sequences."""
    size = ("-x", str(COLUMNS), "-y", str(LINES))
    tmux("new-session", "-d", *size, "-c", str(ROOT), "env PS1='$ ' TERM=screen-256color sh")
    try:
        wait_for("$")  # what is typed before the prompt is there is shown twice
        tmux("send-keys", "make demo", "Enter")
        wait_for("Which way?")
        screen = tmux("capture-pane", "-p", "-e")
        tmux("send-keys", "Enter")
        wait_for("the report is written")
        # In words that the demo does not say itself: it has a shop to stop yet.
        tmux("send-keys", "echo ended with $?", "Enter")
        wait_for("ended with 0")
    finally:
        tmux("kill-server", check=False)
    return screen


def picture(screen: str) -> str:
    """Return the screen as an SVG."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), color_system="truecolor")
    console.print(Text.from_ansi(screen.rstrip()), soft_wrap=True)
    return console.export_svg(title="make demo", theme=DARK, code_format=SVG, unique_id="demo")


def main() -> int:
    """Record, then write."""
    PICTURE.write_text(picture(record()), encoding="utf-8")
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
