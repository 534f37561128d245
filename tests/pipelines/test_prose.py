"""What documents for people tell: sections, links, statements, installs, read by structure."""

from __future__ import annotations

import random
import time

import pytest

from pipelines.extract.base import rounded
from pipelines.extract.prose import CORPORA, EACH_STATEMENT, LINKS
from pipelines.extract.sections import LIST_ITEM, SECTIONS, TABLE_ROW
from pipelines.extract.topics import count_addressed, count_words, is_instruction, topics_of
from pipelines.markdown import parse_markdown
from pipelines.model import Evidence
from pipelines.volatile import steady


def readme(extracted, text: str) -> list[Evidence]:
    return extracted("github", "file:README.md", text)


def values(found: list[Evidence], kind: str, **entries) -> list[dict]:
    return [
        dict(item.value)
        for item in found
        if item.kind == kind and all(item.value[key] == value for key, value in entries.items())
    ]


# --- sections -------------------------------------------------------------------------------------


def test_a_section_is_weighed_by_words_and_entries(extracted) -> None:
    text = "# Sorrel\n\n## Training\n\nWe trained it for three days.\n\n- slowly\n- carefully\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## News\n\nNone.\n"
    (section,) = values(readme(extracted, text), "section")
    assert (section["topic"], section["title"]) == ("training", "Training")
    assert section["words"] == 10
    assert section["items"] == 5
    assert not section["code"]
    assert not section["template"]


def test_code_counts_as_code_and_not_as_words(extracted) -> None:
    text = "## Usage\n\nRun it:\n\n```\nfrom sorrel import many, many, more, words\n```\n"
    (section,) = values(readme(extracted, text), "section")
    assert section["words"] == 2
    assert section["code"]


def test_a_section_holds_what_stands_under_it(extracted) -> None:
    text = "## Training\n\nFirst.\n\n### Details\n\nSecond and third.\n\n## Contact\n\nNot this one.\n"
    (section,) = values(readme(extracted, text), "section")
    assert section["words"] == 5


def test_a_table_of_settings_tells_its_topic_whatever_its_heading(extracted) -> None:
    table = "| layers | 24 |\n|---|---|\n| heads | 16 |\n| hidden size | 2048 |\n| batch size | 512 |\n| learning rate | 3e-4 |\n| optimizer | AdamW |\n"
    found = extracted("github", "file:README.md", f"# Sorrel\n\n## Training details\n\n{table}")
    told = {item.value["topic"] for item in found if item.kind == "section"}
    assert {"training", "hyperparameters", "architecture"} <= told
    for text in (
        "## Training details\n\nIt has layers, heads and a hidden size, a batch size, a learning rate and AdamW.\n",
        f"## Results\n\n{table}",
        "## Training details\n\n- learning rate\n- batch size\n",
    ):
        found = extracted("github", "file:README.md", f"# Sorrel\n\n{text}")
        told = {item.value["topic"] for item in found if item.kind == "section"}
        assert not {"hyperparameters", "architecture"} & told, text


def test_a_title_that_is_a_name_does_not_speak_for_the_whole_document(extracted) -> None:
    text = "# Sorrel RLHF\n\nTwo words.\n\n## News\n\nNone of them at all.\n\n```\nmake\n```\n\n## Contact\n\nBy mail.\n"
    (section,) = values(readme(extracted, text), "section")
    assert (section["topic"], section["words"], section["code"]) == ("training", 2, False)
    (section,) = values(extracted("github", "file:training/README.md", text), "section")
    assert (section["topic"], section["words"], section["code"]) == ("training", 11, True)


def test_a_command_within_a_line_is_code(extracted) -> None:
    text = "## Training\n\n1. Get it with `git clone -b main https://sorrel.example/code`.\n2. Set `lr` and run it.\n"
    assert values(readme(extracted, text), "section", topic="training")[0]["code"]
    text = "## Training\n\nThe option `python` names an interpreter, `git` another tool.\n"
    assert not values(readme(extracted, text), "section", topic="training")[0]["code"]


def test_a_heading_is_no_label_of_the_number_below_it(extracted) -> None:
    text = "## Training\n\nFirst.\n\n### Downloads\n\n12 of them at once.\n"
    (section,) = values(readme(extracted, text), "section")
    assert section["words"] == 6


def test_a_section_is_weighed_as_if_it_were_looked_at_alone(extracted) -> None:
    headings = ["## Training", "### Data", "#### Details", "**Limitations**", "Usage\n-----", "### Use cases"]
    pieces = [
        *(
            "You can train it yourself.",
            "We had 12,000 downloads in May.",
            "- one\n- two",
            "1. three",
            "模型的训练数据。",
        ),
        *(
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "```\nmany words of code\n```",
            "Last updated: 2024-05-01",
            "TODO",
        ),
        *(
            "See https://sorrel.example/a?sid=12 or [this](b.md).",
            "<b>three</b> days ago",
            "your own",
            "More information needed",
        ),
    ]
    chance = random.Random(12)
    for _ in range(300):
        text = "# Sorrel\n\n" + "\n\n".join(chance.choice([*headings, *pieces]) for _ in range(20)) + "\n"
        document = parse_markdown(text)
        blocks = [(block.start, block.end) for block in document.code_blocks]
        weighed = []
        for section in document.sections:
            kept, start = "", section.body_start
            for block_start, block_end in blocks:
                if section.body_start <= block_start < section.end:
                    kept, start = f"{kept}{text[start:block_start]}\n", block_end
            body = kept + text[start : section.end]
            words = count_words(steady(body))
            items = len(LIST_ITEM.findall(body)) + len(TABLE_ROW.findall(body))
            weighed += [
                (topic.value, rounded(words), rounded(items), is_instruction(count_addressed(body), words))
                for topic in topics_of(section.title)
            ]
        told = values(readme(extracted, text), "section")
        assert weighed == [
            (value["topic"], value["words"], value["items"], value["instructs"]) for value in told
        ], text


def test_a_form_that_nobody_filled_in_is_seen(extracted) -> None:
    (section,) = values(readme(extracted, "## Limitations\n\n[More Information Needed]\n"), "section")
    assert section["template"]
    long = (
        "## Limitations\n\nIt fails in winter. "
        + "It knows little of trees. " * 12
        + "More information needed on moss.\n"
    )
    (section,) = values(readme(extracted, long), "section")
    assert not section["template"]


@pytest.mark.parametrize("number", ["words"])
@pytest.mark.parametrize(
    ("count", "told"), [(7, 7), (41, 41), (99, 99), (104, 100), (187, 180), (1234, 1200)]
)
def test_big_numbers_are_rounded_to_two_digits(extracted, number: str, count: int, told: int) -> None:
    text = "## Training\n\n" + "word " * count + "\n"
    (section,) = values(readme(extracted, text), "section")
    assert section[number] == told


@pytest.mark.parametrize(
    "line",
    [
        "**Training data:** forty thousand questions",
        "- **Training data**: forty thousand questions",
        "* **Training data.** forty thousand questions",
    ],
)
def test_a_labelled_line_is_a_section_of_one_line(extracted, line: str) -> None:
    found = values(readme(extracted, f"# Sorrel\n\n{line}\n"), "section")
    assert {section["topic"] for section in found} == {"data", "training"}
    assert {section["words"] for section in found} == {3}


@pytest.mark.parametrize(
    "line",
    [
        "**Sorrel:** a model",
        "**License:** MIT",
        "**bold** in a sentence about data",
        "Training data: **forty**",
    ],
)
def test_a_line_with_another_label_is_no_section(extracted, line: str) -> None:
    assert values(readme(extracted, f"# Sorrel\n\n{line}\n"), "section") == []


# --- links ----------------------------------------------------------------------------------------


def links(found: list[Evidence]) -> list[tuple[str, str]]:
    return [(item.value["kind"], item.value["id"]) for item in found if item.kind == "link"]


def test_a_link_is_told_once_with_its_topic_and_passage(extracted) -> None:
    text = "## Training data\n\nWe use [plums](https://huggingface.co/datasets/orchard/plums).\nAgain: https://huggingface.co/datasets/orchard/Plums\n"
    (item,) = (item for item in readme(extracted, text) if item.kind == "link")
    assert (item.value["kind"], item.value["id"], item.value["topic"]) == (
        "hf_dataset",
        "orchard/plums",
        "data",
    )
    assert item.value["own"]
    assert item.where.text.startswith("We use [plums]")


def test_images_badges_mail_and_the_document_itself_are_no_links(extracted) -> None:
    text = (
        "![x](https://sorrel.example/x.png) [![b](https://img.shields.io/badge/a-b)](#top) <a@b.example> [top](#top)\n"
        "[here](https://github.com/meadowlab/sorrel) [file](docs/guide.md)\n"
    )
    assert links(readme(extracted, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "See arXiv:2401.00001v2.",
        "https://arxiv.org/pdf/2401.00001",
        "https://huggingface.co/papers/2401.00001",
        "@misc{x, eprint={2401.00001}}",
    ],
)
def test_papers_are_found_by_number(extracted, text: str) -> None:
    assert links(readme(extracted, text)) == [("arxiv", "2401.00001")]


def test_a_number_alone_is_no_paper(extracted) -> None:
    assert links(readme(extracted, "Version 2401.00001 of 1234.5678.")) == []


def test_an_entry_to_cite_is_told_from_a_link_in_passing(extracted) -> None:
    cite = "## Citation\n\n```bibtex\n@article{sorrel,\n  title={Sorrel},\n  eprint={2401.00001}\n}\n```\n"
    passing = "## Training\n\nWe use a method (arXiv:2201.00007).\n"
    found = {
        item.value["id"]: item.value for item in readme(extracted, passing + cite) if item.kind == "link"
    }
    assert (found["2401.00001"]["bibtex"], found["2401.00001"]["topic"]) == (True, "citation")
    assert (found["2201.00007"]["bibtex"], found["2201.00007"]["topic"]) == (False, "training")


# --- statements, licences, installs ---------------------------------------------------------------


def test_what_follows_an_entry_of_bibtex_is_not_in_it(extracted) -> None:
    text = "## Citation\n\n@article{sorrel,\n  title={Sorrel}\n}\n\nIt is smaller than [others](https://arxiv.org/abs/2201.00007).\n"
    (link,) = values(readme(extracted, text), "link")
    assert not link["bibtex"]


def test_a_long_list_of_authors_does_not_end_an_entry(extracted) -> None:
    authors = " and ".join(f"Finch, Robin{number}" for number in range(60))
    text = f"## Citation\n\n```\n@article{{sorrel,\n  author={{{authors}}},\n  url={{https://arxiv.org/abs/2401.00001}}\n}}\n```\n"
    assert values(readme(extracted, text), "link")[0]["bibtex"]


def test_a_paper_that_is_named_first_and_cited_later_is_told_both_ways(extracted) -> None:
    cite = (
        "```bibtex\n@article{sorrel,\n  title={Sorrel},\n  url={https://arxiv.org/abs/2401.00001}\n}\n```\n"
    )
    text = f"# Sorrel\n\nSee [how](https://arxiv.org/abs/2401.00001).\n\n## Citation\n\n{cite}\n{cite}"
    assert [link["bibtex"] for link in values(readme(extracted, text), "link")] == [False, True]


def test_a_sentence_is_quoted_whole(extracted) -> None:
    found = readme(extracted, "It is new. The *training data* will not be\nreleased. It is green.\n")
    (item,) = (item for item in found if item.kind == "statement" and item.value["says"] == "withheld")
    assert item.where.text == "The *training data* will not be\nreleased."
    assert item.value["about"] == "data"


def test_a_sentence_without_a_noun_is_about_its_sections_topic(extracted) -> None:
    (statement,) = values(
        readme(extracted, "## Dataset\n\nIt will not be shared.\n"), "statement", says="withheld"
    )
    assert statement["about"] == "data"
    (statement,) = values(
        readme(extracted, "## News\n\nIt will not be shared.\n"), "statement", says="withheld"
    )
    assert statement["about"] is None


@pytest.mark.parametrize(
    "text",
    [
        "```\nThe data will not be released.\n```\n",
        "<!-- The data will not be released. -->\n",
        "# The data will not be released\n",
    ],
)
def test_code_comments_and_headings_state_nothing(extracted, text: str) -> None:
    assert values(readme(extracted, text), "statement", says="withheld") == []


def test_licences_named_in_sentences_are_mentions(extracted) -> None:
    found = values(readme(extracted, "The weights are licensed under CC BY-NC 4.0.\n"), "licence.mention")
    assert [(mention["licence"], mention["scope"]) for mention in found] == [("CC-BY-NC-4.0", "weights")]


def test_an_install_is_own_in_the_projects_instructions(extracted) -> None:
    text = "## Installation\n\n```\npip install sorrel-llm\n```\n\n## Related work\n\n`pip install harrow`\n"
    assert [(found["package"], found["own"]) for found in values(readme(extracted, text), "install")] == [
        ("sorrel-llm", True),
        ("harrow", False),
    ]


# --- limits ---------------------------------------------------------------------------------------


def test_what_is_kept_of_one_document_is_limited(extracted) -> None:
    text = "".join(
        f"The data will not be released, part {n}.\n\nhttps://sorrel.example/{n}\n\n## Training {n}\n\n"
        for n in range(1000)
    )
    found = readme(extracted, text)
    assert len(values(found, "link")) == LINKS
    assert len(values(found, "section")) == SECTIONS
    assert len(values(found, "statement", says="withheld")) == EACH_STATEMENT
    assert len(values(found, "corpus.named")) <= CORPORA


@pytest.mark.parametrize(
    "piece",
    ["\n", " ", " \n", "\t", "|", "a|", "- ", "**a", "**abc** x\n", "![a", "](", "[", "<", "<!--", "# ", "> ", "not ", "@a", "基于", "```\n", "1"],
)  # fmt: skip
def test_a_hostile_document_takes_no_longer_than_an_ordinary_one(extracted, piece: str) -> None:
    """A time that grew with the square of the length would be minutes here."""
    text = piece * (40_000 // len(piece))
    begun = time.process_time()
    for kind, part in (("github", "file:README.md"), ("web", "page")):
        extracted(
            kind, part, text, identifier="https://sorrel.example/" if kind == "web" else "meadowlab/sorrel"
        )
    assert time.process_time() - begun < 4


def test_a_doi_in_an_entry_to_cite_is_a_link_that_can_be_visited(extracted) -> None:
    text = "# Sorrel\n\n## Citation\n\n```bibtex\n@article{s, doi = {10.1234/Sorrel.5}, url = {https://arxiv.org/abs/2401.00001}}\n```\n"
    links = [item for item in extracted("github", "file:README.md", text) if item.kind == "link"]
    found = {(item.value["kind"], item.value["id"]) for item in links}
    assert ("web", "https://doi.org/10.1234/sorrel.5") in found
    assert all(item.value["bibtex"] for item in links if item.value["kind"] == "web")


def test_a_doi_that_is_linked_already_is_one_link(extracted) -> None:
    text = "# Sorrel\n\n[paper](https://doi.org/10.1234/sorrel.5) doi:10.1234/SORREL.5 10.48550/arXiv.2401.00001\n"
    links = [item for item in extracted("github", "file:README.md", text) if item.value.get("kind") == "web"]
    assert [item.value["id"] for item in links] == ["https://doi.org/10.1234/sorrel.5"]
