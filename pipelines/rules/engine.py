"""What a rule is: yes/no checks first, then a table from findings to a class.

A check asks one question of the evidence of a project and answers with a Finding: yes with the
evidence, no with the places searched in vain, or cannot_tell. It never looks for anything
itself. The first row of the table whose conditions hold gives class, confidence and reason, unless a
row before it would hold and give another class if what could not be read were known: then nothing
can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

from pipelines.errors import RuleError
from pipelines.evidence import EvidenceSet, Reading
from pipelines.model import Evidence, Finding, Outcome, Rating

Check = Callable[[EvidenceSet], Finding]

_EVIDENCE_SHOWN = 12
"""Pieces of evidence kept for a finding; more do not make it truer, only longer to read."""


def yes(evidence: Iterable[Evidence], note: str = "") -> Finding:
    """The statement holds, by this evidence."""
    kept = tuple(evidence)[:_EVIDENCE_SHOWN]
    return Finding(check="", outcome=Outcome.YES, evidence=kept, note=note)


def no(searched: Iterable[str], note: str = "", evidence: Iterable[Evidence] = ()) -> Finding:
    """The statement does not hold: these places were read, in vain or to the contrary."""
    kept = tuple(evidence)[:_EVIDENCE_SHOWN]
    return Finding(check="", outcome=Outcome.NO, evidence=kept, searched=tuple(searched), note=note)


def cannot_tell(unread: Iterable[Reading] = (), searched: Iterable[str] = (), note: str = "") -> Finding:
    """Places that had to be read could not be: no answer, and no verdict."""
    reasons = tuple(
        f"{reading.ref} ({reading.part}): {reading.status.value}, {reading.reason}" for reading in unread
    )
    return Finding(check="", outcome=Outcome.CANNOT_TELL, searched=tuple(searched) + reasons, note=note)


def inapplicable(note: str) -> Finding:
    """The question does not arise for this project."""
    return Finding(check="", outcome=Outcome.NOT_APPLICABLE, note=note)


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

    def holds(self, outcomes: dict[str, Outcome]) -> bool:
        """Do the findings fulfil this row?"""
        return self._is_fulfilled(outcomes, unknown=False)

    def may_hold(self, outcomes: dict[str, Outcome]) -> bool:
        """Could the findings fulfil this row, were it known what cannot be told?"""
        return self._is_fulfilled(outcomes, unknown=True)

    def _is_fulfilled(self, outcomes: dict[str, Outcome], *, unknown: bool) -> bool:
        """`unknown` is what an answer of cannot_tell counts for."""

        def says(check: Check, *answers: Outcome) -> bool:
            outcome = outcomes[name_of(check)]
            return unknown if outcome is Outcome.CANNOT_TELL else outcome in answers

        return (
            all(says(check, Outcome.YES) for check in self.yes)
            and all(says(check, Outcome.NO) for check in self.no)
            and (not self.any_yes or any(says(check, Outcome.YES) for check in self.any_yes))
            and all(says(check, Outcome.NO, Outcome.NOT_APPLICABLE) for check in self.unless)
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


class Answers(NamedTuple):
    """The answers of a rule's checks, as sets of them: a bit for each check, by its place in the rule."""

    yes: int
    no: int
    inapplicable: int
    unknown: int

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Answers:
        """The answers that these findings give, one for each check of a rule."""
        given = dict.fromkeys(Outcome, 0)
        bit = 1
        for finding in findings:
            given[finding.outcome] |= bit
            bit <<= 1
        return cls(
            given[Outcome.YES],
            given[Outcome.NO],
            given[Outcome.NOT_APPLICABLE],
            given[Outcome.CANNOT_TELL],
        )


class Line(NamedTuple):
    """A row with its conditions as sets of checks, to be compared with answers at once: see `Row.holds`."""

    row: Row
    yes: int
    no: int
    any_yes: int
    unless: int

    def holds(self, answers: Answers, unknown: int) -> bool:
        """Do the answers fulfil the row, when `unknown` are the checks that may count for anything?"""
        yes = answers.yes | unknown
        return (
            not self.yes & ~yes
            and not self.no & ~(answers.no | unknown)
            and (not self.any_yes or bool(self.any_yes & yes))
            and not self.unless & ~(answers.no | answers.inapplicable | unknown)
        )


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
    def lines(self) -> tuple[Line, ...]:
        """The table, in the form in which answers are compared with it."""
        bits = {name_of(check): 1 << place for place, check in enumerate(self.checks)}

        def bits_of(checks: Iterable[Check]) -> int:
            return sum({bits[name_of(check)] for check in checks})

        return tuple(
            Line(row, bits_of(row.yes), bits_of(row.no), bits_of(row.any_yes), bits_of(row.unless))
            for row in self.table
        )


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


def apply(rule: Rule, evidence: EvidenceSet) -> Verdict:
    """Run every check of a rule once and look up its table."""
    return evidence.once(rule, lambda: _apply(rule, evidence))


def _apply(rule: Rule, evidence: EvidenceSet) -> Verdict:
    findings = tuple([_answer(check, evidence) for check in rule.checks])
    return Verdict(rule=rule, findings=findings, row=_decisive_row(rule.lines, Answers.of(findings)))


def _answer(check: Check, evidence: EvidenceSet) -> Finding:
    """The answer of a check under its name, worked out once for all rules that ask it."""
    found = evidence.kept.get(check)
    if found is None:
        found = evidence.kept[check] = check(evidence)
        # It was made a moment ago and is nobody else's; a copy would cost more than most checks.
        object.__setattr__(found, "check", name_of(check))
    return cast("Finding", found)


def _decisive_row(lines: Sequence[Line], answers: Answers) -> Row | None:
    possible: set[Rating] = set()
    for line in lines:
        if line.holds(answers, 0):
            return line.row if possible <= {line.row.rating} else None
        if answers.unknown and line.holds(answers, answers.unknown):
            possible.add(line.row.rating)
    return None


def clip(text: str, length: int = 120) -> str:
    """A passage on one line, cut at a word, for notes and rationales."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rsplit(" ", 1)[0] + "…"
