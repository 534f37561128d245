"""What an index says of a package, from the `metadata` snapshots of `pypi`."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.extract.base import Source, as_list, as_text
from pipelines.extract.licence_tags import binding_licences
from pipelines.extract.licences import match_licence_text
from pipelines.extract.links import classify_url
from pipelines.model import Evidence, JsonValue

LONGEST_NAME = 200
"""Characters of a licence field above which it holds a text rather than a name."""


def extract(source: Source) -> Iterator[Evidence]:
    """Releases, and the artifacts that the package's own metadata points back to."""
    metadata = source.json()
    if not isinstance(metadata, dict) or not isinstance(metadata.get("info"), dict):
        yield source.quote("document.problem", 0, 80, problem="malformed")
        return
    info = metadata["info"]
    stated_releases = metadata.get("releases")
    releases = (
        [r for r in stated_releases if isinstance(r, dict)] if isinstance(stated_releases, list) else []
    )
    latest = as_text(info.get("version"))
    yield source.field(
        "package.release",
        "$.info.version",
        latest,
        name=as_text(info.get("name")) or source.snapshot.ref.id,
        versions=len(releases),
        latest=latest,
        yanked=bool(info.get("yanked")),
    )
    if summary := as_text(info.get("summary")):
        yield source.field("package.summary", "$.info.summary", summary, text=summary[:300])
    addresses = [("$.info.home_page", info.get("home_page")), ("$.info.project_url", info.get("project_url"))]
    urls = info.get("project_urls")
    if isinstance(urls, dict):
        addresses += [(f"$.info.project_urls[{name!r}]", url) for name, url in sorted(urls.items())]
    for path, url in addresses:
        ref = classify_url(url) if isinstance(url, str) else None
        if ref is not None:
            yield source.field("package.link", path, url, kind=ref.kind.value, id=ref.id)
    yield from _licence(source, info)


def _licence(source: Source, info: dict[str, JsonValue]) -> Iterator[Evidence]:
    """The expression, or else the licence field (a name, or the whole text), or else the classifiers."""
    for key in ("license_expression", "license"):
        stated = as_text(info.get(key))
        licences = binding_licences(stated)
        if not licences and len(stated) > LONGEST_NAME:
            licences = tuple(match.id for match in match_licence_text(stated) if match.basis != "notice")
        if licences:
            yield _tag(source, f"$.info.{key}", stated, licences)
            return
    for index, classifier in enumerate(as_list(info.get("classifiers"))[:200]):
        if classifier.startswith("License ::") and (licences := binding_licences(classifier)):
            yield _tag(source, f"$.info.classifiers[{index}]", classifier, licences)


def _tag(source: Source, path: str, stated: str, licences: tuple[str, ...]) -> Evidence:
    return source.field(
        "licence.tag",
        path,
        stated[:200],
        licence=licences[0],
        raw=stated[:80],
        list=list(dict.fromkeys(licences[1:])),
    )
