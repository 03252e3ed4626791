# Every command of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo gateway down clean-cache setup test unit fuzz soak e2e conformance check format generate vendor bench bench-scale bench-archive kills

VENV := .venv
RUN := $(VENV)/bin/
KWOK := sigs.k8s.io/kwok/cmd/kwok@v0.8.0

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## from nothing to a streamed answer of a real model; all of it stays running
	@local/demo.sh

gateway: ## the demo with a gateway in front: Envoy Gateway, built from source the first time
	@local/gateway/demo.sh

down: ## remove everything that `make demo` or `make test` started
	@local/down.sh

clean-cache: ## `make down`, and remove also what took minutes to build
	@local/down.sh --caches

setup: $(VENV)/.ready ## install what tests and checks need, into .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	@local/python.sh $(VENV)
	@touch $@

test: setup ## every test, the cluster's included (starts the cluster where there is none)
	@local/test.sh $(PYTEST_ARGS)

unit: setup ## the tests that need no cluster and no browser
	@local/postgresql.sh
	@$(RUN)pytest tests/unit tests/contract tests/integration --ignore tests/integration/pages

fuzz: setup ## 100,000 cuts of model servers' streams, and 100,000 continued responses: the same answer; 100,000 malformed requests: no error of ours
	@$(RUN)pytest tests/unit/openai/test_joined_answers.py --hypothesis-profile=joined-100000 --timeout 3600
	@$(RUN)pytest tests/integration/test_malformed.py --hypothesis-profile=malformed-100000 --timeout 3600 --log-cli-level=INFO

soak: setup ## the long forms of tests that have a short one: claims, idempotency keys, sessions, malformed requests, outages, pages
	@local/clients.sh
	@SYMPOZIUM_TEST_VIEWS=all $(RUN)pytest tests/integration/pages/test_every_page.py
	@SYMPOZIUM_TEST_CLAIMS=5000 $(RUN)pytest tests/integration/test_warm_pool_race.py
	@$(MAKE) --no-print-directory fuzz
	@SYMPOZIUM_TEST_CONSOLE_KEYS=1000 $(RUN)pytest tests/integration/console/test_console_replicas.py
	@SYMPOZIUM_TEST_KEYS=1000 local/test.sh tests/e2e/test_idempotency.py
	@SYMPOZIUM_TEST_SESSIONS=20 local/test.sh tests/e2e/test_sessions.py --timeout 3600
	@SYMPOZIUM_TEST_AWAY=600 local/test.sh tests/e2e/test_archive.py -k "database_is_away and postgresql" --timeout 3600

e2e: setup ## the tests that need a cluster
	@local/test.sh --e2e $(PYTEST_ARGS)

conformance: setup ## the official MCP conformance suite against the web-proxy; prints the score
	@local/clients.sh
	@$(RUN)pytest tests/conformance

check: setup ## format, lint, types, import contracts, shell scripts, browser scripts, workflows, generated files, commits
	@$(RUN)ruff format --check .
	@$(RUN)ruff check .
	@$(RUN)mypy
	@$(RUN)lint-imports --no-cache
	@local/check-scripts.sh
	@command -v shellcheck >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends shellcheck; }
	@shellcheck --external-sources local/*.sh local/cluster/*.sh local/gateway/*.sh local/postgres/*.sh local/valkey/*.sh .ci/run .ci/check-commits .ci/lint-workflows
	@.ci/lint-workflows
	@made=$$(mktemp -d) && $(RUN)python -m sympozium_api.generate.crds $$made \
	  && diff -r -x src $$made crds && diff -r -x NOTES.txt $$made charts/sympozium-crds/templates && rm -r $$made
	@made=$$(mktemp -d) && $(RUN)python -m sympozium_api.generate.reference $$made && diff -r $$made docs/reference/kinds && rm -r $$made
	@.ci/check-commits

format: setup ## format the code and mend what the linter can
	@$(RUN)ruff format .
	@$(RUN)ruff check --fix .

generate: setup ## write the CRDs and their reference pages from the typed models, and the chart's copies of them
	@$(RUN)python -m sympozium_api.generate.crds crds
	@$(RUN)python -m sympozium_api.generate.reference docs/reference/kinds
	@cp crds/*.yaml charts/sympozium-crds/templates/

vendor: ## renew the libraries that the console's pages bring with them, from npm
	@local/vendor.sh

bench: setup ## the figures of docs/benchmarks.md, beside a bare Job in the same run
	@local/up.sh
	@. .local/env && $$SYMPOZIUM_EXEC $(RUN)python -m tests.bench $(BENCH_ARGS)

bench-scale: setup ## the figures on simulated nodes: an hour; best on a cluster that it starts itself
	@SYMPOZIUM_CLUSTER_QPS=1000 local/up.sh
	@kwok=$$(local/cluster/cluster.sh program kwok $(KWOK)) && . .local/env \
	  && PATH=$$(dirname "$$kwok"):$$PATH && $$SYMPOZIUM_EXEC $(RUN)python -m tests.bench.scale $(BENCH_ARGS)

bench-archive: setup ## how soon the archive has what has ended: 25 minutes without a cluster, then 50 on simulated nodes
	@local/postgresql.sh
	@$(RUN)python -m tests.bench.archiver --seconds 600
	@SYMPOZIUM_CLUSTER_QPS=1000 local/up.sh
	@local/databases.sh
	@kwok=$$(local/cluster/cluster.sh program kwok $(KWOK)) && . .local/env \
	  && PATH=$$(dirname "$$kwok"):$$PATH && $$SYMPOZIUM_EXEC $(RUN)python -m tests.bench.scale --parts archive --rates 8 $(BENCH_ARGS)

kills: setup ## ten minutes (KILLS_ARGS="--seconds 3600": an hour) of random kills under load; accounts for every request
	@local/up.sh
	@. .local/env && $$SYMPOZIUM_EXEC $(RUN)python -m tests.bench.kills $(KILLS_ARGS)
