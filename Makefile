# make demo: set up and analyse a CSV file. make test: set up and run all tests.
# The tests share two processors; `make test WORKERS=8` uses more, `pytest PATH` by itself uses one.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal
export UV_PYTHON_DOWNLOADS := never
# hundreds of tests start a process of their own: compiling every library anew in each doubles what they take
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test test-slow test-crash check bench bench-save bench-peers bench-strategies bench-page clean

setup: $(VENV)/.ready

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Planloom needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv

$(VENV)/.ready: pyproject.toml uv.lock $(UV)
	$(UV) sync --quiet --locked --inexact --all-extras
	@touch $@ $(VENV)/.demo

# the demo needs neither the model providers' libraries nor the tools of development
$(VENV)/.demo: pyproject.toml uv.lock $(UV)
	$(UV) sync --quiet --locked --inexact --no-dev --extra analysis
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/planloom analyse examples/sales.csv --output sales.report.html

test: setup
	$(PYTEST) -m "not slow"

# what takes minutes more: every case of the sandbox, of odd columns, of the question set; CI runs it too
test-slow: setup
	$(PYTEST) -m slow

# every place at which a process may die, a disk may fail or a connection may be cut: about twenty minutes
test-crash: setup
	CI=true $(PYTEST) tests/crash -m "crash or not crash"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest tests/test_architecture.py

bench: setup
	$(BIN)/python -m bench

# the same, kept in bench/results for the page; `$(BIN)/python -m bench --save --only NAME` renews one question
bench-save: setup
	$(BIN)/python -m bench --save

# where plans lose: every strategy on a grid of models, tools, widths and failures
bench-strategies: setup
	$(BIN)/python -m bench.strategies

# installs what others would use instead, each in an environment of its own below build/, and measures them all;
# interrupted, it goes on where it was. `make bench-peers PEERS=--quick` takes fewer turns
bench-peers: setup
	$(BIN)/python -m bench.peers $(PEERS)

# docs/benchmarks.md, its plots and the README's figures, from bench/results alone
bench-page: setup
	$(BIN)/python -m bench.page

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist
