"""What a file is for, told from its path: what matches, and what must not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipelines.extract.tree import DATA_FILE_BYTES, TreeRole, path_roles
from pipelines.model import Evidence, Quote

R = TreeRole

HAS = {
    "train.py": {R.CODE, R.TRAINING},
    "src/trainer/base.py": {R.TRAINING},
    "train.ipynb": {R.TRAINING, R.NOTEBOOK},
    "pretrain_sorrel.py": {R.PRETRAINING},
    "scripts/pre-training/run.sh": {R.PRETRAINING},
    "fine_tune.py": {R.TUNING},
    "tune.py": {R.TUNING},
    # It may train from scratch or tune: the name does not tell.
    "run_clm.py": {R.PRETRAINING, R.TUNING},
    "dedupe.py": {R.DATA_PREPARATION},
    "corpus/build.py": {R.DATA_PREPARATION},
    "bench/speed.py": {R.EVALUATION},
    "hparams.json": {R.CONFIG},
    "experiments/first.toml": {R.CONFIG},
    "Containerfile": {R.CONTAINER},
    "go.mod": {R.PACKAGING},
    "scripts/finetune.sh": {R.TUNING},
    "rlhf/train_ppo.py": {R.TUNING},
    "ptuning/train.sh": {R.TUNING},
    "train_lora.py": {R.TUNING},
    "grpo.py": {R.TUNING},
    "lora/convert_and_train.py": {R.TUNING},
    "build_corpus.py": {R.DATA_PREPARATION},
    "merge_data.py": {R.DATA_PREPARATION},
    "reward_model.py": {R.TUNING},
    "qlora.py": {R.TUNING},
    "data/prepare.py": {R.DATA_PREPARATION},
    "tools/preprocess_data.py": {R.DATA_PREPARATION},
    "dedup.py": {R.DATA_PREPARATION},
    "eval/run_weeds.py": {R.EVALUATION},
    "benchmarks/speed.py": {R.EVALUATION},
    "chat.py": {R.INFERENCE},
    "generate.py": {R.INFERENCE},
    "cli_demo.py": {R.INFERENCE, R.DEMO},
    "gradio_app.py": {R.DEMO},
    "web_demo2.py": {R.DEMO},
    "serve/api_server.py": {R.API_SERVER},
    "openai_api.py": {R.API_SERVER},
    "model_worker.py": {R.API_SERVER},
    "configs/sft.yaml": {R.CONFIG},
    "ds_config.json": {R.CONFIG},
    "train_config.json": {R.CONFIG},
    "pretrain-7b.yaml": {R.CONFIG},
    "docs/guide.md": {R.DOCS},
    "mkdocs.yml": {R.DOCS},
    "examples/run.py": {R.EXAMPLE},
    "notebooks/tour.ipynb": {R.NOTEBOOK, R.CODE},
    "tests/test_train.py": {R.TEST},
    "train_test.py": {R.TEST},
    "Dockerfile": {R.CONTAINER},
    "docker/Dockerfile.gpu": {R.CONTAINER},
    "docker-compose.yml": {R.CONTAINER},
    "pyproject.toml": {R.PACKAGING},
    "setup.py": {R.PACKAGING},
    "start_linux.sh": {R.INSTALLER},
    "install.sh": {R.INSTALLER},
    "DATASHEET.md": {R.DATASHEET},
    "docs/data_card.md": {R.DATASHEET, R.DOCS},
    "docs/dataset_card.md": {R.DATASHEET, R.DOCS},
    "data-statement.pdf": {R.DATASHEET},
    "MODEL_CARD.md": {R.MODEL_CARD},
    "data/instructions.json": {R.DATA_FILE},
    "data/train.jsonl": {R.DATA_FILE},
    "sorrel_data.json.gz": {R.DATA_FILE},
    "data/dialogs.json": {R.DATA_FILE},
    "data/catalog_data.csv": {R.DATA_FILE},
    "weights/sorrel.gguf": {R.WEIGHTS},
    "model/pytorch_model.bin": {R.WEIGHTS},
    "LICENSE": {R.LICENCE},
    "LICENSE-WEIGHTS.txt": {R.LICENCE},
    "COPYING": {R.LICENCE},
    "README.md": {R.README},
    "recipes/README_zh.md": {R.README},
}

HAS_NOT = {
    # Words within words.
    "constraints.py": {R.TRAINING},
    "utils/constraint_solver.py": {R.TRAINING},
    "strain.py": {R.TRAINING},
    "restrain_model.py": {R.TRAINING},
    "untrained.py": {R.TRAINING},
    "trainable.py": {R.TRAINING},
    "explorations.py": {R.TUNING},
    "platform.py": {R.TUNING},
    "medieval.py": {R.EVALUATION},
    "retrieval.py": {R.EVALUATION},
    "degenerate.py": {R.INFERENCE},
    "downsampling.py": {R.INFERENCE},
    "trunk/runner.py": {R.INFERENCE},
    "database.py": {R.DATA_PREPARATION},
    "metadata.py": {R.DATA_PREPARATION},
    "nccl_backend.py": {R.API_SERVER},
    "rapid.py": {R.API_SERVER},
    "observer.py": {R.API_SERVER},
    "capi.c": {R.API_SERVER},
    "wrapper.py": {R.DEMO},
    "latest.py": {R.TEST},
    # What loads trained weights does not train.
    "pretrained_models.py": {R.PRETRAINING, R.TRAINING},
    "pretrained.json": {R.CONFIG},
    "constraints.yaml": {R.CONFIG},
    # What tunes does not train the base; what loads, merges or fetches has been made elsewhere.
    "ptuning/train.sh": {R.TRAINING},
    "train_lora.py": {R.TRAINING},
    "merge_lora.py": {R.TUNING, R.DATA_PREPARATION},
    "lora_loader.py": {R.TUNING},
    "chat_with_lora.py": {R.TUNING},
    "download_model.py": {R.DATA_PREPARATION},
    "merge_weights.py": {R.DATA_PREPARATION},
    # Tests, somebody else's code, automation.
    "tests/test_train.py": {R.TRAINING, R.CODE},
    "third_party/harrow/train.py": {R.TRAINING, R.CODE},
    "node_modules/a/index.js": {R.CODE},
    ".github/workflows/train.yml": {R.TRAINING, R.CONFIG},
    "setup.py": {R.TRAINING, R.INSTALLER},
    # Documents about a thing are not the thing.
    "docs/training.md": {R.TRAINING, R.CODE},
    "api.md": {R.API_SERVER},
    "package.json": {R.CONFIG, R.DATA_FILE},
    "tokenizer_config.json": {R.CONFIG, R.DATA_FILE},
    # What is no training data.
    "data/vocab.json": {R.DATA_FILE},
    "data/merges.txt": {R.DATA_FILE},
    "requirements.txt": {R.DATA_FILE},
    "constraints-train.txt": {R.DATA_FILE},
    "eval/data/questions.jsonl": {R.DATA_FILE},
    "data/test.jsonl": {R.DATA_FILE},
    "data/sample_prompts.json": {R.DATA_FILE},
    "training_log.txt": {R.DATA_FILE},
    "logs/train.jsonl": {R.DATA_FILE},
    "prepare_data.py": {R.DATA_FILE},
    "figures.zip": {R.DATA_FILE},
    # What is no weights.
    "checkpoint/optimizer.pt": {R.WEIGHTS},
    "training_args.bin": {R.WEIGHTS},
    "model/pytorch_model.bin.index.json": {R.WEIGHTS},
    "tokenizer.model": {R.WEIGHTS},
    "license_header.py": {R.LICENCE},
}


@pytest.mark.parametrize("path", HAS)
def test_a_path_has_its_roles(path: str) -> None:
    assert path_roles(path, size=200_000) >= HAS[path]


@pytest.mark.parametrize("path", HAS_NOT)
def test_a_path_has_not_the_roles_that_it_resembles(path: str) -> None:
    assert not path_roles(path, size=200_000) & HAS_NOT[path]


def test_every_role_is_shown_by_a_path() -> None:
    assert {role for roles in HAS.values() for role in roles} == set(TreeRole)


def test_a_small_data_file_is_an_example() -> None:
    assert R.DATA_FILE not in path_roles("data/instructions.json", DATA_FILE_BYTES - 1)
    assert R.DATA_FILE in path_roles("data/instructions.json", DATA_FILE_BYTES)


@pytest.fixture
def tree(extracted) -> Callable[[str], list[Evidence]]:
    return lambda text: extracted("github", "tree", text)


def by_role(found: list[Evidence]) -> dict[str, Evidence]:
    return {item.value["role"]: item for item in found if item.kind == "tree.files"}


def test_files_are_counted_by_role_and_the_shallowest_is_quoted(tree) -> None:
    roles = by_role(tree("a/b/train_big.py\t1000\tx\na/train.py\t20\ty\nREADME.md\t5\tz\n"))
    training = roles["training"]
    assert training.value["count"] == 2
    assert training.value["paths"] == ["a/train.py", "a/b/train_big.py"]
    assert isinstance(training.where, Quote)
    assert training.where.text == "a/train.py"


def test_the_size_is_a_power_of_two(tree) -> None:
    assert [by_role(tree(f"train.py\t{size}\tx\n"))["training"].value["size"] for size in (0, 1, 1000, 1024, 1025)] == [
        0,
        1,
        1024,
        1024,
        2048,
    ]  # fmt: skip


def test_at_most_eight_paths_are_kept(tree) -> None:
    roles = by_role(tree("".join(f"scripts/train_{number}.py\t9\tx\n" for number in range(30))))
    assert roles["training"].value["count"] == 30
    assert len(roles["training"].value["paths"]) == 8


def test_a_list_that_the_service_cut_is_said_to_be(tree) -> None:
    kinds = [item.kind for item in tree("train.py\t9\tx\n# truncated\n")]
    assert "tree.truncated" in kinds
    assert "tree.truncated" not in [item.kind for item in tree("train.py\t9\tx\n")]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x0b", "\x0c", "\r"])
def test_a_strange_character_in_a_path_ends_no_line(tree, separator: str) -> None:
    found = tree(f"notes{separator}train.py\t9\tx\nchat.py\t9\ty\n")
    counted = by_role(found)["code"]
    assert counted.value["count"] == 2
    assert "train.py" not in counted.value["paths"]


@pytest.mark.parametrize("size", ["", "²", "-5", "1e9", "9" * 4000, "٣"])
def test_a_size_that_is_no_number_counts_as_none(tree, size: str) -> None:
    assert by_role(tree(f"train.py\t{size}\tx\n"))["training"].value["size"] == 0
