# Bertline: `make help` lists what can be made. Every target installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# what `make run` works on; for example: make run DATA=my.csv NAME=intents MODEL=bert-base-uncased
DATA ?= examples/news/news.csv
NAME ?= $(if $(filter examples/news/news.csv,$(DATA)),news,$(shell basename '$(DATA)' | sed 's/\.[^.]*$$//' | tr 'A-Z' 'a-z'))
MODEL ?= minilm
REGISTRY ?= models
PORT ?= 50051
METRICS_PORT ?= 9090
FIT_OPTIONS ?=
AUDIT_OPTIONS ?=
SEARCH_OPTIONS ?=
PRETRAIN_OPTIONS ?=
EXPORT_OPTIONS ?=
QUICKSTART_OPTIONS ?=
BENCH_OPTIONS ?=
OVERLOAD_OPTIONS ?=
FLIPS_OPTIONS ?=
SOAK_OPTIONS ?=
SECONDS ?= 600
FUZZ_SECONDS ?= 300
GPU_OPTIONS ?=

# ---- for users -----------------------------------------------------------------------------------------------------

.PHONY: run
run: install ## train, export, verify, publish and serve DATA as model NAME, then show it answering
	@$(BIN)/python -m training fit --data '$(DATA)' --name '$(NAME)' --model '$(MODEL)' $(FIT_OPTIONS)
	@$(BIN)/python -m export bundle --run 'runs/$(NAME)' --registry '$(REGISTRY)' --label stable $(EXPORT_OPTIONS)
	@$(BIN)/python -m services.quickstart --run 'runs/$(NAME)' --registry '$(REGISTRY)' --port $(PORT) \
		--metrics-port $(METRICS_PORT) $(QUICKSTART_OPTIONS)

.PHONY: inspect
inspect: install ## report on DATA: counts, balance, lengths, duplicates, conflicts, leaks
	@$(BIN)/python -m training inspect '$(DATA)'

.PHONY: audit
audit: $(VENV)/.ready-audit ## list the rows of DATA whose label is most likely wrong, as a table and a page
	@$(BIN)/python -m training audit --data '$(DATA)' --name '$(NAME)' --model '$(MODEL)' $(AUDIT_OPTIONS)

.PHONY: search
search: $(VENV)/.ready-search ## look for better settings for DATA than the defaults; see docs/training/search.md
	@$(BIN)/python -m training search --data '$(DATA)' --name '$(NAME)' --model '$(MODEL)' $(SEARCH_OPTIONS)

.PHONY: pretrain
pretrain: install ## learn the language of DATA's texts, labels or not, as encoders/NAME for MODEL=; see docs/training/pretraining.md
	@$(BIN)/python -m training pretrain --data '$(DATA)' --name '$(NAME)' $(PRETRAIN_OPTIONS)

.PHONY: compare-methods
compare-methods: install ## fine-tune on DATA with each method: weights trained, memory, time, quality
	@$(BIN)/python -m training compare-methods --name '$(NAME)' --data '$(DATA)' --model '$(MODEL)' $(FIT_OPTIONS)

.PHONY: serve
serve: install ## serve every model of REGISTRY on PORT
	@$(BIN)/python -m services.inference --registry '$(REGISTRY)' --port $(PORT) --metrics-port $(METRICS_PORT)

.PHONY: install
install: $(VENV)/.ready ## make the virtual environment (torch, transformers, optimum, onnxruntime, grpc)

# ---- for developers ------------------------------------------------------------------------------------------------

.PHONY: test
test: develop ## run all tests
	@$(BIN)/pytest

.PHONY: check
check: develop ## lint, types, import contracts, protobuf contracts, documented commands
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/stub_generation.py --check
	@mkdir -p build
	$(BIN)/python protos/stub_generation.py --descriptors build/contracts.binpb
	$(BIN)/buf lint build/contracts.binpb --config protos/buf.yaml
	$(BIN)/buf breaking build/contracts.binpb --against protos/released.binpb --config protos/buf.yaml
	$(BIN)/python docs/check_commands.py

.PHONY: format
format: develop ## format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: protos
protos: develop ## generate the stubs anew after an edit of a .proto file
	$(BIN)/python protos/stub_generation.py

.PHONY: release-protos
release-protos: develop ## make today's contracts those that `make check` guards against breaking changes
	$(BIN)/python protos/stub_generation.py --descriptors protos/released.binpb

.PHONY: bench
bench: develop ## compare the server with the in-process limit of the same model; see docs/benchmarks.md
	@$(BIN)/python -m benchmarks.serving --registry '$(REGISTRY)' --model '$(NAME)' $(BENCH_OPTIONS)

.PHONY: bench-training
bench-training: develop ## compare the speed of fit on DATA with the recipe of a tutorial; see docs/training/speed.md
	@$(BIN)/python -m benchmarks.training --data '$(DATA)' --model '$(MODEL)' $(BENCH_OPTIONS)

.PHONY: bench-export
bench-export: develop ## compare the stable version of run NAME with Optimum's default int8 file and with PyTorch: speed, quality
	@$(BIN)/python -m benchmarks.exporting --run 'runs/$(NAME)' --registry '$(REGISTRY)' $(BENCH_OPTIONS)

.PHONY: check-gpu
check-gpu: develop ## on a machine with an NVIDIA GPU: compare model NAME's answers there with the CPU's, and the speed
	@$(BIN)/python -m benchmarks.gpu --registry '$(REGISTRY)' --model '$(NAME)' $(GPU_OPTIONS)

.PHONY: bench-overload
bench-overload: develop ## offer 0.8 to 3 times what the server can answer: goodput, refusals, latency of the admitted
	@$(BIN)/python -m benchmarks.overload --registry '$(REGISTRY)' --model '$(NAME)' $(OVERLOAD_OPTIONS)

.PHONY: flips
flips: develop ## serve texts alone and in company and count labels that change, for every variant
	@$(BIN)/python -m benchmarks.flips --registry '$(REGISTRY)' --model '$(NAME)' $(FLIPS_OPTIONS)

.PHONY: soak
soak: develop ## SECONDS at 1.5 times the capacity, with cancellations, malformed calls and swaps, every answer checked
	@$(BIN)/python -m benchmarks.soak --registry '$(REGISTRY)' --model '$(NAME)' --seconds $(SECONDS) $(SOAK_OPTIONS)

.PHONY: fuzz
fuzz: develop ## FUZZ_SECONDS of random requests, bytes and frames against a real server, which must go on answering
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

.PHONY: lock
lock: develop ## write requirements.lock from the present environment
	@{ echo "# Versions that were tested together; pip takes this file as constraints. \`make lock\` writes it anew."; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/' | grep -v '^-e\|@ file'; } > requirements.lock

.PHONY: develop
develop: $(VENV)/.ready-dev ## add the tools for tests and checks to the environment

.PHONY: clean
clean: ## remove what was built (not runs, not models, not the environment)
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find protos -name '*_pb2*.py*' -not -path '*/.venv/*' -delete
	rm -f $(VENV)/.ready $(VENV)/.ready-*

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^# ---- / {gsub(/[#-]/, ""); print "\n" $$0} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# how the environment is made

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Bertline needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "The venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.ready: pyproject.toml requirements.lock protos/pyproject.toml $(shell find protos -name '*.proto') | $(BIN)/python
	@echo "Installing into $(VENV) (2 to 3 GB with torch; once)"
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --constraint requirements.lock -e ./protos -e '.[export]'
	@touch $@

# with one more extra, such as search
$(VENV)/.ready-%: $(VENV)/.ready
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet --constraint requirements.lock -e ./protos -e '.[export,$*]'
	@touch $@
