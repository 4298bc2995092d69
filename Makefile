# Every target sets up what it needs. Variables may be given on the line: make run PORT=9000 DATA=./elsewhere

PORT ?= 8080
DATA ?= ./data
WORKERS ?= 2
TAG ?= dev
SERVICES := onboarding registration attribution incentives gateway
DISTRIBUTED ?= /var/tmp/entente
PROFILE ?= full
SERVICE ?= registration
SBOM ?= build/sbom.json
ARGS ?=
PYTHON ?= $(shell command -v python3.11 || command -v python3)

PY := .venv/bin/python
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadgroup
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(PY) -m piptools compile --quiet --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-options
# The stamp carries the lock's checksum: another lock means another install, an older file date does not.
VENV := .venv/locked-$(shell cksum < requirements/dev.txt | tr ' ' '-')
# Where the kernel can, the server hears of make's death even when make is killed and cannot pass it on.
TIED := $(shell setpriv --pdeathsig TERM true 2>/dev/null && echo setpriv --pdeathsig TERM)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test test-long lint types format bench samples schemas examples kafka-manifests screenshots k8s images image-check sbom engines \
	run-distributed test-engines test-faults test-nightly test-races lock clean

help: ## print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

run: $(VENV) ## start all five services in one process: make run PORT=8080 DATA=./data
	@exec $(TIED) $(PY) -m services --port $(PORT) --data $(DATA)

demo: $(VENV) ## fill the system with a believable quarter of one vendor: make demo DATA=./data
	@exec $(TIED) $(PY) -m services demo --data $(DATA) $(ARGS)

test: $(VENV) ## run the short tests; what needs an engine that is not installed is skipped with its reason
	@$(PYTEST) -m "not long" $(ARGS)

test-long: $(VENV) ## run all tests, with the counts that take minutes
	@$(PYTEST) $(ARGS)

lint: $(VENV) ## check style, format and the import rules
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports --no-logo

types: $(VENV) ## check the types, strictly
	@$(PY) -m mypy

format: $(VENV) ## put the code into its one format
	@$(PY) -m ruff check --select I --fix .
	@$(PY) -m ruff format .

bench: $(VENV) ## measure: one JSON object a line, with the target and whether it holds
	@$(PY) -m benchmarks $(ARGS)

samples: $(VENV) ## write the golden samples of new versions; the ones that stand are never changed
	@$(PY) -m contracts samples

schemas: $(VENV) ## write the JSON Schemas and the AsyncAPI document of the public events
	@$(PY) -m contracts schemas

examples: $(VENV) ## write the examples of the API's document from a run of the main job
	@$(PY) -m tests.scenarios.examples

kafka-manifests: $(VENV) ## write topics, principals and their rights for an administrator of Kafka: deploy/kafka
	@$(PY) -m services kafka-manifests > deploy/kafka/entente.yaml

screenshots: $(VENV) ## take the pictures of the portal that the documentation shows
	@$(PY) -m tests.browser.screenshots $(ARGS)

k8s: $(VENV) ## render every overlay of deploy/k8s and judge it offline: schemas, pod security, references
	@$(PY) -m tests.deploy

images: ## build the five images with Docker, each with one service: make images TAG=0.1.0
	@for service in $(SERVICES); do docker build --build-arg SERVICE=$$service --tag entente/$$service:$(TAG) . || exit 1; done

image-check: $(VENV) ## build one image without Docker, as root, run it locked down and say what holds: SERVICE=registration
	@{ command -v buildah && command -v debootstrap; } >/dev/null || apt-get install --yes --quiet --quiet --no-install-recommends buildah debootstrap
	@$(PY) -m tests.deploy.image_check $(SERVICE) --folder $(DISTRIBUTED)/images

sbom: $(VENV) ## write what runs as a CycloneDX bill of materials: build/sbom.json
	@mkdir -p $(dir $(SBOM))
	@.venv/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON --output-file $(SBOM)
	@printf '%s\n' $(SBOM)

engines: $(VENV) ## start Kafka, PostgreSQL and a Mongo-wire server on loopback and say how to reach them: PROFILE=full
	@tests/engines/install >&2
	@exec $(TIED) $(PY) -m tests.engines --profile $(PROFILE)

run-distributed: $(VENV) ## start the five services as processes on these engines: PORT=8080 DISTRIBUTED=/var/tmp/entente
	@tests/engines/install >&2
	@exec $(TIED) $(PY) -m tests.engines --profile $(PROFILE) --data $(DISTRIBUTED)/$(PROFILE)/engines -- \
		$(PY) -m services distributed --port $(PORT) --data $(DISTRIBUTED)/$(PROFILE)/services

test-engines: $(VENV) ## run every test that needs a real engine, the long ones too
	@tests/engines/install >&2
	@ENTENTE_ENGINES=required $(PYTEST) -m engine $(ARGS)

test-faults: $(VENV) ## put five processes on real engines through every fault, print the table: ARGS=--short PROFILE=compact
	@tests/engines/install >&2
	@exec $(TIED) $(PY) -m tests.faults --profile $(PROFILE) $(ARGS)

test-nightly: $(VENV) ## every fault at full length, on both profiles, one after the other, and what CI has no time for: more than an hour
	@$(MAKE) test-engines ARGS="-m nightly"
	@$(MAKE) test-faults PROFILE=full
	@$(MAKE) test-faults PROFILE=compact

test-races: $(VENV) ## race 200 approvals over two replicas, 1,000 rounds of it: ARGS="--rounds 50"
	@exec $(PY) -m tests.registration.racing $(ARGS)

lock: $(VENV) ## pin the newest compatible versions of requirements/*.in, with hashes
	@$(COMPILE) --upgrade --output-file requirements/dev.txt requirements/dev.in
	@$(COMPILE) --upgrade --constraint requirements/dev.txt --output-file requirements/run.txt requirements/run.in

clean: ## remove what the targets made, but neither data/ nor the engines
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(VENV):
	@printf 'setting up .venv from requirements/dev.txt: this once, it takes a few minutes\n'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@rm -f .venv/locked-*
	@touch $@
