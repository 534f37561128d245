"""What a licence is said to cover: code, weights or data, told from the nouns around its name."""

from __future__ import annotations

import re
from typing import NamedTuple

# The last word of a compound decides ("model code" is code, "training data" is data).
NOUN = re.compile(
    r"""
      (?P<code> \b(?: code(?:base|s)? | (?<!open[-\s])source(?!\s+(?:of|data)) | software | scripts? | repositor(?:y|ies) | repo | librar(?:y|ies)
                    | toolkit | framework | implementation | package ) \b | 代码 | 源码 | 软件 | 程序 )
    | (?P<weights> \b(?: weights? | models? | checkpoints? | parameters | diff | deltas? ) \b | 模型 | 权重 | 参数 )
    | (?P<data> \b(?: data(?:sets?)? | data\ sets? | corp(?:us|ora) | annotations | conversations | demonstrations | subsets? ) \b
              | 数据集? | 语料 )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Words that begin a new statement: what stood before them has another subject.
CLAUSE_EDGE = re.compile(
    r"""
      [;；。] | , \s* (?: and | but | while | whereas | however ) \b | \b (?: while | whereas | but | although ) \b
    | [，] \s* (?: 而 | 但 )
    """,
    re.VERBOSE | re.IGNORECASE,
)
AND_BETWEEN = re.compile(
    r"""
    \s* (?: ,\s*(?:and|or)? | and | or | & | / | 、 | 和 | 及 | 与 | 以及 | \+ ) \s*
    (?: (?!is\b|are\b) [\w.-]+ \s+ ){0,3}
    """,
    re.VERBOSE | re.IGNORECASE,
)
COMPOUND = re.compile(r"[\s\-]*(?:的\s*)?")
# A noun behind these is the object of another one: "trained on data", "code of the model", "using the weights".
OBJECT_OF = re.compile(
    r"""
    \b
    (?: of (?: \s+ (?!is\b|are\b|and\b|was\b) [\w.'’-]+ ){0,4}
      | (?: on | from | with | by | using | via | upon | in | for | (?!includ)[a-z]{3,}ing )
        (?: \s+ (?: the | our | this | these | that | its | a | an | other | large | pre-?trained | original | base | [A-Z][\w.-]* ) ){0,3}
    ) \s+ $
    """,
    re.VERBOSE,
)
REACH_AFTER = 70


class _Noun(NamedTuple):
    scope: str
    start: int
    end: int


def scopes_of(prose: str, start: int, end: int, reached: int, title: str) -> tuple[str | None, ...]:
    """What a licence named at prose[start:end] covers; (None,) where nothing says it.

    `reached` is where the licence named before it ended; `title` is the heading above.
    Subjects before the name come first, then what follows it ("the MIT License for the code"), then
    the heading. Several when they are joined ("code and weights").
    """
    before = _nouns(prose, _clause_start(prose, reached, start), start)
    subjects = [noun for noun in before if not OBJECT_OF.search(prose[max(0, noun.start - 60) : noun.start])]
    if chain := _last_chain(prose, subjects) or _last_chain(prose, before):
        return chain
    after = _nouns(prose, end, _reach(prose, end))
    edge = CLAUSE_EDGE.search(prose, end)
    after = [noun for noun in after if edge is None or noun.end <= edge.start()]
    if chain := _first_chain(prose, after):
        return chain
    if reached and (wide := _nouns(prose, 0, start)):
        subjects = [
            noun for noun in wide if not OBJECT_OF.search(prose[max(0, noun.start - 60) : noun.start])
        ]
        if chain := _last_chain(prose, subjects):
            return chain
    return _first_chain(title, _nouns(title, 0, len(title))) or (None,)


def _reach(prose: str, end: int) -> int:
    """REACH_AFTER characters on; the blanks where addresses stood do not count."""
    left = REACH_AFTER
    while end < len(prose) and left > 0:
        left -= not prose[end].isspace()
        end += 1
    return end


def _clause_start(prose: str, reached: int, start: int) -> int:
    edges = [match.end() for match in CLAUSE_EDGE.finditer(prose, reached, start)]
    # An edge with no noun behind it only lists terms: "the code is free, but under the MIT License".
    for edge in reversed(edges):
        if NOUN.search(prose, edge, start):
            return edge
    return reached


def _nouns(text: str, start: int, end: int) -> list[_Noun]:
    found: list[_Noun] = []
    for match in NOUN.finditer(text, start, end):
        noun = _Noun(match.lastgroup or "", match.start(), match.end())
        if found and COMPOUND.fullmatch(text, found[-1].end, noun.start):
            found[-1] = _Noun(noun.scope, found[-1].start, noun.end)
        else:
            found.append(noun)
    return found


def _last_chain(text: str, nouns: list[_Noun]) -> tuple[str, ...]:
    """Scopes of the last noun and of those joined to it."""
    chain: list[_Noun] = []
    for noun in reversed(nouns):
        if chain and not AND_BETWEEN.fullmatch(text, noun.end, chain[-1].start):
            break
        chain.append(noun)
    return tuple(dict.fromkeys(noun.scope for noun in reversed(chain)))


def _first_chain(text: str, nouns: list[_Noun]) -> tuple[str, ...]:
    """Scopes of the first noun and of those joined to it."""
    chain: list[_Noun] = []
    for noun in nouns:
        if chain and not AND_BETWEEN.fullmatch(text, chain[-1].end, noun.start):
            break
        chain.append(noun)
    return tuple(dict.fromkeys(noun.scope for noun in chain))
