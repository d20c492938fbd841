# Every target hands over to envs/bootstrap.py, which sets up what is missing first.
# Without make: python3 envs/bootstrap.py run | test | lint | docs | bench | setup | clean

PYTHON ?= python3
BOOTSTRAP = $(PYTHON) envs/bootstrap.py
.DEFAULT_GOAL := help
.PHONY: run test lint docs bench setup clean help

run: ## Reduce the built-in night, end with a report (RUN_ARGS="--cores 1")
	@$(BOOTSTRAP) run -- $(RUN_ARGS)

test: ## Run the tests (TEST_ARGS="tests/kernels -x")
	@$(BOOTSTRAP) test -- $(TEST_ARGS)

lint: ## Run every check on the sources (LINT_ARGS="ruff mypy" runs only these)
	@$(BOOTSTRAP) lint -- $(LINT_ARGS)

docs: ## Build the documentation into docs/_build/html
	@$(BOOTSTRAP) docs -- $(DOCS_ARGS)

bench: ## Measure our methods against VIP, pyKLIP and PynPoint (BENCH_ARGS="--quick")
	@$(BOOTSTRAP) bench -- $(BENCH_ARGS)

setup: ## Only set up the environment in .venv
	@$(BOOTSTRAP) setup

clean: ## Remove what the commands made, except the environments
	@$(BOOTSTRAP) clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
