# make up     runs an instance in the foreground. Options: PORT=8000 HOST=127.0.0.1 MERCATO_HOME=var and every other
#             setting of docs/settings.md
# make test   runs the suite on SQLite, and what uses the database on PostgreSQL too
# make lint   checks style, layers, types, templates, migrations and the settings of a production server
# make format mends what can be mended by itself
# make lock   writes requirements/*.lock anew; make lock UPGRADE=1 takes the newest versions that pyproject.toml allows
# make chaos  kills parts of an instance while jobs run and prints what came of it: RUNS=1000 SEED=1 POSTGRES=1
# make bench  prints figures; make bench SMOKE=1 only sees that each benchmark works

PYTHON := .venv/bin/python
DJANGOFMT := .venv/bin/djangofmt --custom-blocks partialdef
export UV_PYTHON_DOWNLOADS := never

.PHONY: up test lint format lock chaos bench

up:
	@.ci/install server
	@exec $(PYTHON) manage.py up

test:
	@.ci/install test browser
	$(PYTHON) -m tests

lint:
	@.ci/install test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(DJANGOFMT) --check templates
	.venv/bin/lint-imports
	.venv/bin/mypy
	.ci/check

format:
	@.ci/install test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	$(DJANGOFMT) templates

COMPILE := .venv/bin/uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --quiet pyproject.toml
lock:
	@[ -x .venv/bin/uv ] || .ci/install server
	$(COMPILE) --extra server --output-file requirements/server.lock
	$(COMPILE) --extra server --extra test --constraint requirements/server.lock --output-file requirements/test.lock

chaos:
	@.ci/install test
	$(PYTHON) -m tests.chaos --runs $(or $(RUNS),1000) --seed $(or $(SEED),1) $(if $(POSTGRES),--postgres)

bench:
	@.ci/install server
	$(PYTHON) -m benchmarks $(if $(SMOKE),--smoke)
