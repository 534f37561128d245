"""Licence texts recognised: `make bench ARGS=licences`.

Three parts, each with the share that is right and every miss:

1. every packaged text, altered as people alter licence files (see `altered_texts`);
2. every licence file of the recorded corpus, where there is one, against what a careful reader found;
3. licences of models, told apart by altered text, title, name and link.

Right is the same licence, or one whose text is word for word the same: the suffixes -only and -or-later
stand in notices and not in texts. With `--spdx FILE` part 1 takes the list's own texts from a bundle as
the package `licenseid` carries it. Time is processor time, the best of several passes over the files of
parts 1 and 2; its bound counts with `--speed` only, since machines differ. Fails when a bound of BOUNDS is
not kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from altered_texts import altered, plausible

from pipelines.extract.licence_index import licence_index
from pipelines.extract.licence_tags import tags_of_front_matter
from pipelines.extract.licences import licence_facts, licences, match_licence_text
from pipelines.extract.parts import LICENCE_PART
from pipelines.licence_words import words_of

ROOT = Path(__file__).resolve().parents[2]
SEED = 20240501
VARIANTS = 3
PASSES = 3
SUFFIX = re.compile(r"(?:-(?:no-)?invariants)?(?:-only|-or-later)$|(?<=\d)\+$")

BOUNDS = {
    "licence texts, altered": 0.98,
    "licence files of the corpus": 0.98,
    "licences of models": 0.98,
}
FILES_A_SECOND = 300.0

# What the licence files of the recorded corpus are; [] where a file holds no licence but a policy or a pointer.
CORPUS = """
01-ai/Yi:                        {LICENSE: [Apache-2.0], MODEL_LICENSE_AGREEMENT.txt: [Apache-2.0]}
BlinkDL/ChatRWKV:                {LICENSE: [Apache-2.0], rwkv_pip_package/LICENSE: [Apache-2.0]}
BlinkDL/RWKV-LM:                 {LICENSE: [Apache-2.0]}
CarperAI/trlx:                   {LICENSE: [MIT]}
Cerebras/gigaGPT:                {LICENSE: [Apache-2.0]}
EleutherAI/gpt-neox:             {LICENSE: [Apache-2.0, BSD-3-Clause, MIT]}
Facico/Chinese-Vicuna:           {LICENSE: [Apache-2.0]}
LAION-AI/Open-Assistant:         {LICENSE: [Apache-2.0]}
LLM360/amber-train:              {LICENSE: [Apache-2.0]}
LianjiaTech/BELLE:               {LICENSE: [Apache-2.0], DATA_LICENSE: [ODC-By-1.0]}
Rijgersberg/GEITje:              {LICENSE: [Apache-2.0]}
SebastianSchramm/alpaca-lora:    {LICENSE: [Apache-2.0], DATA_LICENSE: [ODC-By-1.0]}
bigscience-workshop/xmtf:        {LICENSE.md: [Apache-2.0]}
databrickslabs/dolly:            {LICENSE: [Apache-2.0]}
ethanyanjiali/minChatGPT:        {LICENSE: [GPL-3.0]}
facebookresearch/llama:          {LICENSE: [llama2], USE_POLICY.md: []}
lm-sys/FastChat:                 {LICENSE: [Apache-2.0]}
lucidrains/PaLM-rlhf-pytorch:    {LICENSE: [MIT]}
meta-llama/llama-models:
  LICENSE: []
  docs/license_header.txt: []
  models/llama2/LICENSE: [llama2]
  models/llama2/USE_POLICY.md: []
  models/llama3/LICENSE: [llama3]
  models/llama3/USE_POLICY.md: []
  models/llama3_1/LICENSE: [llama3.1]
  models/llama3_1/USE_POLICY.md: []
  models/llama3_2/LICENSE: [llama3.2]
  models/llama3_2/USE_POLICY.md: []
  models/llama3_3/LICENSE: [llama3.3]
  models/llama3_3/USE_POLICY.md: []
  models/llama4/LICENSE: [llama4]
  models/llama4/USE_POLICY.md: []
meta-llama/llama3:               {LICENSE: [llama3], USE_POLICY.md: []}
microsoft/Phi-3CookBook:         {LICENSE: [MIT]}
oobabooga/text-generation-webui: {LICENSE: [AGPL-3.0]}
tatsu-lab/stanford_alpaca:
  {LICENSE: [Apache-2.0], DATA_LICENSE: [CC-BY-NC-4.0], WEIGHT_DIFF_LICENSE: [CC-BY-NC-4.0]}
togethercomputer/OpenChatKit:    {LICENSE: [Apache-2.0, MIT]}
young-geng/EasyLM:               {LICENSE: [Apache-2.0]}
"""

# Families of licences whose packaged texts part 3 tells apart.
MODEL_FAMILIES = frozenset(
    """llama gemma falcon rail faipl openatom qwen deepseek stability flux exaone nvidia hunyuan hyperclova ltxv
    meta-research playground microsoft-research openmdw open-weights commons-clause""".split()
)


class Sample(NamedTuple):
    """A licence file, and which licences may rightly be found in it, for each that it holds."""

    name: str
    text: str
    right: tuple[frozenset[str], ...]


class Result(NamedTuple):
    """The share that is right of so many, and the misses in words with how often they occur."""

    share: float
    n: int
    misses: Counter[str]


def family(identifier: str) -> str:
    """An identifier without the suffix that only a notice can give."""
    return SUFFIX.sub("", identifier)


def packaged_samples(variants: int = VARIANTS) -> list[Sample]:
    """Every packaged text, altered; the words are packaged, so prose is made of them first."""
    samples = []
    for identifier, words in licence_index().written_texts():
        rng = random.Random(f"{SEED} {identifier} {len(words)}")
        name = f"{identifier} {licences()[identifier].name if identifier in licences() else ''}"
        prose = plausible(words.split(), name, rng)
        right = (frozenset({family(identifier)}),)
        samples += [
            Sample(f"{identifier} #{number}", altered(prose, name, rng), right) for number in range(variants)
        ]
    return samples


def bundle_samples(bundle: Path, variants: int = VARIANTS) -> list[Sample]:
    """Every text of a bundle of the SPDX list, altered."""
    entries = [
        entry for entry in json.loads(gzip.decompress(bundle.read_bytes()))["licenses"] if entry.get("text")
    ]
    same: dict[str, set[str]] = {}
    for entry in entries:
        same.setdefault(" ".join(words_of(entry["text"]).texts), set()).add(family(entry["licenseId"]))
    samples = []
    for entry in entries:
        rng = random.Random(f"{SEED} {entry['licenseId']}")
        right = (frozenset(same[" ".join(words_of(entry["text"]).texts)]),)
        name = f"{entry['licenseId']} {entry['name']}"
        samples += [
            Sample(f"{entry['licenseId']} #{number}", altered(entry["text"], name, rng), right)
            for number in range(variants)
        ]
    return samples


def corpus_samples(corpus: Path) -> tuple[list[Sample], list[str]]:
    """The corpus' licence files with what they are, and the paths that nobody has read yet."""
    known: dict[str, dict[str, list[str]]] = yaml.safe_load(CORPUS)
    samples, unread = [], []
    for path in sorted(corpus.glob("github/*/*/files/**/*")):
        owner, repository, _, *rest = path.relative_to(corpus / "github").parts
        name, repository = "/".join(rest), f"{owner}/{repository}"
        if not path.is_file() or not LICENCE_PART.fullmatch(f"file:{name}"):
            continue
        if name not in known.get(repository, {}):
            unread.append(f"{repository}/{name}")
            continue
        right = tuple(frozenset({one}) for one in known[repository][name])
        samples.append(Sample(f"{repository}/{name}", path.read_bytes().decode("utf-8", "replace"), right))
    return samples, unread


def found_in(text: str) -> list[str]:
    """The licences of a file by text or title; where there is none, by notice."""
    matches = match_licence_text(text)
    told = [match.id for match in matches if match.basis != "notice"]
    return list(dict.fromkeys(family(one) for one in told or [match.id for match in matches]))


def judged(samples: Sequence[Sample]) -> Result:
    """How many of the samples are recognised, with nothing beside what they hold."""
    misses: Counter[str] = Counter()
    for sample in samples:
        found = found_in(sample.text)
        if len(found) != len(sample.right) or any(
            one not in right for one, right in zip(found, sample.right, strict=False)
        ):
            wanted = " + ".join("|".join(sorted(right)) for right in sample.right) or "nothing"
            misses[f"{wanted}: found {' + '.join(found) or 'nothing'}"] += 1
    return Result(1 - sum(misses.values()) / max(1, len(samples)), len(samples), misses)


def judged_models(table: Path, variants: int = 5) -> Result:
    """Licences of models by altered text where it is packaged, and by title, name and link from a table."""
    misses: Counter[str] = Counter()
    count = 0
    for sample in packaged_samples(variants):
        identifier = sample.name.partition(" #")[0]
        facts = licence_facts(identifier)
        if facts is not None and facts.family in MODEL_FAMILIES:
            count += 1
            if found_in(sample.text) != [identifier]:
                misses[f"text of {identifier}: found {found_in(sample.text)}"] += 1
    for identifier, how, told, found in _by_table(yaml.safe_load(table.read_text(encoding="utf-8"))):
        count += 1
        if found != identifier:
            misses[f"{identifier} by {how} {told!r}: found {found}"] += 1
    return Result(1 - sum(misses.values()) / count, count, misses)


def _by_table(table: dict[str, dict[str, list[str]]]) -> Iterator[tuple[str, str, str, str | None]]:
    """(licence, how it is told, by what, what was found) for each entry of the table."""
    terms = "\n\nBy using what lies here you accept what its keeper has written down for you. " * 9
    for identifier, entry in table.items():
        for title in entry.get("titles", ()):
            yield identifier, "title", title, " + ".join(found_in(title + terms)) or None
        for name in entry.get("names", ()):
            yield identifier, "tag", name, _tagged({"license": name})
            yield identifier, "name", name, _tagged({"license": "other", "license_name": name})
        for link in entry.get("links", ()):
            stated = {"license": "other", "license_name": "robin-terms", "license_link": link}
            yield identifier, "link", link, _tagged(stated)


def _tagged(data: dict[str, Any]) -> str | None:
    return next((tag.licences[0] for tag in tags_of_front_matter(data)), None)


def files_a_second(texts: Sequence[str]) -> float:
    """Files read in a second of processor time, in the best of PASSES passes, once the index is there."""
    match_licence_text(texts[0])
    best = float("inf")
    for _ in range(PASSES):
        started = time.process_time()
        for text in texts:
            match_licence_text(text)
        best = min(best, time.process_time() - started)
    return len(texts) / best


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(description="How well and how fast licence texts are recognised.")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="the folder with corpus/")
    parser.add_argument("--spdx", type=Path, help="a bundle of the SPDX list's own texts (licenseid)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--speed", action="store_true", help=f"fail below {FILES_A_SECOND:.0f} files a second"
    )
    options = parser.parse_args(arguments)

    samples = bundle_samples(options.spdx) if options.spdx else packaged_samples()
    results = {"licence texts, altered": judged(samples)}
    if (options.shared / "corpus" / "github").is_dir():
        recorded, unread = corpus_samples(options.shared / "corpus")
        results["licence files of the corpus"] = judged(recorded)
        samples = [*samples, *recorded]
        for path in unread:
            print(f"not in the table of what the files are: {path}")
    results["licences of models"] = judged_models(Path(__file__).with_name("model_licences.yaml"))
    speed = files_a_second([sample.text for sample in samples])

    for name, result in results.items():
        print(f"{name}: {result.share:.4f} right of {result.n} (at least {BOUNDS[name]})")
        for miss, count in result.misses.most_common():
            print(f"    {count} x {miss}")
    mean = sum(len(sample.text) for sample in samples) / len(samples)
    print(
        f"files a second on one core: {speed:.0f} of {mean:.0f} characters on average (at least {FILES_A_SECOND:.0f})"
    )
    if options.json:
        figures: dict[str, Any] = {name: {"right": one.share, "n": one.n} for name, one in results.items()}
        figures["files a second on one core"] = speed
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    kept = all(result.share >= BOUNDS[name] for name, result in results.items())
    return 0 if kept and (not options.speed or speed >= FILES_A_SECOND) else 1


if __name__ == "__main__":
    sys.exit(main())
