# make lab            build Gradbook and all it needs, and open JupyterLab
# make test           vet, format, all tests
# make test-xla       the library's tests once more, on XLA (long: it compiles each graph)
# make course         every notebook of the course runs and gives the results on record; spelling
# make site           the course as static pages, into build/site
# make gonb           the course under stock GoNB, beside Gradbook (long)
# make conformance    every test program of the Go distribution that can be a cell (long)
# make course-time    how long the course takes on pure Go and on XLA (long; after make course, which compiles its cells)
# make bench          measure against GoNB, and put the tables into README.md (long)
# make image          the image gradbook:cpu, by Docker or buildah (KIND=cuda: gradbook:cuda); see docker/README.md
# make clean          remove what make has built here (see also: gradbook cache prune)

GO ?= go
PYTHON ?= python3

# The tests' own Python: nbformat, pinned by hash, judges the notebooks that are written.
requirements := kernel/testdata/requirements-test.txt
python := build/python/bin/python
notebooks := $(filter-out %.out.ipynb,$(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb))

.PHONY: lab build test test-xla vet format unit course spell site gonb course-time conformance bench bench-latency bench-speed bench-memory bench-assist bench-step bench-devices image clean

build:
	$(GO) build -o bin/gradbook ./kernel/cmd/gradbook

lab: build
	bin/gradbook lab notebooks

test: vet format unit

vet:
	$(GO) vet ./...

format:
	@files=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted; run gofmt -w on:"; echo "$$files"; exit 1; fi

unit: build/python/done
	GRADBOOK_TEST_PYTHON=$(CURDIR)/$(python) $(GO) test -timeout 20m ./...

# XLA's plugin is installed as a user would do it. GOMLX_BACKEND makes the tests fail where it is not found, instead of passing on pure Go.
test-xla: build build/python/done
	XDG_DATA_HOME=$(CURDIR)/build/data bin/gradbook backend install xla-cpu
	PJRT_PLUGIN_LIBRARY_PATH=$(CURDIR)/build/data/gradbook/backends/xla-cpu/plugin GOMLX_BACKEND=xla:cpu \
		GRADBOOK_TEST_PYTHON=$(CURDIR)/$(python) $(GO) test -timeout 60m ./pkg/... ./internal/...
	PJRT_PLUGIN_LIBRARY_PATH=$(CURDIR)/build/data/gradbook/backends/xla-cpu/plugin \
		$(GO) test -timeout 20m ./kernel/internal/session ./kernel/cmd/gradbook -run Backend

# Each notebook must run and print what it holds, within the tolerances that its cells state. What it gives now goes to build/; the notebook is not changed.
course: build spell
	@mkdir -p build/notebooks/solutions
	@failed=; for n in $(notebooks); do \
		echo "gradbook run $$n --check"; \
		bin/gradbook run "$$n" --check -o "build/$$n" --timeout 10m || failed="$$failed $$n"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

spell: build/python-course/done
	build/python-course/bin/python notebooks/check/spell.py notebooks/words.txt $(notebooks) $(wildcard notebooks/*.md) README.md pkg/README.md

site: build/python-course/done
	build/python-course/bin/python notebooks/check/site.py build/site $(notebooks)

gonb: build build/python-course/done
	build/python-course/bin/python notebooks/check/gonb.py bin/gradbook $(wildcard notebooks/[0-9]*.ipynb)

# BACKENDS are values of GOMLX_BACKEND; xla:cpu needs its plugin (gradbook backend install xla-cpu, or PJRT_PLUGIN_LIBRARY_PATH).
BACKENDS ?= go xla:cpu
course-time: build
	$(PYTHON) notebooks/check/coursetime.py bin/gradbook $(wildcard notebooks/[0-9]*.ipynb) --backends "$(BACKENDS)"

# nbconvert and nbclient come with JupyterLab, whose packages are pinned.
build/python-course/done: kernel/cmd/gradbook/requirements-lab.txt notebooks/check/requirements.txt
	rm -rf build/python-course
	$(PYTHON) -m venv build/python-course
	build/python-course/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r kernel/cmd/gradbook/requirements-lab.txt -r notebooks/check/requirements.txt
	touch $@

build/python/done: $(requirements)
	rm -rf build/python
	$(PYTHON) -m venv build/python
	$(python) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $(requirements)
	touch $@

conformance:
	$(GO) test -count=1 -timeout 4h ./kernel/internal/conformance -run TestPrograms -conformance.all

bench: bench-latency bench-speed bench-memory bench-assist bench-step bench-devices

bench-latency:
	$(GO) run ./kernel/bench/latency -write

bench-speed:
	$(GO) run ./kernel/bench/speed -write

bench-memory:
	$(GO) run ./kernel/bench/memory -write

# ipykernel comes with JupyterLab, whose packages are pinned.
bench-assist: build build/python-lab/done
	$(GO) run ./kernel/bench/assist -python $(CURDIR)/build/python-lab/bin/python -write

# A training step beside PyTorch and JAX, and what recording costs.
bench-step: build/python-bench/done
	PJRT_PLUGIN_LIBRARY_PATH=$$(build/python-bench/bin/python -c 'import lammps_jax_pjrt_cpu as p; print(p.PLUGIN_PATH.parent)') \
		$(GO) run ./pkg/bench -python $(CURDIR)/build/python-bench/bin/python -write

# Steps of three nets at three sizes, on the CPU and on a GPU where there is one. DEVICE_PLUGINS names the folder of XLA's plugin for CUDA.
bench-devices: build/python-bench/done
	PJRT_PLUGIN_LIBRARY_PATH=$$(build/python-bench/bin/python -c 'import lammps_jax_pjrt_cpu as p; print(p.PLUGIN_PATH.parent)'):$(DEVICE_PLUGINS) \
		$(GO) run ./pkg/bench -devices -python $(CURDIR)/build/python-bench/bin/python -write

build/python-bench/done: pkg/bench/requirements.txt
	rm -rf build/python-bench
	$(PYTHON) -m venv build/python-bench
	build/python-bench/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

build/python-lab/done: kernel/cmd/gradbook/requirements-lab.txt
	rm -rf build/python-lab
	$(PYTHON) -m venv build/python-lab
	build/python-lab/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

KIND ?= cpu
image:
	docker/image $(KIND)

clean:
	rm -rf bin build
