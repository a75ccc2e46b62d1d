# The two commands that a newcomer needs are `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet

.PHONY: help run install test lint format test-deps bench soak fuzz docs lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: install ## Install what is needed, and run the daemon in the foreground
	@exec $(BIN)/vpn serve

install: $(VENV)/installed ## Install vpn into .venv

test: lint ## Check and test everything
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev ## Style, types, and which module may import which
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo) || { echo "$$report"; exit 1; }

format: $(VENV)/installed-dev ## Let ruff lay the code out
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

test-deps: ## Install the programs of the system that tests use (Debian, as root)
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends curl dante-client ncat openssl prometheus proxychains4 python3-venv \
		librsvg2-bin shadowsocks-libev zbar-tools
	command -v npm >/dev/null || apt-get install -y -qq --no-install-recommends nodejs npm
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || apt-get install -y -qq --no-install-recommends chromium

bench: $(VENV)/installed-dev ## Compare with other proxies, and write bench/RESULTS.md (ARGS=--quick: a look)
	@$(BIN)/python -m bench $(ARGS)

TRANSFERS ?= 1000000

soak: $(VENV)/installed-dev ## Make TRANSFERS=1000000 random transfers, and compare every byte
	@TRANSFERS=$(TRANSFERS) $(BIN)/python -m pytest -q tests/e2e/test_transfers.py

FUZZ_SECONDS ?= 20

fuzz: $(VENV)/installed-fuzz ## Look for bytes that break a parser, FUZZ_SECONDS=20 for each
	@$(BIN)/python -m fuzz $(FUZZ_SECONDS)

docs: $(VENV)/installed-dev ## Write the pages of docs/ that come from the code
	$(BIN)/python -m docs.generate

lock: ## Choose the newest versions that pyproject.toml allows, and pin them
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	echo 'flit_core>=4,<5' | $(VENV)-lock/bin/uv pip compile --quiet --upgrade $(LOCK) pyproject.toml - -o requirements/run.txt
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade $(LOCK) --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade $(LOCK) --extra fuzz -c requirements/run.txt pyproject.toml -o requirements/fuzz.txt
	rm -r $(VENV)-lock

LOCK := --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean: ## Remove everything that was installed or cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vpn-manager needs Python 3.11 or newer: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python cannot make virtual environments here; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/installed: requirements/run.txt pyproject.toml | $(VENV)/created
	@echo "Installing into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed
	@echo "Installing what tests and checks need ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/installed-fuzz: requirements/fuzz.txt $(VENV)/installed
	@echo "Installing the fuzzer ..."
	@$(PIP) --require-hashes -r requirements/fuzz.txt
	@touch $@
