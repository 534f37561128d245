"""Package of the project.

What it asks: is there a versioned package in an index that belongs to the project?

Why it matters: a package with versions is what others can build on and return to.

What counts: the index's metadata and whether it points back at the project's repository, account or
page. A released version is open; code made for users (an installer, a container image) without an
index entry is partial; none is closed.

Known misreadings: installing a general library in a card is not the project's package; a package of
the same name by others; a `setup.py` alone is not in an index.
"""

from __future__ import annotations

from pipelines.evidence import EvidenceSet
from pipelines.model import ArtifactKind, ArtifactRef, Finding, Origin, Rating, Role
from pipelines.rules import views
from pipelines.rules.engine import Row, Rule, cannot_tell, no, yes
from pipelines.rules.products import is_hosted_product, product_row


def _packages(evidence: EvidenceSet) -> tuple[ArtifactRef, ...]:
    return evidence.refs(Role.PACKAGE, kind=ArtifactKind.PYPI)


def _belongs(evidence: EvidenceSet, package: ArtifactRef) -> bool:
    """Does the package's own metadata point at one of the project's repositories or accounts?"""
    code = views.code_repositories(evidence) + views.tuned_models(evidence)
    names = {ref.id.lower() for ref in code}
    owners = {views.owner(ref) for ref in code}
    for link in evidence.of("package.link", [package]):
        target = str(link.value["id"]).lower()
        if target in names or target.split("/", 1)[0] in owners:
            return True
    return False


def has_released_package(evidence: EvidenceSet) -> Finding:
    """Is a version of the project's own package in the index?"""
    named = {artifact.ref for artifact in evidence.project.artifacts if artifact.origin is Origin.SEED}
    packages = _packages(evidence)
    found = tuple(
        item
        for item in evidence.of("package.release", packages)
        if item.value["versions"] > 0 and (_belongs(evidence, item.ref) or item.ref in named)
    )
    if found:
        links = evidence.of("package.link", [found[0].ref])
        return yes(
            found + links,
            f"{found[0].value['name']} {found[0].value['latest']}, {found[0].value['versions']} releases",
        )
    unread = evidence.unread(packages)
    places = packages + views.main_places(evidence)
    unread += views.unread_documents(evidence, views.main_places(evidence))
    if unread or not places:
        return cannot_tell(unread, note="no place of the project could be read")
    return no(evidence.places(places, "package"), "no package of the project in the index")


def is_made_for_users(evidence: EvidenceSet) -> Finding:
    """Is there a published container image, or a package that installs from the repository only?"""
    repositories = views.code_repositories(evidence)
    packaging = views.files(evidence, repositories, "packaging")
    images = views.statements(evidence, repositories, "container_image")
    seeded_package = views.seeded(evidence, _packages(evidence))
    if seeded_package and packaging:
        return yes(packaging, f"installable from the repository: {packaging[0].value['paths'][0]}")
    if images:
        return yes(images, f"container image: “{views.told_by(images[0], 80)}”")
    unread = views.unread_documents(evidence, repositories)
    return (
        cannot_tell(unread)
        if unread
        else no(evidence.places(repositories, "installable package or container image"))
    )


def runs_on_an_unreleased_library(evidence: EvidenceSet) -> Finding:
    """Does the model's card send users to the development version of a library that supports it?"""
    models = views.tuned_models(evidence)
    found = views.statements(evidence, models, "unreleased_library")
    if found:
        return yes(found, f"“{views.told_by(found[0])}”")
    unread = views.unread_documents(evidence, models)
    return cannot_tell(unread) if unread else no(evidence.places(models, "support in a library"))


RULE = Rule(
    dimension="package",
    version=3,
    checks=(is_hosted_product, has_released_package, is_made_for_users, runs_on_an_unreleased_library),
    table=(
        product_row(0.9),
        Row(
            rating=Rating.OPEN,
            yes=(has_released_package,),
            confidence=0.9,
            because="The project has a versioned package in the index",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(is_made_for_users,),
            no=(has_released_package,),
            confidence=0.45,
            because="The code is packaged for users, but not in an index",
        ),
        Row(
            rating=Rating.PARTIAL,
            yes=(runs_on_an_unreleased_library,),
            no=(has_released_package,),
            confidence=0.5,
            because="The model runs with the development version of a general library",
        ),
        Row(
            rating=Rating.CLOSED,
            no=(has_released_package, is_made_for_users, runs_on_an_unreleased_library),
            confidence=0.8,
            because="No package of the project was found",
        ),
    ),
)
