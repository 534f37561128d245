"""What the Hub's information and a card's front matter say of a repository."""

from __future__ import annotations

import pytest

from pipelines.model import Evidence


def info(
    extracted, kind: str = "hf_model", identifier: str = "meadowlab/sorrel-7b", **fields
) -> list[Evidence]:
    siblings = [{"rfilename": name} for name in fields.pop("files", ())]
    return extracted(kind, "info", {"gated": False, "siblings": siblings, **fields}, identifier=identifier)


def card(extracted, front_matter: str) -> list[Evidence]:
    return extracted("hf_model", "card", f"---\n{front_matter}\n---\n# Sorrel\n")


def values(found: list[Evidence], kind: str) -> list[dict]:
    return [dict(item.value) for item in found if item.kind == kind]


@pytest.mark.parametrize(
    ("told", "gated"), [(False, "no"), (None, "no"), ("auto", "auto"), ("manual", "manual"), (True, "manual")]
)
def test_the_gate_is_read(extracted, told, gated: str) -> None:
    assert values(info(extracted, gated=told), "hub.gated") == [{"gated": gated}]


def test_information_without_a_gate_says_that_there_is_none(extracted) -> None:
    assert values(extracted("hf_model", "info", {}), "hub.gated") == [{"gated": "no"}]


@pytest.mark.parametrize(
    ("files", "identifier", "form"),
    [
        (["model-00001-of-00002.safetensors", "config.json"], "meadowlab/sorrel-7b", "full"),
        (["pytorch_model.bin"], "meadowlab/sorrel-7b", "full"),
        (["sorrel.ckpt"], "meadowlab/sorrel", "full"),
        (["pytorch_model.bin"], "meadowlab/sorrel-7b-delta-v1", "delta"),
        (["pytorch_model.bin"], "meadowlab/sorrel-wdiff", "delta"),
        (["delta-00001.bin", "delta-00002.bin"], "meadowlab/sorrel", "delta"),
        (["adapter_model.safetensors"], "meadowlab/sorrel-lora", "adapter"),
        (["sorrel-7b.Q4_K_M.gguf", "model-q4_0.gguf"], "meadowlab/sorrel-gguf", "quantised"),
        (["model.safetensors"], "meadowlab/sorrel-7b-GPTQ", "quantised"),
        (["sorrel-7b"], "meadowlab/sorrel", "full"),
        # Part of the name of another word.
        (["model.safetensors"], "meadowlab/deltarune", "full"),
        (["model.safetensors"], "meadowlab/diffusion", "full"),
        (["model.safetensors", "adapter_model.bin"], "meadowlab/sorrel", "full"),
    ],
)
def test_the_form_of_weights_is_told_from_names(extracted, files, identifier: str, form: str) -> None:
    (weights,) = values(info(extracted, files=files, identifier=identifier), "hub.weights")
    assert weights["form"] == form


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["README.md", "config.json", "tokenizer.json"],
        ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"],
        ["tokenizer.model"],
        ["modeling_sorrel.py"],
    ],
)
def test_what_is_no_weights_is_not_counted_as_such(extracted, files) -> None:
    assert values(info(extracted, files=files), "hub.weights") == []


def test_weights_are_counted_and_pointed_at(extracted) -> None:
    found = info(extracted, files=["README.md", "b.safetensors", "a.safetensors", "c.bin"])
    (item,) = (item for item in found if item.kind == "hub.weights")
    assert item.value["count"] == 3
    assert item.value["formats"] == ["bin", "safetensors"]
    assert (item.where.path, item.where.value) == ("$.siblings[1].rfilename", "b.safetensors")


@pytest.mark.parametrize(
    ("files", "count", "script"),
    [
        (["train.jsonl"], 1, False),
        (["data/train-00000.parquet", "data/test.parquet", "README.md"], 2, False),
        (["sorrel.py"], 0, True),
        (["sorrel.py", "train.json.gz"], 1, False),
    ],
)
def test_data_files_are_counted(extracted, files, count: int, script: bool) -> None:
    (data,) = values(info(extracted, kind="hf_dataset", files=files), "hub.data_files")
    assert (data["count"], data["script"]) == (count, script)


@pytest.mark.parametrize(
    "files", [[], ["README.md", ".gitattributes"], ["dataset_infos.json", "LICENSE.txt", "requirements.txt"]]
)
def test_a_dataset_without_data_has_no_data_files(extracted, files) -> None:
    assert values(info(extracted, kind="hf_dataset", files=files), "hub.data_files") == []


def test_a_model_has_no_data_files_and_a_dataset_no_weights(extracted) -> None:
    assert values(info(extracted, files=["train.jsonl"]), "hub.data_files") == []
    assert values(info(extracted, kind="hf_dataset", files=["a.safetensors"]), "hub.weights") == []


@pytest.mark.parametrize(
    ("front_matter", "licence", "others"),
    [
        ("license: apache-2.0", "Apache-2.0", []),
        ("license: [mit, cc-by-4.0]", "MIT", ["CC-BY-4.0"]),
        ("license: other\nlicense_name: meadow-terms", "other", []),
        ("license: other\nlicense_name: apache-2.0", "Apache-2.0", []),
        ("license: other\nlicense_name: meadow-rail-1.1", "openrail", []),
        ("license: other\nlicense_name: meadow-trail-1.1", "other", []),
        ("license: mit\nlicense_name: meadow-terms", "MIT", []),
        ("license: meadow-terms", "meadow-terms", []),
        ("license_name: meadow-terms", "other", []),
    ],
)
def test_the_licence_tag_is_normalised(extracted, front_matter: str, licence: str, others) -> None:
    (tag,) = values(card(extracted, front_matter), "licence.tag")
    assert (tag["licence"], tag["list"]) == (licence, others)


@pytest.mark.parametrize(
    "front_matter", ["language: en", "license:", "license: []", "license: {a: b}", "license: 7"]
)
def test_no_licence_is_no_tag(extracted, front_matter: str) -> None:
    assert values(card(extracted, front_matter), "licence.tag") == []


def test_bases_and_datasets_are_named_one_or_many(extracted) -> None:
    found = card(extracted, "base_model: thicket/bramble-7b\ndatasets: [orchard/plums, pears]\n")
    assert values(found, "hub.base_model") == [{"ids": ["thicket/bramble-7b"], "relation": None}]
    assert values(found, "hub.datasets") == [{"ids": ["orchard/plums", "pears"]}]
    found = card(
        extracted, "base_model:\n- thicket/bramble-7b\n- thicket/bramble-2b\nbase_model_relation: merge\n"
    )
    assert values(found, "hub.base_model") == [
        {"ids": ["thicket/bramble-7b", "thicket/bramble-2b"], "relation": "merge"}
    ]


def test_an_address_as_base_is_read_as_the_model_at_it(extracted) -> None:
    (base,) = values(
        card(extracted, "base_model: https://huggingface.co/thicket/bramble-7b/"), "hub.base_model"
    )
    assert base["ids"] == ["thicket/bramble-7b"]


@pytest.mark.parametrize(
    ("told", "enabled"),
    [
        (True, True),
        (False, False),
        ("warm", True),
        ("false", False),
        ("disabled", False),
        ("not-popular-enough", False),
    ],
)
def test_the_inference_flag_is_read(extracted, told, enabled: bool) -> None:
    assert values(info(extracted, inference=told), "hub.inference") == [{"enabled": enabled}]


def test_no_flag_says_nothing_of_inference(extracted) -> None:
    for told in (None, [], {"a": 1}):
        assert values(info(extracted, inference=told), "hub.inference") == []


def test_papers_are_read_from_tags(extracted) -> None:
    found = info(
        extracted, tags=["arxiv:2401.00001", "pytorch", "arxiv:none", "license:mit", "arxiv:hep-th/9901001"]
    )
    assert [link["id"] for link in values(found, "link")] == ["2401.00001", "hep-th/9901001"]
    assert {link["topic"] for link in values(found, "link")} == {"tag"}


def test_a_gate_prompt_is_a_statement(extracted) -> None:
    found = card(extracted, 'extra_gated_prompt: "Tell us who you are."')
    assert values(found, "statement") == [{"says": "access_on_request", "about": "weights"}]


def test_a_switched_off_repository_is_said_to_be(extracted) -> None:
    assert values(info(extracted, disabled=True), "hub.disabled") == [{}]
    assert values(info(extracted, disabled=False), "hub.disabled") == []


def test_broken_front_matter_is_a_problem_and_the_card_is_read(extracted) -> None:
    found = extracted(
        "hf_model", "card", "---\nlicense: [mit\n---\n# Sorrel\n\n## Limitations\n\nIt knows no trees.\n"
    )
    assert values(found, "document.problem") == [{"problem": "broken_front_matter"}]
    assert [section["topic"] for section in values(found, "section")] == ["limitations"]
