"""File trees, read as an engineer would: what each file is for, from its path alone.

Reads `github` `tree` snapshots (one line a file: path, size, sha). Yields `tree.files`, one
evidence for every role that some file has, quoting the line of its most telling path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

from pipelines.extract.base import Source, folded, rounded
from pipelines.model import Evidence


class TreeRole(StrEnum):
    """What a file is for. One file can have several roles."""

    CODE = "code"
    PRETRAINING = "pretraining"
    TRAINING = "training"
    TUNING = "tuning"
    DATA_PREPARATION = "data_preparation"
    EVALUATION = "evaluation"
    INFERENCE = "inference"
    API_SERVER = "api_server"
    DEMO = "demo"
    CONFIG = "config"
    NOTEBOOK = "notebook"
    DOCS = "docs"
    EXAMPLE = "example"
    TEST = "test"
    CONTAINER = "container"
    PACKAGING = "packaging"
    INSTALLER = "installer"
    DATASHEET = "datasheet"
    MODEL_CARD = "model_card"
    DATA_FILE = "data_file"
    WEIGHTS = "weights"
    LICENCE = "licence"
    README = "readme"


CODE_FILE = re.compile(
    r"""\.(py|pyx|ipynb|sh|bash|ps1|bat|cpp|cc|cxx|c|h|hpp|cu|cuh|js|jsx|ts|tsx|go|rs|java|kt|scala
        |jl|lua|rb|php|swift|m|mm|cs|r|pl)$""",
    re.VERBOSE | re.IGNORECASE,
)
NOT_OURS = re.compile(
    r"(^|/)(third_party|thirdparty|vendor|node_modules|site-packages|\.git)/", re.IGNORECASE
)
TEST_PATH = re.compile(
    r"(^|/)(tests?|testing|unit_tests|\.github|ci)/|(^|/)(test_[^/]*|[^/]*_test)\.\w+$", re.I
)

# Words are matched between separators of the path, so that "constraint" is not "train".
_WORD = r"(?:(?<=[/_\-.\d])|(?<=^))(?:{})(?=[/_\-.\d]|$)"


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(_WORD.format(pattern), re.IGNORECASE)


PATH_ROLES: tuple[tuple[TreeRole, re.Pattern[str]], ...] = (
    (TreeRole.PRETRAINING, _words(r"pre[_-]?train(?:ing|er)?|run[_-](?:clm|mlm)")),
    (TreeRole.TRAINING, _words(r"train|training|trainers?|distill?(?:ation)?")),
    (
        TreeRole.TUNING,
        _words(
            r"finetuner|(?:fine|p|prompt|prefix)?[_-]?tun(?:e|ing)|sft|rlhf|ppo|dpo|orpo|grpo|kto|run[_-]clm\w*|q?lora|reward[_-]?model(?:ing|s)?|rm"
            r"|instruct(?:ion)?[_-]?(?:tun(?:e|ing)|fine\w+)|align(?:ment)?"
        ),
    ),
    (
        TreeRole.DATA_PREPARATION,
        _words(
            r"prepare|preparation|pre[_-]?process(?:ing|or)?|tokenize(?:_data)?|data[_-]?(?:pipeline|processing|prep|loader|gen|generation|collection|utils?)"
            r"|datasets?|dedup(?:e|lication|licate)?|clean(?:ing|_data)?|scrape|crawl|collect|generate[_-](?:data|instructions?|prompts?)|convert[_-](?:data|dataset)\w*"
            r"|(?:make|create|build|get|download|filter|merge|split|translate)_(?!\w*?(?:lora|peft|adapter|weight|model|delta|ckpt|checkpoint|wheel|docker))\w+|corp(?:us|ora)|data"
        ),
    ),
    (
        TreeRole.EVALUATION,
        _words(r"eval(?:s|uate|uation|uator)?|bench(?:marks?|marking)?|lm[_-]eval|harness"),
    ),
    (
        TreeRole.INFERENCE,
        _words(
            r"infer(?:ence)?|generat(?:e|ion|or)|chat|predict(?:ion)?|sampl(?:e|ing)|cli|run|demo|bot|completion|interact(?:ive)?|quickstart"
        ),
    ),
    (
        TreeRole.API_SERVER,
        _words(
            r"(?:openai|rest(?:ful)?|fast|http|web|model)?[_-]?api(?:[_-](?:server|demo|v\d))?|serv(?:e|er|ing)"
            r"|api[_-](?:server|service|protocol|provider)|(?:model|inference|rest|http|web)[_-](?:server|worker)"
        ),
    ),
    (
        TreeRole.DEMO,
        _words(r"gradio(?:[_-]\w+)?|streamlit|web[_-]?(?:ui|demo|chat)|demos?|app|playground|colab|ui"),
    ),
    (TreeRole.NOTEBOOK, re.compile(r"\.ipynb$", re.IGNORECASE)),
)

# How a path ends is looked at first, and once: behind each of its folders the time would grow with their square.
CONFIG_FILE = re.compile(
    r"^(?=.*\.(?:ya?ml|json|toml|gin|cfg)$).*?(?:(?<=/)|^)(configs?|conf|recipes?|ds_configs?|hparams|experiments?)/"
    r"|(^|/)(?=[^/]*\.(?:ya?ml|json|toml|gin)$)[^/]*?(deepspeed|ds_|zero\d|(?<![a-z])(?:pre[_-]?)?train(?!ed)|finetune|sft|lora|hparams|hyper-?_?params?|config)",
    re.IGNORECASE,
)
NOT_TRAINING_CONFIG = re.compile(
    r"(^|/)(\.|mkdocs|package|tsconfig|pyproject|tokenizer)[^/]*$", re.IGNORECASE
)
DOCS_FILE = re.compile(
    r"^(?=.*\.(?:md|mdx|rst|ipynb|txt)$).*?(?:(?<=/)|^)(docs?|documentation|wiki|guides?|tutorials?)/|(^|/)mkdocs\.ya?ml$",
    re.I,
)
EXAMPLE_FILE = re.compile(r"(^|/)(examples?|recipes|cookbook|samples?|tutorials?)/", re.IGNORECASE)
CONTAINER_FILE = re.compile(
    r"(^|/)((?:docker|container)file[^/]*|[^/]*\.dockerfile|docker-compose[^/]*|compose\.ya?ml)$",
    re.IGNORECASE,
)
PACKAGING_FILE = re.compile(
    r"(^|/)(setup\.py|setup\.cfg|pyproject\.toml|cargo\.toml|go\.mod|package\.json|conda[^/]*\.ya?ml)$", re.I
)
INSTALLER_FILE = re.compile(
    r"(^|/)(one[_-]click|(start|install|setup|run)[_-](linux|windows|macos|wsl)|install(er)?|webui)[^/]*\.(sh|bat|ps1)$",
    re.I,
)
DATASHEET_FILE = re.compile(
    r"(^|/)(?=[^/]*\.(?:md|pdf|txt|html|rst)$)[^/]*?(datasheet|data(set)?[_-]?(card|statement))",
    re.IGNORECASE,
)
MODEL_CARD_FILE = re.compile(r"(^|/)(?=[^/]*\.(?:md|pdf|txt|html|rst)$)[^/]*?model[_-]?card", re.IGNORECASE)
DATA_FILE = re.compile(
    r"\.(jsonl?|csv|tsv|parquet|arrow|txt)(\.(gz|zip|zst|xz|bz2))?$|\.(zip|tar\.gz|tgz)$", re.IGNORECASE
)
DATA_NAME = re.compile(
    r"data|instruct|prompt|seed[_-]?task|train|sft|dialog|conversation|chat|corpus|preference|response", re.I
)
NOT_DATA = re.compile(
    r"""vocab|tokeniz|merges|package|requirements|constraints|config|index|lock|manifest|result|figure|plot|harness|schema
      | (?:^|[/_\-.]) (?:evals?|logs?|tests?|bench(?:mark)?s?|dummy|examples?|samples?|mock|fixtures?|toy|demo|question|answer|nltk\w*
          |mmlu|lambada|hellaswag|gsm8k|piqa|arc|truthfulqa|humaneval|mt_bench|cmmlu|c?eval) (?=[/_\-.\d]|$)""",
    re.VERBOSE | re.IGNORECASE,
)
WEIGHT_FILE = re.compile(
    r"\.(bin|safetensors|pth?|ckpt|gguf|ggml|h5|msgpack|npz|onnx)(\.\w{2,5})?$|(^|/)pytorch_model",
    re.IGNORECASE,
)
NOT_WEIGHTS = re.compile(
    r"\.index\.json$|optimizer|training_args|scheduler|rng_state|random_states|tokenizer|vocab", re.IGNORECASE
)
LICENCE_FILE = re.compile(
    r"(^|/)(?:(?=[^/]*$)[^/]*?(licen[cs]e|copying|use[_-]policy)|licen[cs]es/[^/]+$)", re.IGNORECASE
)
README_FILE = re.compile(r"(^|/)readme[^/]*$", re.IGNORECASE)

NAME_ROLES: tuple[tuple[TreeRole, re.Pattern[str]], ...] = (
    (TreeRole.CONTAINER, CONTAINER_FILE),
    (TreeRole.PACKAGING, PACKAGING_FILE),
    (TreeRole.INSTALLER, INSTALLER_FILE),
    (TreeRole.DATASHEET, DATASHEET_FILE),
    (TreeRole.MODEL_CARD, MODEL_CARD_FILE),
    (TreeRole.README, README_FILE),
)
"""What the name of a file alone tells, whatever folder it lies in."""

ADAPTER_IS_USED = re.compile(
    r"^(?!.*(?:train|tun|sft))(?=.*lora).*(?<![a-z])(?:merge|apply|convert|export|load(?:er|ing)?|infer\w*|generate?|chat|demo|eval\w*|serve|quanti\w*)(?![a-z])",
    re.IGNORECASE,
)
"""Names of files that merge, load or run an adapter, and do not train one."""

DATA_FILE_BYTES = 20_000
"""A data file below this is an example or a template, not training data."""

SIZE = re.compile(r"[0-9]{1,15}")
_PATHS = 8


# In small letters, something of this stands in whatever the pattern of that name matches: most paths have none of it.
_NOT_OURS = ("third", "vendor", "node_modules", "site-packages", ".git/")
_TEST = ("test", ".github/", "ci/")
_EXAMPLE = ("example", "recipes", "cookbook", "sample", "tutorial")
_DOCS_ENDS = (".md", ".mdx", ".rst", ".ipynb", ".txt", "mkdocs.yml", "mkdocs.yaml")
_CONFIG_ENDS = (".yaml", ".yml", ".json", ".toml", ".gin", ".cfg")
_WEIGHTS = (
    ".bin",
    ".safetensors",
    ".pt",
    ".ckpt",
    ".gguf",
    ".ggml",
    ".h5",
    ".msgpack",
    ".npz",
    ".onnx",
    "pytorch_model",
)
_LICENCE = ("licen", "copying", "policy")


@lru_cache(maxsize=16_384)
def _named(component: str) -> frozenset[TreeRole]:
    """The roles that one folder or file name of a path tells; no name reaches over a slash."""
    return frozenset(role for role, pattern in PATH_ROLES if pattern.search(component))


@lru_cache(maxsize=16_384)
def _of_name(name: str) -> frozenset[TreeRole]:
    """The roles that the name of a file alone tells."""
    return frozenset(role for role, pattern in NAME_ROLES if pattern.search(name))


def path_roles(path: str, size: int = 0) -> frozenset[TreeRole]:
    """The roles of one file, from its path (and its size in bytes, for data files)."""
    small = folded(path)
    has = small.__contains__
    if any(map(has, _NOT_OURS)) and NOT_OURS.search(path):
        return frozenset()
    roles: set[TreeRole] = set()
    *folders, name = path.split("/")
    is_code = bool(CODE_FILE.search(name))
    if any(map(has, _TEST)) and TEST_PATH.search(path):
        return frozenset({TreeRole.TEST}) if is_code else frozenset()
    if is_code:
        roles.add(TreeRole.CODE)
        roles = roles.union(_named(name), _named(name.rsplit(".", 1)[0]), *map(_named, folders))
        if path.lower().endswith("setup.py"):
            roles = {TreeRole.CODE}
        # An adapter that is merged, loaded or talked to has been tuned elsewhere.
        if (
            TreeRole.TUNING in roles
            and ADAPTER_IS_USED.search(name)
            and not any(TreeRole.TUNING in _named(folder) for folder in folders)
        ):
            roles -= {TreeRole.TUNING}
        # "ptuning/train.sh" and "train_lora.py" train, but not the base.
        if TreeRole.TUNING in roles:
            roles -= {TreeRole.TRAINING}
    if folders and any(map(has, _EXAMPLE)) and EXAMPLE_FILE.search(path):
        roles.add(TreeRole.EXAMPLE)
    # A pattern that ends at the end also ends before a line end there.
    ends = small.removesuffix("\n")
    if ends.endswith(_DOCS_ENDS) and DOCS_FILE.search(path):
        roles.add(TreeRole.DOCS)
    roles |= _of_name(name)
    if ends.endswith(_CONFIG_ENDS) and CONFIG_FILE.search(path) and not NOT_TRAINING_CONFIG.search(name):
        roles.add(TreeRole.CONFIG)
    if any(map(has, _WEIGHTS)) and WEIGHT_FILE.search(path) and not NOT_WEIGHTS.search(path):
        roles.add(TreeRole.WEIGHTS)
    elif (
        not is_code
        and size >= DATA_FILE_BYTES
        and DATA_FILE.search(name)
        and DATA_NAME.search(path)
        and not NOT_DATA.search(path)
    ):
        roles.add(TreeRole.DATA_FILE)
    if not is_code and any(map(has, _LICENCE)) and LICENCE_FILE.search(path):
        roles.add(TreeRole.LICENCE)
    return frozenset(roles)


def extract(source: Source) -> Iterator[Evidence]:
    """`tree.files` for every role, `tree.truncated` where the service cut the list."""
    found: dict[TreeRole, list[tuple[str, int, int]]] = {}
    offset = 0
    # Only "\n" ends a line: a path may hold the other characters that `splitlines` stops at.
    for line in source.text.split("\n"):
        start, offset = offset, offset + len(line) + 1
        if line.startswith("# truncated"):
            yield source.quote("tree.truncated", start, start + len(line))
            continue
        path, _, rest = line.rstrip("\r").partition("\t")
        size_text = rest.partition("\t")[0]
        size = int(size_text) if SIZE.fullmatch(size_text) else 0
        for role in path_roles(path, size):
            found.setdefault(role, []).append((path, size, start))
    for role in sorted(found):
        files = sorted(found[role], key=lambda f: (f[0].count("/"), len(f[0]), f[0]))
        path, _, start = files[0]
        total = sum(size for _, size, _ in files)
        yield source.quote(
            "tree.files",
            start,
            start + len(path),
            role=role.value,
            count=rounded(len(files)),
            size=1 << (total - 1).bit_length() if total > 0 else 0,
            paths=[path for path, _, _ in files[:_PATHS]],
        )
