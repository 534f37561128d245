"""Model and dataset information of the Hub, and the same facts from a card's front matter.

Reads `hf_model` and `hf_dataset` `info` snapshots (canonical JSON) and the front matter of cards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.extract.base import Source, as_list, as_text
from pipelines.extract.licence_tags import tags_of_front_matter
from pipelines.extract.tree import NOT_WEIGHTS, WEIGHT_FILE
from pipelines.model import ArtifactKind, Evidence, JsonValue

DELTA_NAME = re.compile(r"(?:^|[-_./])(?:delta|w?diff|xor)(?:s|ed)?(?=[-_./\d]|$)", re.IGNORECASE)
ADAPTER_FILE = re.compile(r"adapter_(?:model|config)|(?:^|/)lora[^/]*\.(?:bin|safetensors|pt)", re.IGNORECASE)
QUANTISED = re.compile(r"(?:^|[-_./])(?:gguf|ggml|gptq|awq|exl2|int[48]|[48]bit|q[2-8]_)", re.IGNORECASE)
BARE_WEIGHTS = re.compile(
    r"(?:^|/)(?=[^./]*$)[^./]*?(?:\db|model|weights|checkpoint|diff|delta)", re.IGNORECASE
)
DATA_FILE = re.compile(
    r"\.(?:parquet|jsonl?|csv|tsv|arrow|txt|tar|zip|zst|xz|bin)(?:\.(?:gz|zip|zst|xz|bz2))?$", re.IGNORECASE
)
NOT_DATA = re.compile(
    r"(?:^|/)(?:dataset_infos|\.gitattributes|requirements|license|state|README)[^/]*$", re.IGNORECASE
)
ARXIV_TAG = re.compile(r"arxiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})")

_SHOWN = 8


def extract_info(source: Source) -> Iterator[Evidence]:
    """What the Hub says of a repository: gate, files, licence tag, lineage."""
    info = source.json()
    if not isinstance(info, dict):
        yield source.quote("document.problem", 0, 80, problem="malformed")
        return
    gated = info.get("gated")
    yield source.field(
        "hub.gated", "$.gated", gated, gated=gated if isinstance(gated, str) else "manual" if gated else "no"
    )
    if info.get("disabled"):
        yield source.field("hub.disabled", "$.disabled", True)
    siblings = info.get("siblings")
    entries = siblings if isinstance(siblings, list) else []
    # One name an entry, so that a name's index is that of its entry.
    names = [as_text(entry.get("rfilename")) if isinstance(entry, dict) else "" for entry in entries]
    if source.snapshot.ref.kind is ArtifactKind.HF_MODEL:
        yield from _weights(source, names)
    else:
        yield from _data_files(source, names)
    card_data = info.get("cardData")
    yield from front_matter_facts(source, card_data if isinstance(card_data, dict) else {}, "$.cardData")
    for index, tag in enumerate(as_list(info.get("tags"))):
        if match := ARXIV_TAG.fullmatch(tag):
            yield source.field(
                "link",
                f"$.tags[{index}]",
                tag,
                kind="arxiv",
                id=match[1],
                topic="tag",
                text=tag,
                own=False,
                bibtex=False,
            )
    if isinstance(info.get("inference"), str | bool):
        value = info["inference"]
        yield source.field(
            "hub.inference",
            "$.inference",
            value,
            enabled=value not in (False, "false", "disabled", "not-popular-enough"),
        )


def front_matter_facts(source: Source, data: dict[str, JsonValue], path: str) -> Iterator[Evidence]:
    """Licence, lineage and data as a card's front matter states them."""
    for tag in tags_of_front_matter(data):
        yield source.field(
            "licence.tag",
            f"{path}.{tag.key}",
            tag.value,
            licence=tag.licences[0],
            raw=tag.raw,
            list=list(tag.licences[1:]),
        )
    bases = as_list(data.get("base_model"))
    if bases:
        relation = data.get("base_model_relation")
        yield source.field(
            "hub.base_model",
            f"{path}.base_model",
            data.get("base_model"),
            ids=[base.removeprefix("https://huggingface.co/").rstrip("/") for base in bases],
            relation=relation if isinstance(relation, str) else None,
        )
    datasets = as_list(data.get("datasets"))
    if datasets:
        yield source.field("hub.datasets", f"{path}.datasets", data.get("datasets"), ids=datasets)
    inference = data.get("inference")
    if isinstance(inference, bool):
        yield source.field("hub.inference", f"{path}.inference", inference, enabled=inference)
    if data.get("extra_gated_prompt") or data.get("extra_gated_fields"):
        prompt = str(data.get("extra_gated_prompt") or data.get("extra_gated_fields"))[:200]
        yield source.field(
            "statement", f"{path}.extra_gated_prompt", prompt, says="access_on_request", about="weights"
        )


def _weights(source: Source, names: list[str]) -> Iterator[Evidence]:
    repository = source.snapshot.ref.id
    weights = [name for name in names if WEIGHT_FILE.search(name) and not NOT_WEIGHTS.search(name)]
    if not weights:
        weights = [name for name in names if BARE_WEIGHTS.search(name) and "/" not in name.strip("/")]
    if not weights:
        return
    if DELTA_NAME.search(repository) or all(DELTA_NAME.search(name) for name in weights):
        form = "delta"
    elif all(ADAPTER_FILE.search(name) for name in weights):
        form = "adapter"
    elif QUANTISED.search(repository) or all(QUANTISED.search(name) for name in weights):
        form = "quantised"
    else:
        form = "full"
    yield source.field(
        "hub.weights",
        f"$.siblings[{names.index(weights[0])}].rfilename",
        weights[0],
        count=len(weights),
        formats=sorted({name.rsplit(".", 1)[-1] if "." in name else "none" for name in weights})[:_SHOWN],
        form=form,
    )


def _data_files(source: Source, names: list[str]) -> Iterator[Evidence]:
    files = [name for name in names if DATA_FILE.search(name) and not NOT_DATA.search(name)]
    scripts = [name for name in names if name.endswith(".py")]
    shown = files or scripts
    if not shown:
        return
    yield source.field(
        "hub.data_files",
        f"$.siblings[{names.index(shown[0])}].rfilename",
        shown[0],
        count=len(files),
        formats=sorted({name.rsplit(".", 1)[-1] for name in shown})[:_SHOWN],
        script=not files,
    )
