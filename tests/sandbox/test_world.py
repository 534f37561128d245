"""The invented world: it holds together, and covers every class of every dimension."""

from __future__ import annotations

import csv
import re
from collections import defaultdict

import pytest
import yaml

from sandbox import EXPECTED, EXPECTED_NIGHT2, LINEAGE, RATINGS, SEEDS
from sandbox.gitobjects import blob_sha, build_trees
from sandbox.world import WORLD, World

DIMENSIONS = (
    "opencode llmdata llmweights rldata rlweights license code architecture preprint paper modelcard datasheet "
    "package api"
).split()
CLASSES = {"open", "partial", "closed"}
# Named in the seeds, and taken down by its maker.
DELIBERATELY_ABSENT = {("hf_model", "heathland/gorse-3b")}
PREFIXES = {
    "github": "github/",
    "hf_model": "hub/models/",
    "hf_dataset": "hub/datasets/",
    "pypi": "pypi/",
    "arxiv": "arxiv/",
    "web": "",
}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def seeds():
    return yaml.safe_load(SEEDS.read_text(encoding="utf-8"))


@pytest.fixture
def first():
    return World(1)


@pytest.fixture
def second():
    return World(2)


def test_every_class_of_every_dimension_is_expected_somewhere():
    found = defaultdict(set)
    for row in rows(EXPECTED):
        found[row["dimension"]].add(row["class"])
    assert set(found) == set(DIMENSIONS)
    assert all(classes == CLASSES for classes in found.values()), found


def test_every_seed_is_expected_in_all_dimensions_once(seeds):
    cells = [(row["slug"], row["dimension"]) for row in rows(EXPECTED)]
    assert len(seeds) >= 10
    assert len(cells) == len(set(cells))
    assert set(cells) == {(seed["slug"], dimension) for seed in seeds for dimension in DIMENSIONS}


def test_every_seeded_artifact_is_in_the_world_or_deliberately_absent(seeds, first):
    named = {(artifact["kind"], artifact["id"]) for seed in seeds for artifact in seed["artifacts"]}
    absent = {(kind, name) for kind, name in named if first.thing(PREFIXES[kind] + name) is None}
    assert absent == DELIBERATELY_ABSENT


def test_published_ratings_agree_in_most_cells_and_leave_some_out(seeds):
    expected = {(row["slug"], row["dimension"]): row["class"] for row in rows(EXPECTED)}
    ratings = {(row["slug"], row["dimension"]): row["class"] for row in rows(RATINGS)}
    assert set(ratings) < set(expected)
    assert set(ratings.values()) <= CLASSES | {""}
    differing = [cell for cell, rating in ratings.items() if rating != expected[cell]]
    assert 5 <= len(differing) <= len(ratings) // 10
    assert len({slug for slug, _ in ratings}) == len(seeds) - 1


def test_the_second_nights_expectations_begin_where_the_first_night_ends():
    expected = {(row["slug"], row["dimension"]): row["class"] for row in rows(EXPECTED)}
    for row in rows(EXPECTED_NIGHT2):
        assert expected[row["slug"], row["dimension"]] == row["class_before"]
        assert row["class_after"] in CLASSES - {row["class_before"]}
        assert row["why"]


def test_every_change_of_the_second_night_gives_its_reason():
    night = yaml.safe_load((WORLD / "night2.yaml").read_text(encoding="utf-8"))
    assert all(change["reason"] for change in night["changes"])


def test_the_second_night_changes_what_it_says(first, second):
    gone = set(first.things) - set(second.things)
    new = set(second.things) - set(first.things)
    assert gone == {"github/heathland/gorse"}
    assert new == {
        "hub/datasets/mirefen/fen-dialogues",
        "hub/models/fennelhollow/fennel-7b-instruct",
        "hub/models/quillwort/burnet-7b-instruct",
    }
    moved = {
        key
        for key in set(first.things) & set(second.things)
        if first.things[key].commits[-1:] != second.things[key].commits[-1:]
    }
    assert moved == {
        "hub/models/quillwort/sorrel-chat-7b",
        "github/hawthorn-tools/trellis",
        "hub/models/mirefen/bogbean-7b-chat",
        "hub/models/wugu-lab/jueyu-chat-6b",
    }
    assert second.thing("hub/models/saltmarsh/kelpie-instruct-7b").facts["gated"] == "auto"
    assert "Accepted" in second.thing("arxiv/2402.91004").facts["comment"]
    assert second.thing("https://barrow-sound.example/api").facts["status"] == 503


def test_every_counter_has_changed_on_the_second_night(first, second):
    for key, thing in first.things.items():
        for counter in ("stars", "downloads", "likes"):
            if counter in thing.facts and key in second.things:
                assert second.things[key].facts[counter] > thing.facts[counter]


def test_going_back_to_the_first_night_undoes_everything(second, first):
    second.change("github/quillwort/sorrel/files/README.md", text="gone")
    second.set_night(1)
    assert {key: thing.facts for key, thing in second.things.items()} == {
        key: thing.facts for key, thing in first.things.items()
    }
    assert second.thing("github/quillwort/sorrel").commits == first.thing("github/quillwort/sorrel").commits
    with pytest.raises(ValueError, match="counted from 1"):
        second.set_night(0)


def test_a_third_night_without_changes_is_like_the_second(second):
    assert {k: t.facts for k, t in World(3).things.items()} == {k: t.facts for k, t in second.things.items()}


def test_links_to_services_lead_to_things_of_the_world(first):
    """What cards and READMEs name is there, save what is announced or made up by them on purpose."""
    pattern = re.compile(
        r"(?P<github>(?<=github\.com/)[\w-]+/[\w-]+)|(?P<data>(?<=huggingface\.co/datasets/)[\w-]+/[\w.-]+)"
        r"|(?P<model>(?<=huggingface\.co/)(?!datasets/|spaces/)[\w-]+/[\w.-]+)|(?P<paper>(?<=arxiv\.org/abs/)[\d.]+\d)"
    )
    prefixes = {"github": "github/", "data": "hub/datasets/", "model": "hub/models/", "paper": "arxiv/"}
    missing = set()
    for thing in first.things.values():
        for document in thing.files.values():
            if document.body is None:
                continue
            for match in pattern.finditer(document.body.decode("utf-8", "replace")):
                key = prefixes[match.lastgroup] + match[0]
                if first.thing(key) is None:
                    missing.add(key)
    assert missing == {"github/bindweed/betony"}


def test_a_path_that_names_nothing_is_refused(first):
    with pytest.raises(ValueError, match="no such kind of path"):
        first.change("gitlab/some/thing", delete=True)
    with pytest.raises(ValueError, match="has no github/no/thing"):
        first.change("github/no/thing", delete=True)
    with pytest.raises(ValueError, match="has no file"):
        first.change("github/quillwort/sorrel/files/nothing", delete=True)
    with pytest.raises(ValueError, match="does not hold"):
        first.change("github/quillwort/sorrel/files/README.md", replace=[("never there", "")])


def test_a_change_of_counters_is_no_push(first):
    thing = first.thing("github/quillwort/sorrel")
    before = dict(thing.facts)
    first.change("github/quillwort/sorrel", merge={"stars": 9})
    assert thing.facts == {**before, "stars": 9}


def test_a_pushed_change_adds_a_commit_on_top_of_the_last(first):
    thing = first.thing("github/quillwort/sorrel")
    head = thing.commits[-1]
    first.change("github/quillwort/sorrel/files/README.md", append="\nMore.\n")
    assert thing.commits[-1].parents == (head.sha,)
    assert thing.commits[-1].when == thing.facts["pushed_at"]


def test_the_lineage_file_has_the_base_that_nobody_describes(first):
    (base,) = yaml.safe_load(LINEAGE.read_text(encoding="utf-8"))
    assert base["name"] == "Kelpwood"
    assert not [key for key in first.things if "kelpwood" in key and key.startswith("hub/")]


def test_git_names_known_objects_as_git_does():
    assert blob_sha([], 0) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert build_trees({})[""].sha == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
