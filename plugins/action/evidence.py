"""Carries the module of the same name to the host, brings the bundle home, and leaves nothing of it there."""

from __future__ import annotations

import contextlib
import functools
import shlex
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.incidentctl.response.plugins.module_utils import _act, _evidence_place, _outcome
from ansible_collections.incidentctl.response.plugins.module_utils._evidence import CAPABILITY
from ansible_collections.incidentctl.response.plugins.modules import evidence
from ansible_collections.incidentctl.response.plugins.plugin_utils import _carrier, _homecoming, _resumption, _transfer

# What a bundle has beside what it holds: of each member a header and a row in the manifest, which compress well.
_BESIDE = 16 << 20


class ActionModule(_carrier.Carrier):
    """The action that Ansible looks for by this name."""

    cargo = _carrier.load(evidence)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, in which the bundle is the one that lies here now."""
        if shutil.which("zstd") is None:  # to read it here, as `incidentctl evidence` does
            self._task.args["compression"] = "gzip"
        if left := self._left():
            answer = self._gone_on_with(left)
            if answer is not None:
                return answer
        with self._told_that_it_collects():
            answer = super().run(tmp, task_vars)
        if "bundle" not in answer or answer.get("failed"):
            return answer
        try:
            return self._home(answer)
        except AnsibleConnectionFailure:
            raise  # the host is gone: there is nothing to be asked of it, and its next collection removes the bundle
        except (_homecoming.NotHomeError, AnsibleError, OSError) as error:
            return self._undelivered(answer["bundle"], str(error), task_vars)

    @contextlib.contextmanager
    def _told_that_it_collects(self) -> Iterator[None]:
        """Leave a note where the bundle will land for as long as the host collects; what cannot be written holds nothing up."""
        part = _resumption.part_of(Path(str(self._task.args.get("dest", ""))))
        if self._task.check_mode or not self._has_a_place():
            yield
            return
        with contextlib.suppress(OSError, ValueError, _homecoming.NotHomeError):
            _homecoming.make_private(part.parent.parent)
            _homecoming.make_private(part.parent)
            _resumption.write_collecting(part, self._cap("max_seconds"), self._cap("max_bytes"))
        try:
            yield
        finally:
            _resumption.remove(part)
            with contextlib.suppress(OSError):  # as long as nothing else is in it
                part.parent.rmdir()

    def _cap(self, name: str) -> int:
        return int(self._task.args.get(name) or evidence.ARGUMENT_SPEC[name]["default"])

    def _left(self) -> _resumption.Left | None:
        """Return what is left here of an earlier bundle of this host, for the same wish."""
        if self._task.check_mode or not self._has_a_place():
            return None
        return _resumption.find(Path(self._task.args["dest"]).parent, _resumption.asked(self._task.args))

    def _gone_on_with(self, left: _resumption.Left) -> dict[str, Any] | None:
        """Bring the rest of an earlier bundle home; None if it is not there any more, or not what it was."""
        try:
            answer = self._home(left.answer, left)
        except AnsibleConnectionFailure:
            raise
        except (_homecoming.NotHomeError, AnsibleError, OSError) as error:
            left.forget()
            self._display.warning(
                f"{self._task.args['host_name']}: an earlier bundle could not be gone on with: {error}. It is collected anew"
            )
            return None
        if not answer.get("failed"):
            at = datetime.fromtimestamp(left.at, timezone.utc)
            told = f"; collected at {at:%H:%M:%SZ}, and gone on from byte {left.came} of a transfer that was cut off"
            answer["incident"]["actions"][0]["summary"] += told
        return answer

    def _home(self, answer: dict[str, Any], left: _resumption.Left | None = None) -> dict[str, Any]:
        """Bring the bundle home, remove it from the host, and return the answer; or say how far the transfer came."""
        source = _homecoming.source_of(answer["bundle"])
        try:
            answer["incident"]["files"] = [self._bring(source, answer, left)]
        except _homecoming.CutOffError as error:
            nobody_got_in = left is not None and error.came == left.came
            if isinstance(error.__cause__, AnsibleConnectionFailure):
                raise error.__cause__ if nobody_got_in else AnsibleConnectionFailure(str(error)) from None
            return self._cut_off(str(error))
        if self._low_level_execute_command(f"rm -rf -- {shlex.quote(str(Path(source).parent))}", sudoable=False)["rc"]:
            self._display.warning(f"{source} could not be removed from the host. Fix: remove its folder there")
        return answer

    def _bring(self, source: str, answer: dict[str, Any], left: _resumption.Left | None) -> dict[str, Any]:
        target = str(self._task.args["dest"])
        if not self._has_a_place():
            raise _homecoming.NotHomeError(f"{target} is not in a folder of that host's name")
        if source.endswith(".zst"):
            if self._task.args.get("compression") == "gzip":
                raise _homecoming.NotHomeError("the host sends zstd, where gzip was asked for")
            target = f"{target.removesuffix('.tar.gz')}.tar.zst"
        told = next(iter(answer["incident"]["files"]), None)
        most = self._cap("max_bytes") + _BESIDE
        if not _resumption.is_large(told):
            return _homecoming.bring(self._connection.fetch_file, source, Path(target), told, most)
        wish = _resumption.asked(self._task.args)

        def note(part: Path) -> None:
            _resumption.write_note(part, wish, answer, left and left.at)

        fetch = functools.partial(_transfer.fetch_on, self._connection)
        return _homecoming.bring(fetch, source, Path(target), told, most, note, left)

    def _has_a_place(self) -> bool:
        """Say whether the bundle lands in a folder of the host's name."""
        host_name, target = (str(self._task.args.get(name, "")) for name in ("host_name", "dest"))
        return not _evidence_place.why_not(host_name) and Path(target).parent.name == host_name

    def _cut_off(self, why: str) -> dict[str, Any]:
        """Say that it failed, and that the bundle waits on the host."""
        row = _outcome.action("bundle", "failed", why)
        going = {"keep_going": boolean(self._task.args.get("keep_going", False))}
        return _act.act(lambda _params, _check: _outcome.result(CAPABILITY, [row]), CAPABILITY, going, False)

    def _undelivered(self, source: Any, reason: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have the module remove what did not come home, and say that it failed."""
        try:
            source = _homecoming.source_of(source)
        except _homecoming.NotHomeError:
            source = ""
        self._task.args = {**self._task.args, "state": "undelivered", "bundle": source, "reason": reason[:1000]}
        return super().run(None, task_vars)
