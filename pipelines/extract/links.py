"""What an address or a number in a text names: a repository, a model, a dataset, a package, a paper, a page.

Pure text work: nothing here knows whether the thing exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

from pipelines.artifact_ids import id_problem
from pipelines.extract.base import folded
from pipelines.markdown import parse_markdown
from pipelines.markdown_links import trimmed_url
from pipelines.model import ArtifactKind, ArtifactRef

# First path segments of github.com that are the service's own pages, not owners.
GITHUB_PAGES = frozenset(
    "about account apps blog collections contact customer-stories dashboard enterprise events explore features gist gists "
    "home issues join login logout marketplace mobile new notifications nonprofit open-source organizations orgs "
    "personal pricing pulls readme search security sessions settings signup site sponsors stars team topics "
    "trending users watching".split()
)
HUB_HOSTS = frozenset({"huggingface.co", "hf.co", "hf-mirror.com"})
HUB_PAGES = frozenset(
    "api blog chat collections docs enterprise inference-api inference-endpoints inference join learn login models "
    "organizations papers posts pricing privacy settings spaces storage support tasks terms-of-service "
    "front brand autotrain new notifications search tensorboard welcome".split()
)
# Old models have no owner: these single names are models, every other single name is somebody's page.
HUB_LEGACY_MODEL = re.compile(
    r"""
    (?: bert | distilbert | gpt2 | distilgpt2 | roberta | distilroberta | albert | xlm | xlnet | t5 | camembert | ctrl
      | openai-gpt | transfo-xl ) (?:-[A-Za-z0-9.-]{1,60})?
    """,
    re.VERBOSE,
)
PYPI_HOSTS = frozenset({"pypi.org", "pypi.python.org", "pypi.io"})
DOI_HOSTS = frozenset({"doi.org", "dx.doi.org"})
ARXIV_HOST = re.compile(r"(?:[a-z]{2,8}\.)?arxiv\.org|ar5iv\.(?:labs\.arxiv\.)?org|alphaxiv\.org")
ARXIV_PATH = re.compile(
    r"""
    / (?: abs | pdf | html | format | e-print | src | overview | ps ) /
    (?P<id> [0-9]{4}\.[0-9]{4,5} | [a-z-]{2,20} (?:\.[A-Z]{2})? /[0-9]{7} )
    (?: v[0-9]{1,3} )? (?: \.pdf )? (?: [/?\#] | \Z )
    """,
    re.VERBOSE,
)
ARXIV_DOI = re.compile(
    r"10\.48550/arxiv\.(?P<id>[0-9]{4}\.[0-9]{4,5}|[a-z-]{2,20}/[0-9]{7})(?:v[0-9]{1,3})?", re.IGNORECASE
)
PAPER_ID = re.compile(r"/papers/(?P<id>[0-9]{4}\.[0-9]{4,5})(?:v[0-9]{1,3})?(?:/|\Z)")

# Images that say something about a project and are no part of it.
BADGE_HOST = re.compile(
    r"""
    (?:img\.|raster\.)?shields\.io | badgen\.net | badge\.fury\.io | (?:www\.)?codefactor\.io | api\.codacy\.com
    | zenodo\.org/badge | colab\.research\.google\.com/assets | (?:[\w-]+\.)?badges?\.[\w.-]+ | api\.star-history\.com
    | contrib\.rocks | komarev\.com | awesome\.re | visitor-badge\.[\w.-]+ | bestpractices\.[\w.-]+
    """,
    re.VERBOSE,
)
IMAGE_PATH = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|ico|bmp|avif|mp4|webm|mov)\Z|/badge\.svg|/assets/colab-badge", re.IGNORECASE
)
TRACKING = re.compile(
    r"(?:utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|igshid|spm|ref_src|ref_url|yclid|_hsenc|_hsmi|ref|source|trk|si)",
    re.IGNORECASE,
)


LONGEST_URL = 2000


def classify_url(url: str, base: str | None = None) -> ArtifactRef | None:
    """The artifact that an address names.

    Relative addresses are resolved against `base`, the address of the document they stand in; without
    one they name nothing. Images, badges, mail addresses and malformed addresses name nothing.
    """
    url = url.strip()
    return _classified(url, base) if len(url) <= LONGEST_URL else None


# Documents of one family link to much the same.
@lru_cache(maxsize=2048)
def _classified(url: str, base: str | None) -> ArtifactRef | None:
    parts = _parts(url, base)
    if parts is None:
        return None
    host = parts.hostname.lower().removeprefix("www.").rstrip(".") if parts.hostname else ""
    if BADGE_HOST.fullmatch(host) or BADGE_HOST.match(host + parts.path.lower()):
        return None
    if IMAGE_PATH.search(parts.path):
        return None
    path = [part for part in unquote(parts.path).split("/") if part]
    ref: ArtifactRef | None = None
    if host in ("github.com", "raw.githubusercontent.com", "raw.github.com"):
        ref = _github(path)
    elif host in HUB_HOSTS:
        ref = _hub(parts, path)
    elif host in PYPI_HOSTS:
        ref = _pypi(path)
    elif ARXIV_HOST.fullmatch(host):
        ref = _arxiv(parts.path)
    elif host in DOI_HOSTS:
        return _doi(parts.path)
    return ref or _web(parts)


def _parts(url: str, base: str | None) -> SplitResult | None:
    """The parts of an absolute http(s) address with a public-looking host; None for everything else."""
    if not url or (base is None and not url.lower().startswith(("http://", "https://"))):
        return None
    if url.startswith("#"):
        return None
    try:
        parts = urlsplit(urljoin(base, url) if base is not None else url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "." not in host or "@" in parts.netloc:
        return None
    return parts


def _ref(kind: ArtifactKind, identifier: str) -> ArtifactRef | None:
    return None if id_problem(kind, identifier) else ArtifactRef(kind=kind, id=identifier)


def _github(path: list[str]) -> ArtifactRef | None:
    if len(path) < 2 or path[0].lower() in GITHUB_PAGES:
        return None
    name = path[1]
    if name.lower().endswith(".git"):
        name = name[:-4]
    return _ref(ArtifactKind.GITHUB, f"{path[0]}/{name}")


def _hub(parts: SplitResult, path: list[str]) -> ArtifactRef | None:
    if paper := PAPER_ID.match(parts.path):
        return _ref(ArtifactKind.ARXIV, paper["id"])
    if path and path[0] == "datasets":
        # A single name under /datasets is a dataset without an owner.
        if len(path) == 1:
            return None
        has_owner = len(path) > 2 and path[2] not in (
            "tree",
            "blob",
            "resolve",
            "raw",
            "viewer",
            "discussions",
        )
        return _ref(ArtifactKind.HF_DATASET, "/".join(path[1:3] if has_owner else path[1:2]))
    if path and path[0] == "models" and len(path) > 2:
        path = path[1:]
    if not path or path[0].lower() in HUB_PAGES:
        return None
    if len(path) == 1 or path[1] in ("tree", "blob", "resolve", "raw"):
        return _ref(ArtifactKind.HF_MODEL, path[0]) if HUB_LEGACY_MODEL.fullmatch(path[0]) else None
    return _ref(ArtifactKind.HF_MODEL, "/".join(path[:2]))


def _pypi(path: list[str]) -> ArtifactRef | None:
    if len(path) >= 2 and path[0] in ("project", "pypi", "simple"):
        return _ref(ArtifactKind.PYPI, path[1])
    return None


def _arxiv(path: str) -> ArtifactRef | None:
    match = ARXIV_PATH.match(unquote(path))
    return _ref(ArtifactKind.ARXIV, match["id"]) if match else None


def _doi(path: str) -> ArtifactRef | None:
    doi = unquote(path).strip("/")
    if match := ARXIV_DOI.fullmatch(doi):
        return _ref(ArtifactKind.ARXIV, match["id"])
    if not DOI.fullmatch(doi):
        return None
    return _ref(ArtifactKind.WEB, "https://doi.org/" + doi)


def _web(parts: SplitResult) -> ArtifactRef | None:
    """The page: no fragment, no tracking parameters, host in lower case, no default port."""
    host = (parts.hostname or "").rstrip(".")
    port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
    query = parts.query
    if query:
        kept = [
            (key, value)
            for key, value in parse_qsl(query, keep_blank_values=True)
            if not TRACKING.fullmatch(key)
        ]
        query = urlencode(kept) if len(kept) != len(parse_qsl(query, keep_blank_values=True)) else query
    return _ref(ArtifactKind.WEB, urlunsplit((parts.scheme, host + port, parts.path or "/", query, "")))


# --- numbers of papers ---------------------------------------------------------------------------

# "arXiv:2301.01234v2", "arXiv preprint arXiv:2301.01234", "[arXiv 2301.01234]", eprint = {2301.01234},
# and the number in an address. A bare number such as 2301.01234 is a number.
ARXIV_MENTION = re.compile(
    r"""
    (?: \barxiv \s{0,3} (?: [:./] | \s ) \s{0,3} (?: (?:abs|preprint) [:/\s] \s{0,3} )? (?: arxiv: \s? )?
      | \b eprint \s{0,5} = \s{0,5} [{"] \s{0,3} (?: arxiv: )?
      | arxiv\.org/ (?:abs|pdf|html) /
      | 10\.48550/arxiv\.
      | (?:huggingface\.co|hf\.co) /papers/
    )
    (?P<id> [0-9]{2}(?:0[1-9]|1[0-2])\.[0-9]{4,5} (?![0-9]) | [a-z-]{2,20} (?:\.[a-z]{2})? /[0-9]{7} (?![0-9]) )
    (?: v[0-9]{1,3} )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ARXIV_TRIGGER = re.compile(r"arxiv|eprint|/papers/")
_BEFORE_TRIGGER = {
    "arxiv": (len("10.48550/"), 0),
    "eprint": (0,),
    "/papers/": (len("huggingface.co"), len("hf.co")),
}
"""What ARXIV_MENTION matches has one of these in small letters, and begins so many characters before it."""

DOI = re.compile(r"10\.[0-9]{4,9}/[^\s\"<>{}\[\]|\\^`\u3000-\u303f\uff00-\uffef]{1,200}")


def find_arxiv_ids(text: str) -> list[tuple[str, int, int]]:
    """(number without version, start, end of the number) of papers named in prose, BibTeX and addresses."""
    found: list[tuple[str, int, int]] = []
    for match in _arxiv_mentions(text):
        identifier = match["id"] if match["id"][0].isdigit() else _old_arxiv_id(match["id"])
        if id_problem(ArtifactKind.ARXIV, identifier) is None:
            found.append((identifier, match.start("id"), match.end("id")))
    return found


def _arxiv_mentions(text: str) -> Iterator[re.Match[str]]:
    """What ARXIV_MENTION finds, tried only where a match can begin."""
    reached = 0
    for trigger in _ARXIV_TRIGGER.finditer(folded(text)):
        # An address is named by its host: the match begins before the trigger.
        for start in (trigger.start() - before for before in _BEFORE_TRIGGER[trigger.group()]):
            if start >= reached and (match := ARXIV_MENTION.match(text, start)):
                yield match
                reached = match.end()
                break


def _old_arxiv_id(identifier: str) -> str:
    """Old numbers are written small, but for the class: cs.CL/0101001."""
    archive, _, number = identifier.partition("/")
    name, dot, subject = archive.partition(".")
    return f"{name.lower()}{dot}{subject.upper()}/{number}"


def find_dois(text: str) -> list[tuple[str, int, int]]:
    """(DOI, start, end) of DOIs in a text, without those that stand for arXiv papers."""
    found = []
    for match in DOI.finditer(text):
        doi = trimmed_url(match.group())
        # "10.1234/abc)" in a Markdown link; a comma or semicolon begins the next word.
        doi = re.split(r"[,;](?=10\.)", doi)[0]
        if not ARXIV_DOI.match(doi) and not doi.endswith("/"):
            found.append((doi, match.start(), match.start() + len(doi)))
    return found


# --- packages to install --------------------------------------------------------------------------

INSTALL_COMMAND = re.compile(
    r"""
    (?<![\w./-])
    (?: (?: (?:python|python3|py) [0-9.]{0,4} \s+ -m \s+ )? pip[0-9.]{0,4} \s+ (?:-\S+\s+){0,3}? install
      | uv \s+ (?: pip \s+ install | add | tool \s+ install )
      | pipx \s+ install
      | poetry \s+ add | pdm \s+ add | rye \s+ add
      | (?:conda|mamba|micromamba) \s+ install
    ) (?=[ \t])
    (?P<arguments> (?: \\\r?\n | [^\r\n;&|#`] ){0,2000} )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Flags whose next word belongs to them.
FLAGS_WITH_VALUE = frozenset(
    "-r --requirement -c --constraint -e --editable -i --index-url --extra-index-url -f --find-links -t --target "
    "--channel -n --name -p --prefix --python --platform --root --src --proxy --timeout --group -g --extra --file "
    "--no-binary --only-binary --config-settings --global-option --index --python-version --abi --implementation "
    "--progress-bar --log --cache-dir --trusted-host --cert --upgrade-strategy --report".split()
)
PACKAGE_SPEC = re.compile(
    r"""
    (?P<name> [A-Za-z0-9] (?: [A-Za-z0-9._-]{0,98} [A-Za-z0-9] )? )
    (?: \[ [\w,\s.-]{0,200} \] )?
    (?: (?: [=<>!~]=? | === | @ ) .* )?
    """,
    re.VERBOSE,
)
ARGUMENT = re.compile(
    r""" "(?P<double>[^"]{0,300})" | '(?P<single>[^']{0,300})' | (?P<bare>[^\s"']{1,300}) """, re.VERBOSE
)
NOT_A_PACKAGE = re.compile(
    r"""
    (?: \.{1,2} | [./~$<{%] .* | .*:// .* | git\+ .* | .* [/\\] .* | .* \.(?:whl|gz|zip|txt|toml|ya?ml|cfg|git)
      | .* [<>{}$] .* | [0-9.]+ | package(?:[-_]?name)? | your[-_].* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A command that goes on as a sentence: "conda install numpy according to the table".
PROSE_WORDS = frozenset(
    "a according also and as at be below by can file following for from have if in into is it of on or our see that the "
    "then this to using via we when which will with you your".split()
)
CHANNEL_PREFIX = re.compile(r"[\w-]{1,40}::")


@lru_cache(maxsize=16)
def find_pip_installs(text: str) -> tuple[tuple[str, int, int], ...]:
    """(package name, start, end of its spelling) of packages that code tells to install.

    Only code blocks and inline code are read: prose about installing names no package for sure.
    """
    document = parse_markdown(text)
    spans = [(block.start, block.end) for block in document.code_blocks] + list(document.inline_code)
    return tuple(found for start, end in sorted(spans) for found in _installs(text, start, end))


def _installs(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    for command in INSTALL_COMMAND.finditer(text, start, end):
        offset = command.start("arguments")
        is_value = False
        for argument in ARGUMENT.finditer(command["arguments"]):
            group = argument.lastgroup or "bare"
            word = argument[group]
            if is_value or word == "\\":
                is_value = False
                continue
            if word.lower() in PROSE_WORDS:
                break
            if word.startswith("-"):
                is_value = word in FLAGS_WITH_VALUE
                continue
            channel = CHANNEL_PREFIX.match(word)
            prefix = channel.end() if channel else 0
            spec = PACKAGE_SPEC.fullmatch(word, prefix)
            if spec is None or NOT_A_PACKAGE.fullmatch(spec["name"]):
                if re.match(r"[<>=]", word):
                    continue  # A version specifier after a space.
                if not re.search(r"[A-Za-z0-9]", word) or NOT_A_PACKAGE.fullmatch(word):
                    continue
                break  # Prose has begun: "pip install thing, then …"
            begin = offset + argument.start(group) + prefix
            name = re.sub(r"[-_.]+", "-", spec["name"]).lower()
            yield name, begin, begin + len(spec["name"])
