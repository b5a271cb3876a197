# The two commands: `make book` and `make test`. Both begin by creating .venv if it is missing or out of date.
PYTHON ?= python3
PROFILE ?= book
JOBS ?= 2

BIN := .venv/bin
INSTALLED := .venv/.installed
EXECUTED := $(or $(RPGAN_BUILD),_build)/executed/smoke
# Scripts of an environment hold its path, and its packages belong to one Python.
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
HERE := $(CURDIR) $(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null)

# Kernels and subprocesses find this environment first, whatever the user's own has.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export JUPYTER_PREFER_ENV_PATH := 1
# Each worker computes on one core: JOBS workers with a thread pool each only get in each other's way.
test-code test-all-code test-notebooks: export OMP_NUM_THREADS := 1
# Smoke runs need no network: behind a proxy that nobody listens at, a download fails at once.
DEAD := http://127.0.0.1:9
OFFLINE := env HTTP_PROXY=$(DEAD) HTTPS_PROXY=$(DEAD) http_proxy=$(DEAD) https_proxy=$(DEAD) no_proxy=127.0.0.1,localhost

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install book test test-all test-code test-all-code test-notebooks lint clean

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: $(INSTALLED) ## Create or update .venv

book: $(INSTALLED) ## Run every notebook and build the book; PROFILE=smoke, book (default) or paper
	$(BIN)/rpgan book --profile $(PROFILE)

test: lint test-code test-notebooks ## Style, types, tests, every notebook under smoke, the book built from those runs

test-all: lint test-all-code test-notebooks ## The same with the slow tests

lint: $(INSTALLED) ## Style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

test-code: $(INSTALLED)
	$(BIN)/pytest -n $(JOBS) -m "not slow and not pages"

test-all-code: $(INSTALLED)
	$(BIN)/pytest -n $(JOBS) -m "not pages"
	$(BIN)/python -m rpgan.book.tried

test-notebooks: $(INSTALLED)
	$(BIN)/rpgan run --profile smoke --prepare-only
	$(OFFLINE) $(BIN)/pytest --nbmake --overwrite -n $(JOBS) $(EXECUTED)
	$(BIN)/rpgan book --profile smoke --no-run
	$(BIN)/pytest -n $(JOBS) -m pages tests/test_pages.py

clean: ## Remove what was built; .venv, runs and downloads stay
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	find rpgan tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rpgan needs Python 3.11 or later, got $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@{ test ! -s $@ || grep -qxF '$(CURDIR)' $@; } && $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[book,cluster,test,widgets]'
	@printf '%s\n' '$(CURDIR)' "$$($(BIN)/python -c '$(VERSION)')" >$@

ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(HERE))
.PHONY: $(INSTALLED)
endif
