"""What a section of a document is about, told from its heading. English and Chinese.

A heading can name several topics ("Training data and procedure"). Topics of model cards follow
Mitchell et al. 2019 (doi:10.1145/3287560.3287596), those of dataset cards Gebru et al. 2021
(doi:10.1145/3458723).
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from pipelines.extract.base import folded


class Topic(StrEnum):
    """What a section documents."""

    DATA = "data"
    COLLECTION = "collection"
    PREPROCESSING = "preprocessing"
    COMPOSITION = "composition"
    TRAINING = "training"
    HYPERPARAMETERS = "hyperparameters"
    ARCHITECTURE = "architecture"
    COMPUTE = "compute"
    EVALUATION = "evaluation"
    INTENDED_USE = "intended_use"
    LIMITATIONS = "limitations"
    LICENCE = "licence"
    CITATION = "citation"
    USAGE = "usage"
    INSTALLATION = "installation"
    API = "api"


_HEADINGS: dict[Topic, str] = {
    Topic.DATA: r"""
        \bdata\b|\bdata\ ?sets?\b|\bcorp(?:us|ora)\b|\btrained\ on\W*$|training[-\ ](?:sets?\b|mix)
        |数据(?!结构)|语料
        |\bdatos\b|\bdonnées\b|\bdaten(?:satz|sätze)?\b|データ|데이터""",
    Topic.COLLECTION: r"""
        collection|curation|data\ sources?|source\ data|dataset\ creation|annotat|labell?ing|provenance|motivation
        |how\ (?:was|were)\ (?:the\ )?data|acquisition|\bgathered\b|\bsourcing\b|origins?\ of\b|data\ generation|generation\ process
        |\bwhere\ (?:do|does|did|is|are)\b.{1,40}\bfrom\b|\bhow\ (?:we|the)\ (?:\w+\ ){0,2}(?:built|made|created|collected|gathered|was|were)\b.{0,40}data
        |\bdata\ ?sheets?\b|\bdata\ statements?\b|source\ language\ producers
        |数据来源|采集|收集|标注|数据生成
        |recopilaci|\bcollecte\b|datenerhebung|収集|수집""",
    Topic.PREPROCESSING: r"""
        pre-?process|clean(?:ing|ed)\b|filter|dedup|decontaminat|tokeni[sz]
        |预处理|清洗|去重
        |preprocesa|limpieza|prétraitement|vorverarbeitung|前処理|전처리""",
    Topic.COMPOSITION: r"""
        data\ (?:fields|instances|splits|format|structure|summary|statistics|composition|mix)
        |dataset\ (?:structure|summary|description|statistics|composition|overview)|composition|supported\ tasks
        |data(?:set)?\ contents|what\ is\ in\ the\ (?:data|corpus)|mixture\ weights
        |数据格式|字段""",
    Topic.TRAINING: r"""
        \b(?:pre-?|re-?)?train(?:ing|ed)?\b|fine-?\ ?tun|instruct(?:ion)?[-\ ]tun|\brlhf\b|\bsft\b|\bdpo\b|\bppo\b|\bgrpo\b|alignment|reward\ model
        |预训练|训练|微调|精调
        |entrenamiento|entra[iî]nement|\btrainings|学習|학습|훈련""",
    Topic.HYPERPARAMETERS: r"""
        hyper-?\ ?param|\bhparams?\b|optimi[sz]er\ (?:settings|config|param)|training\ (?:config|param|setting|set-?up|arguments|recipe)
        |(?:config\w*|settings|parameters)\ (?:\w+\ )?for\ (?:\w+-?)?train
        |超参|训练参数""",
    Topic.ARCHITECTURE: r"""
        architectur|model\ (?:structure|spec|config|size|design|parameters)|technical\ (?:spec|detail)|objective
        |network\ (?:structure|design|layout)|under\ the\ hood|how\ (?:it|the\ model)\ works|design\ choices
        |模型结构|模型架构|架构|技术细节|实现细节""",
    Topic.COMPUTE: r"""
        comput(?:e\b|ing\ (?:resources|infra)|ation\b)|\bco2\b|hardware(?!\ +(?:requirement|need))|infrastructure|environmental|carbon|energy
        |\bgpus?\b(?!\ +(?:inference|usage))
        |算力|硬件(?!需求|要求)|环境影响|碳""",
    Topic.EVALUATION: r"""
        evaluat|\bevals?\b|benchmark|\bresults?\b|\bscores?\b|\bexperiments?\b|\bhow\ (?:good|well)\b|performance|metrics|leaderboard|comparison
        |评测|评估|测评|效果|性能|对比
        |evaluaci|évaluation|bewertung|resultados|résultats|ergebnisse|評価|평가""",
    Topic.INTENDED_USE: r"""
        intended|\buses\b|(?<!some\ )(?<!example\ )\buse[-\ ]cases?\b|(?:direct|downstream|primary|prohibited|acceptable)[\ -]+(?:and\ \w+\ )?use
        |misuse|out[-\ ]of[-\ ]scope|(?<!general[\ -])(?<!multi[\ -])\bpurpose\b|\bwhat\b.{1,30}\b(?:is|can\ be|be\ used|are)\ for\b|\bwho\ is\b.{1,30}\bfor\b
        |\bnot\ (?:be\ used|suitable|intended|meant)\ for\b|suitable\ (?:for|use)|applications|who\ should
        |用途|使用范围|适用场景|应用场景
        |usos?\ previstos?|utilisation\ prévue|verwendungszweck|想定""",
    Topic.LIMITATIONS: r"""
        limitation|known\ (?:issue|problem)|risks?\b|\bbias|ethic|safety|responsib|considerations|caveat|shortcoming|weakness|pitfall|drawback
        |failure\ (?:mode|case)|watch\ out|\b(?:can\ ?not|can['’]t)\ do\b|harm|toxicity|warning|disclaimer
        |局限|限制|风险|偏见|免责|伦理|安全
        |limitaci|\blimites\b|sesgos|\bbiais\b|einschränkung|制限|制約|한계""",
    Topic.LICENCE: r"""
        licen[cs]|terms\ of\ use|^\W*(?:legal|terms)(?:\ (?:and\ conditions|information|notices?))?\W*$|copyright|usage\ policy
        |许可|协议|授权|版权|(?<!免责)声明
        |lizenz|ライセンス|라이선스""",
    Topic.CITATION: r"\bcit(?:e|ing|ation)|bibtex|\bpapers?\b|publication|technical\ report|\breferences?\b|引用|论文",
    Topic.USAGE: r"""
        \busage\b|\btry\ it\b|\buse\ (?:it|with|in)\b|prompt\ (?:format|template)|how\ to\ (?:use|run|get\ started)|get(?:ting)?\ started
        |quick\ ?-?start|inference|\brun(?:ning)?\b|deploy|\bdemo\b|examples?|tutorial|chat\b|\bgenerat(?:e|ion|ing)
        |使用|推理|部署|快速|运行|示例|教程
        |cómo\ usar|\buso\b(?!\ previsto)|\butilisation\b(?!\ prévue)|verwendung\b|使い方|사용""",
    Topic.INSTALLATION: r"""
        install|set-?\ ?up\b|requirements?|prerequisites?|from\ source\b|dependenc|environment\b
        |安装|环境(?!影响)|依赖
        |instalaci|インストール|설치""",
    Topic.API: r"""
        \bapis?\b|serving|(?:api|rest|http|inference|model)\ server|web\ service|(?:openai|http)[-\ ]compatible|endpoint
        |接口|服务""",
}
"""What headings say: in English first, then in Chinese, then in what else is common."""

HEADINGS: dict[Topic, re.Pattern[str]] = {
    topic: re.compile(pattern, re.VERBOSE | re.IGNORECASE) for topic, pattern in _HEADINGS.items()
}

TEMPLATE = re.compile(
    r"""more\ information\ needed|\[needs?\ more\ information\]|\bTODO\b|\bTBD\b|\{\{\s*\w+|<!--\s*provide
        |this\ modelcard\ aims\ to\ be\ a\ base\ template|to\ be\ (?:added|completed|filled)|待补充""",
    re.VERBOSE | re.IGNORECASE,
)
"""Words of a form that nobody filled in."""

_TEMPLATE_TRIGGERS = (
    *("more information needed", "more information]", "todo", "tbd", "{{", "<!--", "modelcard aims"),
    *("to be added", "to be completed", "to be filled", "待补充"),
)
"""Of these, in small letters, at least one stands in whatever TEMPLATE matches: looking for words is quicker."""

_OF_LIMITATIONS = re.compile(
    r"\b(?:data\s?sets?|data|performance|training|evaluation|model)\s+(?=(?:limitation|risk|bias|caveat))",
    re.IGNORECASE,
)
"""What limitations are of: "Dataset limitations" tells about limitations and does not describe the data."""

_FOR_EXAMPLE = re.compile(
    r"\((?:e\.\s?g\b|for\s+example|such\s+as|for\s+instance)[^()]*(?:\)|$)", re.IGNORECASE
)
"""What a question names as examples: "How is it distributed (e.g., tarball, API)?" is not about an API."""

_OF_PRODUCTS = re.compile(
    r"\b(?:pre-?|fine-?\ ?|instruct(?:ion)?-?\ ?)?(?:trained|tuned)\b(?=(?:\ +[\w.-]+){0,3}?\ +(?:models?|checkpoints?|weights|variants?)\b)",
    re.IGNORECASE,
)
"""What there is of a model, not how it came about: "Fine-tuned chat models", "Pretrained weights"."""

_CJK = re.compile(r"[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_MARKUP = re.compile(
    r"https?://\S+|<[^>\n]{1,300}>|!\[[^\]\n]{0,300}\]\([^)\n]{0,1000}\)|\]\([^)\n]{0,1000}\)|[`*_#|>\[\]]"
)


# In small letters, so that the search leaps to the next of these words. "You're" and the like begin with one of them.
_ADDRESSED = re.compile(r"you(?<!\wyou)(?:r(?:self)?)?\b")
_ADDRESSED_SHARE = 0.012
"""Words that address the reader, of all words: from here on a section says what to do rather than what was done."""


def count_addressed(text: str) -> int:
    """Words that address the reader."""
    return len(_ADDRESSED.findall(folded(text))) + text.count("你") + text.count("您")


def is_instruction(addressed: int, words: int) -> bool:
    """Does a section tell its readers what they can do, rather than what its authors did? By its words to them, and all."""
    return addressed >= 2 and addressed >= _ADDRESSED_SHARE * words


@lru_cache(maxsize=4096)
def topics_of(title: str) -> tuple[Topic, ...]:
    """The topics that a heading names, in the order of Topic."""
    title = _OF_PRODUCTS.sub("", _FOR_EXAMPLE.sub("", _OF_LIMITATIONS.sub("", title[:300])))
    return tuple(topic for topic, pattern in HEADINGS.items() if pattern.search(title))


def count_words(text: str) -> int:
    """Words of prose: markup and addresses do not count, two CJK characters count as one word."""
    words, signs = words_and_signs(text)
    return words + signs // 2


def words_and_signs(text: str) -> tuple[int, int]:
    """Words of prose, and CJK characters."""
    if any(map(folded(text).__contains__, _TEMPLATE_TRIGGERS)):
        text = TEMPLATE.sub(" ", text)
    plain = _MARKUP.sub(" ", text)
    if plain.isascii():
        return len(_WORD.findall(plain)), 0
    plain, signs = _CJK.subn(" ", plain)
    return len(_WORD.findall(plain)), signs
