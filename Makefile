# The few commands of this project; `run` and `test` do the work and need no make.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.DEFAULT_GOAL := help
.PHONY: run test check format demo bench verdict chaos fuzz audit lock install help

run: ## start the app on port 8000 (PORT=...)
	./run

test: ## install what the tests need, then run them all
	./test

check: install ## formatting, lint, types, layers, dead code, locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vulture
	$(BIN)/python tools/lock_check.py

format: install ## format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: install ## the app with simulated vendors, chat, tickets and pagers, offline
	$(BIN)/python -m tests.doubles.world

bench: install ## measure speed on this machine, 10 minutes; needs wrk (BENCH_SECONDS=1: a quick try)
	$(BIN)/python -m bench

verdict: install ## measure how often "us or them" is right, and write the figures into docs/verdict.md
	$(BIN)/python -m tests.verdict.report

chaos: ## kill the app repeatedly, for longer than ./test does (CHAOS_SECONDS, CHAOS_SEED)
	CHAOS_SECONDS=$${CHAOS_SECONDS:-180} ./test tests/chaos -rA

fuzz: ## ask the API with many generated requests, for minutes (FUZZ_EXAMPLES=500)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} ./test tests/web/apidocs/test_fuzz.py

audit: install ## known vulnerabilities of the locked packages; needs the network
	@$(BIN)/python tools/audit.py

# The lock holds hashes for Python 3.11 to 3.13 on all systems. UPGRADE=1 takes the newest versions allowed.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: install ## write requirements*.txt anew from pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) --constraint requirements.txt --group pyproject.toml:celery --output-file requirements-celery.txt
	$(LOCK) --constraint requirements.txt --group pyproject.toml:apprise --output-file requirements-apprise.txt
	$(LOCK) --constraint requirements.txt --constraint requirements-celery.txt \
		--constraint requirements-apprise.txt --group pyproject.toml:dev \
		--output-file requirements-dev.txt

install:
	@tools/python tools/bootstrap.py install

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
