# make demo: from a fresh clone to a verdict.  make test: all tests.  make quick: those without servers and browsers.
# make check: format, lint, types, import floors, sizes and names.  make docs: the documents as a site, in build/site.
# make constraints: pin what is installed.  make sbom: its bill of materials.  make audit: its known vulnerabilities.
# make reference: the pages of docs/reference, written from the code.
PYTHON ?= python3.11
BIN := .venv/bin
# unset, or every start of vLLM would compile all of its sources again
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test quick check docs reference format constraints sbom audit clean

install:
	@$(PYTHON) install.py

demo: install
	@$(BIN)/llmtl run recipes/quickstart

test: install
	@$(BIN)/python tests/support/install_browser.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

quick: install
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/house_rules.py

docs: install
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

reference: install
	@for script in $$(grep -l '^PAGE = ' docs/write_*.py) docs/write_tables.py; do $(BIN)/python $$script || exit; done

format: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

constraints sbom audit: install
	@$(BIN)/python .ci/supply.py $@

clean:
	rm -rf .venv runs build dist *.egg-info
