# Every target does its own set-up in .venv and is quick when repeated.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SEED_VERSIONS := 0.2.2 0.4.4
SEEDS := $(SEED_VERSIONS:%=.seeds/liveavatar-%)
NATIVE := $(wildcard src/avatarwire/codec/*.pyx src/avatarwire/codec/*.pxd)

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench wheel clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.created:
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	@touch $@

$(INSTALLED): $(VENV)/.created pyproject.toml setup.py $(NATIVE)
	@$(BIN)/python -m pip install -qq --group dev --editable '.[cli,fast]'
	@touch $@

# The published SDKs, each in a folder of its own: independent judges for the tests.
.seeds/liveavatar-%: | $(VENV)/.created
	@$(BIN)/python -m pip install -qq --no-deps --target $@ liveavatar-channel-sdk==$*

demo: $(INSTALLED)  ## Stream a speech sample through a whole session
	@$(BIN)/avatarwire stream tests/data/speech.wav

test: $(INSTALLED) $(SEEDS)  ## Run the tests
	@$(BIN)/python -m pytest

lint: $(INSTALLED)  ## Format, types, stubs, import contracts, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint src
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest avatarwire.codec --ignore-disjoint-bases
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github/workflows

$(VENV)/.bench: $(INSTALLED)
	@$(BIN)/python -m pip install -qq --group bench
	@touch $@

bench: $(VENV)/.bench $(SEEDS)  ## Measure all groups; tables and plots in benchmarks/results
	@$(BIN)/python benchmarks/peers.py
	@$(BIN)/python benchmarks/events.py
	@$(BIN)/python benchmarks/transport.py
	@$(BIN)/python benchmarks/sessions.py

wheel: $(INSTALLED)  ## Build an sdist and a wheel from it, into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist

clean:  ## Remove everything that the other targets made
	rm -rf $(VENV) .seeds build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src -name '*.so' -delete
