# Every task of the project is a target here, and CI runs the same targets.
# Python 3.13 by that name, or one that uv has or can install.
PYTHON  ?= $(shell python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null || uv python find --system 3.13 2>/dev/null || echo python3.13)
BIN     := .venv/bin
UV      := $(BIN)/uv
# Company networks: pip trusts the system's certificates by itself, uv when it is told to.
export UV_SYSTEM_CERTS = 1
STAMPS  := .local/stamps
# Compile packages and the project's own modules once: SAM, the worker, every function and every process of tests start
# often, and where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, as in many CI images) each start would compile
# all of them again: seconds of a processor for each process of `make test`.
export PYTHONDONTWRITEBYTECODE =
INSTALL  = $(UV) pip install --quiet --compile-bytecode --require-hashes

# Print what is installed before it begins, and how long it took: downloads can take a minute in silence.
# $(call installed,what,requirements file,command)
define installed
@echo "environment: $(1) ($(2), $$(grep -c '==' $(2)) packages)"
@start=$$(date +%s); { $(3); } || exit 1; echo "  installed in $$(($$(date +%s) - start)) s"
endef

# Arguments of `make run`: seconds to send for (until Ctrl-C when empty), readings a second, and any options of
# `iot-stream run`, such as ARGS=--lively.
FOR  ?=
RATE ?= 100
ARGS ?=

# Of `make changeset` and `make deploy`: the environment of samconfig.toml.
ENVIRONMENT ?= default

.DEFAULT_GOAL := help
.PHONY: help setup run down build changeset deploy check format test unit golden docs fuzz mutants chaos bench invoke lock checkov audit clean

help:  ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- environments ------------------------------------------------------------------------------------------

$(STAMPS)/python:
	@is_313='import sys; sys.exit(sys.version_info[:2] != (3, 13))'; '$(PYTHON)' -c "$$is_313" 2>/dev/null || \
		{ command -v uv >/dev/null && echo "Python 3.13: uv downloads it" && uv python install --quiet 3.13; } || \
		{ echo "Python 3.13 not found as '$(PYTHON)': install it (or uv, which can), or name it: make PYTHON=/path/to/python3.13 …" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/uv: requirements/setup.txt | $(STAMPS)/python
	@echo "set-up downloads about 160 MB of Python packages, 570 MB on disk, into .venv and .local of this folder;"
	@echo "uv also keeps them in its cache (~/.cache/uv), which other projects share;"
	@echo "the first run then downloads 110 MB of OpenSearch into the user's cache"
	$(call installed,.venv,requirements/setup.txt,'$(PYTHON)' -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.txt)
	@touch $@

$(STAMPS)/run: requirements/run.txt pyproject.toml $(STAMPS)/uv
	$(call installed,what the local stack needs,requirements/run.txt,\
		$(INSTALL) --python $(BIN)/python -r requirements/run.txt && \
		$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline -e .)
	@touch $@

$(STAMPS)/ministack: requirements/ministack.txt $(STAMPS)/uv
	$(call installed,the local AWS,requirements/ministack.txt,'$(PYTHON)' -m venv --without-pip .local/venv-ministack && \
		$(INSTALL) --python .local/venv-ministack/bin/python -r requirements/ministack.txt)
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/run
	$(call installed,what tests and checks need,requirements/dev.txt,$(INSTALL) --python $(BIN)/python -r requirements/dev.txt)
	@touch $@

$(STAMPS)/bench: requirements/bench.txt $(STAMPS)/dev
	$(call installed,what the benchmarks compare with,requirements/bench.txt,\
		$(INSTALL) --python $(BIN)/python -r requirements/bench.txt)
	@touch $@

setup: $(STAMPS)/run $(STAMPS)/ministack  ## Install what `make run` needs (the other targets install what they need)
	@[ "$(MAKECMDGOALS)" != setup ] || echo "this shell finds iot-stream and sam after: . $(BIN)/activate"

# ---- the system on this machine ----------------------------------------------------------------------------

# Ctrl-C in a terminal would end make itself with an error; so the command alone gets it, and its exit code counts.
foreground = if [ -t 0 ]; then bash -c 'set -m; $(1) & fg >/dev/null'; else $(1); fi

run: setup  ## Run the whole system here: make run [FOR=seconds] [RATE=readings/s] [ARGS=--lively]
	@$(call foreground,$(BIN)/iot-stream run --rate $(RATE) $(if $(FOR),--for $(FOR)) $(ARGS))

down: setup  ## Stop the local stack that `iot-stream up` started
	@$(BIN)/iot-stream down

build: setup  ## Check what follows from the description, then run sam build
	@$(BIN)/iot-stream readings build --check
	@PATH="$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 $(BIN)/sam build

changeset: build  ## Show what a deployment to AWS would change: make changeset [ENVIRONMENT=prod]
	@SAM_CLI_TELEMETRY=0 $(BIN)/sam deploy --config-env $(ENVIRONMENT) --no-execute-changeset

deploy: build  ## Deploy to AWS without asking: make deploy [ENVIRONMENT=prod] (samconfig.toml)
	@SAM_CLI_TELEMETRY=0 $(BIN)/sam deploy --config-env $(ENVIRONMENT) --no-confirm-changeset

invoke: $(STAMPS)/dev build  ## Run sam local invoke with every sample event (needs a Docker engine)
	@$(BIN)/python -m pytest tests/e2e/test_sam_local_invoke.py --run-sam-local

# ---- quality -----------------------------------------------------------------------------------------------

check: $(STAMPS)/dev  ## Check formatting, lint, types and the template; change nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/iot-stream readings build --check
	$(BIN)/python -m tests.lint_panels
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint --region us-east-1
	$(BIN)/zizmor --offline --quiet --no-progress .github
	PYTHONPATH=.:functions/role_mapper $(BIN)/python -m tests.lint_template

format:  ## Format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: export EXAMPLES := $(or $(EXAMPLES),0.2)
unit: $(STAMPS)/dev  ## Run the unit tests (no network, no processes), with few examples: make unit [EXAMPLES=10]
	$(BIN)/python -m pytest tests/unit -q --numprocesses=auto

test: $(STAMPS)/dev $(STAMPS)/ministack  ## Run all tests: unit, integration with the real OpenSearch, end to end
	$(BIN)/python -m pytest --numprocesses=4 --durations=20 --durations-min=2

golden: $(STAMPS)/dev  ## Rewrite events/firehose-*.expected.json: read the diff before you commit it
	@PYTHONPATH=.:functions/enrichment $(BIN)/python -m tests.golden

docs: $(STAMPS)/dev  ## Write docs/commands.md from the commands' help
	@$(BIN)/python -m tests.commands

fuzz: $(STAMPS)/dev  ## Fuzz the enrichment function, guided by coverage: make fuzz [FOR=seconds]
	$(BIN)/python tests/fuzz/enrichment.py -max_total_time=$(or $(FOR),600)

mutants: $(STAMPS)/dev  ## Change the code and see which tests notice: make mutants [MUTANTS=sample] [SEED=1] [IN=package]
	@nice -n 19 $(BIN)/python tests/mutants.py $(if $(MUTANTS),--sample $(MUTANTS)) --seed $(or $(SEED),1) $(IN)

chaos: $(STAMPS)/dev $(STAMPS)/ministack  ## Kill, freeze and change parts while readings flow: make chaos [FOR=seconds] [SEED=n] [OUTAGE=seconds]
	@$(BIN)/python -m tests.chaos $(if $(FOR),--for $(FOR)) $(if $(SEED),--seed $(SEED)) $(if $(OUTAGE),--outage $(OUTAGE))

bench: $(STAMPS)/bench $(STAMPS)/ministack build  ## Run the benchmarks side by side; JSON in build/bench/
	@mkdir -p build/bench
	$(BIN)/python -m benchmarks.enrichment
	$(BIN)/python benchmarks/delivery.py
	$(BIN)/python -m benchmarks.worker
	$(BIN)/python -m benchmarks.generator
	$(BIN)/python -m benchmarks.start

# A release that was tampered with is mostly found within days: newer versions are at least this old. Nothing limits the
# age with COOLDOWN= (a fix that can't wait, or an index that does not say when a file was uploaded).
COOLDOWN ?= 7 days
upgrade = $(UPGRADE) $(if $(and $(UPGRADE),$(COOLDOWN)),--exclude-newer '$(COOLDOWN)')

# One lock for Linux and macOS, x86-64 and arm64, with the hashes of all their files (Windows is not supported).
LOCK = --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-emit-package pywin32
NO_COLORAMA = --no-emit-package colorama  # which only checkov needs outside Windows
PLATFORMS = x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin

lock: $(STAMPS)/run  ## Pin and hash requirements/*.in (UPGRADE=--upgrade takes newer versions, of at least COOLDOWN)
	@for name in setup run dev bench ministack audit; do \
		UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet $(upgrade) $(LOCK) $(NO_COLORAMA) requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet $(upgrade) $(LOCK) requirements/checkov.in -o requirements/checkov.txt
	@for name in device_alerts enrichment role_mapper; do \
		UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet $(upgrade) $(LOCK) $(NO_COLORAMA) requirements/$$name.in -o functions/$$name/requirements.txt || exit 1; done
	@for platform in $(PLATFORMS); do for name in run ministack; do \
		$(UV) pip install --quiet --dry-run --target build/lock --python-platform $$platform --python-version 3.13 \
			--only-binary :all: --require-hashes -r requirements/$$name.txt || \
			{ echo "requirements/$$name.txt: no wheels for $$platform" >&2; exit 1; }; done; done
	@$(BIN)/python requirements/lock_licences.py
	@$(BIN)/python requirements/lock_opensearch.py

checkov: $(STAMPS)/uv  ## Look for insecure settings of the template; what is skipped has its reason there
	@'$(PYTHON)' -m venv --without-pip .local/venv-checkov
	@$(INSTALL) --python .local/venv-checkov/bin/python -r requirements/checkov.txt
	@.local/venv-checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

audit: $(STAMPS)/uv  ## Look for known vulnerabilities in every lock (asks OSV's database: needs the internet)
	@'$(PYTHON)' -m venv --without-pip .local/venv-audit
	@$(INSTALL) --python .local/venv-audit/bin/python -r requirements/audit.txt
	@.local/venv-audit/bin/pip-audit --vulnerability-service osv --disable-pip --require-hashes \
		$(foreach lock,$(wildcard requirements/*.txt functions/*/requirements.txt),--requirement $(lock))

clean:  ## Remove everything the project made here
	rm -rf .venv .local .aws-sam build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
