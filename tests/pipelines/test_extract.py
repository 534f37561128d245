"""What holds for every extractor, whatever a document says: nothing raised, quotes exact, kinds and keys as documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.artifacts import base_artifacts, linked_artifacts
from pipelines.evidence import EVIDENCE_KINDS, EvidenceSet, Reading
from pipelines.extract import EXTRACTOR_VERSION, READERS
from pipelines.extract.base import MAX_QUOTE
from pipelines.extract.by_part import extract, extractor_of
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    FieldValue,
    JsonValue,
    Project,
    Proposal,
    Quote,
    Role,
    Snapshot,
    VisitStatus,
    canonical_json,
    digest_bytes,
)
from pipelines.propose import propose
from pipelines.rubric import load_rubric
from pipelines.text import decoded_text

NIGHT = datetime(2024, 5, 1, 3, 0, tzinfo=UTC)
IDS = {
    ArtifactKind.GITHUB: "meadowlab/sorrel",
    ArtifactKind.HF_MODEL: "meadowlab/sorrel-7b",
    ArtifactKind.HF_DATASET: "meadowlab/sorrel-data",
    ArtifactKind.PYPI: "sorrel",
    ArtifactKind.ARXIV: "2401.00001",
    ArtifactKind.WEB: "https://sorrel.example/",
    ArtifactKind.LINEAGE: "Bramble",
}
TYPES: dict[str, type] = {
    **dict.fromkeys(("count", "size", "words", "items", "versions"), int),
    **dict.fromkeys(("template", "code", "instructs", "own", "bibtex", "yanked", "enabled", "script"), bool),
    **dict.fromkeys(("paths", "formats", "ids", "list", "authors"), list),
    "score": float,
}
JSON_PARTS = (
    (ArtifactKind.GITHUB, "repository"),
    (ArtifactKind.HF_MODEL, "info"),
    (ArtifactKind.HF_DATASET, "info"),
    (ArtifactKind.PYPI, "metadata"),
    (ArtifactKind.ARXIV, "entry"),
    (ArtifactKind.LINEAGE, "entry"),
)
TEXT_PARTS = (
    (ArtifactKind.GITHUB, "tree"),
    (ArtifactKind.GITHUB, "file:README.md"),
    (ArtifactKind.GITHUB, "file:docs/guide.rst"),
    (ArtifactKind.GITHUB, "file:LICENSE"),
    (ArtifactKind.GITHUB, "file:pyproject.toml"),
    (ArtifactKind.GITHUB, "file:setup.cfg"),
    (ArtifactKind.GITHUB, "file:setup.py"),
    (ArtifactKind.HF_MODEL, "card"),
    (ArtifactKind.HF_DATASET, "card"),
    (ArtifactKind.HF_MODEL, "file:USE_POLICY.md"),
    (ArtifactKind.WEB, "page"),
)
PARTS = JSON_PARTS + TEXT_PARTS


def snapshot_of(
    kind: ArtifactKind, part: str, body: bytes | str, *, identifier: str = "", media_type: str = "text/plain"
) -> Snapshot:
    body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    ref = ArtifactRef(kind=kind, id=identifier or IDS[kind])
    return Snapshot(
        ref=ref,
        part=part,
        url=ref.id if kind is ArtifactKind.WEB else f"https://{kind.value}.example/{ref.id}",
        fetched_at=NIGHT,
        sha256=digest_bytes(body),
        media_type=media_type,
        body=body,
    )


def checked(snapshot: Snapshot, documented_keys) -> list[Evidence]:
    """The evidence of a snapshot, after a look at its form."""
    found = extract(snapshot)
    text = decoded_text(snapshot)
    for item in found:
        assert item.kind in EVIDENCE_KINDS
        assert set(item.value) == documented_keys(item.kind), item.kind
        for name, value in item.value.items():
            # The lineage file is checked when it is read; a fact of a repository has the type that it has.
            if not item.kind.startswith(("lineage.", "repository.")):
                assert isinstance(value, TYPES.get(name, str | None)), (item.kind, name, value)
        assert len(item.key) == 64
        assert (item.ref, item.part, item.sha256) == (snapshot.ref, snapshot.part, snapshot.sha256)
        if isinstance(item.where, Quote):
            assert text[item.where.start : item.where.end] == item.where.text
            assert len(item.where.text) <= MAX_QUOTE
        else:
            assert isinstance(item.where, FieldValue)
            assert item.where.path.startswith("$")
    return found


# --- anything at all ------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "full_name description homepage archived disabled fork license topics head parent gated tags cardData siblings "
    "inference base_model base_model_relation datasets license_name extra_gated_prompt rfilename info releases version "
    "name summary home_page project_url project_urls license_expression yanked title authors comment journal_ref doi id "
    "data weights licence architecture datasheet preprint statement class source"
).split()
# Documents that have the right names and the wrong contents.
ODD_DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8) | st.lists(inner, max_size=3),
    max_leaves=30,
)
PIECES = st.sampled_from(
    [
        "# Sorrel\n", "## Training data\n", "### Limitations\n\n", "**Licence:** MIT\n", "- item one\n", "| a | b |\n|---|---|\n",
        "```python\npip install sorrel\n```\n", "We release the weights. ", "The data will not be released. ", "---\nlicense: mit\n---\n",
        "---\nlicense: [mit\n---\n", "[paper](https://arxiv.org/abs/2401.00001) ", "arXiv:2401.00002 ", "eprint={2401.00003}",
        "https://github.com/meadowlab/sorrel ", "We train on Common Crawl and Wikipedia. ", "licensed under the Apache License 2.0",
        "训练数据不会公开。", "<p>text</p>", "<h2>API", "\x00", "\ufeff", "\r\n", "\u2028", "`", "***", "[[](", "train.py\t12\tabc\n", "# truncated\n",
        "data/train.jsonl\t999999\tdef\n", "Ω", "\ud800",
    ]
)  # fmt: skip
TEXTS = st.text(max_size=300) | st.lists(PIECES | st.text(max_size=20), max_size=25).map("".join)


@settings(max_examples=150)
@given(part=st.sampled_from(PARTS), text=TEXTS)
@example(part=(ArtifactKind.GITHUB, "tree"), text="a/train.py\t²\tx\n")
@example(part=(ArtifactKind.GITHUB, "tree"), text="a/train.py\t" + "9" * 5000 + "\tx\n")
def test_no_text_makes_an_extractor_raise(part: tuple[ArtifactKind, str], text: str, documented_keys) -> None:
    checked(snapshot_of(*part, text), documented_keys)


@settings(max_examples=60)
@given(part=st.sampled_from(PARTS), body=st.binary(max_size=200))
def test_no_bytes_make_an_extractor_raise(
    part: tuple[ArtifactKind, str], body: bytes, documented_keys
) -> None:
    checked(snapshot_of(*part, body), documented_keys)


@settings(max_examples=80)
@given(part=st.sampled_from(JSON_PARTS), document=ODD_DOCUMENTS)
def test_no_json_makes_an_extractor_raise(part: tuple[ArtifactKind, str], document, documented_keys) -> None:
    snapshot = snapshot_of(*part, json.dumps(document))
    assert checked(snapshot, documented_keys) == extract(snapshot)


ODD_VALUES = (
    None, True, 7, -1.5, 10**400, "", " ", "x" * 5000, "\ud800", "https://[", [], [None, 3, [[]], {}], {}, {"": {"": None}},
)  # fmt: skip


def with_odd_values(document: JsonValue) -> Iterator[JsonValue]:
    """The document with one of its values replaced, for each value and each odd one."""
    yield from ODD_VALUES
    if isinstance(document, dict):
        for key, value in document.items():
            yield from ({**document, key: odd} for odd in with_odd_values(value))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            for odd in with_odd_values(value):
                yield [*document[:index], odd, *document[index + 1 :]]


def test_no_value_in_a_known_field_makes_an_extractor_raise(documented_keys) -> None:
    for (kind, identifier, part), body in DOCUMENTS.items():
        if (kind, part) in JSON_PARTS:
            for document in with_odd_values(json.loads(body)):
                checked(snapshot_of(kind, part, json.dumps(document), identifier=identifier), documented_keys)


@pytest.mark.parametrize("part", JSON_PARTS, ids=str)
@pytest.mark.parametrize(
    "body", ["[" * 100_000, "{", "null", "[]", '"x"', "12", "NaN", "1" * 5000, "\ud800", ""]
)
def test_what_is_no_document_is_a_problem_and_no_error(part, body: str, documented_keys) -> None:
    found = checked(snapshot_of(*part, body), documented_keys)
    assert {item.value["problem"] for item in found} == {"malformed"}


@pytest.mark.parametrize("part", TEXT_PARTS, ids=str)
def test_an_empty_document_says_nothing_or_that_it_is_empty(part, documented_keys) -> None:
    for body in ("", " \n\t"):
        kinds = {item.kind for item in checked(snapshot_of(*part, body), documented_keys)}
        assert kinds <= {"document.problem"}


def test_parts_for_people_only_have_no_extractor() -> None:
    for kind, part in (
        (ArtifactKind.GITHUB, "tags"),
        (ArtifactKind.GITHUB, "releases"),
        (ArtifactKind.GITHUB, "file:tools/pyproject.toml"),
        (ArtifactKind.GITHUB, "file:requirements.txt"),
        (ArtifactKind.GITHUB, "file:src/requirements-dev.txt"),
    ):
        assert extractor_of(kind, part) is None, part
        assert extract(snapshot_of(kind, part, "train on Common Crawl")) == []
    assert extractor_of(ArtifactKind.GITHUB, "file:docs/LICENSE.md") is not extractor_of(
        ArtifactKind.GITHUB, "file:docs/guide.md"
    )


def test_the_version_names_what_the_extractors_say(root) -> None:
    assert len(EXTRACTOR_VERSION) == 16
    assert int(EXTRACTOR_VERSION, 16) >= 0
    used, left = set(), sorted((root / "pipelines/extract").glob("*.py"))
    while left:
        text = left.pop().read_text(encoding="utf-8")
        found = set(re.findall(r"^ *from pipelines\.(\w+) import", text, re.MULTILINE)) - used - {"extract"}
        used |= found
        left += [root / f"pipelines/{name}.py" for name in found]
    assert sorted(used) == sorted(READERS), "what reading a document rests on"


# --- a whole project, from documents to proposals -------------------------------------------------

README = """# Sorrel

Sorrel is a small assistant for gardeners, built on Bramble 7B.
[Try the demo](https://chat.meadowlab.example/), read [our paper](https://arxiv.org/abs/2401.00001).

## Installation

Clone this repository and install what it needs into a fresh environment with `pip install sorrel-llm`; the
setup takes a few minutes on an ordinary machine, needs no compiler, and can be undone by deleting the folder again.

## Training

We fine-tuned the base for three epochs on eight cards, with a batch of sixty-four examples and a learning rate that
falls from two times ten to the minus five. The preference data will not be released.

```bash
python train.py --config configs/sorrel.yaml
```

## Evaluation

| task | score |
|------|-------|
| weeds | 71 |

## License

The code is licensed under the Apache License 2.0. The weights are for non-commercial use only.
"""
CARD = """---
license: cc-by-nc-4.0
base_model: thicket/bramble-7b
datasets:
- meadowlab/sorrel-data
---
# Sorrel 7B

## Training data

The model was tuned on forty thousand questions that gardeners asked and other gardeners answered, collected over two
years in a forum of ours, together with ShareGPT conversations. We removed names and addresses by hand.

## Limitations

Sorrel knows nothing of tropical plants and invents Latin names when it is asked for them.

## Intended use

Questions about gardens in temperate climates, asked by adults who can tell hemlock from parsley themselves.
"""
TREE = "README.md\t900\ta\nconfigs/sorrel.yaml\t100\tb\ndata/prepare.py\t500\tc\ntests/test_train.py\t90\td\ntrain.py\t4000\te\n"
INFO = {
    "id": "meadowlab/sorrel-7b",
    "sha": "1" * 40,
    "gated": False,
    "tags": ["arxiv:2401.00001"],
    "siblings": [{"rfilename": "README.md"}, {"rfilename": "model-00001-of-00002.safetensors"}],
    "cardData": {
        "extra_gated_prompt": "Please agree.",
        "license_name": None,
        "base_model_relation": "finetune",
        "inference": False,
        "license": "cc-by-nc-4.0",
        "base_model": "thicket/bramble-7b",
        "datasets": ["meadowlab/sorrel-data"],
    },
    "inference": False,
}
BASE_INFO = {"gated": "manual", "siblings": [{"rfilename": "bramble-7b"}], "disabled": True}
DATA_INFO = {"gated": False, "siblings": [{"rfilename": "train.jsonl"}], "cardData": {"license": "cc-by-4.0"}}
REPOSITORY = {
    "full_name": "meadowlab/sorrel",
    "description": "Sorrel",
    "head": "2" * 40,
    "license": "Apache-2.0",
    "archived": True,
}
ENTRY = {
    "id": "2401.00001",
    "title": "Sorrel: a small assistant",
    "authors": ["A. Gardener"],
    "summary": "On weeds.",
    "comment": "Accepted at the Garden Conference",
}
PACKAGE = {
    "info": {"name": "sorrel-llm", "version": "0.3.0", "summary": "Sorrel", "license": "MIT", "yanked": False,
             "license_expression": None, "home_page": "https://sorrel.example/", "project_url": None,
             "project_urls": {"Source": "https://github.com/meadowlab/sorrel"}},
    "releases": [{"version": "0.3.0"}],
}  # fmt: skip
PAGE = "<html><head><title>Sorrel</title></head><body><h1>Sorrel: a small assistant</h1><p>Our API needs an API key.</p></body></html>"
LINEAGE = {
    "name": "Bramble",
    "data": {"statement": "Nobody knows.", "class": "closed", "source": "https://thicket.example/"},
}

DOCUMENTS: dict[tuple[ArtifactKind, str, str], str | bytes] = {
    (ArtifactKind.GITHUB, "meadowlab/sorrel", "repository"): canonical_json(REPOSITORY),
    (ArtifactKind.GITHUB, "meadowlab/sorrel", "tree"): TREE,
    (ArtifactKind.GITHUB, "meadowlab/sorrel", "file:README.md"): README,
    (ArtifactKind.HF_MODEL, "meadowlab/sorrel-7b", "info"): canonical_json(INFO),
    (ArtifactKind.HF_MODEL, "meadowlab/sorrel-7b", "card"): CARD,
    (ArtifactKind.HF_MODEL, "thicket/bramble-7b", "info"): canonical_json(BASE_INFO),
    (ArtifactKind.HF_DATASET, "meadowlab/sorrel-data", "info"): canonical_json(DATA_INFO),
    (ArtifactKind.ARXIV, "2401.00001", "entry"): canonical_json(ENTRY),
    (ArtifactKind.PYPI, "sorrel-llm", "metadata"): canonical_json(PACKAGE),
    (ArtifactKind.WEB, "https://sorrel.example/", "page"): PAGE,
    (ArtifactKind.WEB, "https://aclanthology.org/sorrel", "page"): PAGE,
    (ArtifactKind.LINEAGE, "Bramble", "entry"): canonical_json(LINEAGE),
    (ArtifactKind.GITHUB, "meadowlab/sorrel", "file:LICENSE"): "You may use this program as you wish, and you must not sell it. " * 8,
}  # fmt: skip


def snapshots(documents: dict[tuple[ArtifactKind, str, str], str | bytes]) -> list[Snapshot]:
    return [
        snapshot_of(
            kind,
            part,
            body,
            identifier=identifier,
            media_type="text/html" if part == "page" else "text/plain",
        )
        for (kind, identifier, part), body in documents.items()
    ]


def proposals(taken: Iterable[Snapshot]) -> list[Proposal]:
    """From snapshots to proposals, links and lineage included."""
    taken = list(taken)
    evidence = tuple(item for snapshot in taken for item in extract(snapshot))
    project = Project(
        slug="sorrel",
        name="Sorrel",
        org="Meadow Lab",
        llmbase=("Bramble",),
        artifacts=(
            Artifact(ref=ArtifactRef(kind=ArtifactKind.GITHUB, id="meadowlab/sorrel"), role=Role.CODE),
            Artifact(
                ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="meadowlab/sorrel-7b"), role=Role.RL_WEIGHTS
            ),
        ),
    )
    linked = linked_artifacts(project, evidence, links=20, pages=5) + base_artifacts(project, evidence)
    readings = tuple(
        Reading(ref=item.ref, part=item.part, url=item.url, status=VisitStatus.OK, at=NIGHT) for item in taken
    )
    whole = replace(project, artifacts=project.artifacts + linked)
    return propose(EvidenceSet(project=whole, evidence=evidence, readings=readings), load_rubric())


def digests(taken: Iterable[Snapshot]) -> dict[str, str]:
    return {proposal.dimension: proposal.identity for proposal in proposals(taken)}


def test_the_sample_project_yields_every_kind_of_evidence(documented_keys) -> None:
    """So that the properties below are about something."""
    truncated = snapshot_of(ArtifactKind.GITHUB, "tree", TREE + "# truncated\n")
    found = {
        item.kind for taken in [*snapshots(DOCUMENTS), truncated] for item in checked(taken, documented_keys)
    }
    found |= {item.kind for item in extract(snapshot_of(ArtifactKind.HF_MODEL, "card", ""))}
    assert found == set(EVIDENCE_KINDS)


def test_extracting_and_rating_twice_is_identical() -> None:
    taken = snapshots(DOCUMENTS)
    assert [extract(snapshot) for snapshot in taken] == [extract(snapshot) for snapshot in taken]
    assert proposals(taken) == proposals(reversed(taken))


def test_the_sample_project_is_rated_as_a_person_would() -> None:
    ratings = {p.dimension: p.rating.value if p.rating else None for p in proposals(snapshots(DOCUMENTS))}
    assert ratings["llmweights"] == "partial", "the base is gated"
    assert ratings["rlweights"] == "open"
    assert ratings["license"] == "partial", "open code, non-commercial weights"
    assert ratings["rldata"] == "partial", "one set is public, the preference data is withheld"
    assert ratings["paper"] == "open", "accepted"
    assert ratings["package"] == "open"


ELSEWHERE = "\n## Acknowledgements\n\nWe thank the weather in the valley and the cook of the canteen.\n"


def test_an_unrelated_paragraph_is_no_new_evidence() -> None:
    before = digests(snapshots(DOCUMENTS))
    for key in ((ArtifactKind.GITHUB, "meadowlab/sorrel", "file:README.md"), (ArtifactKind.HF_MODEL, "meadowlab/sorrel-7b", "card")):  # fmt: skip
        document = str(DOCUMENTS[key])
        first = document.index("\n## ")
        for longer in (document + ELSEWHERE, document[:first] + ELSEWHERE + document[first:]):
            assert digests(snapshots({**DOCUMENTS, key: longer})) == before


def test_a_counter_a_commit_or_a_bigger_file_is_no_new_evidence() -> None:
    before = digests(snapshots(DOCUMENTS))
    changed = {
        **DOCUMENTS,
        (ArtifactKind.GITHUB, "meadowlab/sorrel", "repository"): canonical_json(
            {**REPOSITORY, "head": "3" * 40, "pushed_at": "2024-06-01T00:00:00Z", "stars": 12}
        ),
        (ArtifactKind.GITHUB, "meadowlab/sorrel", "tree"): TREE.replace("\t4000\te", "\t4090\tf"),
        (ArtifactKind.HF_MODEL, "meadowlab/sorrel-7b", "info"): canonical_json(
            {**INFO, "sha": "4" * 40, "downloads": 7, "likes": 3, "lastModified": "2024-06-01"}
        ),
        (ArtifactKind.ARXIV, "2401.00001", "entry"): canonical_json(
            {**ENTRY, "version": 3, "updated": "2024-06-01"}
        ),
    }
    assert digests(snapshots(changed)) == before


def test_a_changed_sentence_that_decides_is_new_evidence() -> None:
    key = (ArtifactKind.GITHUB, "meadowlab/sorrel", "file:README.md")
    changed = str(DOCUMENTS[key]).replace("The preference data will not be released.", "")
    before, after = digests(snapshots(DOCUMENTS)), digests(snapshots({**DOCUMENTS, key: changed}))
    assert before["rldata"] != after["rldata"]
    assert before["package"] == after["package"]


def test_the_key_of_evidence_is_what_it_says_and_not_where_or_when() -> None:
    readme = DOCUMENTS[ArtifactKind.GITHUB, "meadowlab/sorrel", "file:README.md"]
    one = snapshot_of(ArtifactKind.GITHUB, "file:README.md", readme)
    later = replace(
        snapshot_of(ArtifactKind.GITHUB, "file:README.md", f"{' ' * 3}\n\n{readme}"),
        fetched_at=NIGHT.replace(year=2030),
    )
    assert one.sha256 != later.sha256
    assert [item.key for item in extract(one)] == [item.key for item in extract(later)]
