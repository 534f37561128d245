"""What a rule is: yes/no checks first, then a table from findings to a class.

A check asks one question of the evidence of a project and answers with a Finding: yes with the
evidence, no with the places searched in vain, or cannot_tell. It never looks for anything
itself. The first row of the table whose conditions hold gives class, confidence and reason, unless a
row before it would hold and give another class if what could not be read were known: then nothing
can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pipelines.errors import RuleError
from pipelines.evidence import EvidenceSet, Reading
from pipelines.frozen import new, setters_of
from pipelines.model import Evidence, Finding, Outcome, Rating

Check = Callable[[EvidenceSet], Finding]

_EVIDENCE_SHOWN = 12
"""Pieces of evidence kept for a finding; more do not make it truer, only longer to read."""


# Named once: an enum of Python 3.11 gives a member in five times the time that a name takes.
_YES, _NO, _CANNOT_TELL, _NOT_APPLICABLE = (
    Outcome.YES,
    Outcome.NO,
    Outcome.CANNOT_TELL,
    Outcome.NOT_APPLICABLE,
)


def yes(evidence: Iterable[Evidence], note: str = "") -> Finding:
    """The statement holds, by this evidence."""
    return _finding(_YES, tuple(evidence)[:_EVIDENCE_SHOWN], (), note)


def no(searched: Iterable[str], note: str = "", evidence: Iterable[Evidence] = ()) -> Finding:
    """The statement does not hold: these places were read, in vain or to the contrary."""
    return _finding(_NO, tuple(evidence)[:_EVIDENCE_SHOWN], tuple(searched), note)


def cannot_tell(unread: Iterable[Reading] = (), searched: Iterable[str] = (), note: str = "") -> Finding:
    """Places that had to be read could not be: no answer, and no verdict."""
    reasons = tuple(
        f"{reading.ref} ({reading.part}): {reading.status.value}, {reading.reason}" for reading in unread
    )
    return _finding(_CANNOT_TELL, (), tuple(searched) + reasons, note)


def inapplicable(note: str) -> Finding:
    """The question does not arise for this project."""
    return _finding(_NOT_APPLICABLE, (), (), note)


def _finding(
    outcome: Outcome, evidence: tuple[Evidence, ...], searched: tuple[str, ...], note: str
) -> Finding:
    """A finding that has no name yet."""
    # A hundred are made a project, and a frozen dataclass's own constructor takes three times as long.
    found = new(Finding)
    _set_outcome(found, outcome)
    _set_evidence(found, evidence)
    _set_searched(found, searched)
    _set_note(found, note)
    _set_check(found, "")
    return found


_set_check, _set_outcome, _set_evidence, _set_searched, _set_note = setters_of(
    Finding, ("check", "outcome", "evidence", "searched", "note")
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a rule's table.

    Holds when every check of `yes` answered yes, every one of `no` answered no, at least one of
    `any_yes` (if given) answered yes, and none of `unless` answered yes or cannot_tell. An answer of
    cannot_tell never fulfils anything: what could not be read is neither there nor absent.
    `shown_by` are those of its checks whose evidence a curator would link to; without them any of it.
    """

    rating: Rating
    because: str
    confidence: float
    yes: tuple[Check, ...] = ()
    no: tuple[Check, ...] = ()
    any_yes: tuple[Check, ...] = ()
    unless: tuple[Check, ...] = ()
    shown_by: tuple[Check, ...] = ()

    def weigh(self, outcome_of: Callable[[Check], Outcome]) -> Outcome:
        """Does the row hold: yes, no, or cannot tell, where it would if what is not known were known.

        Asks no more than that takes: what rules the row out ends it.
        """
        found = _YES
        for check, wanted in self._demands:
            outcome = outcome_of(check)
            if outcome is _CANNOT_TELL:
                found = outcome
            elif outcome not in wanted:
                return _NO
        if not self.any_yes:
            return found
        best = _NO
        for check in self.any_yes:
            outcome = outcome_of(check)
            if outcome is _YES:
                return found
            if outcome is _CANNOT_TELL:
                best = outcome
        return best

    @cached_property
    def _demands(self) -> tuple[tuple[Check, tuple[Outcome, ...]], ...]:
        """The checks of which each has to answer so, with the answers that fulfil the row."""
        return (
            *((check, (Outcome.YES,)) for check in self.yes),
            *((check, (Outcome.NO,)) for check in self.no),
            *((check, (Outcome.NO, Outcome.NOT_APPLICABLE)) for check in self.unless),
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks that the row looks at."""
        return self.yes + self.no + self.any_yes + self.unless

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of these checks."""
        return frozenset(map(name_of, self.checks))

    @cached_property
    def shown_names(self) -> frozenset[str]:
        """The names of those whose evidence a curator would link to."""
        return frozenset(map(name_of, self.shown_by))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """The rule of one dimension. `version` rises whenever what it says may change."""

    dimension: str
    version: int
    checks: tuple[Check, ...]
    table: tuple[Row, ...]

    def __post_init__(self) -> None:
        known = {name_of(check) for check in self.checks}
        if len(known) != len(self.checks):
            raise RuleError(f"rule {self.dimension}: a check is listed twice")
        for row in self.table:
            strange = {name_of(check) for check in row.checks} - known
            strange |= {name_of(check) for check in row.shown_by if check not in row.checks}
            if strange:
                raise RuleError(
                    f"rule {self.dimension}: row '{row.because}' uses unlisted checks {sorted(strange)}"
                )
            if not 0 < row.confidence <= 1:
                raise RuleError(f"rule {self.dimension}: confidence {row.confidence} is not in (0, 1]")

    @cached_property
    def relevant(self) -> Mapping[int, tuple[Check, ...]]:
        """The checks that a class rests on, in the order of the rule, by the identity of the row that gives it."""
        return {
            id(row): tuple([check for check in self.checks if name_of(check) in row.names])
            for row in self.table
        }


class Ruling(NamedTuple):
    """What a rule makes of a project. `row` is None where no row holds: cannot tell.

    `relevant` are the findings that the class rests on; all of them where there is no class.
    """

    rule: Rule
    row: Row | None
    relevant: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a rule says of a project. `row` is None where no row holds: cannot tell."""

    rule: Rule
    findings: tuple[Finding, ...]
    row: Row | None

    @cached_property
    def relevant(self) -> tuple[Finding, ...]:
        """The findings that the class rests on; all of them where there is no class."""
        if self.row is None:
            return self.findings
        names = self.row.names
        return tuple([finding for finding in self.findings if finding.check in names])


def name_of(check: Check) -> str:
    """The name of a check: that of its function."""
    return check.__name__


def rule_on(rule: Rule, evidence: EvidenceSet) -> Ruling:
    """Look up the table of a rule. Only the checks are run on which the class turns."""
    found: Ruling | None = evidence.kept.get(rule)
    if found is None:
        found = evidence.kept[rule] = _rule_on(rule, evidence)
    return found


def _rule_on(rule: Rule, evidence: EvidenceSet) -> Ruling:
    row = _decisive_row(rule.table, _Outcomes(evidence).__getitem__)
    checks = rule.checks if row is None else rule.relevant[id(row)]
    answered = evidence.kept.get
    return Ruling(rule, row, tuple([answered(check) or _answer(check, evidence) for check in checks]))


class _Outcomes(dict[Check, Outcome]):
    """What checks answer. Each is asked when its answer is first looked up; most are looked up by several rows."""

    __slots__ = ("_evidence",)

    def __init__(self, evidence: EvidenceSet) -> None:
        self._evidence = evidence

    def __missing__(self, check: Check) -> Outcome:
        found = self[check] = _answer(check, self._evidence).outcome
        return found


def apply(rule: Rule, evidence: EvidenceSet) -> Verdict:
    """Run every check of a rule once and look up its table."""
    findings = tuple([_answer(check, evidence) for check in rule.checks])
    return Verdict(rule=rule, findings=findings, row=rule_on(rule, evidence).row)


def _answer(check: Check, evidence: EvidenceSet) -> Finding:
    """The answer of a check under its name, worked out once for all rules that ask it."""
    found: Finding | None = evidence.kept.get(check)
    if found is None:
        found = evidence.kept[check] = check(evidence)
        # It was made a moment ago and is nobody else's; a copy would cost more than most checks.
        _set_check(found, check.__name__)
    return found


def _decisive_row(table: Sequence[Row], outcome_of: Callable[[Check], Outcome]) -> Row | None:
    possible: set[Rating] = set()
    for row in table:
        answer = row.weigh(outcome_of)
        if answer is _YES:
            return row if possible <= {row.rating} else None
        if answer is _CANNOT_TELL:
            possible.add(row.rating)
    return None


def clip(text: str, length: int = 120) -> str:
    """A passage on one line, cut at a word, for notes and rationales."""
    # All that parts words but the plain space is said not to be printable.
    is_line = text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " "
    line = text if is_line else " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rsplit(" ", 1)[0] + "…"
