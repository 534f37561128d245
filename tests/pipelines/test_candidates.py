"""Which listed models are new projects, and which only look like it. Makers and models are invented."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.candidates import makers_of, propose_candidates, seed_from_json, seed_json
from pipelines.hub_models import bare_name, name_parts, parse_models, release_of, size_of
from pipelines.model import Artifact, ArtifactKind, ArtifactRef, Origin, Project, Role
from pipelines.model_kinds import ModelKind, Surroundings, judge_model, surroundings_of
from pipelines.seeds import dump_seeds, parse_seeds


def listed(name, *tags, task="text-generation", base=None, **more):
    """An entry of the Hub's list."""
    card = {
        key: more.pop(key)
        for key in ("datasets", "license", "base_model_relation", "model_creator")
        if key in more
    }
    if base:
        card["base_model"] = base
    files = [{"rfilename": path} for path in more.pop("files", ["README.md", "model.safetensors"])]
    entry = {"id": name, "tags": list(tags), "cardData": card, "siblings": files, **more}
    if task:
        entry["pipeline_tag"] = task
    return entry


def model(name, *tags, **more):
    (found,), skipped = parse_models([listed(name, *tags, **more)])
    assert skipped == 0
    return found


def kind(name, *tags, around=Surroundings(), **more):  # noqa: B008  a constant value
    return judge_model(model(name, *tags, **more), around).kind


def project(slug, *models, name="", **more):
    artifacts = tuple(
        Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id=identifier), role=role)
        for identifier, role in models
    )
    return Project(slug=slug, name=name or slug, artifacts=artifacts, **more)


HAZEL = project(
    "hazel", ("nutwood/hazel-3b-instruct", Role.RL_WEIGHTS), ("nutwood/hazel-3b", Role.LLM_WEIGHTS)
)


def proposed(*entries, projects=(HAZEL,), **more):
    models, _ = parse_models(list(entries))
    return [candidate.ref.id for candidate in propose_candidates(models, projects, **more).candidates]


def kinds(*entries, projects=(HAZEL,), **more):
    models, _ = parse_models(list(entries))
    return {item.model.id: item.kind.value for item in propose_candidates(models, projects, **more).judged}


@pytest.mark.parametrize(
    "entry",
    [
        listed("nutwood/walnut-7b-instruct"),
        listed("nutwood/walnut-7b-chat", task=None),
        listed("nutwood/walnut-7b-it", task=None),
        listed("nutwood/WalnutChat-7B", task=None),
        listed("nutwood/walnut-7b", "conversational"),
        listed("nutwood/walnut-7b", "Instruction Tuning"),
        listed("nutwood/walnut-7b", "function_calling"),
        listed("nutwood/walnut", task="conversational"),
        listed("nutwood/walnut-7b-dpo", task=None),
        listed("nutwood/walnut-7b", base="oakshed/acorn-7b"),
        listed("nutwood/walnut-7b", datasets=["nutwood/walnut-instructions"]),
        listed("nutwood/walnut-7b", datasets=["nutwood/kernels-52k"]),
        listed("nutwood/walnut-7b-delta", task=None),
        listed("nutwood/walnut-chat-base-7b"),
        listed("nutwood/walnut-lora-7b-chat", files=["model-00001-of-00002.safetensors"]),
        listed("nutwood/walnut-7b-instruct", "text-classification"),
    ],
    ids=lambda entry: f"{entry['id']} {entry['tags']}",
)
def test_an_instruction_tuned_or_chat_text_generator_is_a_candidate(entry):
    assert proposed(entry) == [entry["id"]]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (listed("nutwood/walnut-7b", "pretrained"), "base"),
        (listed("nutwood/walnut-7b-base"), "base"),
        (listed("nutwood/walnut-base-7b", base="oakshed/acorn-7b"), "base"),
        (listed("nutwood/walnut-7b"), "unclear"),
        (listed("nutwood/walnut", task=None), "unclear"),
        (listed("nutwood/walnut-embed-chat", task="sentence-similarity"), "other"),
        (listed("nutwood/walnut-7b-instruct", "mteb"), "other"),
        (listed("nutwood/walnut-7b-instruct", library_name="sentence-transformers", task=None), "other"),
        (listed("nutwood/walnut-embedding-7b-instruct", task=None), "other"),
        (listed("nutwood/walnut-vl-7b-instruct"), "other"),
        (listed("nutwood/walnut-7b-instruct", task="image-text-to-text"), "other"),
        (listed("nutwood/walnut-7b-chat", "multimodal"), "other"),
        (listed("nutwood/walnut-7b-chat", "Vision"), "other"),
        (listed("nutwood/walnut-tts-chat", task=None), "other"),
        (listed("nutwood/walnut-7b-chat", task="automatic-speech-recognition"), "other"),
        (listed("nutwood/walnut-sentiment", task="text-classification"), "other"),
        (listed("nutwood/walnut-reward-7b-instruct", task=None), "other"),
        (listed("nutwood/walnut-rm-7b", "rlhf"), "other"),
        (listed("nutwood/walnut-guard-7b-instruct"), "other"),
        (listed("nutwood/walnut-small", "translation", task=None), "other"),
        (listed("nutwood/tiny-random-walnut-7b-chat"), "other"),
        (listed("nutwood/walnut-7b-chat", disabled=True), "other"),
        (listed("nutwood/walnut-dpo", task="text-to-image"), "other"),
        (listed("nutwood/walnut-7b-chat-gguf"), "variant"),
        (listed("nutwood/walnut-7b-chat-w4a16", task=None), "variant"),
        (listed("nutwood/walnut-7b-chat-4bit", base="nutwood/walnut-7b-chat"), "variant"),
        (listed("nutwood/acorn-7b-chat-AWQ", base="oakshed/acorn-7b-chat"), "derivative"),
        (listed("nutwood/acorn-7b-chat", base="oakshed/acorn-7b-chat"), "derivative"),
        (listed("nutwood/acorn-7b-chat-hf", task=None, model_creator="Oakshed"), "derivative"),
        (listed("nutwood/walnut-7b-chat", base=["a/acorn-7b", "b/beech-7b"]), "derivative"),
        (listed("nutwood/walnut-7b-chat", "mergekit", base="oakshed/acorn-7b"), "derivative"),
        (
            listed("nutwood/walnut-7b-chat", base="oakshed/acorn-7b", base_model_relation="adapter"),
            "derivative",
        ),
        (listed("nutwood/walnut-7b-chat", "base_model:quantized:oakshed/acorn-7b", task=None), "derivative"),
        (
            listed("nutwood/walnut-lora", base="oakshed/acorn-7b", files=["adapter_model.safetensors"]),
            "derivative",
        ),
        (
            listed("nutwood/walnut-7b-chat", base="oakshed/acorn-7b", library_name="peft", files=[]),
            "derivative",
        ),
    ],
    ids=lambda value: f"{value['id']} {value['tags']}" if isinstance(value, dict) else value,
)
def test_everything_else_is_told_apart(entry, expected):
    assert kinds(entry) == {entry["id"]: expected}
    assert proposed(entry) == []


@pytest.mark.parametrize(
    "name",
    [
        "nutwood/hazel-7b-instruct",
        "nutwood/Hazel-70B-Instruct",
        "nutwood/hazel_1_5b_instruct",
        "nutwood/hazel-3b-instruct-v0.2",
        "nutwood/hazel-3b-instruct-0924",
        "nutwood/hazel-3b-instruct-128k",
        "nutwood/hazel-mini-instruct",
        "nutwood/hazel-8x7b-instruct",
        "nutwood/hazel-3b-instruct-bf16",
        "nutwood/hazel-3b-instruct-dpo",
        "NutWood/hazel-3b-instruct",
    ],
)
def test_another_size_format_or_version_of_a_known_release_is_no_candidate(name):
    assert kinds(listed(name)) == {name: "variant"}


@pytest.mark.parametrize(
    "name",
    [
        "nutwood/hazel-2-7b-instruct",
        "nutwood/hazel2-7b-instruct",
        "nutwood/hazel-coder-3b-instruct",
        "nutwood/hazel-3b-chat",
    ],
)
def test_a_new_generation_name_or_purpose_is_a_candidate(name):
    assert proposed(listed(name)) == [name]


def test_other_makers_may_use_the_same_name():
    assert proposed(listed("oakshed/hazel-9b-instruct")) == ["oakshed/hazel-9b-instruct"]


def test_the_very_model_of_a_project_is_known_by_whichever_account_has_it():
    named = "oakshed/hazel-3b-instruct"
    assert kinds(listed(named)) == {named: "derivative"}


def test_a_project_without_tuned_weights_at_the_hub_is_known_by_its_name():
    known = project("rowan", ("nutwood/rowan-7b", Role.LLM_WEIGHTS), name="Rowan 7B Chat")
    assert proposed(listed("nutwood/rowan-13b-chat"), projects=[known]) == []


def test_one_release_is_one_candidate_the_largest_of_its_sizes():
    entries = [listed(f"nutwood/walnut-{size}-instruct") for size in ("500m", "7b", "1.5b")]
    entries += [listed("nutwood/walnut-70b-instruct-gguf"), listed("nutwood/beech-1b-instruct")]
    assert proposed(*entries) == ["nutwood/beech-1b-instruct", "nutwood/walnut-7b-instruct"]


def test_the_same_release_on_another_base_of_other_makers_is_the_same():
    entries = [
        listed("nutwood/walnut-acorn-7b", base="oakshed/Acorn-7B"),
        listed("nutwood/walnut-beech2-13b", base="coppice/beech2-13b"),
    ]
    assert proposed(*entries) == ["nutwood/walnut-beech2-13b"]


def test_decided_candidates_and_their_sizes_do_not_come_back_and_waiting_ones_stay_themselves():
    small, large = listed("nutwood/walnut-7b-chat"), listed("nutwood/walnut-70b-chat")
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="Nutwood/Walnut-7B-chat")
    assert proposed(small, large, decided=[ref]) == []
    assert proposed(small, large, waiting=[ref]) == ["nutwood/walnut-7b-chat"]
    assert proposed(large, waiting=[ref]) == []


def test_a_waiting_candidate_that_has_become_a_project_is_none_any_more():
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id="nutwood/hazel-3b-instruct")
    assert proposed(listed(ref.id), waiting=[ref]) == []


def test_a_name_of_anothers_model_is_an_upload_of_it_with_or_without_a_word():
    around = surroundings_of(["oakshed/acorn-7b-chat"])
    assert kind("nutwood/Acorn-7B-Chat-hf", around=around) is ModelKind.DERIVATIVE
    assert kind("nutwood/acorn-13b-chat", around=around) is ModelKind.PROJECT
    assert kind("oakshed/acorn-7b-chat", around=around) is ModelKind.PROJECT


def test_the_words_of_others_bases_tell_that_a_model_was_tuned():
    around = surroundings_of(["oakshed/acorn-7b"])
    assert kind("nutwood/walnut-acorn-7b", around=around) is ModelKind.PROJECT
    assert kind("nutwood/walnut-7b", around=around, license="acorn2") is ModelKind.PROJECT
    assert kind("oakshed/acorn-13b", around=around) is ModelKind.UNCLEAR


def test_every_reason_quotes_the_field_it_rests_on():
    entry = listed(
        "nutwood/walnut-7b-instruct", "RLHF", base="oakshed/acorn-7b", datasets=["nutwood/walnut-chats"]
    )
    found = judge_model(
        model(
            "nutwood/walnut-7b-instruct", "RLHF", base="oakshed/acorn-7b", datasets=["nutwood/walnut-chats"]
        ),
        Surroundings(),
    )
    assert {(reason.field, reason.value) for reason in found.reasons} >= {
        ("id", "instruct"),
        ("tags", "RLHF"),
        ("cardData.base_model", "oakshed/acorn-7b"),
        ("cardData.datasets", "nutwood/walnut-chats"),
    }
    text = repr(entry)
    assert all(reason.value in text and reason.says for reason in found.reasons)


def test_the_proposed_seed_entry_can_be_put_into_a_seed_file():
    entry = listed(
        "nutwood/Walnut-7B-Chat",
        base="https://huggingface.co/oakshed/acorn-7b",
        datasets=["nutwood/walnut-chats", "bare-name", "../../etc"],
    )
    models, _ = parse_models([entry])
    [candidate] = propose_candidates(models, [HAZEL]).candidates
    assert [candidate.seed] == parse_seeds(dump_seeds([candidate.seed]), "seeds.yaml")
    assert seed_from_json(seed_json(candidate.seed)) == candidate.seed
    seed = candidate.seed
    assert (seed.slug, seed.name, seed.org) == ("walnut-7b-chat", "Walnut-7B-Chat", "nutwood")
    assert seed.llmbase == ("acorn-7b",)
    assert [(a.ref.id, a.role) for a in seed.artifacts] == [
        ("nutwood/Walnut-7B-Chat", Role.RL_WEIGHTS),
        ("oakshed/acorn-7b", Role.LLM_WEIGHTS),
        ("nutwood/walnut-chats", Role.RL_DATA),
    ]


def test_data_of_a_model_without_a_base_are_not_called_tuning_data():
    models, _ = parse_models([listed("nutwood/walnut-7b-chat", datasets=["nutwood/all-the-leaves"])])
    [candidate] = propose_candidates(models, [HAZEL]).candidates
    assert candidate.seed.rlbase == ()
    assert [a.role for a in candidate.seed.artifacts] == [Role.RL_WEIGHTS]


def test_slugs_are_free_of_those_that_are_taken():
    taken = [project("walnut-7b-chat", ("coppice/walnut", Role.RL_WEIGHTS))]
    models, _ = parse_models([listed("nutwood/walnut-7b-chat"), listed("oakshed/walnut-7b-chat")])
    found = propose_candidates(models, taken).candidates
    assert [c.seed.slug for c in found] == ["nutwood-walnut-7b-chat", "oakshed-walnut-7b-chat"]


def test_makers_are_the_accounts_of_seeded_models():
    link = Artifact(
        ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="stranger/model"),
        role=Role.RL_WEIGHTS,
        origin=Origin.LINK,
    )
    data = Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_DATASET, id="barn/data"), role=Role.RL_DATA)
    bare = Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="old-model"), role=Role.LLM_WEIGHTS)
    other = Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id="aside/model"), role=Role.OTHER)
    mixed = project("beech", ("Coppice/beech", Role.RL_WEIGHTS), ("NUTWOOD/hazel-9b", Role.LLM_WEIGHTS))
    assert makers_of([HAZEL, mixed, Project(slug="x", name="x", artifacts=(link, data, bare, other))]) == (
        "Coppice",
        "nutwood",
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hazel-1b7-chat", {"hazel"}),
        ("hazel-2-1_6b-chat", {"hazel", "2"}),
        ("Hazel-7B-Instruct-v0_1", {"hazel"}),
        ("hazel2.5-coder-7b-instruct", {"hazel2.5", "coder"}),
        ("hazel3_8b_gguf", {"hazel3"}),
        ("hazel-3.1.4-7b-chat", {"hazel", "3.1"}),
        ("hazel-7b-chat-1.2", {"hazel"}),
        ("7b", set()),
        ("蕨语-chat-6b", {"蕨语"}),
    ],
)
def test_a_release_is_what_is_left_of_a_name(name, words):
    assert release_of(name).words == words


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("hazel-7b", 7),
        ("hazel-1b7", 1.7),
        ("hazel-8x7b", 56),
        ("hazel-350m", 0.35),
        ("hazel-1_5b", 1.5),
        ("hazel-4k", 0),
        ("b", 0),
    ],
)
def test_sizes_are_read_from_names(name, billions):
    assert size_of(name) == pytest.approx(billions)


def test_bare_names_are_equal_whatever_the_format():
    assert bare_name("a/Hazel_7B-Chat-GPTQ") == bare_name("b/hazel-7b-chat-hf") == "hazel-7b-chat"
    assert bare_name("hazel-7b-chat") != bare_name("hazel-13b-chat")


def test_what_the_hub_garbles_is_counted_and_the_rest_is_read():
    entries = [
        None,
        7,
        [],
        {"id": 3},
        {"id": "no name at all"},
        {"id": "../../etc/passwd"},
        {
            "id": "nutwood/a",
            "tags": "chat",
            "cardData": [],
            "siblings": {"x": 1},
            "downloads": "many",
            "pipeline_tag": 1,
        },
        {
            "modelId": "nutwood/b",
            "tags": [1, None, "chat"],
            "cardData": {"base_model": {"x": 1}, "datasets": [None]},
        },
        listed("nutwood/walnut-7b-chat"),
    ]
    models, skipped = parse_models(entries)
    assert skipped == 6
    assert [found.id for found in models] == ["nutwood/a", "nutwood/b", "nutwood/walnut-7b-chat"]
    assert proposed(*entries) == ["nutwood/walnut-7b-chat"]
    assert parse_models({"error": "no"}) == ((), 1)


def test_endless_fields_are_cut():
    (found,), _ = parse_models(
        [listed("nutwood/walnut-7b", *(f"t{n}" * 900 for n in range(9_000)), task="x" * 5_000)]
    )
    assert len(found.tags) <= 300
    assert max(map(len, found.tags)) <= 200
    assert len(found.pipeline_tag) <= 200


def test_the_order_of_the_list_plays_no_part():
    entries = [
        listed(f"nutwood/{word}-{size}-chat")
        for word in ("walnut", "beech", "elm")
        for size in ("1b", "3b", "9b")
    ]
    entries += [listed("nutwood/walnut-9b-chat"), listed("nutwood/hazel-9b-instruct")]
    models, _ = parse_models(entries)
    expected = propose_candidates(models, [HAZEL])
    for seed in range(5):
        shuffled = list(models)
        random.Random(seed).shuffle(shuffled)
        assert propose_candidates(shuffled, [HAZEL]) == expected


@given(st.text(max_size=60))
def test_any_name_has_parts(name):
    assert all(part.text for part in name_parts(name))
    assert release_of(name).words <= {part.text for part in name_parts(name)}
    assert size_of(name) >= 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "tags",
                        "cardData",
                        "siblings",
                        "base_model",
                        "datasets",
                        "license",
                        "rfilename",
                        "pipeline_tag",
                        "downloads",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_no_entry_breaks_the_reading(value):
    models, _ = parse_models(value if isinstance(value, list) else [value])
    propose_candidates(models, [HAZEL])
