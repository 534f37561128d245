"""What an index says of a package, from the `metadata` snapshots of `pypi`."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.extract.base import Source, as_text
from pipelines.extract.licences import normalise_licence
from pipelines.extract.links import classify_url
from pipelines.model import Evidence


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
    stated = info.get("license_expression") or info.get("license")
    if isinstance(stated, str) and stated:
        licence = normalise_licence(stated[:200])
        if licence:
            yield source.field(
                "licence.tag", "$.info.license", stated[:200], licence=licence, raw=stated[:80], list=[]
            )
