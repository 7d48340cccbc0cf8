# Thin entry points: each target checks quickly that its tools are there, then runs one command
# that can as well be typed by hand. Variables that are not set are not passed on.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory $(if $(JSON)$(QUIET),--silent)
export MAKECMDGOALS

PYTHON_RUN := .venv/bin/python
# the interpreter behind .venv if there is one: it starts faster than a version manager's python3
DOCTOR := @$(or $(realpath $(PYTHON_RUN)),python3) -S tools/doctor.py --quick

# $(call option,name,value): --name 'value', or nothing if the value is empty
option = $(if $(strip $(2)), --$(1) '$(strip $(2))')

OUTPUT = $(if $(JSON), --json)$(if $(QUIET), --quiet)$(if $(VERBOSE), --verbose)

SIM_OPTIONS = $(call option,sim,$(SIM))$(call option,array,$(ARRAY))$(call option,encoding,$(ENCODING))
SIM_OPTIONS += $(call option,suite,$(if $(COVERAGE),coverage,$(SUITE)))$(call option,test,$(TEST))$(call option,seed,$(SEED))
SIM_OPTIONS += $(call option,design,$(DESIGN))$(call option,dut,$(DUT))$(call option,rtl,$(RTL))$(call option,out,$(OUT))
SIM_OPTIONS += $(call option,jobs,$(JOBS))$(call option,scheduler,$(SCHEDULER))$(if $(WAVES), --waves)
MUTANT_OPTIONS = $(call option,number,$(NUMBER))$(call option,budget,$(BUDGET))$(call option,file,$(FILE))$(call option,seed,$(SEED))
MUTANT_OPTIONS += $(call option,jobs,$(JOBS))$(call option,out,$(OUT))
SYNTH_OPTIONS = $(call option,platform,$(PLATFORM))$(call option,designs,$(DESIGNS))$(call option,clock-ns,$(CLOCK_NS))
SYNTH_OPTIONS += $(call option,rows,$(ROWS))
GROUP_OPTIONS = $(call option,group,$(GROUP))$(if $(COUNTED), --counted)
POWER_OPTIONS = $(SYNTH_OPTIONS)$(GROUP_OPTIONS)$(call option,vectors,$(VECTORS))$(call option,tiles,$(TILES))
POWER_OPTIONS += $(call option,columns,$(COLS))$(if $(EXACT), --exact)$(if $(UNGATED), --ungated)$(if $(CHECK), --check)
SEARCH_OPTIONS = $(call option,net,$(NET))$(call option,data,$(DATA))$(call option,hist,$(HIST))$(if $(M), -M '$(M)')
SEARCH_OPTIONS += $(call option,weights,$(WEIGHTS))
SEARCH_OPTIONS += $(call option,preset,$(PRESET))$(call option,name,$(NAME))$(call option,seed,$(SEED))
SEARCH_OPTIONS += $(call option,islands,$(ISLANDS))$(call option,scheduler,$(SCHEDULER))
TRAIN_OPTIONS = $(call option,net,$(NET))$(call option,data,$(DATA))$(call option,seed,$(SEED))
TRAIN_OPTIONS += $(call option,epochs,$(EPOCHS))$(call option,sizes,$(SIZES))
FINETUNE_OPTIONS = $(call option,net,$(NET))$(call option,encoding,$(ENCODING))$(call option,data,$(DATA))
FINETUNE_OPTIONS += $(call option,steps,$(STEPS))$(call option,lr,$(LR))$(call option,gradient,$(GRADIENT))$(call option,seed,$(SEED))
REPLAY_OPTIONS = $(call option,net,$(NET))$(call option,images,$(IMAGES))$(call option,array,$(ARRAY))
REPLAY_OPTIONS += $(call option,encoding,$(ENCODING))$(call option,rows,$(ROWS))$(call option,cols,$(COLS))
REPLAY_OPTIONS += $(call option,layers,$(LAYERS))$(call option,jobs,$(JOBS))$(call option,sample,$(SAMPLE))
REPLAY_OPTIONS += $(call option,data,$(DATA))$(call option,rtl,$(RTL))$(call option,out,$(OUT))$(if $(ENGINE), --engine)
REPLAY_OPTIONS += $(call option,capture,$(CAPTURE))$(call option,scheduler,$(SCHEDULER))
FORMAL_OPTIONS = $(call option,platform,$(PLATFORM))$(call option,proof,$(PROOF))$(call option,encoding,$(ENCODING))$(call option,jobs,$(JOBS))
ACCURACY_OPTIONS = $(call option,net,$(NET))$(call option,encoding,$(ENCODING))$(call option,data,$(DATA))
ACCURACY_OPTIONS += $(call option,correction,$(CORRECTION))$(call option,images,$(IMAGES))$(call option,samples,$(SAMPLES))
ACCURACY_OPTIONS += $(call option,rounds,$(ROUNDS))$(call option,float,$(FLOAT))
IMPORT_OPTIONS = $(if $(MODEL), '$(MODEL)')$(call option,name,$(NAME))$(call option,dataset,$(DATASET))
IMPORT_OPTIONS += $(call option,rounding,$(ROUNDING))$(call option,mean,$(MEAN))$(call option,std,$(STD))$(call option,out,$(OUT))

.PHONY: help setup doctor sim mutants replay formal pdk synth ppa layout rules power accuracy bench report search train finetune import encodings lint test docs-test figures clean

##@ Start

help: ## this list                                   FOR=<target>
	@python3 tools/targets.py '$(FOR)'

setup: ## Debian packages, .venv and pinned wheels     PYTHON=<interpreter>
	@PYTHON='$(PYTHON)' tools/setup.sh

doctor: ## what is installed, what is missing, how to mend it
	@python3 tools/doctor.py

##@ Verify

sim: ## simulate an array against its model          SUITE=smoke|full|nightly SIM= ARRAY= ENCODING= DESIGN= DUT=rtl|gate TEST= SEED= WAVES=1 COVERAGE=1 JOBS= SCHEDULER= RTL= OUT= JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) sim $(if $(SIM),$(filter verilator icarus,$(SIM)),verilator)
	$(PYTHON_RUN) -m tb.runner$(SIM_OPTIONS)$(OUTPUT)

mutants: ## small faults in the RTL; the suite must kill them  BUDGET=<minutes> NUMBER=<n>|all FILE= SEED= JOBS= OUT=
	$(DOCTOR) mutants
	$(PYTHON_RUN) -m tb.mutants$(MUTANT_OPTIONS)

replay: ## a whole network through the RTL             NET= IMAGES= ARRAY=conv|enc|merged ENCODING= ROWS= COLS= LAYERS= JOBS= ENGINE=1 SAMPLE= CAPTURE= SCHEDULER= DATA= RTL= OUT= JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) replay
	$(PYTHON_RUN) -m tb.replay$(REPLAY_OPTIONS)$(OUTPUT)

formal: ## prove modules, for all inputs and for ever  PROOF= ENCODING= PLATFORM= JOBS= JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) formal
	$(PYTHON_RUN) -m flows.formal$(FORMAL_OPTIONS)$(OUTPUT)

##@ Measure

pdk: ## fetch a cell library from its official place  PDK=nangate45|sky130hd|asap7|<folder>
	$(DOCTOR) pdk
	$(if $(PDK),,@echo "encmac: error: which library? for example: make pdk PDK=nangate45" >&2; exit 1)
	$(PYTHON_RUN) -m flows.pdk$(if $(PDK), '$(PDK)')

synth: ## area and timing of columns and arrays        PLATFORM= DESIGNS= CLOCK_NS= ROWS= SIZE=<columns of an array> GROUP= COUNTED=1 EXACT=1 JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) synth
	$(PYTHON_RUN) -m flows.synth$(SYNTH_OPTIONS)$(GROUP_OPTIONS)$(call option,array,$(SIZE))$(if $(EXACT), --exact)$(OUTPUT)

ppa: ## sweeps of area: one table, plots             SWEEP=clock|fmax|rows|array PLATFORM= DESIGNS= ROWS= CLOCK_NS= EXACT=1
	$(DOCTOR) ppa
	$(if $(SWEEP),,@echo "encmac: error: which sweep? for example: make ppa SWEEP=clock" >&2; exit 1)
	$(PYTHON_RUN) -m flows.synth.sweep $(SWEEP)$(SYNTH_OPTIONS)$(if $(EXACT), --exact)

layout: ## place and route a netlist with OpenROAD      NETLIST= PLATFORM= CLOCK_NS=
	$(DOCTOR) layout
	$(if $(NETLIST),,@echo "encmac: error: which netlist? one of: build/synth/*/*/*/netlist.v" >&2; exit 1)
	$(PYTHON_RUN) -m flows.openroad '$(NETLIST)'$(call option,platform,$(PLATFORM))$(call option,clock-ns,$(CLOCK_NS))

rules: ## area, timing and power of small columns keep their bounds  PLATFORM=
	$(DOCTOR) rules
	$(PYTHON_RUN) -m flows.rules$(call option,platform,$(PLATFORM))

power: ## power of the same on layers of a network     PLATFORM= DESIGNS= ROWS= COLS= CLOCK_NS= VECTORS= TILES=<archive> GROUP= COUNTED=1 EXACT=1 UNGATED=1 CHECK=1 JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) power
	$(PYTHON_RUN) -m flows.power$(POWER_OPTIONS)$(OUTPUT)

accuracy: ## accuracy of a network with encoded products  NET= ENCODING= DATA= IMAGES= CORRECTION= SAMPLES= ROUNDS= FLOAT= JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) accuracy
	$(PYTHON_RUN) -m models.accuracy$(ACCURACY_OPTIONS)$(OUTPUT)

bench: ## our tools beside a peer                      BENCH=search|emulate|paper|replay REF=<clone of EncodingNet> SIZE= JSON=1 QUIET=1 VERBOSE=1
	$(DOCTOR) bench
	$(PYTHON_RUN) -m bench$(call option,bench,$(BENCH))$(call option,ref,$(REF))$(call option,size,$(SIZE))$(OUTPUT)

report: ## one page of all that was measured            OUT= HEADLINE= JSON=1 QUIET=1
	$(DOCTOR) report
	$(PYTHON_RUN) -m flows.report$(call option,out,$(OUT))$(call option,headline,$(HEADLINE))$(if $(JSON), --json)$(if $(QUIET), --quiet)

##@ Encodings and networks

search: ## search an encoding       NET= or HIST= DATA= M= WEIGHTS=pow2|general|csd<t> PRESET= NAME= SEED= ISLANDS= SCHEDULER=
	$(DOCTOR) search
	$(PYTHON_RUN) -m models.search$(SEARCH_OPTIONS)

train: ## train a float network                        NET= EPOCHS= SIZES= DATA= SEED=
	$(DOCTOR) train
	$(if $(NET),,@echo "encmac: error: which network? for example: make train NET=resnet20_cifar10" >&2; exit 1)
	$(PYTHON_RUN) -m models.train$(TRAIN_OPTIONS)

finetune: ## train an int8 network with encoded products  NET= ENCODING= STEPS= LR= GRADIENT=straight|table DATA= SEED=
	$(DOCTOR) finetune
	$(if $(and $(NET),$(ENCODING)),,@echo "encmac: error: which network and which encoding? for example: make finetune NET=resnet20_cifar10 ENCODING=m12p" >&2; exit 1)
	$(PYTHON_RUN) -m models.train.finetune$(FINETUNE_OPTIONS)

import: ## an int8 network from TFLite or ONNX          MODEL= NAME= DATASET=cifar10|cifar100|imagenet ROUNDING=float|double|single MEAN= STD= OUT=
	$(DOCTOR) import
	$(if $(MODEL),,@echo "encmac: error: which model? for example: make import MODEL=resnet8.tflite DATASET=cifar10" >&2; exit 1)
	$(PYTHON_RUN) -m models.importers$(IMPORT_OPTIONS)

encodings: ## write the encodings and their RTL packages anew
	$(DOCTOR) encodings
	$(PYTHON_RUN) -m models.encodings

##@ Develop

lint: ## ruff on Python, Verilator and slang on RTL
	$(DOCTOR) lint
	$(PYTHON_RUN) -m ruff check .
	$(PYTHON_RUN) -m ruff format --check .
	$(PYTHON_RUN) -m tb.lint

test: ## lint, pytest, a short simulation
	$(DOCTOR) test
	@$(MAKE) lint
	$(PYTHON_RUN) -m pytest tests
	@$(MAKE) sim SUITE=smoke TEST=

docs-test: ## every command of the docs, in a scratch clone  PAGE=
	$(DOCTOR) docs-test
	$(PYTHON_RUN) -m tools.docs $(PAGE)

figures: ## README and docs beside what the last runs measured
	$(DOCTOR) figures
	$(PYTHON_RUN) -m tools.figures

clean: ## remove what builds wrote; trained networks, data and .venv stay
	rm -rf .pytest_cache .ruff_cache
	if [ -d build ]; then find build -mindepth 1 -maxdepth 1 -not -name train -exec rm -rf {} +; fi
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
