"""Rating what has been rated already: nothing new costs nothing, and everything that matters is new."""

from __future__ import annotations

import ast
import random
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from crawler import rating
from crawler.context import Context
from crawler.evidence_sets import load_evidence_set
from crawler.settings import Settings
from db.evidence import _in_order, _place, load_evidence_of
from db.evidence_sets import _written
from db.load import load_evidence, load_projects, load_proposals
from db.models import EvidenceRow, ExtractionRow, ProjectRow, ProposalRow
from db.runs import load_done
from db.save import begin_run, save_projects, save_proposals
from db.session import session_scope
from db.states import load_states, load_understood
from pipelines.errors import StorageError
from pipelines.evidence import EVIDENCE_KINDS, EvidenceSet
from pipelines.model import VisitStatus
from pipelines.propose import gists, propose
from pipelines.rules import all_rules

CARD = b"""---
license: apache-2.0
datasets: [hazelmoor/hedge-talk]
---
# Brindle 3B

A chat model tuned on [Hedge Talk](https://huggingface.co/datasets/hazelmoor/hedge-talk). We release the weights.

## Training data

Forty thousand dialogues that our annotators wrote, each of them read by a second annotator.
"""


@pytest.fixture
def context(desk):
    desk.save(desk.visit(b'{"id": "hazelmoor/brindle-3b", "gated": false}', part="info"))
    desk.save(desk.visit(CARD))
    made = Context(
        settings=Settings(_env_file=None), engine=desk.engine, archive=desk.archive, clock=lambda: desk.now
    )
    rate(made, desk)
    return made


@pytest.fixture
def rated(monkeypatch):
    """The slugs of the projects to which the rules were applied."""
    slugs = []

    def watched(sets, rubric):
        slugs.extend([evidence.project.slug for evidence in sets])
        return gists(sets, rubric)

    monkeypatch.setattr(rating, "gists", watched)
    return slugs


def rate(context, desk, **options):
    with session_scope(desk.engine, write=True) as session:
        run_id = begin_run(session, "rate", desk.now, 4711, "larch")
    rating.rate(context, None, run_id, **options)
    return run_id


def standing(desk):
    with session_scope(desk.engine) as session:
        return load_proposals(session)


def test_a_project_of_which_nothing_is_new_is_passed_over_and_done(context, desk, rated):
    before = standing(desk)
    assert before
    desk.later()
    run_id = rate(context, desk)
    assert rated == []
    assert standing(desk) == before
    with session_scope(desk.engine) as session:
        assert load_done(session, run_id) == {"brindle"}
    rate(context, desk, full=True)
    assert rated == ["brindle"]
    assert standing(desk) == before, "what was passed over is what would have been proposed"


def test_that_bytes_are_unchanged_is_nothing_new(context, desk, rated):
    desk.later()
    for part in ("info", "card"):
        desk.save(desk.visit(None, part=part, status=VisitStatus.UNCHANGED))
    rate(context, desk)
    assert rated == []


@pytest.mark.parametrize("status", [VisitStatus.FAILED, VisitStatus.DENIED, VisitStatus.MISSING])
def test_a_part_that_could_not_be_read_is_new_and_so_is_that_it_can_be_read_again(
    context, desk, rated, status
):
    desk.later()
    desk.save(desk.visit(None, status=status))
    rate(context, desk)
    rate(context, desk)
    assert rated == ["brindle"]
    desk.later()
    desk.save(desk.visit(CARD))
    rate(context, desk)
    assert rated == ["brindle", "brindle"]


def test_other_words_are_new(context, desk, rated):
    desk.later()
    desk.save(desk.visit(CARD.replace(b"apache-2.0", b"cc-by-nc-4.0")))
    rate(context, desk)
    assert rated == ["brindle"]


def test_another_seed_entry_is_new(context, desk, rated):
    with session_scope(desk.engine, write=True) as session:
        (project,) = load_projects(session)
        save_projects(session, [replace(project, llmbase=("Sorrel 7B",))], desk.now)
    rate(context, desk)
    assert rated == ["brindle"]


def test_another_version_of_a_rule_or_of_the_rubric_is_new(context, desk, rated, monkeypatch):
    rules = all_rules()
    changed = {**rules, "api": replace(rules["api"], version=rules["api"].version + 1)}
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.propose.all_rules", lambda: changed)
        rate(context, desk)
    assert rated == ["brindle"]
    rate(replace(context, rubric=replace(context.rubric, digest="another")), desk)
    assert rated == ["brindle", "brindle"]


def test_what_the_rules_broke_off_over_is_not_noted_as_rated(context, desk, monkeypatch):
    def broken(sets, rubric):
        raise ArithmeticError("a rule divided by nothing")

    desk.later()
    desk.save(desk.visit(CARD + b"\nMore.\n"))
    with monkeypatch.context() as patch:
        patch.setattr(rating, "gists", broken)
        with pytest.raises(ArithmeticError):
            rate(context, desk)
    with session_scope(desk.engine) as session:
        noted = session.scalar(select(ProjectRow.rated_from))
    rate(context, desk)
    with session_scope(desk.engine) as session:
        assert session.scalar(select(ProjectRow.rated_from)) != noted


def test_what_a_project_is_rated_from_is_told_by_what_it_says_and_not_by_which_objects_say_it():
    told, other = "brindle", "".join(["brin", "dle"])
    assert _written((told, (told, [told]))) == _written((other, ("".join(["brindl", "e"]), [other])))
    different = [
        ("a", "b"),
        ("ab", ""),
        (("a",), "b"),
        ("a", ("b",)),
        ("a",),
        (b"a",),
        ("1",),
        (1,),
        (True,),
        (None,),
        ("None",),
        ("",),
        (),
        ("\ud800",),
        ("\u00e9",),
        ("e\u0301",),
        (1 << 40,),
    ]
    assert len({_written(value) for value in different}) == len(different)


def test_the_identity_of_evidence_comes_from_its_column_and_is_the_one_that_would_be_worked_out(
    context, desk
):
    with session_scope(desk.engine) as session:
        (project,) = load_projects(session)
        stored = dict(session.execute(select(EvidenceRow.id, EvidenceRow.key)).all())
    found = load_evidence_set(context, project).evidence
    assert found
    assert {item._key for item in found} == set(stored.values())
    assert [replace(item).key for item in found] == [item._key for item in found]


def test_the_identities_that_other_extractors_wrote_are_worked_out_anew(context, desk):
    with session_scope(desk.engine, write=True) as session:
        keys = set(session.scalars(select(EvidenceRow.key)))
        session.execute(update(EvidenceRow).values(key="0" * 64))
        (project,) = load_projects(session)
    assert {item.key for item in load_evidence_set(context, project).evidence} == {"0" * 64}
    with session_scope(desk.engine, write=True) as session:
        session.execute(update(ExtractionRow).values(extractor_version="an earlier one"))
    assert {item.key for item in load_evidence_set(context, project).evidence} == keys


def test_values_that_are_no_json_are_told(context, desk):
    with session_scope(desk.engine, write=True) as session:
        session.connection().exec_driver_sql("UPDATE evidence SET value = '{]'")
    with session_scope(desk.engine) as session, pytest.raises(StorageError, match="no JSON"):
        load_evidence_of(session, *load_understood(session, load_states(session, [desk.card])))


def test_no_rule_asks_when_something_was_read_or_whether_it_was_sent_again():
    """What decides whether a project is rated again leaves these out."""
    folder = Path(rating.__file__).parent.parent / "pipelines"
    for path in [*(folder / "rules").glob("*.py"), folder / "propose.py", folder / "calibration.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            asked = node.attr if isinstance(node, ast.Attribute) else ""
            assert asked not in {"at", "OK", "UNCHANGED"}, (
                f"{path.name}:{getattr(node, 'lineno', 0)} asks for {asked}"
            )


def test_evidence_that_is_made_when_it_is_asked_for_is_that_which_is_loaded_at_once(context, desk):
    with session_scope(desk.engine) as session:
        (project,) = load_projects(session)
        refs = [artifact.ref for artifact in project.artifacts]
        everything = load_evidence(session, refs)
    shared = load_evidence_set(context, project)
    at_once = EvidenceSet(project=project, evidence=tuple(everything), readings=shared.readings)
    assert at_once.evidence
    # Asked by kind and value before it is put together, and after.
    for kind in EVIDENCE_KINDS:
        assert shared.of(kind) == at_once.of(kind)
        for key in {key for item in at_once.of(kind) for key in item.value}:
            values = [
                item.value[key] for item in at_once.of(kind) if isinstance(item.value.get(key), str | bool)
            ]
            for value in dict.fromkeys(values):
                plain = tuple(item for item in at_once.of(kind) if item.value.get(key) == value)
                assert shared.of(kind, refs, **{key: value}) == plain
    assert shared.evidence == at_once.evidence
    assert [item.key for item in shared.evidence] == [item.key for item in at_once.evidence]
    assert propose(shared, context.rubric) == propose(at_once, context.rubric)


def test_rows_of_quotes_and_of_fields_come_by_their_places() -> None:
    chance = random.Random(5)
    for _ in range(500):
        rows = []
        for number in range(chance.randrange(1, 9)):
            key = f"{chance.randrange(4):064}"
            start = chance.randrange(4)
            quote = (1, "link", key, start, start + 3, "abc", None, None, str(number))
            field = (1, "link", key, None, None, None, f"$.{chance.randrange(3)}", "1", str(number))
            rows.append(chance.choice([quote, field] if chance.random() < 0.5 else [quote]))
        if chance.random() < 0.2:
            rows = [row for row in rows if row[6] is not None]
        if rows:
            assert _in_order(rows) == sorted(rows, key=_place)


def test_what_stands_is_stored_again_only_where_anything_of_it_differs(context, desk, monkeypatch):
    stored = []
    monkeypatch.setattr(
        rating,
        "save_proposals",
        lambda session, new, *rest: stored.append(new) or save_proposals(session, new, *rest),
    )
    before = standing(desk)
    rate(context, desk, full=True)
    assert stored == []
    for column, other in (
        ("rationale", "Somebody else's words."),
        ("confidence", 0.01),
        ("link", "https://x.example/"),
    ):
        with session_scope(desk.engine, write=True) as session:
            session.execute(update(ProposalRow).where(ProposalRow.id == before[0].id).values({column: other}))
        assert standing(desk) != before
        rate(context, desk, full=True)
        assert standing(desk) == before
    assert len(stored) == 3
    with session_scope(desk.engine, write=True) as session:
        claim = session.scalars(select(EvidenceRow.id)).first()
        session.execute(
            update(ProposalRow).where(ProposalRow.id == before[0].id).values(claim_evidence_id=claim)
        )
    rate(context, desk, full=True)
    assert len(stored) == 4
    with session_scope(desk.engine) as session:
        assert session.scalars(select(ProposalRow.claim_evidence_id)).all() == [None] * len(before)
