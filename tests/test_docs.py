"""The documents tell the truth: commands, settings, links, examples, and the pages made from the code."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from crawler.cli import COMMANDS, cli
from crawler.settings import describe_settings
from pipelines.errors import RuleError
from pipelines.rubric import load_rubric, rubric_names
from pipelines.rubric_page import SECTIONS, manual_of, rubric_page
from pipelines.rules import all_rules
from pipelines.rules.engine import Rule

ROOT = Path(__file__).resolve().parent.parent
# What plays invented projects, and what was recorded of some, are no documents of ours.
NOT_OURS = (
    "sandbox/world/",
    "tests/recordings/",
    "tests/cases/",
    "tests/corpus/invented/github/",
    "tests/corpus/invented/huggingface/",
)
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
    and not str(path.relative_to(ROOT)).startswith(NOT_OURS)
)
PLANNED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = ("architecture", "benchmarks", "glossary", "operating", "rubric")

FENCE = re.compile(
    r"^(?P<indent>\ *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
# `[text](target)` and `![text](target)`; a title after the target is not used here.
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")
INLINE = re.compile(r"`(openness [^`]*)`")
# The command itself, at the start of a line or after a path, an assignment, a semicolon or `&&`.
CALL = re.compile(r"(?:^|[\s=/;])openness (?P<rest>.*)$")
END_OF_CALL = re.compile(r"^(?:[|&;]+|\d?>{1,2}|\#.*)$")
SETTING_ROW = re.compile(
    r"^\| `(?P<variable>[A-Z][A-Z_]+)` \| (?P<default>.*?) \| (?P<meaning>.*) \|$", re.MULTILINE
)
SHOWN_AS = {"OPENNESS_PYPI_URL": "PyPI, its public address"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def anchors_of(text: str) -> set[str]:
    """The anchors that a page's headings have."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its full name."""
    if isinstance(command, click.Group):
        for part, inner in command.commands.items():
            yield from leaves(f"{name} {part}", inner)
    else:
        yield name, command


def top_level(name: str) -> click.Command:
    module = importlib.import_module(COMMANDS[name][0])
    command = getattr(module, f"{name}_command")
    assert isinstance(command, click.Command)
    return command


def calls_in(text: str) -> Iterator[list[str]]:
    """The arguments of every call of the command that the fences of a page show, transcripts left out."""
    for fence in FENCE.finditer(text):
        if fence["language"] in ("text", "yaml", "mermaid"):
            continue
        for line in fence["body"].replace("\\\n", " ").splitlines():
            found = CALL.search(line)
            if found is None or line.lstrip().startswith("#"):
                continue
            arguments = []
            for word in shlex.split(found["rest"], comments=True):
                if END_OF_CALL.match(word):
                    break
                arguments.append(word)
            yield arguments


CALLS = [(name, arguments) for name in DOCUMENTS for arguments in calls_in(read(name))]


def command_row(name: str) -> str | None:
    """The row of the README's command table about a command."""
    row = re.search(rf"^\| `openness {re.escape(name)}(?: [^`]*)?` \|.*$", read("README.md"), re.MULTILINE)
    return row[0] if row else None


def test_every_planned_document_is_there() -> None:
    assert {*PLANNED, *(f"docs/{page}.md" for page in PAGES)} <= set(DOCUMENTS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_in_the_readme_with_its_options(name: str) -> None:
    for path, command in leaves(name, top_level(name)):
        row = command_row(path)
        assert row, f"the README's command table has no row for `openness {path}`"
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
            if option.startswith("--")
        }
        documented = set(re.findall(r"--[a-z][a-z-]*", row))
        assert documented == options, f"the options of `openness {path}`"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    for path, command in leaves(name, top_level(name)):
        assert re.search(rf"Example: openness {path}\b", " ".join((command.help or "").split())), path


def test_every_option_of_all_commands_is_in_the_readme() -> None:
    text = read("README.md")
    options = [option for parameter in cli.params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option not in text] == []


def test_the_command_table_names_no_command_that_is_not_there() -> None:
    known = {path for name in COMMANDS for path, _ in leaves(name, top_level(name))}
    rows = re.findall(r"^\| `openness ([^`]*)` \|", read("README.md"), re.MULTILINE)
    words = [" ".join(re.findall(r"^[a-z]+(?: [a-z]+)*", row)) for row in rows]
    assert sorted(words) == sorted(known)


def test_every_setting_is_in_the_readme_and_no_other() -> None:
    wanted = [
        (
            setting.variable,
            SHOWN_AS.get(setting.variable) or (f"`{setting.default}`" if setting.default else "–"),
            setting.meaning,
        )
        for setting in describe_settings()
    ]
    expected = "\n".join(f"| `{variable}` | {default} | {meaning} |" for variable, default, meaning in wanted)
    assert SETTING_ROW.findall(read("README.md")) == wanted, f"the rows have to be\n{expected}"


def test_every_exit_code_is_in_the_readme() -> None:
    source = read("crawler/nightly.py") + read("crawler/cli.py") + read("pipelines/errors.py")
    used = {int(code) for code in re.findall(r"^ *[A-Za-z_]+(?:: int)? = (\d{1,3})$", source, re.MULTILINE)}
    cells = re.findall(r"^\| (\d[\d, ]*) \| ", read("README.md"), re.MULTILINE)
    rows = {int(code) for cell in cells for code in cell.split(", ")}
    assert used >= {0, 1, 2, 3, 4}
    assert rows >= used


def leads_somewhere(document: str, link: str) -> bool:
    """Does a relative link lead to a file of the project, and to a heading of it if it names one?"""
    target, _, anchor = link.partition("#")
    path = ((ROOT / document).parent / target if target else ROOT / document).resolve()
    if not path.is_relative_to(ROOT) or not path.exists():
        return False
    return not anchor or anchor in anchors_of(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("link", "expected"),
    [("docs/rubric.md#api", True), ("docs/rubric.md#x", False), ("x.md", False), ("../", False)],
)
def test_a_broken_link_is_seen(link: str, expected: bool) -> None:
    assert leads_somewhere("README.md", link) is expected


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    links = [found["target"] for found in LINK.finditer(without_fences(read(document)))]
    relative = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in relative if not leads_somewhere(document, link)] == []


@pytest.mark.parametrize(
    ("document", "arguments"), CALLS, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_every_example_can_be_called_so(
    document: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed as the command itself would, with nothing done."""
    monkeypatch.setattr(cli, "callback", lambda **values: None)
    for name in {word for word in arguments if word in COMMANDS}:
        for _, command in leaves(name, top_level(name)):
            monkeypatch.setattr(command, "callback", lambda **values: None)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, f"{document}: openness {shlex.join(arguments)}\n{done.output}"


def test_there_are_examples() -> None:
    assert len([name for name, _ in CALLS if name == "README.md"]) >= 10


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_the_text_exists(document: str) -> None:
    unknown = []
    for found in INLINE.finditer(without_fences(read(document))):
        command: click.Command = cli
        for word in found[1].split()[1:]:
            if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z]+", word):
                break
            inner = top_level(word) if command is cli and word in COMMANDS else None
            if inner is None and command is not cli:
                inner = command.commands.get(word)
            if inner is None:
                unknown.append(found[1])
                break
            command = inner
    assert unknown == []


def test_the_page_of_the_rubric_is_current() -> None:
    assert read("docs/rubric.md") == rubric_page(load_rubric()), "run `make docs`"


def test_the_page_has_every_dimension_check_and_row() -> None:
    page, rules = rubric_page(load_rubric()), all_rules()
    for dimension in load_rubric().dimensions:
        section = re.search(rf"^### {dimension.id}$(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
        assert section
        rule = rules[dimension.id]
        assert dimension.question in section[1]
        for check in rule.checks:
            assert f"| {check.__name__.replace('_', ' ')} |" in section[1]
        for row in rule.table:
            assert f"| {row.because.replace('|', chr(92) + '|')} |" in section[1]


@pytest.mark.parametrize("name", rubric_names())
def test_every_dimension_of_a_rubric_has_a_rule(name: str) -> None:
    assert set(load_rubric(name).dimension_ids) <= set(all_rules())


@pytest.mark.parametrize("dimension", sorted(all_rules()))
def test_a_rule_is_its_own_manual(dimension: str) -> None:
    rule = all_rules()[dimension]
    manual = manual_of(rule)
    assert tuple(manual.sections) == SECTIONS
    assert all(len(text.split()) >= 5 for text in manual.sections.values())
    assert manual.sections["What it asks"].endswith("?")
    for check in rule.checks:
        asked = (check.__doc__ or "").strip().split("\n\n")[0]
        assert "?" in asked, f"{check.__name__} asks no question"


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Title.\n\nWhat it asks: is it?", "has to tell, in order"),
        ("Title.\n\nSomething else.", "is no section"),
        ("Title.\n\nWhat it asks: is it?\n\nWhat it asks: is it?", "is no section"),
        ("", "has to tell, in order"),
    ],
)
def test_a_rule_without_a_manual_is_refused(
    docstring: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule: Rule = all_rules()["api"]
    monkeypatch.setattr(importlib.import_module("pipelines.rules.api"), "__doc__", docstring)
    with pytest.raises(RuleError, match=expected):
        manual_of(rule)


def in_words(sign: str, bound: float) -> str:
    """A bound as the benchmarks page writes it."""
    words = {(">=", 1.0): "all", ("<=", 0): "none"}.get((sign, bound))
    number = f"{bound:.2f}" if bound < 1 else f"{bound:g}"
    return words or f"{'at least' if sign == '>=' else 'at most'} {number}"


def test_every_bound_of_the_corpus_run_is_in_the_benchmarks() -> None:
    bounds = runpy.run_path(str(ROOT / "tests" / "corpus" / "run.py"))["BOUNDS"]
    rows = dict(
        re.findall(
            r"^\| (.+?) \| (at least .+?|at most .+?|all|none) \|$", read("docs/benchmarks.md"), re.MULTILINE
        )
    )
    assert rows == {name: in_words(sign, bound) for name, (sign, bound) in bounds.items()}


def test_every_target_of_the_makefile_is_explained_to_contributors() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## \S", read("Makefile"), re.MULTILINE)) - {"help"}
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", read("CONTRIBUTING.md"), re.MULTILINE)) == targets
