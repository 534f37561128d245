"""What the tests of rules and extractors share: reading a document, and the cases of the rules.

The cases (`tests/cases/<dimension>.yaml`) are read into evidence sets.

A file holds `defaults` (facts of the project) and cases by name. A case:

    the_name_says_what_it_proves:
      # Why.
      name, org, llmbase, rlbase: facts of the project, where they differ from the defaults
      seeds, linked, lineage:     {kind:identifier: role}, by how the artifact came to the project
      evidence:                   - {kind of evidence: kind:identifier, part, quote or field, entries of its value}
      readings:                   {kind:identifier part: status}; `stale` after the status where an earlier
                                  reading stands; {all: status} for everything. What is not said was read.
      misreading:                 words of the rule's docstring that the case keeps true
      rating:                     open, partial, closed, or null for "cannot tell"
      findings:                   {check: outcome} for the checks that matter

Everything is a string in a YAML file (BaseLoader), so that "no" stays "no".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.evidence import EVIDENCE_KINDS, EvidenceSet, Reading
from pipelines.extract.by_part import extract
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    FieldValue,
    Origin,
    Outcome,
    Project,
    Quote,
    Rating,
    Role,
    Snapshot,
    VisitStatus,
    canonical_json,
    digest_of,
)
from pipelines.text import decoded_text

CASES = Path(__file__).resolve().parent.parent / "cases"
NIGHT = datetime(2024, 5, 1, 3, 0, tzinfo=UTC)

FACTS = ("name", "org", "llmbase", "rlbase", "seeds", "linked", "lineage")
CASE_KEYS = frozenset({*FACTS, "evidence", "readings", "misreading", "rating", "because", "findings"})

NUMBERS = frozenset({"count", "size", "words", "items", "versions", "score"})
TRUTHS = frozenset({"template", "code", "own", "bibtex", "yanked", "enabled", "script"})
FROM_FIELDS = ("hub.", "licence.tag", "package.", "paper.entry", "paper.review", "lineage.", "repository.")

USUAL: dict[str, dict[str, Any]] = {
    "tree.files": {"count": 1, "size": 0},
    "section": {"words": 0, "items": 0, "template": False, "code": False, "instructs": False},
    "link": {"text": "", "topic": "", "own": False, "bibtex": False},
    "statement": {"about": None},
    "hub.weights": {"count": 2, "formats": ["safetensors"], "form": "full"},
    "hub.data_files": {"count": 2, "formats": ["jsonl"], "script": False},
    "hub.base_model": {"relation": None},
    "licence.tag": {"list": []},
    "licence.text": {"score": 0.97, "scope": None},
    "licence.mention": {"scope": None},
    "package.release": {"versions": 3, "latest": "0.3.0", "yanked": False},
    "paper.entry": {"authors": [], "summary": ""},
    "paper.review": {"where": "comment"},
    "lineage.fact": {"licence": None, "source": "https://thicket.example/", "base": "Bramble"},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case of a rule: what is known of an invented project, and what the rule has to say."""

    dimension: str
    name: str
    evidence: EvidenceSet
    rating: Rating | None
    findings: dict[str, Outcome]
    because: str | None = None
    misreadings: tuple[str, ...] = ()
    statuses: frozenset[VisitStatus] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.dimension}-{self.name}"


def documented_keys(kind: str) -> frozenset[str]:
    """The keys that `EVIDENCE_KINDS` documents for the value of a kind."""
    told = EVIDENCE_KINDS[kind]
    if told.startswith("no keys"):
        return frozenset()
    return frozenset(entry.partition(":")[0].strip() for entry in told.split(";"))


def ref_of(text: str) -> ArtifactRef:
    """An artifact as cases write it: `hf_model:meadowlab/sorrel-7b`."""
    kind, _, identifier = text.partition(":")
    return ArtifactRef(kind=ArtifactKind(kind), id=identifier)


@cache
def load_cases() -> list[Case]:
    """All cases of all files, in order."""
    return [case for path in sorted(CASES.glob("*.yaml")) for case in _read(path)]


def _read(path: Path) -> list[Case]:
    # BaseLoader makes strings of everything: YAML's yes, no, on and null would be something else.
    entries: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    defaults = entries.pop("defaults", None) or {}
    return [_case(path.stem, name, defaults, entry) for name, entry in entries.items()]


def _case(dimension: str, name: str, defaults: dict[str, Any], entry: dict[str, Any]) -> Case:
    strange = set(entry) - CASE_KEYS | set(defaults) - set(FACTS)
    if strange or "rating" not in entry:
        raise ValueError(f"{dimension}/{name}: unknown keys {sorted(strange)}, or no rating")
    facts = {key: entry.get(key, defaults.get(key)) for key in FACTS}
    project = Project(
        slug="sorrel",
        name=facts["name"] or "Sorrel",
        org=facts["org"] or "",
        llmbase=tuple(facts["llmbase"] or ()),
        rlbase=tuple(facts["rlbase"] or ()),
        artifacts=tuple(
            Artifact(ref=ref_of(ref), role=Role(role), origin=origin)
            for key, origin in (
                ("seeds", Origin.SEED),
                ("linked", Origin.LINK),
                ("lineage", Origin.LINEAGE),
            )
            for ref, role in (facts[key] or {}).items()
        ),
    )
    evidence = tuple(_evidence(item) for item in entry.get("evidence") or ())
    readings = _readings(project, evidence, entry.get("readings") or {})
    told = entry.get("misreading") or []
    return Case(
        dimension=dimension,
        name=name,
        evidence=EvidenceSet(project=project, evidence=evidence, readings=readings),
        rating=None if entry["rating"] == "null" else Rating(entry["rating"]),
        findings={check: Outcome(value) for check, value in (entry.get("findings") or {}).items()},
        because=entry.get("because"),
        misreadings=(told,) if isinstance(told, str) else tuple(told),
        statuses=frozenset(reading.status for reading in readings),
    )


def _evidence(entry: dict[str, Any]) -> Evidence:
    values = dict(entry)
    kind, artifact = next(iter(values.items()))
    del values[kind]
    ref = ref_of(artifact)
    part = values.pop("part", None) or _part(kind, ref)
    quote, at = values.pop("quote", None), values.pop("field", None)
    value = {**USUAL.get(kind, {}), **{key: _typed(key, found) for key, found in values.items()}}
    _fill(kind, ref, value)
    if set(value) != documented_keys(kind):
        raise ValueError(f"{kind}: has {sorted(value)}, documented are {sorted(documented_keys(kind))}")
    where: Quote | FieldValue
    if quote is None and (at is not None or kind.startswith(FROM_FIELDS)):
        where = FieldValue(path=f"$.{kind}", value=at if at is not None else value)
    else:
        text = quote or " ".join(str(found) for found in value.values())
        where = Quote(start=100, end=100 + len(text), text=text)
    return Evidence(
        kind=kind,
        ref=ref,
        part=part,
        url=f"https://{ref.kind.value}.example/{ref.id}",
        fetched_at=NIGHT,
        sha256=digest_of([str(ref), part]),
        where=where,
        value=value,
    )


def _fill(kind: str, ref: ArtifactRef, value: dict[str, Any]) -> None:
    """What follows from the rest."""
    match kind:
        case "tree.files":
            value.setdefault("paths", [f"{value['role']}.py"])
        case "section":
            value.setdefault("title", value["topic"].capitalize())
        case "licence.tag":
            value.setdefault("raw", value["licence"])
        case "package.release":
            value.setdefault("name", ref.id)
        case "paper.entry":
            value.setdefault("id", ref.id)
        case "paper.title":
            value.setdefault("url", ref.id)


def _typed(key: str, found: Any) -> Any:
    if found == "null":
        return None
    if key in NUMBERS:
        return float(found) if key == "score" else int(found)
    if key in TRUTHS:
        return {"true": True, "false": False}[found]
    return found


def _part(kind: str, ref: ArtifactRef) -> str:
    is_main = kind.startswith(FROM_FIELDS) or ref.kind in (ArtifactKind.WEB, ArtifactKind.ARXIV)
    match ref.kind:
        case ArtifactKind.GITHUB if kind.startswith("tree."):
            return "tree"
        case ArtifactKind.GITHUB if kind == "licence.text":
            return "file:LICENSE"
        case ArtifactKind.GITHUB if not is_main:
            return "file:README.md"
        case ArtifactKind.HF_MODEL | ArtifactKind.HF_DATASET if not is_main:
            return "card"
        case _:
            return MAIN_PART[ref.kind]


def _readings(project: Project, evidence: Iterable[Evidence], told: dict[str, str]) -> tuple[Reading, ...]:
    """How each main part and each part with evidence was read: well, where a case says nothing else."""
    everything = told.get("all", "ok")
    states = {(artifact.ref, MAIN_PART[artifact.ref.kind]): everything for artifact in project.artifacts}
    states |= {(item.ref, item.part): everything for item in evidence}
    for place, state in told.items():
        if place != "all":
            name, _, part = place.partition(" ")
            states[ref_of(name), part or MAIN_PART[ref_of(name).kind]] = state
    return tuple(
        Reading(
            ref=ref,
            part=part,
            url=f"https://{ref.kind.value}.example/{ref.id}",
            status=VisitStatus(state.split()[0]),
            at=NIGHT,
            reason="" if state == "ok" else f"answered {state}",
            stale=state.endswith(" stale"),
        )
        for (ref, part), state in states.items()
        if state != "never"
    )


Extracted = Callable[..., list[Evidence]]


def extracted(
    kind: str, part: str, body: Any, *, identifier: str = "meadowlab/sorrel", url: str = ""
) -> list[Evidence]:
    """The evidence of one document: a text, or something that is written as JSON."""
    ref = ArtifactRef(kind=ArtifactKind(kind), id=identifier)
    snapshot = Snapshot(
        ref=ref,
        part=part,
        url=url or f"https://{kind}.example/{identifier}",
        fetched_at=NIGHT,
        sha256="0" * 64,
        media_type="text/html" if part == "page" else "text/plain",
        body=body.encode() if isinstance(body, str) else canonical_json(body),
    )
    found = extract(snapshot)
    for item in found:
        assert set(item.value) == documented_keys(item.kind)
        if isinstance(item.where, Quote):
            assert decoded_text(snapshot)[item.where.start : item.where.end] == item.where.text
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `case` runs over all cases."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", load_cases(), ids=str)


@pytest.fixture(scope="session", name="extracted")
def _extracted() -> Extracted:
    """Extracts the evidence of one document."""
    return extracted


@pytest.fixture(scope="session", name="documented_keys")
def _documented_keys() -> Callable[[str], frozenset[str]]:
    """The keys that are documented for a kind of evidence."""
    return documented_keys


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """All cases of all rules."""
    return load_cases()
