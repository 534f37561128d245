"""Which identifiers an artifact can have at its service, and when two of them name the same thing."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pipelines.model import ArtifactKind, ArtifactRef

MAX_ADDRESS = 2_000

GITHUB_ID = re.compile(
    r"""
    [A-Za-z0-9][A-Za-z0-9_-]{0,38}      # owner; the underscore only stands in managed accounts
    / (?!\.{1,2}\Z) [A-Za-z0-9._-]{1,100}
    """,
    re.VERBOSE,
)
HF_ID = re.compile(
    r"""
    (?: [A-Za-z0-9_] (?:[A-Za-z0-9._-]{0,94} [A-Za-z0-9_])? / )?      # old models have no owner
    [A-Za-z0-9_] (?:[A-Za-z0-9._-]{0,94} [A-Za-z0-9_])?
    """,
    re.VERBOSE,
)
PYPI_ID = re.compile(r"[A-Za-z0-9] (?:[A-Za-z0-9._-]{0,98} [A-Za-z0-9])?", re.VERBOSE)
ARXIV_ID = re.compile(
    r"""
      [0-9]{2} (?:0[1-9]|1[0-2]) \. [0-9]{4,5}                          # since April 2007
    | [a-z]+ (?:-[a-z]+)? (?:\.[A-Z]{2})? / [0-9]{2} (?:0[1-9]|1[0-2]) [0-9]{3}
    """,
    re.VERBOSE,
)
ARXIV_VERSION = re.compile(r"v[0-9]+\Z")
UNFIT_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff<>\"\\^`{|}]")

PROBLEMS = {
    ArtifactKind.GITHUB: "not a repository name; owner/repo is expected",
    ArtifactKind.HF_MODEL: "not a model name; owner/name is expected",
    ArtifactKind.HF_DATASET: "not a dataset name; owner/name is expected",
    ArtifactKind.PYPI: "not a package name",
    ArtifactKind.ARXIV: "not an arXiv number; 2301.01234 or hep-th/9901001 is expected",
}


def id_problem(kind: ArtifactKind, identifier: str) -> str | None:
    """What is wrong with an identifier of that kind, as the end of a sentence; None when nothing is."""
    match kind:
        case ArtifactKind.GITHUB:
            fits = bool(GITHUB_ID.fullmatch(identifier)) and not identifier.lower().endswith(".git")
        case ArtifactKind.HF_MODEL | ArtifactKind.HF_DATASET:
            fits = (
                bool(HF_ID.fullmatch(identifier))
                and not identifier.lower().endswith(".git")
                and "--" not in identifier
                and ".." not in identifier
            )
        case ArtifactKind.PYPI:
            fits = bool(PYPI_ID.fullmatch(identifier))
        case ArtifactKind.ARXIV:
            if ARXIV_VERSION.search(identifier):
                return "an arXiv number stands here without its version"
            fits = bool(ARXIV_ID.fullmatch(identifier))
        case ArtifactKind.WEB:
            return address_problem(identifier)
    return None if fits else PROBLEMS[kind]


def address_problem(address: str) -> str | None:
    """What is wrong with a web address; None for an absolute http(s) one without credentials."""
    if len(address) > MAX_ADDRESS:
        return f"an address longer than {MAX_ADDRESS} characters"
    if UNFIT_IN_ADDRESS.search(address):
        return "has a character in it that no address has"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "not a web address"
    if parts.scheme.lower() not in ("http", "https") or not host:
        return "not an absolute http or https address"
    if "@" in parts.netloc:
        return "an address with credentials in it"
    if port == 0 or not host.strip("."):
        return "not a web address"
    return None


def same_thing(ref: ArtifactRef) -> tuple[ArtifactKind, str]:
    """A key that is equal for two names of one artifact.

    GitHub and the Hub take names in any case, PyPI folds case and separators; a page is its address.
    """
    match ref.kind:
        case ArtifactKind.PYPI:
            return ref.kind, re.sub(r"[-_.]+", "-", ref.id).lower()
        case ArtifactKind.WEB:
            return ref.kind, ref.id
        case _:
            return ref.kind, ref.id.lower()
