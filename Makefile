# `make run` needs Python 3.11 or newer and make. `make help` lists every target.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_READY := .venv/.run
DEV_READY := .venv/.dev
UV := .venv-uv
COMPILE := $(UV)/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" pyproject.toml
UPGRADE ?=
MESSAGE_OPTIONS := --no-wrap --sort-by-file --add-location file --omit-header --add-comments Translators: \
	--keyword _l --keyword lazy_pgettext:1c,2 --keyword lazy_ngettext:1,2

.DEFAULT_GOAL := help
.PHONY: help run test lint fmt messages bench proof proof-short lock audit sbom node-tools lint-api up down build logs clean

help:  ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 13

# A recipe outlives a killed make. QIST_PARENT_PID tells it which process it must not outlive.
run: $(RUN_READY)  ## Start everything on this laptop (PORT=8000, QIST_HOME=.qist); Ctrl-C stops it
	@QIST_PARENT_PID=$$PPID exec $(BIN)/python -m portal.cli dev

test: $(DEV_READY)  ## The tests, on servers of their own (ARGS="tests/domain/test_money.py -n 0")
	PYTHONDONTWRITEBYTECODE= QIST_PARENT_PID=$$PPID exec $(BIN)/python -m pytest $(ARGS)

lint: $(DEV_READY)  ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy --strict portal/
	$(BIN)/lint-imports

fmt: $(DEV_READY)  ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(DEV_READY)  ## Extract the sentences for people, and update the catalogues of translations/
	$(BIN)/pybabel --quiet extract --mapping-file babel.cfg $(MESSAGE_OPTIONS) --output-file translations/messages.pot .
	@for catalogue in translations/*/LC_MESSAGES/messages.po; do \
		[ -e "$$catalogue" ] || continue; \
		language=$${catalogue#translations/}; \
		$(BIN)/pybabel --quiet update --no-wrap --no-fuzzy-matching --ignore-obsolete --locale "$${language%%/*}" \
			--input-file translations/messages.pot --output-file "$$catalogue" || exit 1; \
	done

bench: $(DEV_READY)  ## Requests a second at several sizes (bench/README.md)
	QIST_PARENT_PID=$$PPID exec $(BIN)/python -m bench $(ARGS)

proof-short: $(DEV_READY)  ## The tests that make test leaves out and CI runs: more crashes, upgrades, whole systems
	PYTHONDONTWRITEBYTECODE= QIST_PARENT_PID=$$PPID exec $(BIN)/python -m pytest -m long $(ARGS)

proof: $(DEV_READY)  ## Those of make proof-short, and the same in long: crashes, races, contracts
	PYTHONDONTWRITEBYTECODE= QIST_PARENT_PID=$$PPID exec $(BIN)/python -m pytest -m "long or proof" $(ARGS)

lock: $(UV)/bin/uv  ## Write the three lock files (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) --extra build -o requirements.lock
	$(COMPILE) $(UPGRADE) --extra build --extra local -o requirements-local.lock
	$(COMPILE) $(UPGRADE) --extra build --extra local --extra dev -o requirements-dev.lock
	rm -rf $(UV)

sbom: $(DEV_READY)  ## Write sbom.json: the packages of the image with their hashes (CycloneDX)
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file sbom.json

# Exit code 0 without an answer: the data of known faults is on the internet, which not every machine reaches.
audit: $(DEV_READY)  ## Look for known faults of the packages of the image (pip-audit)
	@out=$$(timeout 120 $(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		--requirement requirements.lock 2>&1); code=$$?; echo "$$out" | tail -n 40; \
	if [ $$code -ne 0 ] && ! echo "$$out" | grep -q "^Found [0-9]* known"; then \
		echo "audit: the data of known faults could not be reached; nothing was looked up"; exit 0; \
	fi; exit $$code

# Programs from npm, beside the virtual environment. Versions are pinned here; there is no lock, which would hold the
# addresses of a registry. NPM_SECONDS limits the wait for one that can't be reached.
NODE_TOOLS := typescript@5.9.3 @stoplight/spectral-cli@6.16.3 @redocly/cli@2.77.0
NPM_SECONDS ?= 300
node-tools: $(DEV_READY)  ## Install TypeScript, spectral and redocly from npm (tests of clients/, make lint-api)
	@timeout $(NPM_SECONDS) npm install --prefix .venv/node --no-package-lock --no-audit --no-fund --ignore-scripts \
		--loglevel error $(NODE_TOOLS)

# Exit code 0 without the programs: npm is not to be had on every machine.
lint-api: $(DEV_READY)  ## Check the OpenAPI document with spectral and redocly (make node-tools installs them)
	@if [ ! -x .venv/node/node_modules/.bin/spectral ] || [ ! -x .venv/node/node_modules/.bin/redocly ]; then \
		echo "lint-api: spectral and redocly are not installed; nothing was checked"; exit 0; \
	fi; \
	$(BIN)/python -m clients document > .venv/openapi.json && \
	.venv/node/node_modules/.bin/spectral lint --ruleset .spectral.yaml --fail-severity=hint .venv/openapi.json || exit 1; \
	if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then \
		echo "lint-api: redocly needs Node 20.19 or newer; it was not asked"; exit 0; \
	fi; \
	REDOCLY_TELEMETRY=off .venv/node/node_modules/.bin/redocly lint --config .redocly.yaml .venv/openapi.json 2>&1

build: export QIST_VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' portal/__init__.py)
build: .secrets .mail  ## Build the container image
	docker compose build

# The migration runs on its own first, because Compose would stop the old containers before it. The old version serves
# during the migration, and goes on serving when it fails. Valkey follows the migration, because a new version may give
# it users that the old version does not know. Then one web server is replaced after the other.
up: build  ## Start everything in containers, on http://127.0.0.1:8000 (PORT=8000); also upgrades
	docker compose up --detach --wait database
	docker compose run --rm migrate
	docker compose up --detach --wait valkey
	docker compose up --detach --wait web
	docker compose up --detach --wait web2
	docker compose up --detach --wait
	@echo "Qist is ready: http://$$(docker compose port web 8000)"

down:  ## Stop the containers; the data stays
	docker compose down

logs:  ## Follow the containers' output
	docker compose logs --follow --tail 100

# Adds a random value for each secret that .env lacks. An existing value stays: the database was created with it. Then
# it writes the files of secrets/, one for each secret of compose.yaml, and digest.env, whose value changes with any of
# them. The users of the containers must read the files; only the folder's owner can enter the folder.
.PHONY: .secrets
.secrets:
	@umask 077; \
	for name in SECRET_KEY DATABASE_PASSWORD DATABASE_APP_PASSWORD VALKEY_PASSWORD; do \
		if ! grep -qsE "^[[:space:]]*(export[[:space:]]+)?$$name=[\"']?[^\"'[:space:]#]" .env; then \
			if [ -s .env ] && [ -n "$$(tail -c 1 .env)" ]; then echo >> .env; fi; \
			value=$$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'); \
			[ $${#value} -eq 64 ] || { echo "no random numbers on this machine"; exit 1; }; \
			echo "$$name=$$value" >> .env && chmod 600 .env || exit 1; \
			echo "wrote a random $$name into .env"; \
		fi; \
	done; \
	value() { sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$$1=//p" .env | tail -n 1 | sed -E "s/^'([^']*)'.*$$/\\1/; t; \
		s/^\"([^\"]*)\".*$$/\\1/; t; s/[[:space:]]+#.*$$//; s/[[:space:]]+$$//" | tr -d '\n'; }; \
	encoded() { value "$$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; }; \
	sha256() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1; }; \
	hash=$$(value VALKEY_PASSWORD | sha256); \
	[ $${#hash} -eq 64 ] || { echo "neither sha256sum nor shasum on this machine"; exit 1; }; \
	mkdir -p secrets && chmod 700 secrets && \
	value SECRET_KEY > secrets/secret_key && \
	value SECRET_KEY_PREVIOUS > secrets/secret_key_previous && \
	value SMTP_PASSWORD > secrets/smtp_password && \
	value DATABASE_PASSWORD > secrets/database_password && \
	echo "postgresql://qist:$$(encoded DATABASE_PASSWORD)@database:5432/qist" > secrets/database_owner_url && \
	echo "postgresql://qist_app:$$(encoded DATABASE_APP_PASSWORD)@database:5432/qist" > secrets/database_url && \
	echo "redis://qist:$$(encoded VALKEY_PASSWORD)@valkey:6379/0" > secrets/redis_url && \
	{ echo "user default on nopass resetkeys resetchannels -@all +ping"; \
	  echo "user qist on #$$hash ~* &* +@all -@admin -@dangerous +info +keys +client|list"; \
	} > secrets/valkey_acl && \
	hash=$$(for file in secrets/*_*; do echo "$$file"; cat "$$file"; done | sha256) && \
	echo "SECRETS_DIGEST=$$hash" > secrets/digest.env && \
	chmod 644 secrets/*

# Production confirms emails, for which it needs a mail server. An .env without one gets the other mode, in writing.
.PHONY: .mail
.mail: .secrets
	@for name in SMTP_HOST EMAIL_CONFIRMATION; do \
		if grep -qsE "^[[:space:]]*(export[[:space:]]+)?$$name=[\"']?[^\"'[:space:]#]" .env; then exit 0; fi; \
	done; \
	echo "EMAIL_CONFIRMATION=off" >> .env && \
	echo "wrote EMAIL_CONFIRMATION=off into .env, which has no SMTP_HOST: anybody may register with any email." && \
	echo "Before strangers reach Qist: set SMTP_HOST and remove that line."

clean:  ## Remove caches and the virtual environment (not the data in .qist)
	rm -rf .venv $(UV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Qist needs Python 3.11 or newer; choose one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 -m venv failed; on Debian: apt install python3-venv"; exit 1; }

# requirements-dev.lock includes requirements-local.lock, so a development environment can run Qist as it is.
$(RUN_READY): requirements-local.lock requirements-dev.lock pyproject.toml | .venv/bin/python
	@if [ -e $(DEV_READY) ] && [ ! requirements-dev.lock -nt $(DEV_READY) ] && [ ! pyproject.toml -nt $(DEV_READY) ]; then \
		touch $@; else $(call install,requirements-local.lock); fi

$(DEV_READY): requirements-dev.lock pyproject.toml | .venv/bin/python
	@$(call install,requirements-dev.lock)

# A failing step must fail the target; otherwise an incomplete .venv would look ready.
install = echo "installing $(1) ..." && \
	$(PIP) install --quiet --require-hashes --requirement $(1) && \
	$(PIP) install --quiet --no-deps --no-build-isolation --editable . && touch $@

$(UV)/bin/uv:
	@$(PYTHON) -m venv $(UV)
	@$(UV)/bin/python -m pip --disable-pip-version-check install --quiet uv
