"""Which further artifacts belong to a project: roles, budgets, lineage, and names that are not to be trusted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.artifacts import LINEAGE_DEPTH, base_artifacts, linked_artifacts
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Evidence, Origin, Project, Role

CODE, MODEL, BASE = "github:meadowlab/sorrel", "hf_model:meadowlab/sorrel-7b", "hf_model:thicket/bramble-7b"
SEEDS = {CODE: Role.CODE, MODEL: Role.RL_WEIGHTS, BASE: Role.LLM_WEIGHTS}


def ref(text: str) -> ArtifactRef:
    kind, _, identifier = text.partition(":")
    return ArtifactRef(kind=ArtifactKind(kind), id=identifier)


def project(seeds=None, **linked: Artifact) -> Project:
    artifacts = tuple(Artifact(ref=ref(name), role=role) for name, role in (seeds or SEEDS).items())
    return Project(slug="sorrel", name="Sorrel", artifacts=artifacts + tuple(linked.values()))


@pytest.fixture
def linked(extracted):
    """The artifacts that a document links to."""

    def linked(
        text: str, at: str = CODE, part: str = "", seeds=None, links: int = 30, pages: int = 12
    ) -> list[Artifact]:
        kind, _, identifier = at.partition(":")
        part = part or {"github": "file:README.md", "web": "page"}.get(kind, "card")
        evidence = extracted(kind, part, text, identifier=identifier)
        return list(linked_artifacts(project(seeds), evidence, links=links, pages=pages))

    return linked


def roles(found: list[Artifact]) -> dict[str, Role]:
    return {str(artifact.ref): artifact.role for artifact in found}


@pytest.mark.parametrize(
    ("text", "at", "name", "role"),
    [
        ("arXiv:2401.00001", CODE, "arxiv:2401.00001", Role.PREPRINT),
        ("## Installation\n\n`pip install sorrel_llm`", CODE, "pypi:sorrel-llm", Role.PACKAGE),
        ("https://pypi.org/project/sorrel-llm/", CODE, "pypi:sorrel-llm", Role.PACKAGE),
        ("https://huggingface.co/datasets/meadowlab/plums", MODEL, "hf_dataset:meadowlab/plums", Role.RL_DATA),
        ("https://huggingface.co/datasets/thicket/hedgerow", BASE, "hf_dataset:thicket/hedgerow", Role.LLM_DATA),
        ("Pretrained on https://huggingface.co/datasets/thicket/hedgerow", MODEL, "hf_dataset:thicket/hedgerow", Role.LLM_DATA),
        ("https://huggingface.co/datasets/allenai/c4", MODEL, "hf_dataset:allenai/c4", Role.LLM_DATA),
        ("---\ndatasets: [meadowlab/plums]\n---\n", MODEL, "hf_dataset:meadowlab/plums", Role.RL_DATA),
        ("---\ndatasets: [thicket/hedgerow]\n---\n", BASE, "hf_dataset:thicket/hedgerow", Role.LLM_DATA),
        ("https://github.com/MeadowLab/sorrel-train", MODEL, "github:MeadowLab/sorrel-train", Role.CODE),
        ("https://github.com/tractor/harrow", MODEL, "github:tractor/harrow", Role.OTHER),
        ("https://github.com/thicket/bramble", BASE, "github:thicket/bramble", Role.OTHER),
        ("https://huggingface.co/weevil/other-7b", CODE, "hf_model:weevil/other-7b", Role.OTHER),
        ("https://aclanthology.org/2024.sorrel-1.1/", CODE, "web:https://aclanthology.org/2024.sorrel-1.1/", Role.PAPER),
        ("https://doi.org/10.1000/hedges.12", CODE, "web:https://doi.org/10.1000/hedges.12", Role.PAPER),
        ("https://api.meadowlab.example/", CODE, "web:https://api.meadowlab.example/", Role.API),
        ("[our API](https://meadowlab.example/x)", CODE, "web:https://meadowlab.example/x", Role.API),
        ("https://meadowlab.example/rapid", CODE, "web:https://meadowlab.example/rapid", Role.OTHER),
        ("https://meadowlab.example/blog/sorrel", CODE, "web:https://meadowlab.example/blog/sorrel", Role.OTHER),
    ],
)  # fmt: skip
def test_a_link_has_a_role(linked, text: str, at: str, name: str, role: Role) -> None:
    found = linked(text, at)
    assert roles(found) == {name: role}
    assert found[0].origin is Origin.LINK


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("https://github.com/Meadow-Lab/harrow", Role.CODE),
        ("https://github.com/meadowlab-ai/harrow", Role.CODE),
        ("https://github.com/the-meadowlab/harrow", Role.CODE),
        ("https://github.com/thrush/MeadowLab", Role.CODE),
        ("https://github.com/meadow/harrow", Role.CODE),
        ("https://github.com/mead/harrow", Role.OTHER),
        ("https://github.com/thrush/meadowlab-tools", Role.OTHER),
        ("https://huggingface.co/meadowlab-ai/harrow", Role.OTHER),
    ],
)
def test_an_account_that_is_spelt_unlike_on_the_other_host_is_the_same(
    linked, address: str, role: Role
) -> None:
    only = {MODEL: Role.RL_WEIGHTS}
    (found,) = linked(f"See {address}", MODEL, seeds=only)
    assert found.role is role


def test_the_passage_that_named_it_goes_with_it(linked) -> None:
    (paper,) = linked("# Sorrel\n\nRead our paper: https://arxiv.org/abs/2401.00001 today.\n")
    assert paper.named_by is not None
    assert paper.named_by.artifact == ref(CODE)
    assert paper.named_by.part == "file:README.md"
    assert paper.named_by.text == "Read our paper: https://arxiv.org/abs/2401.00001 today."


def test_a_dataset_of_base_and_tuned_model_is_data_of_both(extracted) -> None:
    text = "https://huggingface.co/datasets/orchard/plums"
    evidence = [
        item
        for at in (MODEL, BASE)
        for item in extracted("hf_model", "card", text, identifier=at.partition(":")[2])
    ]
    found = linked_artifacts(project(), evidence, links=9, pages=9)
    assert {artifact.role for artifact in found} == {Role.RL_DATA, Role.LLM_DATA}


@pytest.mark.parametrize(
    "address",
    [
        "https://discord.gg/abc", "https://twitter.com/sorrel", "https://x.com/sorrel", "https://www.youtube.com/watch?v=1",
        "https://en.wikipedia.org/wiki/Sorrel", "https://colab.research.google.com/drive/1", "http://localhost:8000/", "http://127.0.0.1/",
        "https://www.example.com/", "https://pytorch.org/get-started", "mailto:a@meadowlab.example", "javascript:alert(1)", "file:///etc/passwd",
        "https://user:secret@meadowlab.example/", "ftp://meadowlab.example/x", "https://github.com/meadowlab", "https://github.com/topics/llm",
        "https://huggingface.co/spaces", "https://huggingface.co/docs/hub",
    ],
)  # fmt: skip
def test_what_holds_no_evidence_is_not_followed(linked, address: str) -> None:
    found = linked(f"[see]({address})")
    assert not [artifact for artifact in found if artifact.ref.kind is not ArtifactKind.WEB]
    assert not [artifact for artifact in found if "secret" in artifact.ref.id or "discord" in artifact.ref.id]
    if not address.startswith(("https://github.com", "https://huggingface.co")):
        assert found == []


def test_what_the_project_has_is_left_out(linked) -> None:
    text = "https://github.com/MEADOWLAB/Sorrel https://huggingface.co/meadowlab/sorrel-7b/tree/main\nhttps://huggingface.co/Thicket/Bramble-7B\n"
    assert linked(text, at=MODEL) == []
    assert linked(text, at=BASE) == []


def test_a_link_of_a_linked_document_is_not_followed(extracted) -> None:
    evidence = extracted(
        "web", "page", "<p>https://arxiv.org/abs/2401.00001</p>", identifier="https://meadowlab.example/"
    )
    page = Artifact(ref=ref("web:https://meadowlab.example/"), role=Role.OTHER, origin=Origin.LINK)
    assert linked_artifacts(project(page=page), evidence, links=9, pages=9) == ()
    seeded = replace(page, origin=Origin.SEED, role=Role.HOMEPAGE)
    assert len(linked_artifacts(project(page=seeded), evidence, links=9, pages=9)) == 1


def test_links_and_pages_have_budgets(linked) -> None:
    text = "".join(f"https://meadowlab.example/docs/{n}\n\narXiv:2401.{n:05}\n\n" for n in range(1, 30))
    found = linked(text, links=10, pages=3)
    assert len(found) == 10
    assert sum(artifact.ref.kind is ArtifactKind.WEB for artifact in found) <= 3
    assert linked(text, links=0, pages=3) == []
    assert all(artifact.ref.kind is not ArtifactKind.WEB for artifact in linked(text, links=50, pages=0))


def test_what_is_nearer_to_the_project_goes_first(linked) -> None:
    text = (
        "# Sorrel\n\nLike https://github.com/tractor/harrow and https://orchard.example/plums.\n\n"
        "https://github.com/meadowlab/sorrel-train\n\n"
        "## Citation\n\narXiv:2401.00001\n\nhttps://huggingface.co/datasets/meadowlab/plums\n"
    )
    order = [str(artifact.ref) for artifact in linked(text, at=MODEL)]
    far = {"github:tractor/harrow", "web:https://orchard.example/plums."}
    assert order[-2:] == [name for name in order if name in far or "orchard" in name]
    assert set(order[:3]) == {
        "github:meadowlab/sorrel-train",
        "arxiv:2401.00001",
        "hf_dataset:meadowlab/plums",
    }


def test_a_package_points_at_repositories_only(extracted) -> None:
    document = {
        "info": {"name": "sorrel-llm", "version": "1", "project_urls": {"a": "https://github.com/meadowlab/tools", "b": "https://sorrel.example/"}},
        "releases": [],
    }  # fmt: skip
    evidence = extracted("pypi", "metadata", document, identifier="sorrel-llm")
    seeds = {**SEEDS, "pypi:sorrel-llm": Role.PACKAGE}
    found = linked_artifacts(project(seeds), evidence, links=9, pages=9)
    assert roles(list(found)) == {"github:meadowlab/tools": Role.CODE}


def test_a_package_to_install_elsewhere_is_not_the_projects(linked) -> None:
    assert linked("## Related work\n\n`pip install harrow`") == []


# --- lineage --------------------------------------------------------------------------------------


@pytest.fixture
def cards(extracted):
    """Evidence of models that each name their bases."""

    def cards(**bases: str | list[str]) -> list[Evidence]:
        found = []
        for name, base in bases.items():
            document = {"gated": False, "cardData": {"base_model": base}}
            found += extracted("hf_model", "info", document, identifier=f"meadowlab/{name}")
        return found

    return cards


def tuned(name: str) -> Project:
    return project({f"hf_model:meadowlab/{name}": Role.RL_WEIGHTS})


def test_the_base_that_a_card_names_is_followed(cards) -> None:
    (base,) = base_artifacts(tuned("a"), cards(a="thicket/bramble-7b"))
    assert (str(base.ref), base.role, base.origin) == (BASE, Role.LLM_WEIGHTS, Origin.LINEAGE)
    assert base.named_by is not None
    assert "thicket/bramble-7b" in base.named_by.text


def test_lineage_ends_after_so_many_models(cards) -> None:
    chain = cards(**{f"m{n}": f"meadowlab/m{n + 1}" for n in range(9)})
    found = base_artifacts(tuned("m0"), chain)
    assert [artifact.ref.id for artifact in found] == [f"meadowlab/m{n + 1}" for n in range(LINEAGE_DEPTH)]


def test_lineage_in_a_circle_ends(cards) -> None:
    found = base_artifacts(tuned("a"), cards(a="meadowlab/b", b="meadowlab/a"))
    assert [artifact.ref.id for artifact in found] == ["meadowlab/b"]


def test_a_known_base_is_not_found_again(cards) -> None:
    whole = project({"hf_model:meadowlab/a": Role.RL_WEIGHTS, BASE: Role.LLM_WEIGHTS})
    assert base_artifacts(whole, cards(a="Thicket/Bramble-7B")) == ()
    assert base_artifacts(tuned("a"), cards(a="meadowlab/A")) == ()


def test_entries_of_the_lineage_file_use_up_no_depth(cards) -> None:
    entries = {
        str(n): Artifact(ref=ArtifactRef(kind=ArtifactKind.LINEAGE, id=f"Bramble {n}"), role=Role.LLM_WEIGHTS, origin=Origin.LINEAGE)
        for n in range(5)
    }  # fmt: skip
    whole = project({"hf_model:meadowlab/a": Role.RL_WEIGHTS}, **entries)
    assert len(base_artifacts(whole, cards(a="thicket/bramble-7b"))) == 1


def test_models_of_others_have_no_lineage_here(cards) -> None:
    whole = project({"hf_model:meadowlab/a": Role.OTHER})
    assert base_artifacts(whole, cards(a="thicket/bramble-7b")) == ()


HUB = "https://huggingface.co"


@pytest.mark.parametrize(
    "sentence",
    [
        f"Sorrel is a fine-tuned version of [Bramble]({HUB}/thicket/bramble-7b) on our own notes.",
        f"It is based on [thicket/bramble-7b]({HUB}/thicket/bramble-7b).",
        f"Its weights were initialised from {HUB}/thicket/bramble-7b and trained further.",
        f"- **Finetuned from model:** [Bramble]({HUB}/thicket/bramble-7b)",
        f"本模型基于 [Bramble]({HUB}/thicket/bramble-7b) 微调。",
        f"A quantized version of the [Bramble]({HUB}/thicket/bramble-7b) weights.",
    ],
)
def test_a_sentence_of_the_card_names_the_base(extracted, sentence: str) -> None:
    evidence = extracted("hf_model", "card", f"# Sorrel\n\n{sentence}\n", identifier="meadowlab/a")
    assert [str(artifact.ref) for artifact in base_artifacts(tuned("a"), evidence)] == [BASE]


@pytest.mark.parametrize(
    "sentence",
    [
        f"It does better than [Bramble]({HUB}/thicket/bramble-7b).",
        f"Like [Bramble]({HUB}/thicket/bramble-7b), it is fine-tuned on notes.",
        f"It was trained on answers of [Bramble]({HUB}/thicket/bramble-7b).",
        f"See also [Bramble]({HUB}/thicket/bramble-7b), from which [weevils]({HUB}/weevil/x-7b) are fine-tuned.",
        f"It is fine-tuned on the dataset [Bramble]({HUB}/datasets/thicket/bramble-7b).",
        f"Fine-tuned with more care than [Bramble]({HUB}/thicket/bramble-7b).",
    ],
)
def test_a_model_that_a_card_only_speaks_of_is_no_base(extracted, sentence: str) -> None:
    evidence = extracted("hf_model", "card", f"# Sorrel\n\n{sentence}\n", identifier="meadowlab/a")
    assert base_artifacts(tuned("a"), evidence) == ()


def test_the_field_decides_where_a_card_has_both(extracted, cards) -> None:
    card = f"# Sorrel\n\nIt is based on [Hedge]({HUB}/warren/hedge-7b).\n"
    evidence = [
        *extracted("hf_model", "card", card, identifier="meadowlab/a"),
        *cards(a="thicket/bramble-7b"),
    ]
    assert [str(artifact.ref) for artifact in base_artifacts(tuned("a"), evidence)] == [BASE]


HOSTILE = (
    "../../etc/passwd", "a/b/c", "a//b", "..", "a/..", "thicket/bramble?x=1", "thicket/bramble#x", "a/b\n", "a b/c", "", " ",
    "https://weevil.example/thicket/bramble", "file:///etc/passwd", "thicket/bramble.git", "x" * 300 + "/y", "a/--b", "\u202ea/b", "a\x00/b", "%2e%2e/x", "@a/b",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_artifact(cards, extracted, name: str) -> None:
    assert base_artifacts(tuned("a"), cards(a=[name, "thicket/bramble-7b"]))[0].ref == ref(BASE)
    assert len(base_artifacts(tuned("a"), cards(a=[name, "thicket/bramble-7b"]))) == 1
    document = {"gated": False, "cardData": {"datasets": [name]}}
    evidence = extracted("hf_model", "info", document, identifier="meadowlab/a")
    assert linked_artifacts(tuned("a"), evidence, links=9, pages=9) == ()
