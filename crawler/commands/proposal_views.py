"""A proposal for people and for programs: what `openness proposals show` and `explain` print."""

from __future__ import annotations

import difflib

import click

from crawler.terminal import block, line, safe
from db.values import QuestionDetail, StoredProposal
from pipelines.model import Evidence, Finding, JsonValue, Outcome, Quote
from pipelines.rubric import Rubric


def show_question(rubric: Rubric, detail: QuestionDetail) -> None:
    """A question with all a curator needs: now and then, evidence, what was searched, decisions."""
    proposal = detail.stored.proposal
    dimension = rubric.dimension(proposal.dimension)
    rating = proposal.rating.value if proposal.rating else "cannot tell"
    click.echo(f"{detail.project} ({proposal.slug}) · {proposal.dimension}: {dimension.question}")
    current = detail.current
    was = (
        f"{current.rating.value}, decided by {line(current.curator, 40)} on {current.at:%Y-%m-%d}"
        if current
        else "not rated yet"
    )
    click.echo(f"  now       {was}")
    click.echo(
        f"  proposed  {rating}, confidence {proposal.confidence:.2f}, rule {proposal.rule} version {proposal.rule_version}"
    )
    if proposal.rating is not None:
        click.echo(f"  {proposal.rating.value} means {dimension.meanings[proposal.rating]}")
    click.echo(f"\n{block(proposal.rationale, '  ')}")
    if proposal.evidence:
        click.echo("\nEvidence")
    for number, item in enumerate(proposal.evidence, 1):
        _show_evidence(number, item)
    if proposal.searched:
        click.echo("\nSearched")
        for place in proposal.searched:
            click.echo(f"  {line(place, 110)}")
    if detail.then is not None:
        _show_change(detail.then, detail.stored)
    if detail.history:
        click.echo("\nDecisions")
    for decision in detail.history:
        state = "" if decision.in_force else " (taken back)"
        told = decision.reason or decision.note
        click.echo(
            f"  {decision.at:%Y-%m-%d %H:%M} {line(decision.curator, 30)}: {decision.kind.value}"
            f"{' ' + decision.rating.value if decision.rating else ''}{state}  {line(told, 80)}"
        )
    if detail.is_open:
        click.echo(
            f"\nopenness proposals accept {detail.stored.id} | override {detail.stored.id} --class … --reason … | reject … | defer …"
        )


def _show_evidence(number: int, item: Evidence) -> None:
    click.echo(
        f"  [{number}] {safe(str(item.ref))} {safe(item.part)}, read {item.fetched_at:%Y-%m-%d %H:%M} UTC, sha256 {item.sha256[:12]}"
    )
    click.echo(f"      {safe(item.url)}")
    if isinstance(item.where, Quote):
        click.echo(f"      characters {item.where.start} to {item.where.end}:")
    click.echo(block(item.passage, "      | "))


def _show_change(then: StoredProposal, now: StoredProposal) -> None:
    """What was evidence then and is not now, and the other way round."""
    before = [safe(f"{e.ref} {e.part}: {' '.join(e.passage.split())}") for e in then.proposal.evidence]
    after = [safe(f"{e.ref} {e.part}: {' '.join(e.passage.split())}") for e in now.proposal.evidence]
    if before == after:
        return
    click.echo(f"\nEvidence then ({then.created_at:%Y-%m-%d}) and now ({now.created_at:%Y-%m-%d})")
    for row in difflib.unified_diff(before, after, lineterm="", n=0):
        if not row.startswith(("---", "+++", "@@")):
            click.echo(f"  {row[0]} {line(row[1:], 140)}")


def show_finding(finding: Finding) -> None:
    """One check with its answer, its evidence and where was searched."""
    mark, answer = _MARKS[finding.outcome], finding.outcome.value.replace("_", " ")
    click.echo(f"\n{mark} {finding.check.replace('_', ' ')}: {answer}  {line(finding.note, 90)}")
    for number, item in enumerate(finding.evidence, 1):
        _show_evidence(number, item)
    for place in finding.searched:
        click.echo(f"  searched {line(place, 110)}")


_MARKS = {Outcome.YES: "✓", Outcome.NO: "✗", Outcome.CANNOT_TELL: "?", Outcome.NOT_APPLICABLE: "–"}


def _evidence_json(item: Evidence) -> dict[str, JsonValue]:
    place: dict[str, JsonValue] = (
        {"start": item.where.start, "end": item.where.end}
        if isinstance(item.where, Quote)
        else {"path": item.where.path, "value": item.where.value}
    )
    return {
        "kind": item.kind,
        "artifact": str(item.ref),
        "part": item.part,
        "url": item.url,
        "fetched_at": item.fetched_at.isoformat(),
        "sha256": item.sha256,
        "quote": item.passage,
        **place,
    }


def _finding_json(finding: Finding) -> dict[str, JsonValue]:
    return {
        "check": finding.check,
        "outcome": finding.outcome.value,
        "note": finding.note,
        "evidence": [_evidence_json(item) for item in finding.evidence],
        "searched": list(finding.searched),
    }


def proposal_json(stored: StoredProposal) -> dict[str, JsonValue]:
    """A proposal as a JSON object."""
    proposal = stored.proposal
    return {
        "id": stored.id,
        "slug": proposal.slug,
        "dimension": proposal.dimension,
        "class": proposal.rating.value if proposal.rating else None,
        "confidence": proposal.confidence,
        "rationale": proposal.rationale,
        "rule": proposal.rule,
        "rule_version": proposal.rule_version,
        "link": proposal.link,
        "created_at": stored.created_at.isoformat(),
        "evidence": [_evidence_json(item) for item in proposal.evidence],
        "searched": list(proposal.searched),
        "findings": [_finding_json(finding) for finding in proposal.findings],
    }


def detail_json(detail: QuestionDetail) -> dict[str, JsonValue]:
    """A question as a JSON object."""
    return proposal_json(detail.stored) | {
        "is_question": detail.is_open,
        "current": detail.current.rating.value if detail.current else None,
        "then": proposal_json(detail.then) if detail.then else None,
        "decisions": [
            {
                "id": d.id,
                "kind": d.kind.value,
                "class": d.rating.value if d.rating else None,
                "curator": d.curator,
                "at": d.at.isoformat(),
                "reason": d.reason,
                "note": d.note,
                "in_force": d.in_force,
            }
            for d in detail.history
        ],
    }
