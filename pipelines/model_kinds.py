"""What a listed model is: an original instruction-tuned text generator, or something else.

Asked in this order, the first answer counts: another kind of model; made mechanically of other
weights; pretrained only; tuned to follow instructions or to chat. What tells nothing is unclear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipelines.hub_models import (
    GLUED_FOREIGN,
    GLUED_TUNED,
    ListedModel,
    NamePart,
    PartKind,
    bare_name,
    family_word,
    name_parts,
    owner_of,
    release_of,
    size_of,
    stem,
)

REASONS_SHOWN = 6


class ModelKind(StrEnum):
    """What a listed model is to an index of instruction-tuned text generators."""

    PROJECT = "project"
    VARIANT = "variant"
    DERIVATIVE = "derivative"
    BASE = "base"
    OTHER = "other"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a model is taken for what it is: a field of its entry, what stands there, what that says."""

    field: str
    value: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A listed model and what it was taken for."""

    model: ListedModel
    kind: ModelKind
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the models of others: who has a model of some bare name, and the words of bases' names."""

    owners: Mapping[str, frozenset[str]] = field(default_factory=dict)
    families: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def families_for(self, owner: str) -> frozenset[str]:
        """The words by which bases of other makers are called."""
        return frozenset(word for word, makers in self.families.items() if owner.lower() not in makers)


def surroundings_of(bases: Iterable[str]) -> Surroundings:
    """The surroundings that the names of some bases (`owner/name`) make."""
    owners: dict[str, set[str]] = {}
    families: dict[str, set[str]] = {}
    for base in bases:
        owners.setdefault(bare_name(base), set()).add(owner_of(base).lower())
        if word := family_word(base):
            families.setdefault(word, set()).add(owner_of(base).lower())
    return Surroundings(
        owners={name: frozenset(found) for name, found in owners.items()},
        families={word: frozenset(found) for word, found in families.items()},
    )


GENERATION_TASKS = frozenset({"text-generation", "text2text-generation", "conversational"})
TEXT_TASKS = frozenset(
    """question-answering translation summarization text-classification token-classification zero-shot-classification
    fill-mask feature-extraction sentence-similarity text-ranking text-retrieval table-question-answering multiple-choice
    """.split()
)
# Tasks of other media, by the Hub's own names and those that people write instead.
MEDIA_TAGS = frozenset(
    """image-text-to-text visual-question-answering document-question-answering video-text-to-text audio-text-to-text
    any-to-any image-to-text image-classification image-segmentation image-to-image image-to-video image-feature-extraction
    text-to-image text-to-video text-to-speech text-to-audio text-to-3d image-to-3d object-detection depth-estimation
    automatic-speech-recognition audio-classification audio-to-audio voice-activity-detection mask-generation robotics
    reinforcement-learning time-series-forecasting time-series zero-shot-image-classification zero-shot-object-detection
    vision vision-language vision-language-model visual vlm multimodal multi-modal vla video ocr audio speech image-captioning
    image-generation video-generation stable-diffusion diffusers controlnet tts asr music protein biology-sequence""".split()
)
RANKING_TAGS = frozenset(
    """sentence-transformers sentence-similarity mteb embeddings embedding text-embedding text-embeddings reranker reranking
    cross-encoder colbert reward-model reward-modeling retrieval dense-retrieval""".split()
)
FOREIGN_LIBRARIES = frozenset(
    """sentence-transformers diffusers timm open_clip open-clip gliner ultralytics flair espnet speechbrain fasttext spacy
    stanza span-marker setfit coqui pyannote-audio asteroid stable-baselines3 ml-agents sample-factory unity-sentis scikit-learn
    skops tensorboard colpali saelens chronos-forecasting birder monai ragatouille""".split()
)
QUANTISED_LIBRARIES = frozenset(
    "gguf mlx mlc-llm ctranslate2 onnx transformers.js openvino llamafile coreml exllamav2".split()
)
QUANTISED_TAGS = frozenset(
    "quantized quantised gguf ggml gptq awq exl2 bitsandbytes 4-bit 8-bit 4bit 8bit int4 int8 fp8 mlx imatrix".split()
)
ADAPTER_LIBRARIES = frozenset("peft adapter-transformers".split())
MERGE_TAGS = frozenset(
    "merge merged mergekit lazymergekit frankenmerge model-merge abliterated abliteration".split()
)
BASE_TAGS = frozenset(
    "pretrained pre-trained continuously-pretrained continued-pretraining pretraining pre-training base-model foundation-model".split()
)
TUNED_TAGS = frozenset(
    """chat chatbot chat-model instruct instruction instructions instruction-tuned instruction-tuning instruction-following
    instruction-fine-tuning instruction-finetuning self-instruct instruct-tuning conversational conversation dialogue dialog
    chatml assistant sft dpo orpo kto ppo simpo rlhf rlaif alignment-handbook function-calling tool-use roleplay alignment
    preference-optimization""".split()
)
TUNING_TAGS = frozenset(
    "finetune finetuned fine-tuned fine-tuning trl axolotl llama-factory unsloth distillation synthetic-data uncensored".split()
)
GENERATOR_TAGS = GENERATION_TASKS | frozenset(
    "causal-lm llm large-language-model language-model text-generation-inference".split()
)

TUNING_DATA = re.compile(
    r"instruct|chat|convers|dialog|sft|dpo|rlhf|preference|feedback|assistant|align|tool-?use|function|(?:^|[-_])\d+k(?:[-_]|$)"
)
DELTA_WORDS = frozenset("delta deltas diff wdiff xor".split())
FULL_WEIGHTS = re.compile(
    r"^(?:pytorch_model|model|consolidated|tf_model|flax_model)[^/]*\.(?:bin|safetensors|pth|h5|msgpack)$"
)
ADAPTER_FILE = re.compile(r"^adapter_(?:model|config)\.")
GGUF_FILE = re.compile(r"\.gguf$|\.ggml$|ggml[-_.].*\.bin$", re.IGNORECASE)
ANY_WEIGHTS = re.compile(r"\.(?:bin|safetensors|pth|pt|h5|msgpack|ckpt|onnx|nemo)$", re.IGNORECASE)


def judge_model(model: ListedModel, around: Surroundings) -> Judged:
    """What a model is, from its own entry and from the names of others' models."""
    parts = name_parts(model.name)
    for kind, reasons in (
        (ModelKind.OTHER, _foreign(model, parts)),
        (ModelKind.DERIVATIVE, _derived(model, parts, around)),
        (ModelKind.VARIANT, _converted(model, parts)),
        (ModelKind.BASE, _pretrained(model, parts)),
        (ModelKind.PROJECT, _tuned(model, parts, around)),
    ):
        found = tuple(dict.fromkeys(reasons))
        if found:
            return Judged(model=model, kind=kind, reasons=found[:REASONS_SHOWN])
    return Judged(model=model, kind=ModelKind.UNCLEAR, reasons=())


def _key(tag: str) -> str:
    """A tag as it is looked up: people write it with spaces, underscores and capitals."""
    return re.sub(r"[\s_]+", "-", tag.strip().lower())


def _tags(model: ListedModel, wanted: Iterable[str], says: str) -> Iterator[Reason]:
    known = frozenset(wanted)
    for tag in model.tags:
        if _key(tag) in known:
            yield Reason(field="tags", value=tag, says=says)


def _named(parts: Iterable[NamePart], kind: PartKind, says: str) -> Iterator[Reason]:
    for part in parts:
        if part.kind is kind:
            yield Reason(field="id", value=part.text, says=says)


def _foreign(model: ListedModel, parts: tuple[NamePart, ...]) -> Iterator[Reason]:
    """Another kind of model: its task, its library, its name or its tags."""
    if model.hidden:
        yield Reason(field="disabled", value="true", says="not to be had")
    task = model.pipeline_tag
    if task and task not in GENERATION_TASKS | {"question-answering"}:
        yield Reason(field="pipeline_tag", value=task, says="the task of another kind of model")
    if _key(model.library) in FOREIGN_LIBRARIES:
        yield Reason(field="library_name", value=model.library, says="a library for other kinds of models")
    yield from _named(parts, PartKind.FOREIGN, "names another kind of model")
    for part in parts:
        if part.kind is PartKind.NAME and GLUED_FOREIGN.search(part.text):
            yield Reason(field="id", value=part.text, says="names another kind of model")
    yield from _tags(model, MEDIA_TAGS, "a tag of models for images, sound or other data")
    yield from _tags(model, RANKING_TAGS, "a tag of embeddings, rankers and reward models")
    if task not in GENERATION_TASKS and not any(part.kind is PartKind.TUNED for part in parts):
        yield from _tags(model, TEXT_TASKS, "a tag of models for one task on texts")


def _derived(model: ListedModel, parts: tuple[NamePart, ...], around: Surroundings) -> Iterator[Reason]:
    """Merged or edited weights, an adapter to other weights, or somebody else's weights again."""
    if model.relation in ("adapter", "merge"):
        yield Reason(
            field="cardData.base_model_relation", value=model.relation, says="made from another model"
        )
    if len(model.base_models) > 1:
        bases = ", ".join(model.base_models[:4])
        yield Reason(field="cardData.base_model", value=bases, says="several models merged")
    yield from _tags(model, MERGE_TAGS, "weights of other models merged or edited")
    if not any(FULL_WEIGHTS.match(name) for name in model.files):
        yield from _named(parts, PartKind.ADAPTER, "an adapter to another model")
        if _key(model.library) in ADAPTER_LIBRARIES:
            yield Reason(field="library_name", value=model.library, says="an adapter to another model")
        for name in model.files:
            if ADAPTER_FILE.match(name):
                yield Reason(field="siblings", value=name, says="an adapter to another model")
    if model.made_from and model.made_from.lower() != model.owner.lower():
        yield Reason(field="cardData.model_creator", value=model.made_from, says="made by somebody else")
    yield from _uploaded_again(model, around)


def _converted(model: ListedModel, parts: tuple[NamePart, ...]) -> Iterator[Reason]:
    """The same weights in another format, for want of a sign that they are somebody else's: the maker's own."""
    if model.relation == "quantized":
        yield Reason(
            field="cardData.base_model_relation",
            value=model.relation,
            says="a format that weights are converted to",
        )
    yield from _named(parts, PartKind.QUANTISED, "a format that weights are converted to")
    if _key(model.library) in QUANTISED_LIBRARIES:
        yield Reason(field="library_name", value=model.library, says="a format that weights are converted to")
    if not any(FULL_WEIGHTS.match(name) for name in model.files):
        yield from _tags(model, QUANTISED_TAGS, "a format that weights are converted to")
    if not any(ANY_WEIGHTS.search(name) for name in model.files):
        for name in model.files:
            if GGUF_FILE.search(name):
                yield Reason(field="siblings", value=name, says="a format that weights are converted to")


def _uploaded_again(model: ListedModel, around: Surroundings) -> Iterator[Reason]:
    """The name of somebody else's model, whether the entry admits it or not."""
    own = model.owner.lower()
    for base in model.base_models:
        same_words = release_of(base).words == release_of(model.name).words
        if owner_of(base).lower() != own and same_words and _tunings(base) == _tunings(model.name):
            yield Reason(
                field="cardData.base_model", value=base, says="bears the name of the model it was made from"
            )
    if model.relation == "quantized":
        for base in model.base_models:
            if owner_of(base).lower() != own:
                yield Reason(field="cardData.base_model", value=base, says="the model it was converted from")
    others = around.owners.get(bare_name(model.name), frozenset()) - {""}
    if others and own not in others:
        yield Reason(field="id", value=model.name, says="bears the name of a model of other makers")


def _tunings(name: str) -> set[str]:
    return {part.text for part in name_parts(name) if part.kind is PartKind.TUNED}


def _pretrained(model: ListedModel, parts: tuple[NamePart, ...]) -> Iterator[Reason]:
    """Pretrained only, and not at the same time called a chat or instruction model."""
    if any(part.kind is PartKind.TUNED for part in parts):
        return
    yield from _named(parts, PartKind.BASE, "names a model that is pretrained only")
    if not any(True for _ in _tags(model, TUNED_TAGS, "")):
        yield from _tags(model, BASE_TAGS, "a tag of models that are pretrained only")


def _tuned(model: ListedModel, parts: tuple[NamePart, ...], around: Surroundings) -> Iterator[Reason]:
    """Tuned to follow instructions or to chat, and a generator of text."""
    generator = tuple(_generator(model, parts))
    named = [
        *_named(parts, PartKind.TUNED, "names a model tuned to follow instructions or to chat"),
        *(
            Reason(field="id", value=part.text, says="names a model tuned to follow instructions or to chat")
            for part in parts
            if part.kind is PartKind.NAME and GLUED_TUNED.search(part.text)
        ),
    ]
    if not generator and not any(GLUED_TUNED.search(reason.value) for reason in named):
        return
    told = [
        *named,
        *_tags(model, TUNED_TAGS, "a tag of models tuned to follow instructions or to chat"),
        *_made_to_chat(model),
        *_tuned_on(model),
        *_tags(model, TUNING_TAGS, "a tag of models that were tuned"),
        *_tuned_from(model, parts, around),
    ]
    if told:
        yield from (*told, *generator)


def _made_to_chat(model: ListedModel) -> Iterator[Reason]:
    if model.pipeline_tag == "conversational":
        yield Reason(field="pipeline_tag", value=model.pipeline_tag, says="made to chat")


def _tuned_on(model: ListedModel) -> Iterator[Reason]:
    for name in model.datasets:
        last = name.rsplit("/", 1)[-1].lower()
        if TUNING_DATA.search(last):
            yield Reason(field="cardData.datasets", value=name, says="data for tuning")


def _tuned_from(model: ListedModel, parts: tuple[NamePart, ...], around: Surroundings) -> Iterator[Reason]:
    families = around.families_for(model.owner)
    for base in model.base_models:
        yield Reason(field="cardData.base_model", value=base, says="tuned from another model")
    for part in parts:
        if part.text in DELTA_WORDS:
            yield Reason(field="id", value=part.text, says="published as the difference to another model")
        elif part.kind is PartKind.NAME and stem(part.text) in families:
            yield Reason(field="id", value=part.text, says="named after a base of other makers")
    if any(stem(word) in families for word in re.split(r"[^a-z0-9.]+", model.licence.lower())):
        yield Reason(
            field="cardData.license", value=model.licence, says="under the terms of a base of other makers"
        )


def _generator(model: ListedModel, parts: tuple[NamePart, ...]) -> Iterator[Reason]:
    if model.pipeline_tag in GENERATION_TASKS:
        yield Reason(field="pipeline_tag", value=model.pipeline_tag, says="generates text")
    yield from _tags(model, GENERATOR_TAGS, "generates text")
    if size_of(model.name):
        yield Reason(field="id", value=model.name, says="states a number of parameters")
