"""Whether classes stay when makers say the same in another way: `make bench ARGS=altered`.

Each alteration writes a copy of the recorded corpus in which documents, lists or names of files are
changed and the meaning is kept: another maker could have written it so. One cold night is run over the
unaltered corpus and one over each copy, every one on a database of its own, and the classes that are
proposed are compared cell by cell. A cell that changes is one that rests on how something was said. Each
is told on standard error.

Some alterations may change nothing: the forms of headings, the order of things, noise, common names of
files. Others say things in words that the extractors may not know; their bound is above what was
measured, so that what gets worse is noticed. The wordings are in `altered_words.yaml`.

Accuracy is against the published ratings, as everywhere. It may rise by an alteration; that is luck.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import altered_markdown as markdown
import yaml
from state import Cell, load_classes, shown
from world import Broken, parser, report, say, serve, set_up, working_folder

from pipelines.model import Rating

CELLS = "cells that change"
MOST = {
    "order-reversed": 0,
    "headings-numbered-capitals": 0,
    "headings-underlined-or-tags": 0,
    "headings-decorated": 0,
    "headings-in-bold": 0,
    "headings-other-words-1": 10,
    "headings-other-words-2": 10,
    "headings-other-words-3": 10,
    "sentences-other-words-1": 5,
    "sentences-other-words-2": 5,
    "sentences-other-words-3": 5,
    "noise": 0,
    "restructured-text": 3,
    "files-common-names": 0,
    "files-rare-names": 15,
    "titles-made-up": 3,
}
"""How many cells an alteration may change."""
BOUNDS = {f"{CELLS}, {name}": ("<=", float(most)) for name, most in MOST.items()}

FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n.*?\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
LEGAL = re.compile(r"licen[cs]e|policy", re.IGNORECASE)
CODE = re.compile(r"\.(?:py|sh|ipynb|cpp|cu|tsx?|js|bat|ps1|ya?ml|json|toml)\Z", re.IGNORECASE)
FIXED_NAME = re.compile(
    r"(?:^|/)(?:setup\.py|package\.json|pyproject\.toml|tokenizer)|mkdocs|\.github|compose"
)
"""Files that tools find by their names; nobody calls them otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """What is done to a copy of the corpus; `apply` says how many files or paths it changed."""

    meaning: str
    apply: Callable[[Path], int]


# Documents


def documents_of(corpus: Path) -> Iterator[Path]:
    """READMEs, documentation and cards. Licences and policies are the same texts everywhere."""
    for path in sorted(corpus.glob("github/*/*/files/**/*")):
        if path.is_file() and path.suffix.lower() in (".md", ".markdown") and not LEGAL.search(path.name):
            yield path
    yield from sorted(corpus.glob("huggingface/*/*/*/README.md"))


def repositories_of(corpus: Path) -> list[Path]:
    """The folders of repositories that are in the record with their trees."""
    return sorted(tree.parent for tree in corpus.glob("github/*/*/tree.tsv"))


def rewrite(path: Path, change: markdown.Alteration) -> bool:
    """Change the text of a file below its front matter; whether that made a difference.

    Bytes that are no UTF-8 stay what they are.
    """
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    front = FRONT_MATTER.match(text)
    start = front.end() if front else 0
    told = text[:start] + change(text[start:])
    path.write_bytes(told.encode("utf-8", "surrogateescape"))
    return told != text


def documents(
    meaning: str,
    change: markdown.Alteration,
    *,
    pages: bool = False,
    then: Callable[[Path], int] | None = None,
) -> Alteration:
    """An alteration of every document, with `pages` of the web pages too, and of what `then` alters."""

    def apply(corpus: Path) -> int:
        paths = [*documents_of(corpus), *(sorted(corpus.glob("web/**/*.html")) if pages else ())]
        return sum(rewrite(path, change) for path in paths) + (then(corpus) if then else 0)

    return Alteration(meaning=meaning, apply=apply)


def restructure(corpus: Path) -> int:
    """README.md of repositories becomes README.rst."""
    readmes = [path for path in sorted(corpus.glob("github/*/*/files/*")) if path.name.lower() == "readme.md"]
    for path in readmes:
        rewrite(path, markdown.restructured)
        path.rename(path.with_name("README.rst"))
        rename_in_tree(path.parents[1], {path.name: "README.rst"})
    return len(readmes)


# Lists


def reverse_lists(corpus: Path) -> int:
    """Files of repositories, files and tags of models, projects and what they name, last ones first."""
    repositories, infos = repositories_of(corpus), sorted(corpus.glob("huggingface/*/*/*/info.json"))
    for repository in repositories:
        write_tree(repository, tree_of(repository)[::-1])
    for path in infos:
        info = json.loads(path.read_text("utf-8"))
        for key in ("siblings", "tags"):
            info[key] = info[key][::-1] if isinstance(info.get(key), list) else info.get(key)
        path.write_text(json.dumps(info, ensure_ascii=False), "utf-8")
    seeds = corpus / "projects.yaml"
    projects = yaml.safe_load(seeds.read_text("utf-8"))
    for project in projects:
        for key in ("artifacts", "llmbase", "rlbase"):
            project[key].reverse()
    seeds.write_text(yaml.safe_dump(projects[::-1], allow_unicode=True, sort_keys=False), "utf-8")
    return len(repositories) + len(infos) + 1


# Names of files


def tree_of(repository: Path) -> list[list[str]]:
    """Path, size and digest of every file of a repository."""
    return [line.split("\t") for line in (repository / "tree.tsv").read_text("utf-8").splitlines()]


def write_tree(repository: Path, rows: Sequence[Sequence[str]]) -> None:
    (repository / "tree.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")


def rename_in_tree(repository: Path, renamed: Mapping[str, str]) -> int:
    """Give files of a repository's tree other paths; how many. A path that is there already is not taken."""
    rows = tree_of(repository)
    taken = {row[0] for row in rows}
    changed = 0
    for row in rows:
        path = renamed.get(row[0], row[0])
        if path not in taken:
            taken.add(path)
            row[0] = path
            changed += 1
    write_tree(repository, rows)
    return changed


def files(meaning: str, table: str) -> Alteration:
    """Folders and files of code with the other names of a table."""
    names = [
        (re.compile(rf"(?<![a-z])(?:{what})(?![a-z])", re.IGNORECASE), other)
        for what, other in markdown.WORDS["files"][table]
    ]

    def renamed_part(part: str) -> str:
        for pattern, other in names:
            if pattern.search(part):
                return pattern.sub(other, part, count=1)
        return part

    def is_free(repository: Path, path: str) -> bool:
        # A recorded file would have to move with its name, and links in documents lead to it.
        return bool(
            CODE.search(path) and not FIXED_NAME.search(path) and not (repository / "files" / path).exists()
        )

    def apply(corpus: Path) -> int:
        changed = 0
        for repository in repositories_of(corpus):
            paths = [row[0] for row in tree_of(repository) if is_free(repository, row[0])]
            changed += rename_in_tree(
                repository, {path: "/".join(map(renamed_part, path.split("/"))) for path in paths}
            )
        return changed

    return Alteration(meaning=meaning, apply=apply)


ALTERATIONS: Mapping[str, Alteration] = {
    "order-reversed": documents(
        "sections, files, tags, projects and their artifacts in reverse order",
        markdown.sections_reversed,
        then=reverse_lists,
    ),
    "headings-numbered-capitals": documents("headings numbered and in capitals", markdown.numbered_capitals),
    "headings-underlined-or-tags": documents(
        "headings underlined or as tags of HTML", markdown.with_headings(markdown.underlined_or_tagged)
    ),
    "headings-decorated": documents(
        "headings with a picture, in bold, with a colon, closed", markdown.with_headings(markdown.decorated)
    ),
    "headings-in-bold": documents("lowest headings as bold lines with a colon", markdown.leaves_in_bold),
    **{
        f"headings-other-words-{number}": documents(
            f"headings in other words, {number} of 3", markdown.other_headings(number - 1)
        )
        for number in (1, 2, 3)
    },
    **{
        f"sentences-other-words-{number}": documents(
            f"sentences that decide in other words, {number} of 3",
            markdown.other_sentences(number - 1),
            pages=True,
        )
        for number in (1, 2, 3)
    },
    "noise": documents(
        "badges, contents, news, contributors; lines wrapped, other spaces and line ends",
        lambda text: markdown.reflowed(markdown.surrounded(text)),
    ),
    "restructured-text": Alteration(meaning="READMEs in reStructuredText", apply=restructure),
    "files-common-names": files("code under names that many makers use", "common"),
    "files-rare-names": files("code under names that few makers use", "rare"),
    "titles-made-up": documents("first headings replaced by a made-up name", markdown.other_title),
}


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "altered")
    made.add_argument(
        "--only",
        action="append",
        choices=ALTERATIONS,
        metavar="NAME",
        help="this alteration only; repeatable",
    )
    made.add_argument("--list", action="store_true", help="name the alterations and end")
    options = made.parse_args(arguments)
    if options.list:
        width = max(len(name) for name in ALTERATIONS)
        for name, alteration in ALTERATIONS.items():
            print(f"{name:<{width}}  {alteration.meaning}")
        return 0
    names = [name for name in ALTERATIONS if not options.only or name in options.only]
    bounds = {f"{CELLS}, {name}": BOUNDS[f"{CELLS}, {name}"] for name in names}
    figures: dict[str, object] = {}
    with working_folder(options) as folder:
        unaltered, accuracy = night(options.shared, folder / "unaltered")
        figures |= {"cells": len(unaltered), "accuracy, unaltered": accuracy}
        for name in names:
            shared = folder / f"{name}-shared"
            changed = write_altered(options.shared, shared, ALTERATIONS[name])
            if not changed:
                raise Broken(f"{name}: there is nothing in this corpus that could be altered")
            classes, accuracy = night(shared, folder / name)
            shutil.rmtree(shared)
            moved = sorted(
                cell for cell in unaltered.keys() | classes.keys() if unaltered.get(cell) != classes.get(cell)
            )
            say(f"{name}: {changed} files altered, {len(moved)} cells change")
            for cell in moved:
                say(f"  {' '.join(cell)}: {shown(unaltered.get(cell))} → {shown(classes.get(cell))}")
            figures |= {f"{CELLS}, {name}": len(moved), f"accuracy, {name}": accuracy}
    return report(figures, bounds, options.json)


def write_altered(shared: Path, target: Path, alteration: Alteration) -> int:
    """A folder like the shared one with an altered copy of the corpus; how many files the alteration changed."""
    # Not its modes: a corpus may be read-only, and the copy is written to.
    shutil.copytree(shared / "corpus", target / "corpus", copy_function=shutil.copyfile)
    (target / "upstreams").symlink_to(shared / "upstreams", target_is_directory=True)
    changed = alteration.apply(target / "corpus")
    for repository in repositories_of(target / "corpus"):
        make_consistent(repository)
    return changed


def make_consistent(repository: Path) -> None:
    """Sizes and digests in a repository's tree as those of the recorded files are now.

    By them a crawler decides what to fetch and whether it has it already.
    """
    rows = tree_of(repository)
    for row in rows:
        path = repository / "files" / row[0]
        if len(row) == 3 and path.is_file():
            body = path.read_bytes()
            # The digest is git's own, which is no matter of security.
            digest = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
            row[1:] = [str(len(body)), digest]
    write_tree(repository, rows)


def night(shared: Path, folder: Path) -> tuple[Mapping[Cell, Rating | None], float]:
    """The classes after one cold night, and their accuracy against the published ratings."""
    with serve(shared) as services:
        desk = set_up(services, folder)
        desk.night()
        agreement = json.loads(desk.run("evaluate", str(shared / "corpus" / "ratings.csv"), "--json").out)
        return load_classes(desk), float(agreement["accuracy"])


if __name__ == "__main__":
    sys.exit(main())
