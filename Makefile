# The two commands of the README are `make demo` and `make test`; both install what they need into .venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test unit integration e2e lab lab-down lint format docs lock clean

demo: .venv/runtime ## The whole incident on this machine, in under a minute
	@$(BIN)/python demo/run.py

test: lint unit integration e2e ## Everything that CI runs

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

lock: ## Resolve constraints.txt anew, for every Python that is supported
	uvx --from uv uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-emit-find-links \
	  --output-file constraints.txt pyproject.toml

clean: ## Remove what was built here; nothing is left elsewhere
	rm -rf .venv .demo build dist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Fix: make PYTHON=/path/to/python3.12"; exit 3; }
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
