"""Messages that differ in words which vary, user or host names say, told from those that say something else. Pure.

Masks take what shows by its looks that it varies. A name does not: "user bob not found" shows it only beside "user
carol not found". So messages are one where all is the same but one word, or a few, and enough different words stand
there; how many are enough depends on how much else they share, and on the words themselves.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from ansible_collections.incidentctl.response.plugins.module_utils._masks import ANYTHING, BETWEEN, is_mask

Form = tuple[str, ...]  # words at even places, what stands between them at odd ones
_Buckets = dict[Form, set[Form]]  # template -> the forms that it would stand for

_Cut = tuple[tuple[int, int], ...]  # from where to where words are cut out
_Cuts = Callable[[Form], Iterable[tuple[int, _Cut]]]  # all ways to do so, each with a number: two are alike if that is


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ROUNDS = 8
_LONGEST = 61  # places; in a longer message only single words are compared
_NEVER = 10**9
# Different words that are enough, by the number of words that stay the same.
_ENOUGH = (_NEVER, 8, 5, 4, 3)
_FEW, _TWO = 3, 2
_SEVERAL_CONSTANTS, _SEVERAL_ENOUGH = 3, 4  # where two words vary at once, or one place holds several
_GAP = 9  # places that a name of several words takes at most
_LONG_GAP = 17  # the same where a template is there already
_BESIDE = 2  # words beside a number, or something in quotes, that may still be a name
_ARTICLES = frozenset(("a", "an", "the"))
_OPENING = frozenset("([{<=")
_TRIMMED = ":.'`*#-"
# Words that say what happened, or hold a sentence together: where they differ, something else is said.
_TELLING = _words(
    """
    a an the is was are were be been being not no has have had do does did can cannot could will would should may might
    must and or but if then than that this these those with without within of in on at by for from to into onto as it its
    via per due because while when where which who after before during until
    read write open close start stop create delete update insert select get put post patch head send receive connect
    disconnect accept bind listen commit rollback lock unlock load save parse encode decode encrypt decrypt
    fail fails failure err error errors warning fatal exception invalid illegal missing unknown lost broken bad wrong corrupt
    unable usable empty full timeout late early slow overflow underflow unavailable unreachable unreadable unauthorized forbidden
    true false null none yes no ok down up on off
    """
)
_CODE = re.compile(r"E[A-Z]{3,}")  # ECONNREFUSED
_COMPOSED = re.compile(r"[A-Za-z_]+")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # ImagePullBackOff, precondition_failed
_TELLING_ENDS = ("ed", "ing", "able", "ible", "tion")
_OUTCOMES = _words("result reason status state signal cause operation action")
_CANNOT = _words("cannot can't couldn't didn't won't wouldn't perform")
_COULD_NOT = {
    *(("to", before) for before in _words("failed unable fail fails failure trying tried attempt attempted error")),
    *(("not", before) for before in _words("could can did does would")),
}
_DENYING = _words("no not err error invalid illegal missing unknown bad")
# Words after which a name comes.
_NAMING = _words(
    """
    user username login account tenant customer client owner role group host hostname node server instance machine service
    upstream backend peer broker cluster shard partition region zone topic queue exchange channel subject consumer producer
    database db schema table column index relation collection bucket key field attribute property parameter option variable
    container pod deployment namespace image volume device disk interface job task worker thread process module plugin
    package unit file folder directory template view product item named called domain session feature flag gateway provider
    tool command handler listener pool cache program name
    """
)


def merged(texts: Iterable[str]) -> dict[str, str]:
    """Given masked texts, each once, return for each of them the template of its group.

    The same texts give the same templates in whatever order they come. A template may be given again, beside new
    texts: those of its group join it.
    """
    forms = {text: tuple(BETWEEN.split(text)) for text in texts}
    became = _merge(set(forms.values()))
    return {text: "".join(became[form]) for text, form in forms.items()}


def _merge(forms: set[Form]) -> dict[Form, Form]:
    """Return what each form became."""
    became = {form: form for form in forms}
    for _ in range(_ROUNDS):
        step = (
            _widen(_buckets(forms, _singles), _names)
            or _widen(_buckets(forms, _pairs), _both_vary)
            or _widen(_buckets(forms, _gaps), _gap_varies)
            or _widen(_fields(forms), _fields_vary)
        )
        if not step:
            break
        forms = {step.get(form, form) for form in forms}
        became = {form: step.get(now, now) for form, now in became.items()}
    home = _absorbed(forms)
    return {form: home.get(now, now) for form, now in became.items()}


def _absorbed(forms: set[Form]) -> dict[Form, Form]:
    """Return, for the forms that a template of others stands for as well, that template."""
    templates: defaultdict[tuple[int, str], list[Form]] = defaultdict(list)
    for form in sorted(forms):
        if ANYTHING in form:
            templates[len(form), form[0]].append(form)
    home: dict[Form, Form] = {}
    for form in forms:
        for more in (0, -2, *range(2, _LONG_GAP, 2)):  # places that a name of several words takes beyond one
            alike = (each for first in (form[0], ANYTHING) for each in templates.get((len(form) - more, first), ()))
            found = next((each for each in alike if each != form and _stands_for(each, form, more)), None)
            if found:
                home[form] = found
                break
    return {form: home.get(found, found) for form, found in home.items()}


def _stands_for(template: Form, form: Form, more: int) -> bool:
    if not more:
        return _fits(template, form)
    if sum(map(_is_word, template)) < _SEVERAL_CONSTANTS:
        return False
    if more < 0:  # nothing stands there: "refused by a.example.com: "
        ends = template[-2:] == (" ", ANYTHING) and (not form[-1] or form[-1].endswith(":"))
        return ends and _fits(template[:-2], form)
    for place in range(2, len(template), 2):
        if template[place] == ANYTHING:
            end = place + more + 1
            name = form[place:end]
            if _fits(template[:place], form[:place]) and _fits(template[place + 1 :], form[end:]):
                # At the end may stand what happened; where a quoted name varies, all are quoted.
                fits = bool(name[0]) and (end < len(form) or _is_list(name) or _is_beside_a_value(name))
                words = [word for word in name[::2] if word not in _ARTICLES]
                return fits and not any(map(_tells, words)) and not any(map(_names_what_follows, words))
        elif template[place] != form[place]:
            return False
    return False


def _is_list(name: Form) -> bool:
    return "," in name and all(not word or after in (",", "") for word, after in zip(name[::2], (*name[1::2], "")))


def _is_beside_a_value(name: Form) -> bool:
    words = [word for word in name[::2] if word]
    return 0 < sum(map(is_mask, words)) >= len(words) - _BESIDE


def _fits(template: Form, form: Form) -> bool:
    return all(
        there == word or (there == ANYTHING and word.strip(_TRIMMED).lower() not in _TELLING)
        for there, word in zip(template, form)
    )


def _widen(buckets: _Buckets, chosen: Callable[[Form, set[Form]], set[Form]]) -> dict[Form, Form]:
    """Return which forms become which template, each one. The largest groups come first, of equals those that keep most."""
    found = [(template, chosen(template, members)) for template, members in buckets.items() if len(members) > 1]
    step: dict[Form, Form] = {}
    for template, members in sorted(found, key=lambda each: (-len(each[1]), -len(each[0]), each[0])):
        if step.keys().isdisjoint(members):
            step.update(dict.fromkeys(members, template))
    return step


def _buckets(forms: set[Form], cuts: _Cuts) -> _Buckets:
    """Return the templates that several forms become where something is cut out of each, with those forms.

    Of long messages there are hundreds of ways to do so, and hardly two forms meet in any: so templates are told apart by
    a number each, and a first look only sees which numbers come twice.
    """
    size = 1 << (4096 * len(forms)).bit_length()
    times = bytearray(size)
    for form in forms:
        for number, _cut in cuts(form):
            if times[number % size] < 2:
                times[number % size] += 1
    alone: dict[int, tuple[Form, _Cut]] = {}
    several: dict[int, set[Form]] = {}
    for form in forms:
        for number, cut in cuts(form):
            if times[number % size] > 1 and alone.setdefault(number, (form, cut))[0] is not form:
                several.setdefault(number, {alone[number][0]}).add(form)
    return {_template(*alone[number]): members for number, members in several.items()}


def _template(form: Form, cut: _Cut) -> Form:
    at, parts = 0, []
    for begin, end in cut:
        parts += (*form[at:begin], ANYTHING)
        at = end
    return (*parts, *form[at:])


class _Numbers:
    """The numbers of templates: of words in a row, whatever they were cut out of, it is the same."""

    _BASE, _PRIME = 1_000_003, (1 << 61) - 1
    _ANYTHING = hash((ANYTHING,)) % _PRIME

    def __init__(self, form: Form) -> None:
        """Take the words of a form."""
        self.powers, self.words, self.before = [1], [hash((word,)) % self._PRIME for word in form], [0]
        for word in self.words:
            self.before.append((self.before[-1] * self._BASE + word) % self._PRIME)
            self.powers.append(self.powers[-1] * self._BASE % self._PRIME)

    def of(self, cut: _Cut) -> int:
        """Return the number of the template that is left where this is cut out."""
        number, at = 0, 0
        for begin, end in (*cut, (len(self.words), 0)):
            row = self.before[begin] - self.before[at] * self.powers[begin - at]
            number = (number * self.powers[begin - at] + row) % self._PRIME
            if end:
                number, at = (number * self._BASE + self._ANYTHING) % self._PRIME, end
        return number


def _singles(form: Form) -> Iterator[tuple[int, _Cut]]:
    numbers = _Numbers(form)
    for place in range(0, len(form), 2):
        # Nothing may stand there: "user=", "from host ()".
        if form[place] or (place and form[place - 1] in _OPENING):
            cut = ((place, place + 1),)
            yield numbers.of(cut), cut


def _names(template: Form, members: set[Form]) -> set[Form]:
    """Return those members whose one different word is a name, if there are enough of them."""
    place = next(place for place in range(len(template)) if any(form[place] != template[place] for form in members))
    if _is_act(template, place):
        return set()
    names = {form for form in members if form[place].strip(_TRIMMED).lower() not in _TELLING}
    return names if len(names) >= _enough([form[place] for form in names], template, place) else set()


def _enough(values: list[str], template: Form, place: int) -> int:
    """Say how many different values there have to be at a place."""
    constants = sum(map(_is_word, template))
    masks = sum(is_mask(value) or not value for value in values)
    if not constants:
        return _NEVER
    if masks == len(values) or ANYTHING in values:
        return _TWO
    if 3 * sum(map(_tells, values)) > len(values):
        return 3 * _ENOUGH[min(constants, 4)]
    if place >= 2 and _names_what_follows(template[place - 2]):
        return _TWO
    words = [value.strip(_TRIMMED) for value in values if value and not is_mask(value)]
    odd = masks + sum(not word.isalpha() or not word[1:].islower() for word in words)
    if constants > 1 and 2 * odd > len(values):
        return _FEW
    return _ENOUGH[min(constants, 4)]


def _pairs(form: Form) -> Iterator[tuple[int, _Cut]]:
    """Two words may vary at once, so that hardly two messages share all others but one."""
    if len(form) > _LONGEST or sum(map(_is_word, form)) < _SEVERAL_CONSTANTS:
        return
    numbers = _Numbers(form)
    places = [place for place in range(0, len(form), 2) if _may_vary(form[place]) and not _is_act(form, place)]
    for first, second in itertools.combinations(places, 2):
        cut = ((first, first + 1), (second, second + 1))
        yield numbers.of(cut), cut


def _both_vary(template: Form, members: set[Form]) -> set[Form]:
    if len(members) < _SEVERAL_ENOUGH or sum(map(_is_word, template)) < _SEVERAL_CONSTANTS:
        return set()
    some = next(iter(members))
    places = [place for place, word in enumerate(template) if word == ANYTHING and some[place] != ANYTHING]
    varied = all(2 * len({form[place] for form in members}) > len(members) for place in places)
    return members if varied else set()


def _gaps(form: Form) -> Iterator[tuple[int, _Cut]]:
    """A name may have several words, and not always as many."""
    if len(form) > _LONGEST:
        return
    numbers = _Numbers(form)
    for first in range(2, len(form) - 2, 2):
        for after in range(first + 1, min(first + _GAP + 1, len(form) - 1), 2):
            last = form[after - 1]
            if _tells(last) or _names_what_follows(last) or form[after] == '"' or _is_act(form, after - 1):
                break
            cut = ((first, after),)
            yield numbers.of(cut), cut


def _gap_varies(template: Form, members: set[Form]) -> set[Form]:
    several = sum(map(_is_word, template)) >= _SEVERAL_CONSTANTS and len({len(form) for form in members}) > 1
    return members if several and (len(members) >= _SEVERAL_ENOUGH or template in members) else set()


def _fields(forms: set[Form]) -> _Buckets:
    """Fields after a message may not always be the same, nor in the same order."""
    buckets: defaultdict[Form, set[Form]] = defaultdict(set)
    for form in forms:
        end = len(form)
        while end > 4 and form[end - 2] == "=" and (not form[end - 1] or is_mask(form[end - 1])):
            end -= 4
        if end < len(form):
            buckets[(*form[: end + 1], ANYTHING)].add(form)
    return buckets


def _fields_vary(template: Form, members: set[Form]) -> set[Form]:
    several = sum(map(_is_word, template)) >= _SEVERAL_CONSTANTS and len({len(form) for form in members}) > 1
    return members if several and len(members) >= _SEVERAL_ENOUGH else set()


def _is_act(form: Form, place: int) -> bool:
    """Say whether the word at a place says what could not be done, or why: "failed to …", "cannot …", "reason: …"."""
    before = [word.strip(_TRIMMED).lower() for word in form[max(0, place - 8) : place : 2] if word][-2:]
    return bool(before) and (before[-1] in _OUTCOMES or before[-1] in _CANNOT or (before[-1], before[0]) in _COULD_NOT)


def _may_vary(word: str) -> bool:
    return bool(word) and not is_mask(word) and not _tells(word)


def _is_word(word: str) -> bool:
    return word.strip(_TRIMMED).isalpha()


def _names_what_follows(word: str) -> bool:
    return word.strip(_TRIMMED).lower() in _NAMING


def _tells(word: str) -> bool:
    word = word.strip(_TRIMMED)
    if _CODE.fullmatch(word):
        return True
    parts = _PARTS.findall(word) if _COMPOSED.fullmatch(word) else ()
    if len(parts) < 2:
        return _tells_alone(word)
    if "_" in word:
        return _tells_alone(parts[-1]) or parts[0].lower() in _DENYING
    return any(map(_tells_alone, parts))


def _tells_alone(word: str) -> bool:
    lower = word.lower()
    if lower.endswith(("able", "ible")) and len(lower) < 7:
        return lower in _TELLING  # no "cable"
    return lower in _TELLING or (len(lower) > 4 and lower.isalpha() and lower.endswith(_TELLING_ENDS))
