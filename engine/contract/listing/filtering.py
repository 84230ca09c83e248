"""The filter of the list of runs: `model:gpt lr>=1e-3 val<1.9 state:running tag:good -note:bad names`.

Terms stand beside each other, and all of them must fit. A term is

    name:value      the value: words as a whole, texts by a part of them; `*` stands for anything; `a,b` for either
    name=value      the same, but a text as a whole; name!=value its opposite
    name<number     also <=, > and >=, for numbers: 1e-3, 48k, 1.2M; times also 90s, 5m, 2h, 3d
    name:1e-3..1e-1 from one number to another
    word            a part of the name, model, recipe, group, dataset, state, tags or note
    "two words"     the same with a space; in a value too: note:"two words"
    -term           what does not fit the term

Which names there are stands in `subjects.py`. A run that has nothing by that name fits no
comparison but `!=`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.subjects import SMOOTHED, Kind, Subject, known_names, number_of, subject_named
from torchtty.engine.contract.printable import printable_line, shortened

_TERM = re.compile(
    r"""(?P<not>-)?
        (?:(?P<name>[A-Za-z_][\w.]*)(?P<sign>:|\s*(?:<=|>=|!=|[=<>])\s*))?
        (?P<value>(?:"[^"]*(?:"|$)|[^\s"])*)""",
    re.VERBOSE,
)
_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
_TIMES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIMED = ("time", "age")  # subjects in seconds
A_NUMBER = "a number such as 1e-3, 1.9 or 48k"
_ORDERED: dict[str, Callable[[float, float], bool]] = {
    "<": lambda has, given: has < given,
    "<=": lambda has, given: has <= given,
    ">": lambda has, given: has > given,
    ">=": lambda has, given: has >= given,
}

Test = Callable[[Entry], bool]


class FilterError(UserError):
    """A filter that cannot be understood."""


@dataclass(frozen=True)
class Filter:
    """A filter that was understood; `text` is what was written."""

    text: str = ""
    tests: tuple[Test, ...] = field(default=(), compare=False)

    def fits(self, entry: Entry) -> bool:
        """Whether a run fits every term."""
        return all(test(entry) for test in self.tests)


def parse_filter(text: str) -> Filter:
    """Understand a filter; raise `FilterError` that says which term is wrong, and what it takes."""
    tests = []
    for match in _TERM.finditer(text):
        if not match.group():
            continue
        written, name, sign = match.group(), match["name"], (match["sign"] or "").strip()
        value = _unquoted(match["value"])
        if name is None and not value:
            if not match["value"]:  # a dash alone
                raise FilterError(
                    "A dash excludes what follows it: write the term right behind it, as in -state:failed."
                )
            continue
        test = _word(value) if name is None else _comparison(written, subject_for(name), sign, value)
        tests.append(_opposite(test) if match["not"] else test)
    return Filter(text, tuple(tests))


def subject_for(name: str) -> Subject:
    """Return the subject of a name in a filter; raise `FilterError` for one that there is not."""
    if name.lower() == SMOOTHED:
        raise FilterError("Runs are sorted by smoothed, but not filtered: it takes reading every curve. Try train<2.")
    try:
        return subject_named(name)
    except UserError as error:
        raise FilterError(f"{error} A colon in a word is written in quotes.") from None


def completions(text: str) -> list[str]:
    """Return the filters that complete the name or the word at the end of a text, the likeliest first; none where it is whole."""
    start = re.search(r"(?:^|\s)-?(?P<name>[A-Za-z_][\w.]*)(?P<sign>:(?P<value>[\w-]*))?$", text)
    if start is None:
        return []
    if start["sign"] is None:
        ends = [name for name in known_names() if name.startswith(start["name"].lower())]
        return [text[: start.start("name")] + name for name in ends if name != start["name"]]
    try:
        choices = subject_named(start["name"]).choices
    except UserError:
        return []
    return [text[: start.start("value")] + choice for choice in choices if choice.startswith(start["value"].lower())]


# Terms.


def _unquoted(value: str) -> str:
    return value.replace('"', "")


def _opposite(test: Test) -> Test:
    return lambda entry: not test(entry)


def _word(word: str) -> Test:
    part = word.lower()

    def fits(entry: Entry) -> bool:
        return part in words_of(entry)

    return fits


def words_of(entry: Entry) -> str:
    """Return what the free words of a filter are looked for in."""
    marks = entry.marks
    parts = (entry.key, entry.kind, entry.model, entry.recipe, entry.group, entry.dataset, entry.status.state.value)
    return "\n".join((*parts, *marks.tags, marks.note)).lower()


def _comparison(written: str, subject: Subject, sign: str, value: str) -> Test:
    if not value:
        raise FilterError(f"{_quoted(written)} needs {_takes(subject)} behind it.")
    if sign in _ORDERED:
        return _order(written, subject, sign, value)
    if sign == "!=":
        return _opposite(_comparison(written, subject, "=", value))
    tests = [_equal(written, subject, sign, part) for part in value.split(",") if part]
    if not tests:
        raise FilterError(f"{_quoted(written)} needs {_takes(subject)} behind it.")
    return lambda entry: any(test(entry) for test in tests)


def _order(written: str, subject: Subject, sign: str, value: str) -> Test:
    if subject.kind in (Kind.WORD, Kind.TEXT):
        raise FilterError(
            f"{_quoted(written)} cannot be compared: {subject.name} is no number. Write {subject.name}:{value}."
        )
    given, compare = _number(written, subject, value), _ORDERED[sign]

    def fits(entry: Entry) -> bool:
        has = number_of(subject.value(entry))
        return has is not None and compare(has, given)

    return fits


def _equal(written: str, subject: Subject, sign: str, value: str) -> Test:
    low, dots, high = value.partition("..")
    if dots and subject.kind in (Kind.NUMBER, Kind.ANY):
        least, most = _number(written, subject, low), _number(written, subject, high)
        return lambda entry: (has := number_of(subject.value(entry))) is not None and least <= has <= most
    if subject.kind is Kind.NUMBER:
        return _same_number(subject, _number(written, subject, value))
    if subject.kind is Kind.ANY:
        try:
            same = _same_number(subject, _number(written, subject, value))
        except FilterError:
            return _same_text(subject, value, whole=True)
        text = _same_text(subject, value, whole=True)
        return lambda entry: same(entry) or text(entry)
    if subject.choices and "*" not in value and value.lower() not in subject.choices and subject.name != "model":
        raise FilterError(f"{_quoted(written)} finds nothing: {subject.name} is one of {', '.join(subject.choices)}.")
    return _same_text(subject, value, whole=sign == "=" or subject.kind is Kind.WORD)


def _same_number(subject: Subject, given: float) -> Test:
    def fits(entry: Entry) -> bool:
        has = number_of(subject.value(entry))
        return has is not None and abs(has - given) <= 1e-9 * abs(given)

    return fits


def _same_text(subject: Subject, value: str, *, whole: bool) -> Test:
    pattern = re.sub(r"([\[?])", r"[\1]", value.lower())  # of the signs of a glob only the star is one here
    pattern = pattern if whole else f"*{pattern}*"

    def fits(entry: Entry) -> bool:
        has = subject.value(entry)
        texts = has if isinstance(has, tuple) else (str(has),) if has is not None else ()
        return any(fnmatchcase(text.lower(), pattern) for text in texts)

    return fits


def _number(written: str, subject: Subject, value: str) -> float:
    units = _TIMES if subject.name in _TIMED else _SUFFIXES
    factor = units.get(value[-1:], 1.0)
    digits = value[:-1] if value[-1:] in units else value
    try:
        number = float(digits) * factor
    except ValueError:
        wanted = _takes(subject) if subject.kind is Kind.NUMBER else A_NUMBER  # a setting is compared as one
        raise FilterError(f"{_quoted(written)} cannot be read: {_quoted(value)} is not {wanted}.") from None
    if number != number:
        raise FilterError(f"{_quoted(written)} finds nothing: nothing is equal to NaN, or above or below it.")
    return number


def _takes(subject: Subject) -> str:
    if subject.kind is Kind.NUMBER:
        return "a time such as 90s, 5m, 2h or 3d" if subject.name in _TIMED else A_NUMBER
    if subject.choices:
        return "one of " + ", ".join(subject.choices)
    return "a word" if subject.kind is not Kind.ANY else "a value such as 1e-3, 64 or adam"


def _quoted(written: str) -> str:
    return f"'{shortened(printable_line(written), 40)}'"
