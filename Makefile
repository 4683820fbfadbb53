# The two commands of the README are `make demo` and `make test`; both install what they need into .venv.
# A name on PATH may be a shim that cannot start anything: only one that answers counts.
find-python = $(shell for p in $(foreach v,$(1),python$(v) $(wildcard $(HOME)/.pyenv/versions/$(v).*/bin/python)); do \
  $$p -c '' 2>/dev/null && echo $$p && break; done)
PYTHON ?= $(call find-python,3.13 3.12 3.11)
# The lowest Python that the driver supports, and the lowest that a managed host may have: where this machine has them.
FLOOR := $(call find-python,3.11)
HOST_FLOOR := $(call find-python,3.9)
BIN := .venv/bin
# Real hosts are containers that run systemd.
CAN_HAVE_HOSTS := $(filter 0/usr/bin/apt-get,$(shell id -u)$(shell command -v apt-get))
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test unit integration e2e faults floors floor host-floor on-hosts on-lab all-on-lab lab lab-down molecule lint format \
  docs lock clean

demo: .venv/runtime ## The whole incident on this machine, in under a minute
	@$(BIN)/python demo/run.py

test: lint unit integration e2e ## Everything that CI runs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=recurse floors on-hosts  # neither keeps two cores busy by itself

floors: # one after the other, as those on hosts: each of them is busy enough
	@$(MAKE) --no-print-directory floor
	@$(MAKE) --no-print-directory host-floor

on-hosts:
	@$(MAKE) --no-print-directory on-lab
	@$(MAKE) --no-print-directory molecule

unit: .venv/dev ## Seconds
	$(BIN)/pytest -q -n auto tests/unit

integration: .venv/dev ## Real playbooks and a real shop on this machine
	$(BIN)/pytest -q -n 2 tests/integration

e2e: .venv/dev ## The wheel, the tarball, the demo, the terminal
	$(BIN)/pytest -q -n 2 --dist loadfile tests/e2e

# Programs of tests/faults: each keeps what it found in tests/faults/results. Those of LAB_CAMPAIGNS need real hosts.
CAMPAIGNS := campaign record ledger release waiting backup
LAB_CAMPAIGNS := lab_cut_off fleet lift lockout
faults: .venv/dev ## Campaigns of hours: an incident cut off at every point; CAMPAIGN=campaign FAULTS="--minutes 30" for some
	@failed=0; for name in $(or $(CAMPAIGN),$(CAMPAIGNS) $(if $(CAN_HAVE_HOSTS),$(LAB_CAMPAIGNS))); do \
	  $(BIN)/python tests/faults/$$name.py $(FAULTS) || failed=1; done; exit $$failed

on-lab: .venv/dev ## What only a real host shows: services under systemd, over ssh, with sudo (root, Debian)
ifneq ($(CAN_HAVE_HOSTS),)
	$(BIN)/pytest -q tests/lab/test_service_state_systemd.py
else
	@echo "on-lab: not run, it needs root on Debian"
endif

all-on-lab: .venv/dev ## Every test on real hosts: PostgreSQL, Prometheus, containers, firewalls, a whole site (root, Debian)
	$(BIN)/pytest -q tests/lab

lab: .venv/dev ## Real hosts in containers, as inventories/lab has them (root, Debian)
	@$(BIN)/python tests/lab/lab.py up

lab-down: ## Back to nothing but the cached image
	@python3 tests/lab/lab.py down

molecule: .venv/dev ## Each role on a real host, red without its act; SCENARIO=isolation for that one (root, Debian)
ifneq ($(CAN_HAVE_HOSTS),)
	@$(BIN)/python molecule/run.py $(SCENARIO)
else
	@echo "molecule: not run, it needs root on Debian"
endif

host-floor: ## What runs on managed hosts, on the lowest Python that they may have
ifeq ($(HOST_FLOOR),)
	@echo "host-floor: not run, this machine has no Python 3.9"
else
	@test -d .venv-host-floor || $(HOST_FLOOR) -m venv .venv-host-floor
	.venv-host-floor/bin/pip install --quiet --disable-pip-version-check pytest pytest-xdist hypothesis pyyaml
	.venv-host-floor/bin/python -m pytest -q -n auto tests/unit/modules
endif

floor: ## The driver, and what meets Ansible, on the lowest Python with the ansible-core that it gets
ifeq ($(FLOOR),)
	@echo "floor: not run, this machine has no Python 3.11"
else
	@test -d .venv-floor || $(FLOOR) -m venv .venv-floor
	.venv-floor/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	PATH="$(CURDIR)/.venv-floor/bin:$$PATH" .venv-floor/bin/python -m pytest -q -n 2 --ignore=tests/unit/modules \
	  tests/unit tests/integration/test_carriers.py tests/integration/test_engine.py tests/integration/test_roles_diagnosis.py \
	  tests/integration/test_roles_contain_lift.py::test_everything_at_once_is_lifted_at_once
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
	rm -rf .venv .venv-floor .venv-host-floor .demo build dist

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Fix: make PYTHON=/path/to/python3.12"; exit 3; }
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
