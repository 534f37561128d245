"""The entry of a project in the seed file: shown, edited, checked line by line, and taken over."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import Response

from db.project_pages import ProjectPage
from db.review_values import UserRole
from db.save import save_seed_entry
from pipelines.errors import DecisionError, SeedError, UsageError
from pipelines.model import Origin, digest_bytes
from pipelines.seed_edits import append_entry, find_entry, parse_entry, replace_entry
from pipelines.seeds import dump_seeds
from review.calls import Call, conflict_status, route, view
from review.routes.projects import found_project
from review.seed_file import SeedFile, read_seed_file, replace_seed_file

ROLE = UserRole.CURATOR


@view(role=ROLE)
def show_entry(call: Call) -> Response:
    """The entry as the file has it now; for a project that it does not have, one to begin with."""
    page = found_project(call)
    file = read_seed_file(call.context.options.seeds)
    try:
        entry = find_entry(file.text, page.project.slug) if file.text.strip() else None
    except SeedError as error:
        return _form(call, page, file, "", is_new=False, mistakes=str(error), status=409)
    text = entry.text if entry is not None else _begin(page)
    return _form(call, page, file, text, is_new=entry is None)


def _begin(page: ProjectPage) -> str:
    """The entry of a project as the database has it."""
    lines = dump_seeds([page.project]).splitlines()
    return "".join(f"{line[2:]}\n" for line in lines)


def _form(
    call: Call,
    page: ProjectPage,
    file: SeedFile,
    text: str,
    *,
    is_new: bool,
    mistakes: str = "",
    status: int = 200,
) -> Response:
    named = {artifact.ref for artifact in page.project.artifacts if artifact.origin is Origin.SEED}
    try:
        in_text = {artifact.ref for artifact in parse_entry(text).artifacts} if text else named
    except SeedError:
        in_text = named
    return call.page(
        "seed.html",
        status=status,
        page=page,
        project=page.project,
        file=file,
        text=text,
        is_new=is_new,
        mistakes=mistakes,
        lacking=[a for a in page.project.artifacts if a.ref in named - in_text],
    )


def _changed_meanwhile(call: Call, error: UsageError) -> Response:
    """The file is not what it was: the edited text is shown beside what the file has now."""
    page = found_project(call)
    now_there = ""
    # Whoever changed it may have made it unreadable; what was typed is shown all the same.
    with suppress(UsageError):
        entry = find_entry(read_seed_file(call.context.options.seeds).text, page.project.slug)
        now_there = entry.text if entry is not None else ""
    return call.page(
        "seed_conflict.html",
        status=conflict_status(error),
        page=page,
        project=page.project,
        edited=call.form.get("entry", ""),
        now_there=now_there,
        why=str(error),
    )


@view(role=ROLE, write=True, conflict=_changed_meanwhile)
def save_entry(call: Call) -> Response:
    """Replace the entry in the file, and take it over."""
    page = found_project(call)
    slug = page.project.slug
    file = read_seed_file(call.context.options.seeds)
    edited = call.form.get("entry", "")
    if call.form.get("digest", "") != file.digest:
        raise DecisionError(f"{file.name} was changed meanwhile")
    try:
        entry = find_entry(file.text, slug) if file.text.strip() else None
        if entry is None:
            project = parse_entry(edited)
            if project.slug != slug:
                raise SeedError(f"entry:1: slug: the slug stays {slug!r}")
            changed = append_entry(file.text, file.name, project)
        else:
            changed, project = replace_entry(file.text, file.name, slug, edited)
    except SeedError as error:
        # Nothing was done, and what was typed stays: shown again with what is wrong in which line.
        is_new = _lacks_entry(file, slug)
        return _form(call, page, file, edited, is_new=is_new, mistakes=str(error), status=422)
    is_changed = save_seed_entry(call.session, project, call.now)
    call.record(
        "seed-edited",
        slug,
        file=file.name,
        before=file.digest,
        after=digest_bytes(changed.encode("utf-8")),
        was_new=entry is None,
        changed=is_changed,
    )
    if changed != file.text:
        # Last: should the commit fail after it, the next import of the seeds makes up for it.
        replace_seed_file(file, changed)
    said = "The seed file has the entry now, and it was taken over." if is_changed else "Nothing was changed."
    return call.redirect(f"/projects/{slug}", said=said)


def _lacks_entry(file: SeedFile, slug: str) -> bool:
    """Has the file no entry of this project, as far as it can be read?"""
    try:
        return not file.text.strip() or find_entry(file.text, slug) is None
    except SeedError:
        return False


routes = [
    route("/projects/{slug}/seed", show_entry),
    route("/projects/{slug}/seed", save_entry),
]
