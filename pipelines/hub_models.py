"""A model as a list of the Hub shows it, and what the parts of its name say.

The Hub's list is written by whoever uploads a model: fields are missing, of another type than they
should be, or wrong. Reading a list never fails; what is no entry at all is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipelines.artifact_ids import id_problem
from pipelines.model import ArtifactKind, ArtifactRef, JsonValue, digest_of

MAX_ITEMS = 300
"""Tags, datasets or files of one model that are looked at."""
MAX_TEXT = 200
"""Characters of one tag or name that are looked at."""

_HUB_ADDRESS = re.compile(r"^https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:datasets/)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """An entry of the Hub's list of models; what it does not say is empty."""

    id: str
    pipeline_tag: str = ""
    library: str = ""
    tags: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    relation: str = ""
    datasets: tuple[str, ...] = ()
    made_from: str = ""
    licence: str = ""
    files: tuple[str, ...] = ()
    created_at: str = ""
    downloads: int = 0
    hidden: bool = False

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef(kind=ArtifactKind.HF_MODEL, id=self.id)

    @property
    def owner(self) -> str:
        """The account it stands under; empty for the few old models that have none."""
        return owner_of(self.id)

    @property
    def name(self) -> str:
        """Its name without the account."""
        return self.id.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """A page of the Hub's list as it was given: the entries as JSON, what the Hub calls this answer, and
    the question for the next page (empty at the end)."""

    etag: str
    body: str
    following: str = ""


def question_key(question: str) -> str:
    """What a question for a page is kept under: addresses may be long."""
    return digest_of(["listing", question])


def owner_of(identifier: str) -> str:
    """The account of a name at the Hub; empty when there is none."""
    return identifier.split("/", 1)[0] if "/" in identifier else ""


def parse_models(value: JsonValue) -> tuple[tuple[ListedModel, ...], int]:
    """The models of a page of the Hub's list, and how many of its entries could not be understood."""
    entries = value if isinstance(value, list) else [value]
    models = [_parse_model(entry) for entry in entries]
    return tuple(model for model in models if model is not None), models.count(None)


def _parse_model(entry: JsonValue) -> ListedModel | None:
    if not isinstance(entry, dict):
        return None
    identifier = entry.get("id") or entry.get("modelId")
    if not isinstance(identifier, str) or id_problem(ArtifactKind.HF_MODEL, identifier):
        return None
    card = entry.get("cardData")
    data = card if isinstance(card, dict) else {}
    tags = _texts(entry.get("tags")) or _texts(data.get("tags"))
    # `base_model:NAME`, or `base_model:RELATION:NAME`.
    named = [tag.split(":")[1:] for tag in tags if tag.startswith("base_model:")]
    relations = [words[0] for words in named if len(words) > 1]
    bases = _texts(data.get("base_model")) or [words[-1] for words in named]
    downloads = entry.get("downloads")
    return ListedModel(
        id=identifier,
        pipeline_tag=_text(entry.get("pipeline_tag")) or _text(data.get("pipeline_tag")),
        library=_text(entry.get("library_name")) or _text(data.get("library_name")),
        tags=tuple(tag for tag in tags if not _is_reference(tag)),
        base_models=tuple(dict.fromkeys(_HUB_ADDRESS.sub("", base).strip("/ ") for base in bases if base)),
        relation=_text(data.get("base_model_relation")) or next(iter(relations), ""),
        datasets=tuple(_HUB_ADDRESS.sub("", name).strip("/ ") for name in _texts(data.get("datasets"))),
        made_from=_text(data.get("quantized_by")) or _text(data.get("model_creator")),
        licence=_text(data.get("license_name")) or next(iter(_texts(data.get("license"))), ""),
        files=tuple(_files(entry.get("siblings"))),
        created_at=_text(entry.get("createdAt")),
        downloads=downloads if isinstance(downloads, int) else 0,
        hidden=bool(entry.get("private") or entry.get("disabled")),
    )


def _is_reference(tag: str) -> bool:
    """A tag with which the Hub points at something, and which says nothing of the model's kind."""
    return tag.startswith(("base_model:", "dataset:", "arxiv:", "license:", "region:", "doi:", "deploy:"))


def _text(value: JsonValue) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _texts(value: JsonValue) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item[:MAX_TEXT] for item in values[:MAX_ITEMS] if isinstance(item, str)]


def _files(value: JsonValue) -> Iterable[str]:
    for entry in value[:MAX_ITEMS] if isinstance(value, list) else []:
        name = entry.get("rfilename") if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield name[:MAX_TEXT]


class PartKind(StrEnum):
    """What a part of a model's name tells."""

    NAME = "name"
    NUMBER = "number"
    SIZE = "size"
    VERSION = "version"
    FORMAT = "format"
    QUANTISED = "quantised"
    ADAPTER = "adapter"
    BASE = "base"
    TUNED = "tuned"
    FOREIGN = "foreign"


SIZE = re.compile(
    r"""
      \d+(?:\.\d+)?[bm] | \d+b\d+                       # 7b, 1.5b, 350m; 1b7 is 1.7 billion
    | \d+x\d+(?:\.\d+)?[bm]? | [ae]\d+(?:\.\d+)?b       # experts, and how many parameters are active
    | \d+(?:\.\d+)?[kt] | 1m                            # length of context, tokens read in training
    | 256 | 512 | 1024 | 2048 | 3072 | 4096 | 8192 | 16384 | 32768
    """,
    re.VERBOSE,
)
VERSION = re.compile(
    r"""
      v\d+(?:\.\d+)*[a-z]? | v\d+(?:\.\d+)*(?:alpha|beta|rc)\d*
    | \d{4} | \d{6} | \d{8}                             # dates, such as 0914 and 20240914
    | (?:alpha|beta|preview|rc|exp|iter|iteration|epoch|ep|step|ckpt|checkpoint|stage|round|phase|r)\d*
    """,
    re.VERBOSE,
)
QUANTISED = re.compile(
    r"""
      gguf | ggml\w* | gptq\w* | awq | exl\d? | bnb | imat\w* | imatrix | iq | hqq | aqlm | eetq | mlx | mlc | onnx | openvino
    | marlin | quant(?:ized|ised|s)? | w\d+a\d+ | nf4 | fp[48] | int[48] | \d(?:\.\d+)?[-]?bits? | \d(?:\.\d+)?bpw
    | i?q\d(?:f\d+)? | \d+g | llamafile | ctranslate2 | ct2 | coreml | tensorrt | trt | rknn | qat
    """,
    re.VERBOSE,
)

SIZE_WORDS = frozenset("small medium large big huge xl xxl xs tiny mini nano micro lite light moe".split())
FORMAT_WORDS = frozenset(
    """hf fp16 fp32 bf16 f16 16bit 32bit safetensors sharded merged full native delta deltas diff wdiff xor pth pytorch
    transformers jax flax tf ckpt weights model longcontext long fast""".split()
)
VERSION_WORDS = frozenset(
    "final latest experimental preview beta alpha gamma hotfix fixed new old legacy".split()
)
ADAPTER_WORDS = frozenset("lora qlora dora adapter adapters peft loras".split())
BASE_WORDS = frozenset("base pretrain pretrained pretraining foundation pt intermediate init cpt".split())
TUNED_WORDS = frozenset(
    """instruct instruction instructions instructed inst it chat chatbot chatty conversational conversation dialog dialogue
    assistant sft dpo ppo orpo kto simpo rlhf rlaif aligned tuned finetuned finetune ft""".split()
)
FOREIGN_WORDS = frozenset(
    """vl vlm vision visual vqa image images img video audio speech voice tts asr stt ocr omni multimodal mm
    embed embedding embeddings embedder reranker rerank rank retriever retrieval colbert
    reward rm prm orm rewardmodel verifier judge critic classifier classification detector detection guard shield safeguard moderation
    ner encoder discriminator tokenizer tokeniser mt translation translate translator summarization summarizer
    diffusion text2image text2img inpainting controlnet draft drafter speculator sae saes probe random dummy test toy""".split()
)
# Words that are often written together with the rest of a name.
GLUED_TUNED = re.compile(r"chat|instruct|assistant|dialog")
GLUED_FOREIGN = re.compile(
    r"embed|rerank|reward|diffusion|whisper|speech|text2(?!text)|2vec|2audio|visual(?!stud)|video|multimodal"
)

_DECIMAL = re.compile(r"(?:(?<=^)|(?<=[-_. ])|(?<=[-_. ]v)|(?<=^v))(\d)_(\d+)(?=[-_. bm]|$)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[^\w.]+|_+|\.(?!\d)|(?<!\d)\.")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_LAST_NUMBER = re.compile(r"v?[\d.]+$")


# Makers publish a chat model and an instruction model of one name as two releases.
_PURPOSES = {
    **dict.fromkeys(
        "chat chatbot chatty conversational conversation dialog dialogue assistant".split(), "chat"
    ),
    **dict.fromkeys("instruct instruction instructions instructed inst it".split(), "instruct"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What names a release: its words, and whether it is called a chat or an instruction model."""

    words: frozenset[str]
    purposes: frozenset[str]

    def is_same(self, other: Release) -> bool:
        """Whether two names are of one release; a name that tells no purpose goes with both."""
        if not self.words or self.words != other.words:
            return False
        return not self.purposes or not other.purposes or bool(self.purposes & other.purposes)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePart:
    """A part of a name, in lower case, and what it tells."""

    text: str
    kind: PartKind


def name_parts(name: str) -> tuple[NamePart, ...]:
    """The parts of a model's name (without the account), each with what it tells."""
    joined = _DECIMAL.sub(r"\1.\2", name.rsplit("/", 1)[-1])
    texts = [text for text in _SEPARATOR.split(joined.lower()) if text]
    parts: list[NamePart] = []
    for text in texts:
        kind = _part_kind(text)
        if kind is PartKind.NUMBER:
            # "Hazel-2-7B" is the second Hazel; "Hazel-7B-chat-0.2" a later attempt at the first.
            behind = any(part.kind in (PartKind.SIZE, PartKind.TUNED) for part in parts)
            kind = PartKind.VERSION if behind or not parts else kind
            text = ".".join(text.split(".")[:2])
        parts.append(NamePart(text=text, kind=kind))
    return tuple(parts)


def _part_kind(text: str) -> PartKind:
    for kind, words in (
        (PartKind.TUNED, TUNED_WORDS),
        (PartKind.FOREIGN, FOREIGN_WORDS),
        (PartKind.ADAPTER, ADAPTER_WORDS),
        (PartKind.BASE, BASE_WORDS),
        (PartKind.FORMAT, FORMAT_WORDS),
        (PartKind.SIZE, SIZE_WORDS),
        (PartKind.VERSION, VERSION_WORDS),
    ):
        if text in words:
            return kind
    for kind, pattern in (
        (PartKind.SIZE, SIZE),
        (PartKind.QUANTISED, QUANTISED),
        (PartKind.VERSION, VERSION),
        (PartKind.NUMBER, _NUMBER),
    ):
        if pattern.fullmatch(text):
            return kind
    return PartKind.NAME


def bare_name(name: str) -> str:
    """A model's name without account, formats and separators: equal for the same weights uploaded twice."""
    plain = (PartKind.FORMAT, PartKind.QUANTISED)
    return "-".join(part.text for part in name_parts(name) if part.kind not in plain)


def size_of(name: str) -> float:
    """The largest number of parameters, in billions, that a model's name states; 0 when it states none."""
    sizes = [0.0]
    for part in name_parts(name):
        if match := re.fullmatch(r"(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(\d+)?", part.text):
            number = float(f"{match[2]}.{match[4]}" if match[4] else match[2])
            sizes.append(number * int(match[1] or 1) / (1000 if match[3] == "m" else 1))
    return max(sizes)


def family_word(name: str) -> str:
    """The word by which a base is called: the first of its name, without its number; empty when it has none."""
    for part in name_parts(name):
        if part.kind is PartKind.NAME:
            word = stem(part.text)
            return word if len(word) > 3 else ""
    return ""


def stem(text: str) -> str:
    """A part of a name without the number at its end."""
    return _LAST_NUMBER.sub("", text)


def release_of(name: str, families: Iterable[str] = ()) -> Release:
    """The release that a model belongs to: the same for all its sizes, formats and versions.

    Words of `families`, with the numbers that follow them, are left out as the base that it was
    made from, unless nothing else would name it.
    """
    known = frozenset(families)
    parts = name_parts(name)
    kept: list[str] = []
    whole: list[str] = []
    after_family = False
    for part in parts:
        if part.kind in (PartKind.NAME, PartKind.FOREIGN):
            after_family = stem(part.text) in known
        elif part.kind is not PartKind.NUMBER:
            continue
        whole.append(part.text)
        if not after_family:
            kept.append(part.text)
    has_own_word = any(not _NUMBER.fullmatch(text) for text in kept)
    purposes = {_PURPOSES[part.text] for part in parts if part.text in _PURPOSES}
    return Release(words=frozenset(kept if has_own_word else whole), purposes=frozenset(purposes))
