# The two commands of the README are `make demo` and `make test`; both install what they need into .venv.
# A name on PATH may be a shim that cannot start anything: only one that answers counts.
find-python = $(shell for p in $(foreach v,$(1),python$(v) $(wildcard $(HOME)/.pyenv/versions/$(v).*/bin/python)); do \
  $$p -c '' 2>/dev/null && echo $$p && break; done)
PYTHON ?= $(call find-python,3.13 3.12 3.11)
# The newest Python that is supported, and the oldest that a managed host may have: where this machine has them.
NEWEST := $(call find-python,3.13)
OLDEST := $(call find-python,3.9)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test unit integration e2e newest oldest lab lab-down lint format docs lock clean

demo: .venv/runtime ## The whole incident on this machine, in under a minute
	@$(BIN)/python demo/run.py

test: lint unit oldest integration newest e2e ## Everything that CI runs

unit: .venv/dev ## Seconds
	$(BIN)/pytest -q -n auto tests/unit

integration: .venv/dev ## Real playbooks and a real shop on this machine
	$(BIN)/pytest -q -n 2 tests/integration

e2e: .venv/dev ## The wheel, the tarball, the demo, the terminal
	$(BIN)/pytest -q tests/e2e

lab: .venv/dev ## Real hosts in containers, as inventories/lab has them (root, Debian)
	@$(BIN)/python tests/lab/lab.py up

lab-down: ## Back to nothing but the cached image
	@python3 tests/lab/lab.py down

oldest: ## What runs on managed hosts, on the oldest Python that they may have
ifeq ($(OLDEST),)
	@echo "oldest: not run, this machine has no Python 3.9"
else
	@test -d .venv-oldest || $(OLDEST) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --disable-pip-version-check pytest hypothesis pyyaml
	.venv-oldest/bin/python -m pytest -q tests/unit/modules
endif

newest: ## Unit and integration tests on the newest Python, with the newest ansible-core
ifeq ($(NEWEST),)
	@echo "newest: not run, this machine has no Python 3.13"
else
	@test -d .venv-newest || $(NEWEST) -m venv .venv-newest
	.venv-newest/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	PATH="$(CURDIR)/.venv-newest/bin:$$PATH" .venv-newest/bin/python -m pytest -q -n 2 tests/unit tests/integration
endif

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev ## Write the reference pages anew, from the code
	$(BIN)/python tools/reference.py

lock: ## Resolve constraints.txt anew, for every Python that is supported
	uvx --from uv uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-emit-find-links \
	  --output-file constraints.txt pyproject.toml

clean: ## Remove what was built here; nothing is left elsewhere
	rm -rf .venv .venv-newest .venv-oldest .demo build dist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Fix: make PYTHON=/path/to/python3.12"; exit 3; }
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
