# Everything that is done to this project; `make help` lists it.
# Python 3.11 or newer and git are all that has to be there. PYTHON=… chooses an interpreter.

VENV := .venv
PY := $(VENV)/bin/python
# The stamp lies inside the environment, so that it goes when the environment goes.
READY := $(VENV)/.ready
ARGS ?=
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup run test check format docs screenshots corpus bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install everything that is locked into .venv, and this project with it

$(READY): requirements-dev.lock pyproject.toml
	@python="$(PYTHON)"; found=""; \
	for candidate in $$python python3.13 python3.12 python3.11 python3 python; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found="$$candidate"; break; \
		fi; \
		if [ -n "$$python" ]; then break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "make setup needs Python 3.11 or newer, and found none; tried" \
			"$${python:-python3.13, python3.12, python3.11, python3, python}." >&2; \
		echo "Install one, or name one: make setup PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	if ! "$(PY)" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "making $(VENV) with $$found"; \
		"$$found" -m venv --clear "$(VENV)" || { \
			echo "make setup: $$found cannot make an environment; on Debian and Ubuntu install python3-venv." >&2; \
			exit 1; \
		}; \
	fi
	@if command -v uv >/dev/null 2>&1 \
		&& uv pip install --quiet --python $(PY) --require-hashes -r requirements-dev.lock \
		&& uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .; then \
		:; \
	else \
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock \
		&& $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

run: $(READY) ## the whole main job against the bundled sandbox, offline
	$(VENV)/bin/openness demo $(ARGS)

test: $(READY) ## all tests; ARGS="tests/pipelines -k seeds" chooses some
	$(PY) -m pytest -n auto --dist loadfile $(ARGS)

check: $(READY) ## format, lint, types and layers
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest --quiet tests/test_layers.py

format: $(READY) ## put every file into the one format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: $(READY) ## write the pages that are made from the code
	$(PY) -m pipelines.rubric_page > docs/rubric.md~
	mv docs/rubric.md~ docs/rubric.md

screenshots: $(READY) ## the pictures of the review desk in docs/screenshots; needs Chromium
	$(PY) -m tests.review.browser.screenshots $(ARGS)

corpus: $(READY) ## the main job over a recorded corpus, where there is one
	$(PY) tests/corpus/run.py $(ARGS)

bench: $(READY) ## one benchmark over the recorded corpus, by its name: ARGS="faults --seeds 1"
	$(PY) tests/corpus $(ARGS)

lock: ## lock the dependencies anew; ARGS=--upgrade takes newer versions
	@uv=$$(command -v uv || echo $(VENV)/bin/uv); \
	if ! "$$uv" --version >/dev/null 2>&1; then \
		echo "make lock: uv is needed and not on PATH (pip install uv)" >&2; exit 1; \
	fi; \
	set -ex; \
	"$$uv" pip compile --quiet $(LOCK) pyproject.toml --extra postgresql --group build \
		--output-file requirements.lock $(ARGS); \
	"$$uv" pip compile --quiet $(LOCK) pyproject.toml --extra postgresql --group build --group dev \
		--output-file requirements-dev.lock $(ARGS)

clean: ## take away what was installed and cached; data stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
