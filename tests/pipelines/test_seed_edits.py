"""One entry of a seed file is changed and nothing else of it, down to the last byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SeedError
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Project, Role
from pipelines.seed_edits import append_entry, find_entry, parse_entry, replace_entry
from pipelines.seeds import dump_seeds, parse_seeds

FILE = """\
# What is known at the start.

- slug: teal
  name: Teal Chat      # as its makers write it
  org: Moorland
  artifacts:
  - {kind: hf_model, id: moorland/teal-7b, role: rl_weights}
  # the code is not out yet

# The second one.
-   slug: gorse
    name: "Gorse ñ 3B"
    homepage: https://gorse.example/

- {slug: sedge, name: Sedge}
"""


def test_an_entry_is_shown_without_its_dash_and_margin():
    entry = find_entry(FILE, "teal")
    assert entry is not None
    assert entry.text == (
        "slug: teal\nname: Teal Chat      # as its makers write it\norg: Moorland\nartifacts:\n"
        "- {kind: hf_model, id: moorland/teal-7b, role: rl_weights}\n"
    )
    assert (
        find_entry(FILE, "gorse").text
        == 'slug: gorse\nname: "Gorse ñ 3B"\nhomepage: https://gorse.example/\n'
    )
    assert find_entry(FILE, "nobody") is None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("slug", ["teal", "gorse", "sedge"])
def test_an_entry_that_is_put_back_as_it_is_changes_nothing(slug, mark, newline):
    text = mark + FILE.replace("\n", newline)
    entry = find_entry(text, slug)
    changed, project = replace_entry(text, "seeds.yaml", slug, entry.text)
    assert changed == text
    assert project in parse_seeds(text, "seeds.yaml")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_entry_is_changed(newline):
    text = FILE.replace("\n", newline)
    changed, project = replace_entry(
        text, "seeds.yaml", "gorse", "slug: gorse\r\n# two sizes\r\nname: Gorse\r\nllmbase:\r\n- Fennel\r\n"
    )
    before, after = FILE.split(
        '-   slug: gorse\n    name: "Gorse ñ 3B"\n    homepage: https://gorse.example/\n'
    )
    expected = (
        f"{before}-   slug: gorse\n    # two sizes\n    name: Gorse\n    llmbase:\n    - Fennel\n{after}"
    )
    assert changed == expected.replace("\n", newline)
    assert project == Project(slug="gorse", name="Gorse", llmbase=("Fennel",))


def test_an_entry_within_brackets_stays_there():
    changed, project = replace_entry(FILE, "seeds.yaml", "sedge", "{slug: sedge, name: Sedge, org: Fen}")
    assert changed == FILE.replace("{slug: sedge, name: Sedge}", "{slug: sedge, name: Sedge, org: Fen}")
    assert project.org == "Fen"


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        ("slug: teal\nname: Teal\nlicence: mit\n", "entry:3: [0].licence: unknown key"),
        ("slug: teal\n", "entry:1: [0].name: is missing"),
        ("slug: teal\nname: Teal\nhomepage: ftp://teal.example\n", "entry:3: [0].homepage"),
        ("slug: teal\nname: Teal\nartifacts:\n- {kind: github, id: nobody, role: code}\n", "entry:4"),
        ("slug: teal\nname: [\n", "not valid YAML"),
        ("slug: other\nname: Teal\n", "the slug"),
        ("", "the entry is empty"),
        ("# nothing but a comment\n", "the entry is empty"),
        ("slug: teal\nname: Teal\n- slug: gorse\n", "entry:"),
        ("x" * 200_001, "longer than"),
        ("slug: teal\nname: &a Teal\norg: *a\n", "aliases"),
    ],
)
def test_a_mistake_names_its_line_in_the_entry_and_its_field(edited, told):
    with pytest.raises(SeedError) as caught:
        replace_entry(FILE, "seeds.yaml", "teal", edited)
    assert told in str(caught.value)


def test_nothing_gets_out_of_its_entry():
    for edited in (
        "slug: teal\nname: Teal\n...\n- slug: x\n  name: X",
        "slug: teal\nname: Teal\n---\n",
        "slug: teal\nname: Teal\n#\n- slug: x\n  name: X",
        "slug: teal\nname: 'Teal",
        "? slug\n: teal",
    ):
        with pytest.raises(SeedError):
            replace_entry(FILE, "seeds.yaml", "teal", edited)


def test_a_project_that_the_file_does_not_have_is_put_at_its_end():
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="moorland/reed-1b")
    project = Project(slug="reed", name="Reed", artifacts=(Artifact(ref=ref, role=Role.RL_WEIGHTS),))
    changed = append_entry(FILE, "seeds.yaml", project)
    assert changed.startswith(FILE)
    assert parse_seeds(changed, "seeds.yaml")[-1] == project
    assert parse_seeds(append_entry("", "seeds.yaml", project), "seeds.yaml") == [project]
    assert parse_seeds(append_entry(FILE.rstrip("\n"), "seeds.yaml", project), "seeds.yaml")[-1] == project
    with pytest.raises(SeedError, match="already the slug"):
        append_entry(FILE, "seeds.yaml", Project(slug="Teal", name="Teal"))
    with pytest.raises(SeedError, match="by hand"):
        append_entry("[{slug: a, name: A}]", "seeds.yaml", project)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).map(
    str.strip
)


@given(st.lists(NAMES.filter(bool), min_size=2, max_size=4), NAMES.filter(bool))
def test_whatever_the_names_are_the_other_entries_stay(names, new):
    projects = [Project(slug=f"p{place}", name=name) for place, name in enumerate(names)]
    text = dump_seeds(projects)
    edited = dump_seeds([Project(slug="p0", name=new)])
    body = "".join(f"{line[2:]}\n" for line in edited.splitlines())
    changed, project = replace_entry(text, "seeds.yaml", "p0", body)
    assert project == parse_entry(body)
    assert parse_seeds(changed, "seeds.yaml")[1:] == parse_seeds(text, "seeds.yaml")[1:]
