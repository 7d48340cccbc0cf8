# Thin entry points. Targets and their variables are declared in tools/commands.py; `make help` shows them. A recipe
# checks variables, values and tools, then runs one command that can as well be typed by hand.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export MAKECMDGOALS

PYTHON_RUN := .venv/bin/python
# the interpreter behind .venv if there is one: it starts faster than a version manager's python3
RUN := @$(or $(realpath $(PYTHON_RUN)),python3) -S tools/options.py

COMMANDS := sim mutants replay gates formal pdk synth ppa layout rules power accuracy bench pareto table explore report compare \
            search train finetune import encodings docs-test docs figures chaos clean

.PHONY: help setup doctor lint test $(COMMANDS)

help $(COMMANDS):
	$(RUN) $@

setup:
	@tools/setup.sh

doctor:
	@python3 tools/doctor.py

lint:
	$(RUN) $@
	$(PYTHON_RUN) -m ruff check .
	$(PYTHON_RUN) -m ruff format --check .
	$(PYTHON_RUN) -m mypy
	$(PYTHON_RUN) -m tb.lint

test:
	$(RUN) $@
	@$(MAKE) lint
	$(PYTHON_RUN) -m pytest tests
	@$(MAKE) sim SUITE=smoke TEST=

.DEFAULT:
	$(RUN) $@
