"""Build `licences.json.gz` and `licence_texts.gz` from the packages `licenseid` (SPDX texts) and `scancode-toolkit`.

Both packages are read as files and never imported; README.md beside this file says how to install
them into a throwaway environment, and under which terms their data is used.

    PYTHONPATH=. build-env/bin/python -m pipelines.data.build_licences [FOLDER]

The same versions of the packages give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.licence_arrays import packed
from pipelines.licence_words import SPELLING, words_of

# Keys of ScanCode LicenseDB → our identifiers (the Hub's tags where there is one). Several texts of
# one licence are kept: a licence that was revised without a new name.
MODEL_LICENCES = {
    "bigcode-open-rail-m-v1": "bigcode-openrail-m",
    "bigscience-open-rail-m": "bigscience-openrail-m",
    "bigscience-open-rail-m2": "bigscience-openrail-m",
    "bigscience-rail-1.0": "bigscience-bloom-rail-1.0",
    "chameleon-research-2024": "chameleon-research",
    "commons-clause": "Commons-Clause",
    "deepseek-la-1.0": "deepseek",
    "exaone-ai-model-1.1-nc": "exaone",
    "fair-ai-public-1.0": "faipl-1.0",
    "fair-ai-public-1.0-sd": "faipl-1.0-sd",
    "falcon-2-11b-1.0": "falcon-2-11b-1.0",
    "flux-1-nc": "flux-1-dev-non-commercial-license",
    "gemma-tou-2024-04-01": "gemma",
    "gemma-tou-2025-03-24": "gemma",
    "hyperclova-x-seed-2025": "hyperclova-x-seed",
    "llama-license-2023": "llama1",
    "llama-2-license-2023": "llama2",
    "llama-3.1-license-2024": "llama3.1",
    "llama-3.2-license-2024": "llama3.2",
    "llama-3.3-license-2024": "llama3.3",
    "llama-4-cla-2025": "llama4",
    "ltxv-owl-2025-04-17": "ltxv-owl",
    "ltxv-owl-2025-05-05": "ltxv-owl",
    "moonshot-ai-modified-mit-2025": "modified-mit-display",
    "ms-research-license-terms": "microsoft-research-license",
    "nvidia-model-training-2025": "nvidia-data-model-training",
    "nvidia-open-model-2025-04-28": "nvidia-open-model-license",
    "open-weights-permissive-1.0.0": "open-weights-permissive-1.0.0",
    "openatom-model-1.0": "openatom-model-1.0",
    "playground-v2-community": "playground-v2-community",
    "qwen-2024": "qwen",
    "responsible-ai-source-1.0": "responsible-ai-source-1.0",
    "responsible-ai-source-1.1": "responsible-ai-source-1.1",
    "stability-ai-community-2024": "stabilityai-ai-community",
    "stability-ai-nc-2023-12-06": "stabilityai-nc-research-community",
    "stable-diffusion-2022-08-22": "creativeml-openrail-m",
    "tencent-hunyuan-3d-2.0-cla": "tencent-hunyuan-community",
    "tongyi-qianwen-2023": "tongyi-qianwen",
}

HEADER_FIELD = re.compile(r"^([a-z_]+):[ ]*(.*)$", re.MULTILINE)


def _package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"the package that holds {name!r} is not installed; see README.md")
    return Path(spec.submodule_search_locations[0])


def _scancode_files() -> Iterator[tuple[dict[str, str], str]]:
    """Header fields and text of every licence of ScanCode LicenseDB, ordered by key."""
    for path in sorted((_package_folder("licensedcode") / "data" / "licenses").glob("*.LICENSE")):
        header, _, text = path.read_text(encoding="utf-8").partition("\n---")
        yield dict(HEADER_FIELD.findall(header)), text


def _words(text: str) -> str:
    return " ".join(SPELLING.get(word, word) for word in words_of(text).texts)


def _gnu_family(identifier: str) -> str:
    """GPL-3.0-only, GPL-3.0-or-later, GPL-3.0+ → GPL-3.0: their texts are one text. So are the GFDL's."""
    return re.sub(
        r"^((?:A|L)?GPL-[\d.]+|GFDL-[\d.]+)(?:-(?:no-)?invariants)?(?:-only|-or-later|\+)$", r"\1", identifier
    )


def collect() -> tuple[dict[str, Any], list[tuple[str, str]]]:  # Any: the JSON document that is written
    """What is known about licences, as JSON values, and their texts: of each the identifier and the words."""
    bundle = json.loads(
        gzip.decompress((_package_folder("licenseid") / "data" / "spdx-bundle.json.gz").read_bytes())
    )
    scancode = list(_scancode_files())
    category = {
        fields["spdx_license_key"]: fields.get("category", "")
        for fields, _ in scancode
        if "spdx_license_key" in fields
    }
    names: list[dict[str, Any]] = []
    texts: list[tuple[str, str]] = []
    seen: set[str] = set()
    for entry in sorted(bundle["licenses"], key=lambda entry: str(entry["licenseId"])):
        identifier = entry["licenseId"]
        names.append(
            {
                "id": identifier,
                "name": entry["name"],
                "osi": bool(entry.get("isOsiApproved")),
                "category": category.get(identifier, category.get(_gnu_family(identifier) + "-only", "")),
            }
        )
        words = _words(entry.get("text") or "")
        if words and words not in seen:
            seen.add(words)
            texts.append((_gnu_family(identifier), words))
    for fields, text in scancode:
        if fields["key"] in MODEL_LICENCES:
            texts.append((MODEL_LICENCES[fields["key"]], _words(text)))
    sources = {
        "spdx": f"SPDX License List {bundle['licenseListVersion']} (licenseid {version('licenseid')})",
        "scancode": f"ScanCode LicenseDB, CC-BY-4.0 (scancode-toolkit {version('scancode-toolkit')})",
    }
    return {"sources": sources, "names": names}, texts


def main(arguments: list[str]) -> None:
    """Write the files into the folder that is the first argument, or beside this module."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    known, texts = collect()
    document = json.dumps(known, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    body = gzip.compress(document.encode("utf-8"), compresslevel=9, mtime=0)
    (folder / "licences.json.gz").write_bytes(body)
    (folder / "licence_texts.gz").write_bytes(packed(texts))


if __name__ == "__main__":
    main(sys.argv[1:])
