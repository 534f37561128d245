"""Which licence an address stands for: where its text or its summary is published.

Addresses of collections (SPDX, Creative Commons, opensource.org) say it by their path; those of single
licences are in `licences.yaml`. A file of a project's own repository says nothing by its address.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from pipelines.extract.licence_table import LicenceId, normalise_licence, written_facts

LONGEST = 500

# Collections: the named groups make up the licence's name, in order.
COLLECTION = re.compile(
    r"""
      creativecommons\.org/licenses/ (?P<cc>by(?:-nc)?(?:-sa|-nd)?) / (?P<cc_version>\d\.\d) (?:/ (?P<port>[a-z]{2,3}) \b)?
    | creativecommons\.org/(?P<zero>publicdomain/zero)/
    | (?:opensource\.org/licen[cs]es? | choosealicense\.com/licenses) / (?P<osi>[\w.+-]+?) (?:-php|-html)? (?:\.html?|\.php|\.txt)? $
    | (?:spdx\.org/licenses | scancode-licensedb\.aboutcode\.org) / (?P<spdx>[\w.+-]+?) (?:\.html?|\.txt|\.json)? $
    | apache\.org/licenses/license-(?P<apache>\d\.\d)
    | gnu\.org/(?:licenses|copyleft)/ (?:old-licenses/)? (?P<gnu>[al]?gpl|fdl) (?:-(?P<gnu_version>\d(?:\.\d)?))?
    | mozilla\.org/ (?:[\w-]+/)? mpl/(?P<mpl>\d\.\d)
    | (?P<unlicense>unlicense)\.org
    """,
    re.VERBOSE,
)
# "apache-2-0": hyphens where others write points.
HYPHENATED_VERSION = re.compile(r"-(\d)-(\d)$")


def licence_of_link(url: str | None) -> LicenceId | None:
    """The licence whose text an address is known for; None for every other address, relative ones too."""
    if not url or len(url) > LONGEST:
        return None
    address = _plain(url)
    if address is None:
        return None
    collection = COLLECTION.match(address)
    if collection is not None:
        return _of_collection(collection)
    exact, patterns, any_pattern = _addresses()
    if (known := exact.get(address)) is not None:
        return known
    if not any_pattern.fullmatch(address):
        return None
    return next((identifier for pattern, identifier in patterns if pattern.fullmatch(address)), None)


def _plain(url: str) -> str | None:
    """Host and path in small letters, without scheme, www, query and final slash; None for no web address."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return f"{parts.netloc.lower().removeprefix('www.')}{unquote(parts.path).rstrip('/')}".lower()


def _of_collection(found: re.Match[str]) -> LicenceId | None:
    named = {name: value for name, value in found.groupdict().items() if value}
    if "cc" in named:
        name = f"CC-{named['cc']}-{named['cc_version']}"
        return (
            normalise_licence(f"{name}-{named['port']}") if "port" in named else None
        ) or normalise_licence(name)
    if "zero" in named:
        return normalise_licence("CC0-1.0")
    if "gnu" in named:
        return normalise_licence(" ".join(named.values()).replace("fdl", "gfdl"))
    if "apache" in named:
        return normalise_licence(f"Apache-{named['apache']}")
    if "mpl" in named:
        return normalise_licence(f"MPL-{named['mpl']}")
    name = next(iter(named.values()))
    return normalise_licence(name) or normalise_licence(HYPHENATED_VERSION.sub(r"-\1.\2", name))


@lru_cache(maxsize=1)
def _addresses() -> tuple[dict[str, LicenceId], list[tuple[re.Pattern[str], LicenceId]], re.Pattern[str]]:
    """Addresses of single licences, patterns of such, any of these; what several licences name as source is none."""
    exact: dict[str, LicenceId] = {}
    shared: set[str] = set()
    patterns = []
    for facts in written_facts():
        source = _plain(facts.source)
        is_file = "/blob/" in (source or "")
        if source is not None and not is_file and exact.setdefault(source, facts.id) != facts.id:
            shared.add(source)
        for link in facts.links:
            address = _plain(f"https://{link}") or ""
            if "*" in address:
                pattern = ".*".join(re.escape(part) for part in address.split("*"))
                patterns.append((re.compile(pattern), facts.id))
            else:
                exact[address] = facts.id
    for address in shared:
        del exact[address]
    return exact, patterns, re.compile("|".join(pattern.pattern for pattern, _ in patterns))
