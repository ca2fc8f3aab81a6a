# Bare `make` lists the targets. Each is one command a person could type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := src/watchkeeper/show/static
BUILT := ui/node_modules/.built
UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup run test check fmt bench docs pins wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/run.done $(BUILT) ## install the program and build its web UI into .venv

run: setup ## watch this host and itself at http://127.0.0.1:9090
	$(BIN)/watchkeeper up

test: setup $(VENV)/dev.done ## install what tests need besides (peers, servers, Chromium), check, and run every test
	tools/test-servers
	$(MAKE) check
	$(BIN)/pytest -n 2 --dist loadgroup

check: $(VENV)/dev.done ui/node_modules/.done ## format, lint, types, import contracts, generated docs, UI lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/reference.py --check
	npm --prefix ui run check

fmt: $(VENV)/dev.done ## format and mend what a machine can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup $(VENV)/dev.done ## measure us and the real peers side by side
	tools/test-servers
	$(BIN)/python -m bench

docs: $(VENV)/dev.done ## write the generated reference pages
	$(BIN)/python tools/reference.py

pins: $(VENV)/dev.done ## renew requirements/*.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade --extra dev pyproject.toml -o requirements/dev.txt

wheel: $(BUILT) $(VENV)/dev.done ## build dist/*.whl with the UI inside
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what the other targets made
	rm -rf $(VENV) $(STATIC) ui/node_modules build dist

$(VENV)/run.done: requirements/run.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check hatchling editables -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	$(BIN)/python -m compileall -q src
	touch $@

$(VENV)/dev.done: $(VENV)/run.done requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	touch $@

ui/node_modules/.done: ui/package.json ui/package-lock.json
	npm --prefix ui ci --no-audit --no-fund --loglevel=error
	touch $@

$(BUILT): ui/node_modules/.done $(UI_SOURCES)
	npm --prefix ui run build --silent
	touch $@
