# make lab            build Gradbook and all it needs, and open JupyterLab
# make test           vet, format, all tests, all notebooks of the course
# make conformance    every test program of the Go distribution that can be a cell (long)
# make bench          measure against GoNB, and put the tables into README.md (long)
# make clean          remove what make has built here (see also: gradbook cache prune)

GO ?= go
PYTHON ?= python3

# The tests' own Python: nbformat, pinned by hash, judges the notebooks that are written.
requirements := kernel/testdata/requirements-test.txt
python := build/python/bin/python
notebooks := $(filter-out %.out.ipynb,$(wildcard notebooks/*.ipynb))

.PHONY: lab build test vet format unit notebooks conformance bench bench-latency bench-speed bench-memory bench-assist clean

build:
	$(GO) build -o bin/gradbook ./kernel/cmd/gradbook

lab: build
	bin/gradbook lab notebooks

test: vet format unit notebooks

vet:
	$(GO) vet ./...

format:
	@files=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted; run gofmt -w on:"; echo "$$files"; exit 1; fi

unit: build/python/done
	GRADBOOK_TEST_PYTHON=$(CURDIR)/$(python) $(GO) test -timeout 20m ./...

# Each notebook must run; its result goes to build/, the notebook is not changed.
notebooks: build
	@mkdir -p build/notebooks
	@set -e; for n in $(notebooks); do \
		echo "gradbook run $$n"; \
		bin/gradbook run "$$n" -o "build/$$n" --timeout 10m; \
	done

build/python/done: $(requirements)
	rm -rf build/python
	$(PYTHON) -m venv build/python
	$(python) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $(requirements)
	touch $@

conformance:
	$(GO) test -count=1 -timeout 4h ./kernel/internal/conformance -run TestPrograms -conformance.all

bench: bench-latency bench-speed bench-memory bench-assist

bench-latency:
	$(GO) run ./kernel/bench/latency -write

bench-speed:
	$(GO) run ./kernel/bench/speed -write

bench-memory:
	$(GO) run ./kernel/bench/memory -write

# ipykernel comes with JupyterLab, whose packages are pinned.
bench-assist: build build/python-lab/done
	$(GO) run ./kernel/bench/assist -python $(CURDIR)/build/python-lab/bin/python -write

build/python-lab/done: kernel/cmd/gradbook/requirements-lab.txt
	rm -rf build/python-lab
	$(PYTHON) -m venv build/python-lab
	build/python-lab/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

clean:
	rm -rf bin build
