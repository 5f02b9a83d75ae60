# Every target does its own set-up; a second run reuses it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
NODE = build/node
OPENAI_2 = build/openai-2

PROMPT ?= a red circle moving to the right on a black background
# Given to the shell as a variable, so that quotes and dollars in it stay as they are.
override PROMPT := $(value PROMPT)
export PROMPT
SF ?= 10
SEED ?= 7
MODEL ?= wan-tiny
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help demo up test check lint-openapi contract-clients test-contract test-fuzz audit generate bench bench-gpu bench-real bench-rivals bench-load calibrate measure-demo train-demo screenshots clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[worker,demo,rivals]' --group dev
	@touch $@

demo: $(READY) ## One prompt, uncached and accelerated, through Redis, service and worker. PROMPT="..." SF=10 SEED=7 MODEL=wan-tiny IMAGE=first-frame.png
	$(BIN)/python -m demo run --prompt "$$PROMPT" --sf $(SF) --seed $(SEED) --model $(MODEL) $(if $(IMAGE),--image "$(IMAGE)")

up: $(READY) ## Redis, service and worker, left running, with a page to use them. PORT=8000
	$(BIN)/python -m demo up --model $(MODEL) --port $(PORT)

# A file's tests stay in one process, so that what they share is made once; the longest come first, as collected.
test: $(READY) ## All tests, side by side. TESTS=tests/service OPTIONS=--durations=10
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(OPTIONS) $(TESTS)

check: $(READY) ## Style, types, import rules, the OpenAPI document.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory lint-openapi

# Without npm this is left out, but not in CI.
lint-openapi: ## The OpenAPI document, by Redocly's linter.
	@if command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory $(NODE)/.ready && \
	  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
	    $(NODE)/node_modules/.bin/redocly lint --extends=recommended-strict docs/openapi.json; \
	elif [ "$$CI" = true ]; then echo "npm is not installed" >&2; exit 1; \
	else echo "docs/openapi.json is not linted: npm is not installed"; fi

$(NODE)/.ready: tests/node/package.json tests/node/package-lock.json
	mkdir -p $(NODE)
	cp $^ $(NODE)
	npm ci --prefix $(NODE) --no-audit --no-fund --loglevel=error
	@touch $@

$(OPENAI_2)/.ready: $(READY) tests/contract/openai-2.txt
	rm -rf $(OPENAI_2)
	$(BIN)/pip install --quiet --no-deps --target $(OPENAI_2) --requirement tests/contract/openai-2.txt
	@touch $@

contract-clients: $(OPENAI_2)/.ready $(NODE)/.ready ## The SDKs of OpenAI for test-contract that pip and npm bring.

test-contract: contract-clients ## The HTTP contract over plain HTTP and by OpenAI's SDKs; python -m tests.contract URL holds any server to it.
	CI=true $(BIN)/python -m pytest tests/contract $(OPTIONS)

test-fuzz: $(READY) ## Thousands of requests that nobody would send, made from the OpenAPI document. OPTIONS="--seed 7 --examples 100"
	$(BIN)/python -m tests.fuzz $(OPTIONS)

audit: $(READY) ## Known vulnerabilities of the dependencies; says what could not be looked up. OPTIONS=--require
	$(BIN)/python -m deploy.audit $(OPTIONS)

generate: $(READY) ## Write what is made from the code: pages of docs, dashboards, the demo's prompts.
	$(BIN)/python -m docs.pages
	$(BIN)/python -m deploy.grafana
	$(BIN)/python -m demo.prompt_files

bench: $(READY) ## Speed, fidelity and memory of each sf, as a table and a plot. MODEL=wan-tiny PROMPTS=... OUTPUT=...
	$(BIN)/python -m workers evaluate --model $(MODEL) --prompts $(or $(PROMPTS),demo/prompts/bench.txt) $(if $(OUTPUT),-o $(OUTPUT))

bench-gpu: $(READY) ## Steps and memory of real architectures with each method, on a GPU; writes docs/benchmarks.md. MODELS="flux.1-dev wan2.1-1.3b"
	$(BIN)/python -m bench.real_size.page $(foreach model,$(MODELS),--model $(model))

bench-real: $(READY) ## As bench, of real weights beside the published figures. MODEL=wan2.1-1.3b SOURCE=folder-or-hub-id
	$(BIN)/python -m workers evaluate --model $(MODEL) $(if $(SOURCE),--source $(SOURCE)) --prompts $(or $(PROMPTS),bench/prompts/real.txt) --sf 6 --sf 10 --sf 14 -o $(or $(OUTPUT),build/$(MODEL).evaluation.json)
	@echo "What others report of the same models: docs/benchmarks.md#published-figures"

bench-rivals: $(READY) ## All other cache methods beside ours on one model, hours; goes on after an interruption. MODEL=wan-tiny
	$(BIN)/python -m bench.rivals --model $(MODEL)

bench-load: $(READY) ## How the service takes load: latency of create, ten thousand submissions, a Redis that hangs, 500 event streams; how near told times are.
	$(BIN)/python -m bench.load
	$(BIN)/python -m bench.eta
	$(BIN)/python -m bench.event_streams

calibrate: $(READY) ## Measure the covariance of a model again. MODEL=wan-tiny PROMPTS=... RUNS=8 PLANS=12 OUTPUT=...
	$(BIN)/python -m workers calibrate --model $(MODEL) --prompts $(or $(PROMPTS),demo/prompts/calibration.txt) --limit $(or $(RUNS),8) --plans $(or $(PLANS),0) $(if $(OUTPUT),-o $(OUTPUT))

measure-demo: $(READY) ## Measure the demo checkpoints again, for their pages, hours; goes on after an interruption. MODELS="wan-tiny flux-tiny"
	$(BIN)/python -m bench.measured $(foreach name,$(MODELS),--model $(name)) $(OPTIONS)

train-demo: $(READY) ## Train a demo checkpoint from nothing; goes on after an interruption. MODEL=wan-tiny
	$(BIN)/python -m demo.training $(MODEL)

screenshots: $(READY) ## A picture of each view of the page into docs/images, by Chromium. URL=http://localhost:8000 of what runs
	$(BIN)/python -m docs.screenshots $(URL)

clean: ## Remove what the targets made, except the virtual environment.
	rm -rf out build
