# Set-up, pipeline, service and checks. `make` alone lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
# Raised by hand: it decides which builds, for CPU and CUDA, a machine must be able to get.
TORCH := torch==2.13.0
# The one that comes with Python 3.11 takes three times as long to install the pinned set.
PIP := pip==26.3

export PATH := $(CURDIR)/$(BIN):$(PATH)
export BENTOML_DO_NOT_TRACK := True
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := False
export MLFLOW_DISABLE_TELEMETRY := true
# The tests start hundreds of processes: none of them shall compile the package once more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-quick test-today test-clock compile lint format serve bento fleet ui bench circle examples machine-type health censoring sets kill connectors ray soak audit docs lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

setup: $(READY) ## make .venv and install the pinned set

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	@# What is imported is compiled then: all of it would take as long again as the rest of the set-up.
	$(BIN)/pip install --quiet --disable-pip-version-check '$(PIP)'
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $(READY)

run: $(READY) ## dvc repro for the twins in params.yaml, then the figures
	dvc repro
	foretwin summary

# With libfaketime the quick tests run once, on another day; without it on this one.
test: $(READY) ## the whole test suite
	@if ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; then $(MAKE) test-today test-clock; else pytest -n 2; fi

test-quick: $(READY) ## the tests that neither start servers nor train
	pytest -n 2 -m 'not slow'

test-today: $(READY) ## what `make test-clock` leaves of the suite: the tests that are slow or on PostgreSQL
	pytest -n 3 -m 'slow or postgresql'

test-clock: $(READY) ## the quick tests on a 29 February in 400 days or more, the dated ones over a year's end and changes of the clock
	.ci/clock

compile: $(READY) ## compile what the tests import, which the first import of each module does otherwise
	python -c 'import bentoml, dvc.repo, great_expectations, lightning, matplotlib.pyplot, mlflow.pyfunc, optuna, sklearn.ensemble'
	pytest -q --collect-only -p no:cacheprovider

lint: $(READY) ## ruff, mypy (strict) and the import contracts
	ruff check .
	ruff format --check .
	mypy -n auto & types=$$!; lint-imports; imports=$$?; wait $$types && exit $$imports

format: $(READY) ## put the code into its standard form
	ruff check --fix .
	ruff format .

serve: $(READY) ## the scoring service of all champions on port 3000, for this machine alone
	foretwin serve --open

bento: $(READY) ## package service and champions, with a bill of materials
	foretwin bento

fleet: $(READY) ## watch a living fleet: broker, ingest, scoring, twenty pumps that wear out
	foretwin demo

ui: $(READY) ## MLflow on port 5000: runs, trials, models, why which is champion; $MLFLOW_TRACKING_URI may name a PostgreSQL
	foretwin publish
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri $(or $(MLFLOW_TRACKING_URI),sqlite:///$(CURDIR)/mlflow.db) --port 5000 --workers 1

bench: $(READY) ## measure speed; ratios go to reports/bench.json, bench_*.json, streaming.json, waveforms.json, growth.json, console.json, mixed_load.json, slow_clients.json, connectors.json
	python -m benchmarks.speed.pipeline
	python -m benchmarks.speed.repro
	python -m benchmarks.speed.streaming
	python -m benchmarks.speed.waveforms
	python -m benchmarks.speed.twin
	python -m benchmarks.speed.growth
	python -m benchmarks.speed.console
	python -m benchmarks.speed.mixed_load
	python -m benchmarks.speed.service.run
	python -m benchmarks.speed.slow_clients
	python -m benchmarks.speed.connectors
	python -m benchmarks.reliability.year

circle: $(READY) ## once around the life of a model, from drift to roll-back, in a copy of a built project; reports/circle.json
	python -m benchmarks.model_life.circle

examples: $(READY) ## the worked examples of $$FORETWIN_DATASETS to the gate's verdict, those that the report lacks; reports/examples.json
	python -m benchmarks.worked_examples --resume

machine-type: $(READY) ## a machine type of $$FORETWIN_DATASETS' AI4I 2020 by upload, up to its champion; reports/machine_type.json
	python -m benchmarks.machine_type

health: $(READY) ## health without labels on simulated pumps, and on the Tennessee Eastman process of $$FORETWIN_DATASETS; reports/health/
	python -m benchmarks.accuracy.pump_health
	python -m benchmarks.accuracy.tep

censoring: $(READY) ## what lives that did not end teach, on simulated pumps, in a quarter of an hour; reports/censoring.json
	python -m benchmarks.accuracy.censoring

sets: $(READY) ## published sets of few machines or in excerpts by a protocol each, from the files in $$FORETWIN_DATASETS; reports/sets/
	python -m benchmarks.accuracy.sets
	python -m benchmarks.accuracy.risk_sets
	python -m benchmarks.accuracy.class_sets

kill: $(READY) ## 200 random faults in an hour under load, reports/faults.json; 50 kills on each database, reports/reliability_*.json; 100 of a partitioned fleet, reports/scale_faults.json
	python -m benchmarks.reliability.faults.run
	python -m benchmarks.reliability.kill 50 sqlite
	python -m benchmarks.reliability.kill 50 postgresql
	python -m benchmarks.reliability.partition_kills 100

connectors: $(READY) ## 20 random kills each of servers of OPC UA and NATS, of brokers of MQTT and Sparkplug B, of links to Kafka, and of ingest; ingest away from the broker for five minutes; 100 connections lost at once; reports/connectors.json
	python -m benchmarks.reliability.connector_kills 20
	python -m benchmarks.reliability.jetstream_kills 20
	python -m benchmarks.reliability.kafka_kills 20
	python -m benchmarks.reliability.mqtt_kills 20
	python -m benchmarks.reliability.sparkplug_kills 20
	python -m benchmarks.reliability.broker_outage 300
	python -m benchmarks.reliability.storm

ray: $(READY) ## train on a Ray cluster of two nodes, one of which is killed, after installing the extra into .venv; reports/ray.json
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[ray]' -c constraints.txt
	python -m benchmarks.reliability.ray_cluster

soak: $(READY) ## 20,000 hostile bodies, then ten minutes of load with a swap every 20 s, then two pages left open for an hour; reports/fuzz.json, reports/soak.json, reports/console.json
	python -m benchmarks.reliability.soak.run fuzz --bodies 20000 --seed 1
	python -m benchmarks.reliability.soak.run serve --minutes 10
	python -m benchmarks.reliability.left_open

audit: $(READY) ## known holes of the pinned libraries; reports/audit.json, or why there is no answer
	$(PYTHON) -m venv .foretwin/audit
	.foretwin/audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'
	.foretwin/audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off --format json --output reports/audit.json

docs: $(READY) ## put the figures of output files into README.md and docs/, docstrings into docs/api.md, settings into docs/settings.md, pins into serving/twin
	python -m benchmarks.render.docs
	python -m benchmarks.render.api
	python -m benchmarks.render.settings
	python -m benchmarks.render.examples
	python -m benchmarks.render.requirements

lock: $(READY) ## renew constraints.txt from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-annotate --no-header --upgrade-package '$(TORCH)' pyproject.toml -o .constraints.all
	@# torch comes first and without its CUDA packages: pip adds those where the platform's build of torch asks for them.
	(grep '^torch==' .constraints.all; grep -vE '^(torch==|triton|cuda-|nvidia-[^m])' .constraints.all | sed -E 's/\[[^]]*\]//') > constraints.txt
	rm .constraints.all

clean: ## remove what can be made again, but neither data nor models
	rm -rf .pytest_cache .mypy_cache .ruff_cache .foretwin
