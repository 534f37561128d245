"""Sentences that state something about access: what is released, withheld, promised, on request.

Each pattern answers one question to one sentence. What a sentence is about (data, weights, code)
is told from its nouns. English and Chinese.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pipelines.extract.triggers import STATEMENT_BITS, what_is_told

_DATA = r"data(?:sets?)?|(?:training|instruction|preference|tuning)\s+sets?|corp(?:us|ora)|conversations|instructions|annotations|dialogues"
_WEIGHTS = r"weights?|checkpoints?|parameters|models?"
_CODE = r"code(?:base)?|scripts?|implementation|repository"

ABOUT: dict[str, re.Pattern[str]] = {
    "data": re.compile(rf"\b(?:{_DATA})\b|数据|语料", re.IGNORECASE),
    "weights": re.compile(rf"\b(?:{_WEIGHTS})\b|权重|模型|参数", re.IGNORECASE),
    "code": re.compile(rf"\b(?:{_CODE})\b|代码", re.IGNORECASE),
}

_STATEMENTS: dict[str, str] = {
    # "We will not release the dataset", "the data is not publicly available"; not "not only released",
    # "not trained on released data", "not a public service", "does not provide advice", "never share your data".
    "withheld": r"""
        \b(?:(?:will|do|does|did|can|could|are|is|was|were|has|have|be)(?:\s+\w+)?\s+not|cannot|won't|don't|doesn't|can't|isn't|aren't|never|unable\s+to)\s+
          (?:(?!(?:only|an?|on|with|from|using)\b)\w+\s+){0,3}?(?:releas|shar(?:e|ed|ing)\b(?!\s+your\b)|publish|disclos|open[-\s]?sourc|(?:re-?)?distribut|provided\b
            |provid(?:e|es|ing)\s+(?:\w+\s+){0,3}?(?:access|links?|downloads?|data|datasets?|corpus|corpora|weights?|checkpoints?|code|it|them)\b
            |mak(?:e|ing)\s+(?:\w+\s+){1,4}?(?:available|public)\b|give\s+(?:away|out)\b
            |made\s+(?:publicly\s+)?(?:available|public)|public(?:ly)?\b|available\b)
      | \bwe\s+may\s+not\s+(?:be\s+able\s+to\s+)?(?:\w+\s+)?(?:releas|shar|publish|distribut)
      | \bno\s+(?:plans?|intention)\s+(?:to|of)\s+(?:releas|shar|publish)
      | \b(?:undisclosed|unreleased|(?:kept|stays?|remains?)\s+(?:private|confidential|secret|internal|in-?house|unreleased))\b
      | \bwe\s+(?:\w+\s+){1,2}?(?:no\s+permission|not\s+allowed|not\s+permitted)\s+to\s+(?:releas|shar|publish|distribut)
      | (?:不会|不予|暂不|无法|没有|未|不)(?:公开|开源|发布|提供|开放)""",
    "coming_soon": r"""
        \bcoming\s+soon\b|\bwill\s+(?:\w+\s+){0,2}be\s+(?:\w+\s+)?(?:released|open[-\s]?sourced|published|available|uploaded|made\s+(?:publicly\s+)?available)
      | \b(?:plan|going|intend|hope|working)\s+(?:to|on)\s+(?:releas|open[-\s]?sourc|publish|upload)\w*|\bto\s+be\s+released\b|\bstay\s+tuned\b
      | 即将(?:开源|发布|公开)|敬请期待|后续(?:会|将)?(?:开源|公开|发布)""",
    "released": r"""
        \bwe\s+(?:(?!(?:not|never|cannot|plan|intend|hope)\b)\w+\s+){0,3}?(?:release|open[-\s]?source|publish|share|provide|make\s+(?:\w+\s+){0,5}available)
      | \b(?:is|are|has\s+been|have\s+been|was|were)\s+(?:(?!(?:not|never)\b)\w+\s+){0,2}?(?:released|open[-\s]?sourced|published|made\s+(?:\w+\s+)?available|(?:publicly|freely|openly)\s+available)
      | \b(?:can\s+be|is|are)\s+(?:\w+\s+)?(?:downloaded|found|accessed)\s+(?:\w+\s+){0,2}?(?:here|at|on|from|via)\b
      | (?:开源|公开|发布)了|已(?:经)?(?:开源|公开|发布)|我们(?:开源|公开|发布)""",
    # Words that name no source; the mark of data that nobody can look up.
    "vague_data": r"""
        \bpublicly[-\s]available\s+(?:\w+\s+){0,3}?(?:data|sources?|documents|texts?|datasets?|corpora|information|websites?)
      | \b(?:data|text|documents)\s+(?:\w+\s+){0,3}?from\s+(?:the\s+)?(?:public(?:ly\s+available)?\s+)?(?:web|internet|online)
      | \b(?:variety|range|mix(?:ture)?|number|combination)\s+of\s+(?:\w+\s+){0,3}?(?:data\s+)?sources
      | \b(?:high[-\s]quality|curated|filtered|synthetic)\s+(?:\w+\s+){0,3}?(?:web\s+)?data\b
      | 公开(?:可用)?的?(?:数据|语料|网络)|互联网(?:数据|语料)|多种来源""",
    "own_data": r"\b(?:proprietary|in-?house|internal(?:ly\s+\w+)?|licensed|confidential)\s+(?:\w+\s+){0,2}?(?:data|datasets?|corpus|corpora|sources?|sets?\s+of|instructions|conversations|dialogues|annotations)\b|\bprivate\s+(?:\w+\s+){0,2}?(?:datasets?|corpus|corpora|conversations|logs|instructions)\b|(?:自(?:有|研|建)|私有|内部)的?(?:数据|语料)",
    "token_count": r"\b\d[\d.,]{0,20}+\s*+(?:trillion|billion|million|[TBM])\+?\s+(?:\w+\s+){0,2}?tokens\b|\d[\d.,]{0,20}+\s*+(?:万亿|亿|T|B)\s*+(?:个\s*+)?token",
    "part_only": r"""
        \b(?:subset|sample|portion|extract|part|fraction)\s+of\s+(?:the\s+|our\s+|this\s+)?(?:\w+\s+){0,3}?(?:data|dataset|corpus)\b
      | \b(?:public(?:ly\s+\w+)?|open(?:ly\s+\w+)?|released?|free(?:ly\s+\w+)?)\s+(?:subset|sample|portion|extract|excerpt|part|fraction|slice)\s+of\b
      | \b(?:subset|sample|portion|extract|excerpt|part|fraction|slice)\s+of\s+[^.;!?\n]{1,60}?\s(?:that|which)\s+(?:is|was|has\s+been|we)\s+(?:made\s+)?(?:public|released?|open|publish)
      | \bpartial(?:ly)?\s+(?:releas|open)|(?:部分|子集)(?:数据|开源)|only\s+(?:a\s+)?(?:part|subset|sample)
      | \b(?:is|are|was|were)\s+not\s+(?:part\s+of|included\s+in|contained\s+in)\s+(?:this|the|our)\s+(?:\w+\s+){0,2}?(?:repository|repo|release|upload|distribution)\b""",
    "access_on_request": r"""
        \b(?:fill\s+(?:out|in)|submit|complete)\s+(?:\w+\s+){0,4}?(?:form|request|application)\b|\brequest(?:ing)?\s+(?:for\s+)?access\b|\b(?:up)?on\s+request\b
      | \b(?:must|need\s+to|have\s+to|required\s+to|should)\s+(?:\w+\s+){0,3}?(?:agree|accept|sign|apply|acknowledge)\b|\bgated\s+(?:models?|repo\w*|datasets?|access|downloads?|weights?)\b|\b(?:is|are|remains?)\s+gated\b
      | \b(?:agree|accept)(?:ing)?\s+(?:to\s+)?(?:the\s+|our\s+|these\s+)?(?:\w+\s+){0,4}?(?:licen[cs]e|terms|conditions|policy|agreement)\b
      | \bapply\s+for\s+(?:access|(?:a\s+)?licen[cs]e)|申请(?:表|使用|权限|下载|获取)|填写""",
    "delta": r"\b(?:delta|diff|xor)(?:s|ed|ing)?[-\s]+(?:\w+\s+){0,1}?(?:weights?|models?|checkpoints?|files?)\b|\bweights?[-\s_]+(?:diff|delta)s?\b|\bapply(?:ing)?\s+(?:the\s+)?(?:delta|diff|xor)|\b(?:are|as)\s+(?:delta|diff)s\b|\bweights?\s+differences?\b|\bdifferences?\s+(?:between|of|to|from|against)\s+[^.;!?\n]{0,60}?\bweights\b|\badd(?:ed|ing)?\s+[^.;!?\n]{0,60}?\b(?:to|onto)\s+(?:the\s+)?(?:original|base)\s+(?:[\w-]+\s+){0,2}?weights\b|(?:增量|差分|差值)(?:权重|模型)",
    "derived": r"\b(?:fine[-\s]?tun(?:ed|es?|ing)|instruction[-\s]tuned|continue[ds]?\s+(?:pre-?)?train\w*|initiali[sz]ed|built|derived|based|trained)\s+(?:version\s+of|on\s+top\s+of|from|upon|on|of|with)\s+|(?:基于|以).{1,40}?(?:微调|训练|进行)",
    "sign_up": r"\b(?:sign(?:ing)?[-\s]?up|waitlist|wait\s+list|log\s?in\s+(?:to|required)|create\s+an\s+account|(?:please|must|to|and|or)\s+register|register\s+(?:for|to|at|here|on|with|now|an\s+account))\b|\bapi[-\s]keys?\b|\bpric(?:ing|es?)\b|\bpaid\b|\bsubscri(?:be|ption)\b|(?:注册|付费|密钥|收费)",
    "api_offer": r"""
        \b(?:rest(?:ful)?|http|openai[-\s]compatible|hosted|inference|free|public|web|our|chat)\s+(?:\w+\s+)?apis?\b
      | \bapi\s+(?:server|endpoint|access|service|platform)\b
      | \bopenai(?:[-\s]api)?[-\s]compatible\s+(?:\w+\s+){0,2}?(?:api|server|endpoint|interface|service)s?\b
      | \b(?:rest(?:ful)?|http)\s+(?:endpoint|server|interface|service)s?\b
      | (?:API|接口)(?:服务|调用|平台)""",
    "demo_offer": r"\b(?:online|live|web|interactive|hosted|gradio|public)\s+(?:\w+\s+)?(?:demo|playground|chat)\b|\btry\s+(?:it\s+(?:out|online|now|here|yourself)|the\s+demo)\b|\bdemo\s*:|\bchat\s+with\s+(?:it|them|(?:the|our)\s+\w+|[A-Z][\w.-]*)\s+(?:at|on|here)\b|在线(?:体验|演示|试用)",
    "non_commercial": r"\bnon-?\s?commercial(?:ly)?\b|\b(?:research|academic|educational)\s+(?:\w+\s+){0,3}?(?:purposes?|use)\s+only\b|\bonly\s+(?:\w+\s+){0,3}?for\s+(?:\w+\s+){0,3}?(?:research|academic)|\bcommercial\s+(?:use|usage|purposes?)\s+(?:is\s+|are\s+)?(?:strictly\s+)?(?:prohibited|forbidden|not\s+allowed)|(?:不得|不可|禁止|不能|非)(?:用于)?(?:任何)?商(?:业|用)|仅(?:限|供)?(?:于)?(?:学术)?研究",
    "container_image": r"\bdocker\s+(?:pull|run)\s+(?:-\S+\s+(?:\S+\s+)?){0,6}?[\w.-]+(?:/[\w.-]+)+|\b(?:ghcr\.io|quay\.io|docker\.io|hub\.docker\.com/r)/[\w.-]+/[\w.-]+|(?:published|pre-?built|official)\s+(?:docker|container)\s+image|\bwe\s+(?:provide|publish|offer|ship|push|maintain)\s+(?:\w+\s+){0,3}?(?:docker|container)\s+images?\b|\bimages?\s+(?:\w+\s+){0,4}?(?:on|from|to)\s+docker\s?hub\b",
    "unreleased_library": r"\b(?:development|dev|nightly|unreleased)\s+(?:version|branch)\s+(?:\([^)]{0,40}\)\s+)?of\s+[`*\[]*[\w-]+|\bpip3?\s+install\s+(?:-\S+\s+){0,4}git\+https?://\S+",
    "open_claim": r"\b(?:fully|truly|completely|entirely|totally|100\s?%)?\s*open[-\s]sourced?\b|完全开源|开源",
    # "free for commercial use"; not "commercial use is prohibited", which non_commercial finds.
    "commercial_claim": r"\b(?:free|available|licen[cs]ed|permitted|allowed|suitable|usable|open)\s+(?:\w+\s+){0,3}?(?:for|to)\s+(?:\w+\s+){0,3}?commercial|\bcommercial(?:ly)?[-\s]+(?:usable|viable|friendly|permissive)|\bcommercial\s+(?:use|usage)\s+(?:is\s+|are\s+)?(?:allowed|permitted|free)|可(?:以)?(?:免费)?商用|(?:免费|支持)商(?:业|用)",
    "reproduce": r"\breproduc(?:e|ed|ing|tion|ibility)\b|\btraining\s+(?:recipe|script|code|pipeline)s?\b|复现",
}

STATEMENTS: dict[str, re.Pattern[str]] = {
    says: re.compile(pattern, re.VERBOSE | re.IGNORECASE) for says, pattern in _STATEMENTS.items()
}

_BY_BIT = tuple((STATEMENT_BITS[says], says, pattern) for says, pattern in STATEMENTS.items())

FIRST_PERSON = re.compile(
    r"\b(?:we|our|ours|us|this\s+(?:model|paper|work|project|repo(?:sitory)?|dataset)|please\s+cite|official|introduc(?:e|ing))\b|我们|本(?:项目|文|模型)",
    re.I,
)

NOT_NEEDED = re.compile(
    r"\b(?:no|without|not\s+(?:need|require)\w*)\s+(?:\w+\s+){0,4}?(?:sign|regist|key|account|log\s?in|pay)|无需|不需要|免(?:费|注册)",
    re.IGNORECASE,
)
_LONGEST = 1500


def statements_in(sentence: str) -> list[tuple[str, str | None]]:
    """(what it says, what about) for each pattern that a sentence satisfies."""
    return list(_statements_in(sentence[:_LONGEST]))


# One family of models says much the same on all its cards.
@lru_cache(maxsize=4096)
def _statements_in(sentence: str) -> tuple[tuple[str, str | None], ...]:
    found: list[tuple[str, str | None]] = []
    told = what_is_told(sentence)
    for bit, says, pattern in _BY_BIT:
        if told & bit:
            match = pattern.search(sentence)
            if match and not (says == "sign_up" and NOT_NEEDED.search(sentence)):
                found.append((says, _about(sentence, match)))
    return tuple(found)


def _about(sentence: str, match: re.Match[str]) -> str | None:
    """The noun nearest to the matched words decides; none within reach, none."""
    best: tuple[int, str] | None = None
    for about, pattern in ABOUT.items():
        for noun in pattern.finditer(sentence):
            distance = max(match.start() - noun.end(), noun.start() - match.end(), 0)
            if distance <= 80 and (best is None or distance < best[0]):
                best = (distance, about)
    return best[1] if best else None
