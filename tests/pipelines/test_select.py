"""Which files of a repository are worth reading."""

from __future__ import annotations

import pytest

from pipelines.select import files_worth_reading


def chosen(*paths: str, limit: int = 40) -> list[str]:
    return [path for path, _, _ in files_worth_reading([(path, 10, "0") for path in paths], limit)]


def test_the_most_telling_files_come_first() -> None:
    wanted = [
        "README.md",
        "LICENSE",
        "MODEL_CARD.md",
        "datasheet.md",
        "USE_POLICY.md",
        "CITATION.cff",
        "pyproject.toml",
        "requirements.txt",
        "mkdocs.yml",
        "CONTRIBUTING.md",
        "data/README.md",
        "docs/usage.md",
    ]
    assert chosen(*reversed(wanted), "train.py", "src/model.py") == wanted


@pytest.mark.parametrize(
    "path",
    [
        "README",
        "readme.rst",
        "README_zh.md",
        "README-en.md",
        "COPYING.LESSER",
        "NOTICE",
        "MODEL_LICENSE_AGREEMENT.txt",
        "WEIGHT_DIFF_LICENSE",
        "DATA_LICENSE",
        "models/big/LICENSE",
        "models/big/MODEL_CARD_VISION.md",
        "model_card.md",
        "modelcard.md",
        "data/data_card.md",
        "DATA.md",
        "dataset_card.md",
        "LICENCE.md",
        "docs/source/index.rst",
        "docs/guides/training.md",
        "a/b/c/d/README.md",
        "tools/setup.py",
    ],
)
def test_worth_reading(path: str) -> None:
    assert chosen(path) == [path]


@pytest.mark.parametrize(
    "path",
    [
        "train.py",
        "node_modules/x/README.md",
        "third_party/lib/LICENSE",
        "web/vendor/x/LICENSE",
        "check_license.py",
        "license.json",
        "src/terms-of-service.tsx",
        "docs/picture.png",
        "data/train.jsonl",
        "README.ipynb",
        "DATA.csv",
        "database.md",
        "a/b/c/d/LICENSE",
        "noticeable.py",
        "readmes/x.txt",
    ],
)
def test_not_worth_reading(path: str) -> None:
    assert chosen(path) == []


def test_english_and_unmarked_languages_come_before_others() -> None:
    paths = ["README_zh.md", "README.md", "README_en.md", "README-CN.md"]
    assert chosen(*paths)[:2] == ["README.md", "README_en.md"]
    assert set(chosen(*paths)) == set(paths)


def test_translated_copies_come_last() -> None:
    assert chosen("translations/fr/README.md", "docs/deep/page.md") == [
        "docs/deep/page.md",
        "translations/fr/README.md",
    ]


def test_shallow_folders_come_before_deep_ones_and_the_number_is_bounded() -> None:
    paths = [f"{'d/' * depth}README.md" for depth in range(1, 60)]
    assert chosen(*reversed(paths), limit=5) == paths[:5]
    assert len(chosen(*paths)) == 40


def test_empty_files_are_left_out() -> None:
    assert files_worth_reading([("README.md", 0, "0")]) == []


def test_the_order_of_the_tree_does_not_matter() -> None:
    paths = ["b/README.md", "a/README.md", "README.md", "LICENSE"]
    assert chosen(*paths) == chosen(*reversed(paths))
