# Two doors: `make book` and `make test`. Each does all its own set-up.
# Needed beforehand: Python 3.11 or newer, pip, make.

PYTHON    ?= python3
VENV      ?= .venv
DATASET   ?= toy
DATA      ?=
NOTEBOOKS ?= $(sort $(wildcard notebooks/[0-9]*.ipynb))
PYTEST    ?=
# INSTALL=no uses $(VENV) as it is.
INSTALL   ?= yes
# processes that tests and chapters are spread over, each with one thread
JOBS      ?= 2

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PY    := $(abspath $(VENV))/bin/python


# After the install nothing asks the network; warnings stay readable.
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1
offline = HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 \
  HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false \
  OMP_NUM_THREADS=$${OMP_NUM_THREADS:-2}
# stands first: the second of two defaults sees the first
one_each = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}
rsir_env = RSIR_DATASET=$(DATASET) RSIR_PRESET=$(PRESET) \
  $(if $(DATA),RSIR_DATA="$(abspath $(DATA))")
PRESET ?= $(if $(filter toy,$(DATASET)),toy,cpu)

.PHONY: help setup book stored archive slides student explorer lint prose \
  test engines pages notebooks lab bench reproduce clean distclean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18
	@echo
	@echo "  make test DATASET=ucm DATA=folder   notebooks on real data"
	@echo "  VENV=folder PYTHON=python3.12       another environment"

install = INSTALL=$(INSTALL) $(SHELL) tools/setup.sh "$(PYTHON)" "$(VENV)"

setup: ## create .venv and install, if pyproject or constraints changed
	@$(install) all

# With all outputs stored, the light set of packages does; else the rest comes.
book: ## build the HTML book to _build/html
	@$(install) book
	@$(PY) tools/book.py stored || $(MAKE) --no-print-directory stored
	@$(PY) tools/book.py pages
	@$(offline) $(PY) tools/book.py build

stored: setup
	@$(offline) RSIR_DATASET=toy RSIR_PRESET=toy \
	  $(PY) tools/notebooks.py execute --missing
	@$(offline) $(PY) tools/explorer.py --missing

archive: book ## the built book as one zip, to read anywhere
	@$(PY) tools/book.py archive

slides: setup ## build the lecture slides to _build/slides
	@$(PY) tools/slides.py

student: setup ## chapters without solutions to _build/student
	@$(PY) tools/notebooks.py student

explorer: setup ## train again for the explorer page, all systems
	@$(offline) $(PY) tools/explorer.py

lint: setup ## style, and which room imports which
	@$(PY) -m ruff check . && $(PY) -m ruff format --check --exclude '*.ipynb' .
	@$(dir $(PY))lint-imports --no-cache

prose: setup ## advice on words and sentences; never fails
	@$(PY) tools/prose.py

test: setup ## unit tests, then every notebook on toy scenes
ifeq ($(DATASET),toy)
	@$(one_each) $(offline) $(if $(DATA),RSIR_DATA="$(abspath $(DATA))") \
	  $(PY) -m pytest tests -m "not pages and not engine and not slow" -n $(JOBS) --dist worksteal \
	  $(PYTEST)
endif
	@$(one_each) $(offline) $(rsir_env) \
	  $(PY) tools/notebooks.py verify -n $(JOBS) $(NOTEBOOKS)

engines: setup ## tests with servers of Milvus and Dask, on the loopback
	@$(one_each) $(offline) \
	  $(SHELL) tools/engines.sh "$(PYTHON)" "$(VENV)" $(PYTEST)

pages: setup ## walk the built book in headless Chromium
	@$(PY) -m pytest tests -m pages $(PYTEST)

notebooks: setup ## re-execute notebooks in place on toy scenes
	@$(offline) RSIR_DATASET=toy RSIR_PRESET=toy \
	  $(PY) tools/notebooks.py execute $(NOTEBOOKS)

lab: setup ## open the notebooks in JupyterLab
	@$(PY) -m jupyterlab notebooks

bench: setup ## speed and scale, as ratios
	@for script in benchmarks/*.py; do \
	  [ -e "$$script" ] || continue; \
	  echo "== $$script"; $(PY) "$$script"; done

METHOD ?= amfmn
SEEDS  ?= 3
reproduce: setup ## METHOD=amfmn DATASET=rsicd DATA=folder SEEDS=3
	@$(rsir_env) $(PY) -m rsir reproduce $(METHOD) \
	  --dataset $(DATASET) --preset $(PRESET) --seeds $(SEEDS)

clean: ## remove what is built, keep the environment
	rm -rf _build book/_generated .pytest_cache build rsir.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune \
	  -exec rm -rf {} +

distclean: clean ## remove the environment as well
	rm -rf .venv
