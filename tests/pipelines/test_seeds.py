from __future__ import annotations

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SeedError, UsageError
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Project, Role
from pipelines.seeds import dump_seeds, parse_seeds

GOOD = """\
# a comment
- slug: quill
  name: Quill Chat
  org: Paperwing
  llmbase: [Inkwell 7B]
  rlbase:
  - Quill Letters
  homepage: https://quill.example/
  artifacts:
  - {kind: github, id: paperwing/quill, role: code}
  - kind: hf_model
    id: paperwing/quill-7b
    role: rl_weights
  - {kind: hf_dataset, id: letters, role: rl_data}
  - {kind: pypi, id: quill-chat, role: package}
  - {kind: arxiv, id: "2301.01234", role: preprint}
  - {kind: arxiv, id: hep-th/9901001, role: other}
  - {kind: web, id: "https://quill.example/api?v=1", role: api}
- slug: nib
  name: Nib
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(SeedError) as caught:
        parse_seeds(text, "seeds.yaml")
    return str(caught.value).splitlines()


def errors_of_artifact(artifact: str) -> list[str]:
    return errors_of(f"- slug: a\n  name: A\n  artifacts:\n  - {artifact}\n")


def test_every_field_is_read() -> None:
    quill, nib = parse_seeds(GOOD, "seeds.yaml")
    assert quill.name == "Quill Chat"
    assert quill.org == "Paperwing"
    assert quill.llmbase == ("Inkwell 7B",)
    assert quill.rlbase == ("Quill Letters",)
    assert quill.homepage == "https://quill.example/"
    assert quill.artifacts[0] == Artifact(
        ref=ArtifactRef(kind=ArtifactKind.GITHUB, id="paperwing/quill"), role=Role.CODE
    )
    assert [artifact.ref.id for artifact in quill.artifacts] == [
        "paperwing/quill",
        "paperwing/quill-7b",
        "letters",
        "quill-chat",
        "2301.01234",
        "hep-th/9901001",
        "https://quill.example/api?v=1",
    ]
    assert all(artifact.origin is Origin.SEED for artifact in quill.artifacts)
    assert nib == Project(slug="nib", name="Nib")


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    assert parse_seeds("\ufeff" + GOOD.replace("\n", "\r\n"), "s") == parse_seeds(GOOD, "s")


def test_an_optional_field_may_be_left_empty() -> None:
    text = "- slug: a\n  name: A\n  org:\n  llmbase:\n  homepage:\n  artifacts:\n"
    assert parse_seeds(text, "s") == [Project(slug="a", name="A")]


def test_a_seed_error_is_wrong_usage() -> None:
    assert issubclass(SeedError, UsageError)
    assert SeedError.exit_code == 2


def test_all_mistakes_are_named_at_once_with_line_and_field() -> None:
    text = """\
- slug: a
  name: A
  licence: MIT
  artifacts:
  - {kind: gitlab, id: x/y, role: code}
  - {kind: github, id: no-owner, role: kode}
- slug: a
  homepage: ftp://files.example
"""
    lines = errors_of(text)
    assert lines[0].startswith("seeds.yaml:3: [0].licence: unknown key")
    assert lines[1].startswith("seeds.yaml:5: [0].artifacts[0].kind: unknown kind 'gitlab' (known: github, ")
    assert lines[2].startswith("seeds.yaml:6: [0].artifacts[1].")
    assert lines[3].startswith("seeds.yaml:6: [0].artifacts[1].")
    assert {line.split(": ")[1] for line in lines[2:4]} == {"[0].artifacts[1].role", "[0].artifacts[1].id"}
    assert any(line.startswith("seeds.yaml:7: [1].name: is missing") for line in lines)
    assert any("[1].slug: 'a' is already the slug on line 1" in line for line in lines)
    assert any(line.startswith("seeds.yaml:8: [1].homepage: ") for line in lines)
    assert lines[-1] == "7 errors in seeds.yaml; nothing was taken over"


def test_many_mistakes_are_counted_and_not_all_shown() -> None:
    lines = errors_of("- slug: a\n" * 80)
    assert len(lines) == 52
    assert lines[-2].startswith("... and ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("null\n", "the file is empty"),
        ("[]\n", "the list of projects is empty"),
        ("slug: a\n", "a list of projects is expected, this is a mapping"),
        ("word\n", "a list of projects is expected, this is text"),
        ("- word\n", "a mapping is expected, this is text"),
        ("- [a]\n", "a mapping is expected, this is a list"),
        ("- slug: a\n name: b\n", "not valid YAML"),
        ("- {slug: a\n", "not valid YAML"),
        ("- slug: a\n\tname: b\n", "not valid YAML"),
        ("- slug: 'a\n", "not valid YAML"),
        ("- slug: a\n  name: \x07\n", "not valid YAML"),
        ("- {slug: a, name: A}\n---\n- {slug: b, name: B}\n", "not valid YAML"),
        ("- !!python/object/apply:os.getcwd []\n", "a mapping is expected"),
        ("- slug: a\n  slug: b\n  name: A\n", "given twice (first on line 1)"),
        ("- slug: a\n  name: A\n  <<: {org: B}\n", "a key has to be a plain word"),
        ("- slug: a\n  name: A\n  ? [x]\n  : y\n", "a key has to be a plain word"),
        ("- slug:\n  name: A\n", "[0].slug: is empty"),
        ("- slug: '  '\n  name: A\n", "[0].slug: is empty"),
        ("- slug: 12\n  name: A\n", "[0].slug: text is expected, this is a number; put it in quotes"),
        ("- slug: no\n  name: A\n", "this is a truth value; put it in quotes"),
        ("- slug: 2024-01-02\n  name: A\n", "this is a date; put it in quotes"),
        ("- slug: !!binary aGk=\n  name: A\n", "text is expected"),
        ("- slug: ../a\n  name: A\n", "'../a' is no slug"),
        ("- slug: a b\n  name: A\n", "'a b' is no slug"),
        ("- slug: a\n  name: [A]\n", "[0].name: text is expected, this is a list"),
        ("- slug: a\n  name: |\n    A\n    B\n", "has a line break or a control character"),
        ('- slug: a\n  name: "A\\x1bB"\n', "has a line break or a control character"),
        ("- slug: a\n  name: A\n  llmbase: Inkwell\n", "[0].llmbase: a list is expected, this is text"),
        ("- slug: a\n  name: A\n  rlbase: [x, 3]\n", "[0].rlbase[1]: text is expected, this is a number"),
        ("- slug: a\n  name: A\n  rlbase: [x, ]\n  llmbase: ['']\n", "[0].llmbase[0]: is empty"),
        ("- slug: a\n  name: A\n  artifacts: {kind: web}\n", "[0].artifacts: a list is expected"),
        ("- slug: a\n  name: A\n  artifacts: [x]\n", "[0].artifacts[0]: a mapping is expected"),
        ("- slug: a\n  name: A\n- slug: A\n  name: B\n", "already the slug on line 1"),
    ],
)
def test_a_malformed_file_is_refused(text: str, expected: str) -> None:
    lines = errors_of(text)
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("seeds.yaml:") for line in lines[:-1])


def test_a_syntax_error_names_its_line() -> None:
    assert errors_of("- slug: a\n  name: A\n- slug: b\n  name: [\n")[0].startswith(
        "seeds.yaml:5: not valid YAML"
    )


@pytest.mark.parametrize(
    ("artifact", "expected"),
    [
        ("{kind: github, id: o/r}", "[0].artifacts[0].role: is missing"),
        ("{kind: github, id: o/r, role: code, url: x}", "[0].artifacts[0].url: unknown key"),
        ("{kind: GitHub, id: o/r, role: code}", "unknown kind 'GitHub'"),
        ("{kind: github, id: o/r, role: weights}", "unknown role 'weights' (known: code, "),
        ("{kind: arxiv, id: 2301.01234, role: preprint}", "put it in quotes"),
    ],
)
def test_a_malformed_artifact_is_refused(artifact: str, expected: str) -> None:
    lines = errors_of_artifact(artifact)
    assert len(lines) == 2
    assert lines[0].startswith("seeds.yaml:4: ")
    assert expected in lines[0]


GOOD_IDS = [
    ("github", "o/r"),
    ("github", "Some-Owner/repo.name_2"),
    ("github", "o/.github"),
    ("github", "managed_acme/r"),
    ("hf_model", "letters"),
    ("hf_model", "o/Quill-7B-v0.16"),
    ("hf_dataset", "_o/d_1"),
    ("pypi", "a"),
    ("pypi", "Zope.Thing_2"),
    ("arxiv", "0704.0001"),
    ("arxiv", "2312.12345"),
    ("arxiv", "math.GT/0309136"),
    ("arxiv", "hep-th/9901001"),
    ("arxiv", "cs/0501001"),
    ("web", "http://quill.example"),
    ("web", "https://quill.example:8443/a/b.html?q=1&r=%20#part"),
    ("web", "https://wörter.example/ä"),
    ("web", "http://[2001:db8::1]/"),
]
BAD_IDS = [
    ("github", "o"),
    ("github", "o/r/x"),
    ("github", "o/.."),
    ("github", "o/r.git"),
    ("github", "-o/r"),
    ("github", "https://github.com/o/r"),
    ("github", "o/r?x=1"),
    ("github", "ö/r"),
    ("github", f"{'o' * 40}/r"),
    ("hf_model", "o/"),
    ("hf_model", "o/n/m"),
    ("hf_model", "o/n--m"),
    ("hf_model", "o/n..m"),
    ("hf_model", "o/-n"),
    ("hf_model", "datasets/o/n"),
    ("hf_dataset", f"o/{'n' * 97}"),
    ("pypi", "-a"),
    ("pypi", "a b"),
    ("pypi", "a/b"),
    ("arxiv", "2301.01234v2"),
    ("arxiv", "2313.01234"),
    ("arxiv", "2301.123"),
    ("arxiv", "arXiv:2301.01234"),
    ("arxiv", "hep-th/99010"),
    ("arxiv", "hep-th/9913001"),
    ("arxiv", "٢٣٠١.٠١٢٣٤"),
    ("web", "quill.example"),
    ("web", "//quill.example/"),
    ("web", "ftp://quill.example/"),
    ("web", "javascript:alert(1)"),
    ("web", "https://"),
    ("web", "https://me@quill.example/"),
    ("web", "https://me:secret@quill.example/"),
    ("web", "https://quill.example/a b"),
    ("web", "https://quill.example\\\\@x.example/"),
    ("web", "https://quill.example:99999/"),
    ("web", "https://quill.example:x/"),
    ("web", "https://[::1/"),
    ("web", "https://quill.example/" + "a" * 2000),
]


@pytest.mark.parametrize(("kind", "identifier"), GOOD_IDS)
def test_a_good_id_is_taken(kind: str, identifier: str) -> None:
    text = f'- slug: a\n  name: A\n  artifacts:\n  - {{kind: {kind}, id: "{identifier}", role: other}}\n'
    assert parse_seeds(text, "s")[0].artifacts[0].ref.id == identifier


@pytest.mark.parametrize(("kind", "identifier"), BAD_IDS)
def test_a_malformed_id_is_refused(kind: str, identifier: str) -> None:
    lines = errors_of_artifact(f'{{kind: {kind}, id: "{identifier}", role: other}}')
    assert lines[0].startswith("seeds.yaml:4: [0].artifacts[0].id: ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("github", "o/r", "O/R"),
        ("hf_model", "o/n", "o/N"),
        ("pypi", "quill-chat", "Quill_Chat"),
        ("web", "https://quill.example/", "https://quill.example/"),
    ],
)
def test_an_artifact_named_twice_is_refused(kind: str, first: str, second: str) -> None:
    lines = errors_of(
        f"- slug: a\n  name: A\n  artifacts:\n  - {{kind: {kind}, id: '{first}', role: code}}\n"
        f"  - {{kind: {kind}, id: '{second}', role: other}}\n"
    )
    assert lines[0].startswith("seeds.yaml:5: [0].artifacts[1].id: ")
    assert "already stands on line 4" in lines[0]


def test_two_projects_may_share_an_artifact() -> None:
    entry = "- slug: {0}\n  name: N\n  artifacts:\n  - {{kind: github, id: o/r, role: code}}\n"
    assert len(parse_seeds(entry.format("a") + entry.format("b"), "s")) == 2


def test_a_model_and_a_dataset_may_have_one_name() -> None:
    text = (
        "- slug: a\n  name: A\n  artifacts:\n  - {kind: hf_model, id: o/n, role: other}\n"
        "  - {kind: hf_dataset, id: o/n, role: other}\n"
    )
    assert len(parse_seeds(text, "s")[0].artifacts) == 2


def test_aliases_are_refused_before_they_grow() -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    lines = errors_of("\n".join(levels))
    assert lines[0] == "seeds.yaml:2: aliases (*a0) are not allowed; write the value out"


def test_a_file_that_holds_itself_is_refused() -> None:
    assert "aliases" in errors_of("&a [*a]\n")[0]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert "levels deep" in errors_of(opening * 5000)[0]


def test_a_huge_file_is_refused_unread() -> None:
    assert "longer than" in errors_of("#" * 8_000_001)[0]


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    assert len(errors_of(f"- slug: '{'?' * 1500}'\n  name: A\n")[0]) < 300


def test_half_a_character_is_refused() -> None:
    assert "seeds.yaml:" in errors_of("- slug: a\n  name: \ud800\n")[0]


def test_what_a_run_found_is_not_written_as_a_seed() -> None:
    found = Artifact(
        ref=ArtifactRef(kind=ArtifactKind.WEB, id="https://a.example/"), role=Role.OTHER, origin=Origin.LINK
    )
    text = dump_seeds([Project(slug="a", name="A", artifacts=(found,))])
    assert parse_seeds(text, "s") == [Project(slug="a", name="A")]


def test_an_artifact_is_written_on_one_line() -> None:
    text = dump_seeds(parse_seeds(GOOD, "s"))
    assert "  - {kind: github, id: paperwing/quill, role: code}\n" in text
    assert "  - {kind: arxiv, id: '2301.01234', role: preprint}\n" in text


def test_the_projects_own_seed_file_is_good(root: Path) -> None:
    projects = parse_seeds((root / "seeds.yaml").read_text(encoding="utf-8"), "seeds.yaml")
    assert len(projects) == 30
    assert parse_seeds(dump_seeds(projects), "again") == projects


names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).filter(
    lambda text: text == text.strip() and text
)
slugs = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
artifacts = st.sampled_from([(ArtifactKind(kind), identifier) for kind, identifier in GOOD_IDS])


@st.composite
def projects(draw: st.DrawFn) -> list[Project]:
    found = draw(st.lists(slugs, unique_by=str.casefold, min_size=1, max_size=4))
    return [
        Project(
            slug=slug,
            name=draw(names),
            org=draw(st.one_of(st.just(""), names)),
            llmbase=tuple(draw(st.lists(names, max_size=3))),
            rlbase=tuple(draw(st.lists(names, max_size=3))),
            homepage=draw(st.sampled_from(["", "https://quill.example/"])),
            artifacts=tuple(
                Artifact(ref=ArtifactRef(kind=kind, id=identifier), role=draw(st.sampled_from(list(Role))))
                for kind, identifier in draw(st.lists(artifacts, unique=True, max_size=4))
            ),
        )
        for slug in found
    ]


@given(projects())
def test_what_is_written_is_read_back(written: list[Project]) -> None:
    assert parse_seeds(dump_seeds(written), "s") == written


@given(st.text(alphabet="-{}[]:,&*!|>'\"%@`#? \n\taslugnme<", max_size=60))
def test_any_text_is_read_or_refused_with_a_seed_error(text: str) -> None:
    with contextlib.suppress(SeedError):
        parse_seeds(text, "s")
