"""The rules against their cases, and what holds for every rule."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import random
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import RuleError
from pipelines.evidence import EVIDENCE_KINDS, EvidenceSet
from pipelines.extract.topics import Topic
from pipelines.extract.tree import TreeRole
from pipelines.model import (
    MAIN_PART,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    Finding,
    Outcome,
    Project,
    Proposal,
    Quote,
    Rating,
    VisitStatus,
    digest_of,
)
from pipelines.propose import RATIONALE_LENGTH, gists, propose
from pipelines.rubric import load_rubric
from pipelines.rules import all_rules, api, papers, views
from pipelines.rules.engine import (
    Row,
    Rule,
    Verdict,
    apply,
    cannot_tell,
    clip,
    inapplicable,
    name_of,
    rule_on,
    yes,
)
from pipelines.rules.views import GENERIC_NAME_PARTS

RULES = all_rules()
RUBRIC = load_rubric()
SECTIONS = ("What it asks:", "Why it matters:", "What counts:", "Known misreadings:")
UNTOLD = (VisitStatus.DENIED, VisitStatus.FAILED)

Place = tuple[ArtifactRef, str]


def rating_of(verdict: Verdict) -> Rating | None:
    return verdict.row.rating if verdict.row else None


def propose_for(case, evidence: EvidenceSet) -> Proposal:
    """What is proposed for the case's own dimension."""
    rubric = replace(RUBRIC, dimensions=(RUBRIC.dimension(case.dimension),))
    return propose(evidence, rubric)[0]


def manual_of(dimension: str) -> str:
    return inspect.getdoc(importlib.import_module(f"pipelines.rules.{dimension}")) or ""


def misreadings_of(dimension: str) -> set[str]:
    """The clauses of the section on known misreadings."""
    told = " ".join(manual_of(dimension).partition("Known misreadings:")[2].split())
    return {clause.strip() for clause in re.split(r"[;.](?:\s|$)", told) if clause.strip()}


def unread_at(evidence: EvidenceSet, places: frozenset[Place], status: VisitStatus) -> EvidenceSet:
    """The same night, had these places not been read: nothing of them, and nothing of an artifact without its main part."""
    whole = {ref for ref, part in places if part == MAIN_PART[ref.kind]}
    return EvidenceSet(
        project=evidence.project,
        evidence=tuple(
            item
            for item in evidence.evidence
            if item.ref not in whole and (item.ref, item.part) not in places
        ),
        readings=tuple(
            replace(reading, status=status, reason="no answer", stale=False)
            if (reading.ref, reading.part) in places
            else reading
            for reading in evidence.readings
            if reading.ref not in whole or reading.part == MAIN_PART[reading.ref.kind]
        ),
    )


# --- the cases ------------------------------------------------------------------------------------


def test_the_rule_says_what_the_case_asks(case) -> None:
    verdict = apply(RULES[case.dimension], case.evidence)
    outcomes = {finding.check: finding.outcome for finding in verdict.findings}
    told = f"row: {verdict.row.because if verdict.row else None}; {outcomes}"
    assert rating_of(verdict) == case.rating, told
    assert (verdict.row.because if verdict.row else None) == case.because, told
    assert {check: outcomes.get(check) for check in case.findings} == case.findings


def test_rules_cases_and_dimensions_are_the_same_set(cases) -> None:
    assert set(RULES) == set(RUBRIC.dimension_ids)
    assert {case.dimension for case in cases} == set(RULES)


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_row_and_every_class_is_reached_by_a_case(dimension: str, cases) -> None:
    rule = RULES[dimension]
    verdicts = [apply(rule, case.evidence) for case in cases if case.dimension == dimension]
    reached = [verdict.row for verdict in verdicts]
    assert [row.because for row in rule.table if row not in reached] == []
    assert {row.rating for row in rule.table} == {row.rating for row in reached if row}


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_check_answers_yes_in_a_case_and_something_else_in_another(dimension: str, cases) -> None:
    answers: dict[str, set[Outcome]] = {}
    for case in cases:
        if case.dimension == dimension:
            for finding in apply(RULES[dimension], case.evidence).findings:
                answers.setdefault(finding.check, set()).add(finding.outcome)
    assert [check for check, given_ in answers.items() if Outcome.YES not in given_ or len(given_) < 2] == []


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_rule_has_cases_for_silence_failure_and_denial(dimension: str, cases) -> None:
    mine = [case for case in cases if case.dimension == dimension]
    silent = next(case for case in mine if case.name == "nothing_could_be_read")
    assert silent.rating is None
    assert not silent.evidence.evidence
    for status in UNTOLD:
        struck = [case for case in mine if status in case.statuses and case is not silent]
        assert struck, f"no case with something {status.value}"
        # What closes a hosted product is known of its base, whether its page can be read or not.
        closed = [case.name for case in struck if case.rating is Rating.CLOSED]
        assert [name for name in closed if not name.startswith("a_hosted_product")] == []


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_known_misreading_has_a_case(dimension: str, cases) -> None:
    told = misreadings_of(dimension)
    shown = {words for case in cases if case.dimension == dimension for words in case.misreadings}
    assert told - shown == set()
    assert shown - told == set(), "not in the docstring"


def test_the_cases_use_words_that_extractors_yield(cases) -> None:
    topics, roles = {topic.value for topic in Topic}, {role.value for role in TreeRole}
    for case in cases:
        for item in case.evidence.evidence:
            if item.kind == "section":
                assert item.value["topic"] in topics, str(case)
            if item.kind == "tree.files":
                assert item.value["role"] in roles, str(case)


# --- the form of rules ----------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_the_docstring_of_a_rule_has_its_sections(dimension: str) -> None:
    manual = manual_of(dimension)
    places = [manual.find(f"\n\n{section}") for section in SECTIONS]
    assert -1 not in places
    assert places == sorted(places)
    assert manual.splitlines()[0].endswith(".")


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_check_asks_one_question_in_one_line(dimension: str) -> None:
    for check in RULES[dimension].checks:
        question = inspect.getdoc(check) or ""
        assert "\n" not in question, check.__name__
        assert question.endswith("?"), check.__name__


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_every_check_is_asked_for_by_the_table(dimension: str) -> None:
    rule = RULES[dimension]
    used = {check.__name__ for row in rule.table for check in row.checks}
    shown_only = {check.__name__ for check in rule.checks} - used
    # What a table does not look at is there for the curator: it tells what kind of project this is.
    assert shown_only <= {"ships_a_tuned_model"}


def test_a_rule_refuses_what_contradicts_itself() -> None:
    def has_one(evidence: EvidenceSet) -> Finding:
        """Is there one?"""
        return yes(())

    row = Row(rating=Rating.OPEN, yes=(has_one,), confidence=0.5, because="There is one")
    with pytest.raises(RuleError, match="unlisted checks"):
        Rule(dimension="x", version=1, checks=(), table=(row,))
    with pytest.raises(RuleError, match="listed twice"):
        Rule(dimension="x", version=1, checks=(has_one, has_one), table=(row,))
    with pytest.raises(RuleError, match="confidence"):
        Rule(dimension="x", version=1, checks=(has_one,), table=(replace(row, confidence=0.0),))


@pytest.mark.parametrize("answer", [cannot_tell(), inapplicable("")])
def test_what_is_not_answered_fulfils_neither_yes_nor_no(answer: Finding) -> None:
    def is_asked(evidence: EvidenceSet) -> Finding:
        """Is it asked?"""
        return answer

    for condition in ("yes", "no", "any_yes"):
        row = Row(rating=Rating.CLOSED, confidence=0.5, because="", **{condition: (is_asked,)})
        assert row.weigh(lambda check: answer.outcome) is not Outcome.YES
    row = Row(rating=Rating.OPEN, confidence=0.5, because="", yes=(is_asked,))
    assert row.weigh(lambda check: Outcome.NO) is Outcome.NO


def test_no_rule_or_extractor_names_a_project(root: Path) -> None:
    names = names_in_seeds(root)
    assert len(names) > 40
    found: list[str] = []
    for folder in ("pipelines", "pipelines/rules", "pipelines/extract"):
        for path in sorted((root / folder).glob("*.py")):
            # Names of licences are names of models here and there.
            if not path.name.startswith("licence"):
                told = (
                    " ".join(strings_of(path)).lower().replace("llama-factory", "")
                )  # A tool for tuning anything.
                words = set(re.findall(r"[a-z0-9]+", told))
                found += [f"{path.name}: {word}" for word in sorted(words & names)]
    assert found == []


def names_in_seeds(root: Path) -> frozenset[str]:
    """What tells projects and makers apart, less words that say what a thing is."""
    generic = GENERIC_NAME_PARTS | {"text", "chinese", "generation", "command", "meta", "workshop", "chatgpt"}
    seeds = yaml.safe_load((root / "seeds.yaml").read_text(encoding="utf-8"))
    names = {
        name
        for seed in seeds
        for name in (seed["slug"], seed["name"], *(artifact["id"] for artifact in seed["artifacts"]))
        if "://" not in name
    }
    parts = {part for name in names for part in re.split(r"[^a-z0-9]+", name.lower().split("/")[0])}
    return frozenset(part for part in parts if len(part) > 3 and part not in generic)


def strings_of(path: Path) -> Iterator[str]:
    """The identifiers and texts that code works with: no comments, no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


# --- properties -----------------------------------------------------------------------------------


def test_what_is_unread_changes_no_rating(case) -> None:
    """Each place alone, for the case's own dimension each two: a rating stands or cannot be told any more.

    What could not be read is not absent. Above all it closes nothing.
    """
    evidence = case.evidence
    places = [(reading.ref, reading.part) for reading in evidence.readings]
    for dimension, rule in RULES.items():
        before = rating_of(apply(rule, evidence))
        counts = {1, 2} if dimension == case.dimension else {1}
        for chosen in (frozenset(some) for count in counts for some in combinations(places, count)):
            after = rating_of(apply(rule, unread_at(evidence, chosen, VisitStatus.FAILED)))
            told = f"{dimension}: {before} became {after} without {sorted(map(str, chosen))}"
            assert after in (before, None), told


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("open_claim", "It is fully open source."),
        ("commercial_claim", "Free for commercial use."),
        ("released", "Data, weights and code are released."),
        ("reproduce", "Everything can be reproduced."),
    ],
)
@pytest.mark.parametrize("about", ["data", "weights", "code", None])
def test_a_claim_of_openness_changes_no_rating(says: str, words: str, about: str | None, cases) -> None:
    for case in cases:
        refs = [artifact.ref for artifact in case.evidence.project.artifacts]
        claims = tuple(
            Evidence(
                kind="statement",
                ref=reading.ref,
                part=reading.part,
                url=reading.url,
                fetched_at=reading.at,
                sha256="0" * 64,
                where=Quote(start=0, end=len(words), text=words),
                value={"says": says, "about": about},
            )
            for reading in case.evidence.readings
            if reading.is_readable and reading.ref in refs
        )
        claiming = replace(case.evidence, evidence=case.evidence.evidence + claims)
        assert rating_of(apply(RULES[case.dimension], claiming)) == case.rating, str(case)


@pytest.mark.parametrize("status", UNTOLD)
def test_a_denied_place_says_as_little_as_a_failed_one(status: VisitStatus, cases) -> None:
    for case in cases:
        places = frozenset((reading.ref, reading.part) for reading in case.evidence.readings)
        verdict = apply(RULES[case.dimension], unread_at(case.evidence, places, status))
        assert rating_of(verdict) is None, str(case)


def test_a_failure_tonight_leaves_last_nights_rating(cases) -> None:
    for case in cases:
        failed = tuple(
            replace(reading, status=VisitStatus.FAILED, reason="no answer", stale=True)
            if reading.is_readable
            else reading
            for reading in case.evidence.readings
        )
        stale = EvidenceSet(project=case.evidence.project, evidence=case.evidence.evidence, readings=failed)
        before, after = propose_for(case, case.evidence), propose_for(case, stale)
        assert after.rating == before.rating, str(case)
        assert after.identity == before.identity, str(case)
        assert after.confidence <= before.confidence, str(case)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_shuffled_evidence_gives_the_same_proposals(data: st.DataObject, cases) -> None:
    evidence = data.draw(st.sampled_from(cases)).evidence
    shuffled = EvidenceSet(
        project=evidence.project,
        evidence=tuple(data.draw(st.permutations(evidence.evidence))),
        readings=evidence.readings,
    )
    assert propose(shuffled, RUBRIC) == propose(evidence, RUBRIC)


def test_proposals_do_not_depend_on_offsets_times_or_digests(cases) -> None:
    for case in cases:
        moved = tuple(
            replace(
                item,
                where=replace(item.where, start=item.where.start + 7, end=item.where.end + 7)
                if isinstance(item.where, Quote)
                else item.where,
                fetched_at=item.fetched_at.replace(year=2031),
                sha256="0" * 64,
            )
            for item in case.evidence.evidence
        )
        assert [item.key for item in moved] == [item.key for item in case.evidence.evidence]
        again = EvidenceSet(project=case.evidence.project, evidence=moved, readings=case.evidence.readings)
        assert propose_for(case, again).identity == propose_for(case, case.evidence).identity


def test_a_proposal_carries_what_it_rests_on(cases) -> None:
    for case in cases:
        proposal = propose_for(case, case.evidence)
        assert 0 < len(proposal.rationale) <= RATIONALE_LENGTH + 1
        assert (proposal.rating is None) == (proposal.confidence == 0.0), str(case)
        assert (proposal.rating is None) == proposal.rationale.startswith("Cannot tell")
        assert proposal.evidence or proposal.searched, str(case)
        assert all(item in case.evidence.evidence for item in proposal.evidence), str(case)
        assert [finding.check for finding in proposal.findings] == [
            check.__name__ for check in RULES[case.dimension].checks
        ]


def test_what_is_restricted_is_linked_to_and_not_the_open_part(cases) -> None:
    case = next(case for case in cases if case.name == "open_code_over_non_commercial_data_is_partial")
    proposal = propose_for(case, case.evidence)
    told = [item for item in proposal.evidence if item.url == proposal.link]
    assert {str(item.ref) for item in told} == {"hf_dataset:meadowlab/sorrel-instructions"}


def test_only_known_kinds_are_read(cases) -> None:
    assert {item.kind for case in cases for item in case.evidence.evidence} <= set(EVIDENCE_KINDS)


def fulfils(row: Row, outcomes: dict[str, Outcome], *, unknown: bool) -> bool:
    """What a row says of itself, word by word; an answer of cannot_tell counts for `unknown`."""

    def says(check, *wanted: Outcome) -> bool:
        outcome = outcomes[name_of(check)]
        return unknown if outcome is Outcome.CANNOT_TELL else outcome in wanted

    return (
        all(says(check, Outcome.YES) for check in row.yes)
        and all(says(check, Outcome.NO) for check in row.no)
        and (not row.any_yes or any(says(check, Outcome.YES) for check in row.any_yes))
        and all(says(check, Outcome.NO, Outcome.NOT_APPLICABLE) for check in row.unless)
    )


@pytest.mark.parametrize("dimension", sorted(RULES))
def test_a_row_that_stops_asking_early_is_weighed_as_if_all_were_asked(dimension: str) -> None:
    rule = RULES[dimension]
    chance = random.Random(dimension)
    for _ in range(300):
        outcomes = {name_of(check): chance.choice(list(Outcome)) for check in rule.checks}
        for row in rule.table:
            found = row.weigh(lambda check: outcomes[name_of(check)])  # noqa: B023
            assert (found is Outcome.YES) == fulfils(row, outcomes, unknown=False)
            assert (found is not Outcome.NO) == fulfils(row, outcomes, unknown=True)


def test_a_ruling_is_the_verdict_less_what_it_does_not_turn_on(cases) -> None:
    for case in cases:
        rule = RULES[case.dimension]
        ruling = rule_on(rule, replace(case.evidence))
        verdict = apply(rule, replace(case.evidence))
        assert ruling.row is verdict.row
        assert ruling.relevant == verdict.relevant


def test_gists_tell_what_proposals_tell(cases) -> None:
    several = list(cases)
    told = gists([replace(case.evidence) for case in several], RUBRIC)
    proposed = [proposal for case in several for proposal in propose(case.evidence, RUBRIC)]
    for gist, proposal in zip(told, proposed, strict=True):
        assert all(getattr(proposal, name) == value for name, value in gist._asdict().items())


@pytest.mark.parametrize("before", [0, 40, 100, 119, 200, 600])
def test_a_statement_is_cut_so_that_the_words_that_state_it_are_left(before: int) -> None:
    text = f"{'It was tuned in many ways ' * (before // 26)}on conversations that we cannot share for reasons of privacy."
    item = Evidence(
        kind="statement",
        ref=ArtifactRef(kind=ArtifactKind.GITHUB, id="meadowlab/sorrel"),
        part="file:README.md",
        url="https://github.com/meadowlab/sorrel",
        fetched_at=datetime(2026, 1, 1, tzinfo=UTC),
        sha256="0" * 64,
        where=Quote(start=0, end=len(text), text=text),
        value={"says": "withheld", "about": "data"},
    )
    for length in (80, 120):
        told = views.told_by(item, length)
        assert "cannot share" in told
        assert len(told) <= length + 1
        assert told.strip("…") in text
    assert views.told_by(replace(item, kind="section", value={}), 80) == clip(text, 80)


def test_a_digest_of_evidence_is_that_of_canonical_json(cases) -> None:
    for case in cases:
        ruling = rule_on(RULES[case.dimension], case.evidence)
        told = sorted(ruling.relevant, key=lambda finding: finding.check)
        assert propose_for(case, case.evidence).evidence_digest == digest_of(
            [[one.check, one.outcome.value, sorted({item.key for item in one.evidence})] for one in told]
        )


def test_evidence_asked_for_by_value_is_what_a_look_at_every_piece_finds(cases) -> None:
    for evidence in {case.name: case.evidence for case in cases}.values():
        for kind in sorted({item.kind for item in evidence.evidence}):
            pieces = [item for item in evidence.evidence if item.kind == kind]
            assert evidence.of(kind) == tuple(pieces)
            assert evidence.values(kind) == [item.value for item in pieces]
            assert evidence.of(kind, at_most=2) == tuple(pieces[:2])
            for key in sorted({key for item in pieces for key in item.value}):
                words = {item.value.get(key) for item in pieces if isinstance(item.value.get(key), str)}
                for word in sorted(words):
                    wanted = [item for item in pieces if item.value.get(key) == word]
                    assert evidence.of(kind, **{key: word}) == tuple(wanted)
                    assert evidence.of(kind, having=lambda value: value.get(key) == word) == tuple(wanted)  # noqa: B023
                    assert evidence.of(kind, at_most=1, **{key: word}) == tuple(wanted[:1])


def test_artifacts_give_the_same_answers_in_whatever_they_are_handed_over(cases) -> None:
    for evidence in {case.name: case.evidence for case in cases}.values():
        refs = [*dict.fromkeys(item.ref for item in evidence.evidence)]
        for some in (refs[:1], refs[-1:], refs[:3], refs[::-1], [*refs, *refs[:1]], []):
            for kind in sorted({item.kind for item in evidence.evidence}):
                wanted = tuple([item for item in evidence.evidence if item.ref in some and item.kind == kind])
                # Twice, and by a copy of each: what was asked before must not decide.
                for asked in (
                    some,
                    tuple(some),
                    tuple(some),
                    iter(some),
                    dict.fromkeys(some),
                    frozenset(some),
                ):
                    assert evidence.of(kind, asked) == wanted
                assert evidence.values(kind, tuple(some)) == [item.value for item in wanted]
            assert evidence.unread(some, "card") == evidence.unread(tuple(some), "card")
            assert evidence.places(iter(some), "a thing") == evidence.places(tuple(some), "a thing")
            assert len(evidence.places(some)) == len(some)


def test_a_set_of_evidence_holds_no_circle_that_only_a_look_for_garbage_would_free(cases) -> None:
    evidence = replace(cases[0].evidence)
    for rule in RULES.values():
        rule_on(rule, evidence)
    refs = tuple(dict.fromkeys(item.ref for item in evidence.evidence))
    evidence.of("section", refs)
    gone = weakref.ref(evidence)
    gc.disable()
    try:
        del evidence
        assert gone() is None
    finally:
        gc.enable()


def test_a_passage_is_clipped_to_one_line_whatever_parts_its_words() -> None:
    chance = random.Random(3)
    pieces = [
        "a",
        "word",
        " ",
        "  ",
        "\t",
        "\n",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2003",
        "\u2028",
        "\u200b",
        "\u3000",
        "é",
        "\ufdd0",
    ]
    for _ in range(5000):
        text = "".join(chance.choices(pieces, k=chance.randrange(8)))
        assert clip(text) == " ".join(text.split())
    assert clip("several words in a row", 12) == "several…"


DEMO_TEXTS = (
    "https://huggingface.co/spaces/meadowlab/sorrel",
    "HTTPS://HuggingFace.CO/Spaces/meadowlab/sorrel",
    "https://huggingface.co/spaces/meadowlab/leaderboard",
    "hugg\u0130ngface.co/\u017fpaces/x",
    "an online DEMO of it",
    "democracy",
    "PlayGround",
    "https://chat.meadowlab.example/",
    "//CHAT.",
    "chat with us",
    "https://meadowlab.example/",
)


def test_a_demo_is_seen_in_a_link_wherever_the_pattern_matches() -> None:
    chance = random.Random(7)
    letters = "".join(DEMO_TEXTS)
    texts = [*DEMO_TEXTS, *("".join(chance.choices(letters, k=40)) for _ in range(2000))]
    for text in texts:
        for told in (text, text.upper(), text.title()):
            assert api._leads_to_demo({"id": "", "text": told}) == bool(api.SPACE.search(f" {told}"))


def test_a_name_is_found_in_a_text_as_among_all_its_words() -> None:
    evidence = EvidenceSet(project=Project(slug="sorrel", name="Sorrel"), evidence=())
    tokens = frozenset({"sorrel", "fescue", "meadowgrass"})
    for text in (
        "Sorrel-2: a model",
        "SORREL2",
        "sorrels",
        "Meadow-grass",
        "on fescue.",
        "",
        "none",
        "so rrel",
    ):
        words = {word.strip(".") for word in papers._WORDS.findall(text.lower())}
        words |= {word.rstrip("0123456789.") for word in words}
        plain = papers._plain(text)
        expected = bool(words & tokens) or any(len(token) >= 8 and token in plain for token in tokens)
        assert papers._names(evidence, text, tokens) == expected
    assert not papers._names(evidence, "sorrel", frozenset())
