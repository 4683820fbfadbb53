"""The stack trace under an error, of Java, Python, Go or Node, taken line by line; only its cause is kept. Pure."""

from __future__ import annotations

import functools
import json
import re

TRACEBACK = "Traceback (most recent call last)"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_CAUSED_BY = re.compile(r"(?:Caused by|Wrapped by): (.*)|\*\* (\([\w.]+\) .*)")  # of Java; of Elixir
_RAISED = re.compile(r"[A-Za-z_][\w.$]*(?::\s.*)?$")
_RUBY_RAISED = re.compile(r"((?:[A-Z]\w*::)+[A-Z]\w*:\s.*)")
_JAVA_RAISED = re.compile(
    r"((?:[\w.$]*\w)?(?:Exception|Error|Throwable|ExceptionGroup)(?: \[\w+\]| \(\w+\))?(?::\s.*)?)$"
)
_ANNOUNCED = re.compile(r"Exception in thread \"[^\"]*\" |Uncaught ")  # begins another error, never a cause
_NODE_CAUSE = re.compile(r"\s+\[cause\]: (.*?)(?: \{)?$")
_ERLANG_CAUSE = re.compile(r"\s+exception (?:error|exit|throw): (.*)")
_DOTNET_HEAD = re.compile(r"(?:fail|crit): \S+\[\d+\]$")  # what is said comes on the next line
_DOTNET_INNER = re.compile(r"(?:.* )?---> (.*)")
_GO_STARTS = ("panic: ", "fatal error: ", "goroutine ")
_GO_LINE = re.compile(
    r"goroutine \d+ \[|created by \S|\[signal |exit status \d|panic: .*|\[?recovered"
    r"|[\w./-]+(?:\.\(\*?[\w.\[\]]+\))?\.[\w.-]+(?:\(.*\))?$"
)
_GO_CHARS = 1000  # of a longer line only so many are looked at: what that takes grows with their square
_FRAME = re.compile(r"Stack trace:|\[stacktrace\]|#\d+ [/{\[]|\"\} ?$|[\w./-]+\.rb:\d+:in ")  # of PHP and Ruby
_GROUP = re.compile(r"[\s|+-]*")  # an exception group draws its tree in the margin
_BEGINS = re.compile(
    r"\s*(?:\d{4}[-/]\d\d[-/]\d\d[T ]|[\[<]?(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b)"
)
# What stands before each line where syslog, Kubernetes or Docker had it go through their hands.
_PASSED_ON = (
    r"(?:(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\S+) (?:(?:stdout|stderr) [FP] |\S+ [\w./-]+(?:\[\d+\])?: )"
    r"|\{\"log\": ?\")"
)
# Ruby, Erlang and Fluentd put the whole head before each line of what is one message.
_OWN_HEAD = (
    r"(?:[A-Z], \[[^\]\n]*\] +[A-Z]+ -- [^:\n]*:(?: \[[\w-]+\])*(?= |$)(?: |$)"
    r"|\d{4}-\d\d-\d\d [\d:.+-]+ \[\w+\] <[\d.]+> |[ \t]*\d{4}-\d\d-\d\d [\d:]{8} [+-]\d{4} \[\w+\]: #\d+ )"
)
_PREFIX = re.compile(f"{_PASSED_ON}|({_OWN_HEAD})")
# OpenStack puts it before each line, too, up to the logger: the time tells that it is of the same error.
_SAME_HEAD = r"\d{4}-\d\d-\d\d[ T][\d:]{8}[.,]\d+\S* (?:\d+ )?(?:ERROR|CRITICAL|FATAL) [\w.-]+ "
_OF_SAME_HEAD = r"(?:\[[^\]\n]*\] ?)*(?:[ \t]|$|Traceback \(|During handling of|The above exception)"
_HEAD, _HEADED = re.compile(_SAME_HEAD), re.compile(_OF_SAME_HEAD)
_BRACKETS = re.compile(r"(?:\[[^\]]*\] ?)*")
_BARE = (
    r"(?:[ \t}]|\\t|\\n\"|$|Traceback \(|Caused by: |Wrapped by: |During handling of|The above exception|goroutine \d|created by "
    r"|exit status \d|\[signal |Stack trace:|\[stacktrace\]|#\d+ [/{\[]|\"\} ?$|\*\* \([\w.]+\) "
    r"|[\w.$]*(?:Exception|Error|Throwable|ExceptionGroup)(?:: | \[| \(\w+\): |\\n|$)|(?:[A-Z]\w*::)+[A-Z]\w*: "
    r"|[\w./-]+(?:\.\(\*?[\w.\[\]]+\))?\.[\w.-]+\()"
)
_RUBY_FRAME = r"[\w./-]+\.rb:\d+:in "
_OWN_FOLLOWS = rf"{_OWN_HEAD}(?:[ \t]|$|{_RUBY_FRAME})"
_OWN_LINE = re.compile(rf"[ \t]|$|{_RUBY_FRAME}")
_FOLLOWS = re.compile(f"{_PASSED_ON}{_BARE}|{_BARE}|{_OWN_FOLLOWS}".encode())
_PASSED_ON_FOLLOWS = re.compile(f"{_PASSED_ON}{_BARE}|{_OWN_FOLLOWS}|{_SAME_HEAD}{_OF_SAME_HEAD}".encode())
_OF_NUMBERS = frozenset(bytes([each]) for each in b"0123456789<")


def may_follow(line: bytes, begin: int = 0) -> bool:
    """Say whether a line, which begins at this place of `line`, may be part of the trace under an error, by its looks alone."""
    # Most lines begin with a time: for those the few that were passed on are all there is to look for.
    passed_on = line[begin : begin + 1] in _OF_NUMBERS
    return (_PASSED_ON_FOLLOWS if passed_on else _FOLLOWS).match(line, begin) is not None


def following(text: bytes, passed_on: bool) -> bytes:
    """Return those of the first lines of `text`, each whole, that may follow an error, by their looks alone.

    `passed_on`: syslog or Kubernetes had the error go through their hands.
    """
    return _following(passed_on).match(text).group()  # type: ignore[union-attr] # it matches any bytes


@functools.cache
def _following(passed_on: bool) -> re.Pattern[bytes]:
    each = f"(?:{_PASSED_ON})?{_BARE}|{_OWN_FOLLOWS}" if passed_on else _BARE
    return re.compile(rf"(?:(?:{each})[^\n]*\n)*".encode(), re.MULTILINE)


def raised(text: str) -> str | None:
    """Return the exception that a text names, with what it says, if it begins with one."""
    announced = _ANNOUNCED.match(text)
    match = _JAVA_RAISED.match(text, announced.end() if announced else 0)
    return match.group(1) if match else None


class Trace:
    """What follows an error."""

    def __init__(self, first: str, cause: str | None = None, beside: bool | None = None) -> None:
        """Take the line of the error itself, where the trace may begin, and the cause that it, or one like it, tells.

        `beside`: whether it tells it beside its message; where that is not known, it is seen by the line.
        """
        self.passed_on = _PREFIX.match(first) is not None
        head = _HEAD.match(first)
        self._head = head.group() if head else None
        text = self._bare(first)
        self._in_frames = TRACEBACK in text
        self._said_next = _DOTNET_HEAD.match(text) is not None
        self._said = ""  # by the line after it
        self._in_go = text.startswith(_GO_STARTS)
        self._in_group = "Exception Group" in text
        self._chained = False
        seen = cause is not None and not first.endswith(cause)
        self.told_beside = seen if beside is None else beside  # by a field: the trace may say more
        self.cause = cause

    @property
    def meaning(self) -> tuple[object, ...]:
        """All that makes a difference for what follows, but for when the error was."""
        return tuple(value for name, value in vars(self).items() if name != "_head")

    def ends_before(self, text: str) -> bool:
        """Say whether all is taken where the next line is none that may follow by its looks."""
        return not (self._in_frames or (self._in_go and _GO_LINE.match(text[:_GO_CHARS])))

    def takes(self, text: str) -> bool:
        """Take the next line if it belongs to the trace, else return False."""
        if self.passed_on:
            prefix = _PREFIX.match(text)
            text = self._bare(text)
            if prefix and prefix.group(1) and not _OWN_LINE.match(text):
                return False  # the next error
        elif self._head and text.startswith(self._head):
            text = text[len(self._head) :]
            if not self._in_frames and not _HEADED.match(text):
                return False
            text = text[_BRACKETS.match(text).end() :]  # type: ignore[union-attr] # it matches any text
        if not text or text[0] in " \t":
            return self._takes_indented(text)
        if self._in_frames:
            if _RAISED.match(text):
                self.cause, self._in_frames = text, False
                return True
            return False
        return self._takes_heading(text)

    def _bare(self, text: str) -> str:
        prefix = _PREFIX.match(text)
        if prefix is None:
            return text
        if text[0] == "{":
            try:
                return str(json.loads(text)["log"]).rstrip("\r\n")
            except (ValueError, KeyError, TypeError, RecursionError):
                return text
        return text[prefix.end() :]

    def _takes_indented(self, text: str) -> bool:
        if not self._in_frames and _BEGINS.match(text):
            return False
        if TRACEBACK in text:
            self._in_frames, self._in_group = True, True
        elif self._in_group and self.cause is None:
            words = text[_GROUP.match(text).end() :]  # type: ignore[union-attr] # it matches any text
            raised = _JAVA_RAISED.match(words)
            self.cause = raised.group(1) if raised else None
        else:
            self._takes_detail(text)
        return True

    def _takes_detail(self, text: str) -> None:
        words = text.strip()
        if self._said_next:
            self.cause = self._said = words
            self._said_next = False
            return
        cause = _NODE_CAUSE.match(text) or _ERLANG_CAUSE.match(text)
        inner = _DOTNET_INNER.match(words)
        raised = _JAVA_RAISED.match(words) if self._said and self.cause == self._said else None
        if inner or raised:
            said = inner or raised
            self.cause = f"{self._said}: {said.group(1)}" if self._said else said.group(1)  # type: ignore[union-attr]
        elif cause:
            self.cause = cause.group(1)

    def _takes_heading(self, text: str) -> bool:
        caused_by = _CAUSED_BY.match(text)
        if text.startswith(TRACEBACK) and (self.cause is None or self._chained):
            self._in_frames, self._chained = True, False
        elif text.startswith(_CHAINED):
            self._chained = True
        elif caused_by:
            self.cause = caused_by.group(1) or caused_by.group(2)
        elif text.startswith("goroutine "):
            self._in_go = True
        elif text == "}" or (self._in_go and _GO_LINE.match(text[:_GO_CHARS])):
            pass
        else:
            told = self.cause and not self.told_beside
            raised = None if told else _JAVA_RAISED.match(text) or _RUBY_RAISED.match(text)
            if raised:
                self.cause, self.told_beside = _innermost(raised.group(1)), False
            return raised is not None or _FRAME.match(text) is not None
        return True


def _innermost(raised: str) -> str:
    """Return what .NET tells last of exceptions within each other."""
    inner = _DOTNET_INNER.match(raised)
    return inner.group(1) if inner else raised


def last_word(text: str) -> str | None:
    """Given a whole stack trace as one text, return its cause, or its first line if it tells none."""
    lines = text.strip().splitlines()
    if not lines:
        return None
    trace = Trace(lines[0], raised(lines[0]))
    for line in lines[1:]:
        trace.takes(line)
    return trace.cause or lines[0]
