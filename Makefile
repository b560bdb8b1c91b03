# `make` alone lists what there is. An environment is made when a target first needs it, and brought up
# to date when its locks have changed.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-int8 setup-neuron inference compile parity test test-long test-int8 test-inf1-lane test-inf1-long test-triton test-first-run test-dry-run test-ray test-ceph check check-infra deploy-dry-run fix bench checkpoints freeze demo-model picture app test-web screenshots clean clean-artifacts

PYTHON := .venv/bin/python
PACKAGES := checkpoints/demo compile depth depth_anything depth_anything_3 depth_anything_v2 midas serve tests
# Not ?=: a variable of the shell that happens to be called TARGET or MODEL must not steer a run.
MODEL =
TARGET = openvino
INPUT = input_images
OUTPUT = output_depth
SIZE =
BATCH = 1
PRECISION =
ARTIFACT =
UPSTREAM =
BENCH = tests.benchmarks.upstream
ROLE =
ACCEPT_LICENCE =
ARGS =

# Recipes read these values from the environment, as they were typed: neither make nor the shell expands a
# $, a quote or a backquote in them. ARGS is meant for the shell, which expands it.
VALUES := MODEL TARGET INPUT OUTPUT SIZE BATCH PRECISION ARTIFACT UPSTREAM BENCH ROLE ACCEPT_LICENCE
unexport $(VALUES)
$(foreach name,$(VALUES),$(eval export IN_$(name) := $$(value $(name))))
# Packages of elsewhere, such as those of ROS, must not stand in for the locked ones.
unexport PYTHONPATH PYTHONHOME

# One thread for each of two workers: more only makes them wait for each other. Tests start some hundred
# Pythons, which all would compile the same modules if the shell forbids to keep bytecode.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(1)/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

# What compiles for Inf1 is installed beside torch 1.13, never beside torch 2.
LANE = $(if $(filter inf1,$(IN_TARGET)),.venv-inf1,.venv)

need = $(if $(IN_$(1)),,$(error $(1) is missing. For example: make $@ $(2)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

setup: ## make the CPU environment, .venv, exactly as locked
	@bash infra/setup.sh cpu

setup-int8: ## add to it what precision int8 is made with (NNCF, 70 MB to download, 300 MB on disk)
	@bash infra/int8.sh

setup-neuron: ## add AWS's packages to .venv-inf1, on a compile host or an Inf1 instance  ROLE=compile|serve
	$(call need,ROLE,ROLE=compile)
	@bash infra/neuron.sh "$$IN_ROLE"

inference: .venv/.ready ## depth of an image or a folder of images  [MODEL=vits TARGET=openvino INPUT=path OUTPUT=dir ARGS=...]
	@set -x; $(PYTHON) inference.py $${IN_MODEL:+--model="$$IN_MODEL"} --target="$$IN_TARGET" \
	  --input="$$IN_INPUT" --output="$$IN_OUTPUT" $(ARGS)

app: .venv/.ready ## a web page on this machine that shows the depth of an image  [MODEL=vits ARGS=...]
	@set -x; $(PYTHON) app.py $${IN_MODEL:+--model="$$IN_MODEL"} $(ARGS)

compile: $(LANE)/.ready ## compile job: fetch, check, build, push  MODEL=vits SIZE="518x686 ..." [TARGET=inf1 PRECISION=auto ARGS="--store s3://..."]
	$(call need,MODEL,MODEL=vits SIZE=518x686)
	$(call need,SIZE,MODEL=$(IN_MODEL) SIZE=518x686)
	@set -f; for size in $$IN_SIZE; do set -- "$$@" --size="$$size"; done; set +f; set -x; \
	$(LANE)/bin/python -m compile job --model="$$IN_MODEL" --target="$$IN_TARGET" "$$@" \
	  --batch="$$IN_BATCH" $${IN_PRECISION:+--precision="$$IN_PRECISION"} --out artifacts $(ARGS)

parity: .venv/.ready ## measure an artifact against eager fp32 again  ARTIFACT=artifacts/NAME [ARGS=...]
	$(call need,ARTIFACT,ARTIFACT=artifacts/NAME)
	@set -x; $(PYTHON) -m compile parity "$$IN_ARTIFACT" $(ARGS)

checkpoints: .venv/.ready ## fetch published weights  MODEL=vits [ACCEPT_LICENCE=1 ARGS=...]
	$(call need,MODEL,MODEL=vits)
	@set -x; $(PYTHON) main.py checkpoints fetch "$$IN_MODEL" $(if $(filter 1 yes true,$(IN_ACCEPT_LICENCE)),--accept-licence) $(ARGS)

test: .venv/.ready ## the tests in the CPU lane  [ARGS=...]
	$(call PYTEST,.venv)

test-long: .venv/.ready ## the tests of whole jobs that take 5 s and more  [ARGS=...]
	$(call PYTEST,.venv) -m long

test-int8: setup-int8 ## the tests that take NNCF itself, with what `make setup-int8` adds  [ARGS=...]
	$(call PYTEST,.venv) -m nncf tests/compile/int8

test-inf1-lane: .venv-inf1/.ready ## the same tests as `make test` in the Inf1 lane (torch 1.13)  [ARGS=...]
	$(call PYTEST,.venv-inf1)

test-inf1-long: .venv-inf1/.ready ## the same tests as `make test-long` in the Inf1 lane  [ARGS=...]
	$(call PYTEST,.venv-inf1) -m long

test-triton: .venv/.ready ## the same V2 calls to a real Triton and to ours, compared (310 MB to download once)
	@bash infra/triton.sh
	$(PYTHON) -W ignore -m tests.benchmarks.triton .tools/triton/bin/python

test-first-run: .venv-inf1/.ready ## a whole first run on stand-ins of AWS's packages, with faults planted  [ARGS=...]
	$(call PYTEST,.venv-inf1) -n 0 -m first_run tests/depth_anything/first_run

test-dry-run: .venv/.ready ## compile-then-deploy on this machine, with a failure in each state  [ARGS=...]
	$(call PYTEST,.venv) -n 0 -m dry_run tests/infra

test-web: .venv/.ready ## the page in Debian's Chromium, through playwright; says what to install  [ARGS=...]
	@$(PYTHON) -m tests.support.web
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest -m web tests/web $(ARGS)

test-ray: .venv/.ready ## the tests of Ray jobs, with Ray in an environment of its own (300 MB)  [ARGS=...]
	@bash infra/ray.sh
	OMP_NUM_THREADS=1 .tools/ray/bin/python -m pytest -m 'long or not long' tests/serve/ray $(ARGS)

test-ceph: .venv/.ready ## the S3 job and the store at Ceph's gateway, which this starts; says what to install  [ARGS=...]
	@$(PYTHON) -m tests.support.ceph
	DEPTH_TEST_CEPH=1 OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m 'long or not long' tests/serve/s3/test_ceph.py $(ARGS)

check: .venv/.ready ## format, lint and types; writes nothing
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

check-infra: ## containers, scripts, Kubernetes and Terraform, with tools of their own in .tools/infra (500 MB)
	@bash infra/check/run.sh

deploy-dry-run: .venv/.ready ## compile-then-deploy on this machine: a local S3 server, the real service  [ARGS="--fail smoke"]
	@$(PYTHON) -m infra.dry_run $(ARGS)

fix: .venv/.ready ## rewrite the files that check complains about, where that can be done
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.ready ## time this against a checkout of upstream  UPSTREAM=path [ARGS=...]
	$(call need,UPSTREAM,UPSTREAM=../Depth-Anything-V2)
	@set -x; $(PYTHON) -m "$$IN_BENCH" --upstream="$$IN_UPSTREAM" $(ARGS)

freeze: ## make a program of serving that needs no Python, in dist/depth-serve  [ARGS=FOLDER]
	@bash infra/freeze.sh $(ARGS)

demo-model: .venv/.ready ## train the bundled demo model from nothing, on a CUDA device if there is one; resumable  [ARGS=...]
	$(PYTHON) -m checkpoints.demo.train $(ARGS)

picture: .venv/.ready ## draw docs/demo.jpg again: input, depth and preview of the demo model
	$(PYTHON) -m checkpoints.demo.picture

screenshots: .venv/.ready ## draw docs/page-*.jpg again: the page in Debian's Chromium
	@$(PYTHON) -m tests.support.web
	$(PYTHON) -m tests.web.screenshots

clean: ## delete what `make inference` wrote into OUTPUT, and caches; never your own files, weights, images or programs
	@if [ -x $(PYTHON) ] && [ -d "$$IN_OUTPUT" ]; then $(PYTHON) main.py clean "$$IN_OUTPUT"; fi
	@for cache in .mypy_cache .pytest_cache .ruff_cache; do [ ! -d "$$cache" ] || { echo "$$cache"; rm -rf "$$cache"; }; done
	@find $(PACKAGES) -type d -name __pycache__ -prune -print -exec rm -rf {} +

clean-artifacts: ## delete the compiled programs in artifacts/; they are compiled again when they are needed
	@[ ! -d artifacts ] || { echo artifacts; rm -rf artifacts; }

CPU_LOCKS := cpu torch-default torch-cpu build
INF1_LOCKS := inf1 build

# An environment whose Python was removed meanwhile is made again, whatever its stamp says.
runs = $(shell test -x $(1)/bin/python && echo yes)
.venv/.ready: $(if $(call runs,.venv),,no-python)
.venv-inf1/.ready: $(if $(call runs,.venv-inf1),,no-python)
.PHONY: no-python
no-python: ;

.venv/.ready: $(CPU_LOCKS:%=infra/locks/%.txt)
	@bash infra/setup.sh cpu >&2

.venv-inf1/.ready: $(INF1_LOCKS:%=infra/locks/%.txt)
	@bash infra/setup.sh inf1 >&2
