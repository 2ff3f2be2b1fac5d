# Every target does its own set-up in .venv and is quick when repeated. Another environment is
# VENV=, made by another PYTHON=, with what pip is told besides in LIMITS=.
PYTHON ?= python3
VENV := .venv
LIMITS :=
# A folder in which test-pythons looks too.
PYTHONS :=
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMMAND := $(VENV)/.command
SEED_VERSIONS := 0.2.2 0.4.4
AKOOL_SEED_VERSIONS := 0.1.8 0.1.9
SEEDS := $(SEED_VERSIONS:%=.seeds/liveavatar-%) $(SEED_VERSIONS:%=.seeds/sdist-liveavatar-%) \
	$(AKOOL_SEED_VERSIONS:%=.seeds/akool-%)
# Whose programs are type-checked; the tests run them.
PAGES := README.md $(wildcard docs/*.md docs/*/*.md)
NATIVE := $(wildcard src/avatarwire/*/*.pyx src/avatarwire/*/*.pxd)

.DEFAULT_GOAL := help
.PHONY: help demo test test-pythons test-lowest check lint docs bench scale guard asan fuzz chaos soak guided \
	packed wheel wheels clean compare history test-nogil test-frameworks test-browser adapters \
	test-fleet fleet-demo fleet-chaos

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.created:
	@echo 'Setting up $(VENV), the first time only'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# A pip that knows dependency groups; a Python may bring an older one.
$(VENV)/.pip: $(VENV)/.created
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	@touch $@

$(INSTALLED): pyproject.toml setup.py $(NATIVE) | $(VENV)/.pip
	@$(BIN)/python -m pip install -qq --group dev --editable '.[cli,fast]' $(LIMITS)
	@touch $(COMMAND) $@

# The avatarwire command alone, which is part of the above.
$(COMMAND): pyproject.toml setup.py $(NATIVE) | $(VENV)/.created
	@$(BIN)/python -m pip install -qq --editable '.[cli]' $(LIMITS)
	@touch $@

# What a wheel is tested with: no extra.
$(VENV)/.library: pyproject.toml setup.py $(NATIVE) | $(VENV)/.pip
	@$(BIN)/python -m pip install -qq --group test-wheel --editable .
	@touch $@

# The published SDKs, each in a folder of its own: independent judges for the tests.
.seeds/liveavatar-%: | $(VENV)/.created
	@$(BIN)/python -m pip install -qq --no-deps --target $@ liveavatar-channel-sdk==$*

# Their own tests are in the source archives alone.
.seeds/sdist-liveavatar-%: | $(VENV)/.created
	@$(BIN)/python -m pip download -qq --no-deps --no-binary :all: --dest $@.part liveavatar-channel-sdk==$*
	@tar -xzf $@.part/*.tar.gz --strip-components=1 -C $@.part && mv $@.part $@

# It needs requests without saying so.
.seeds/akool-%: | $(VENV)/.created
	@$(BIN)/python -m pip install -qq --no-deps --target $@ akool-streaming-avatar==$* \
	requests urllib3 idna certifi charset-normalizer

demo: $(COMMAND)  ## Stream a speech sample through a whole session
	@env -u AVATARWIRE_URL $(BIN)/avatarwire stream tests/data/speech.wav

test: $(INSTALLED) $(SEEDS)  ## Run the tests
	@echo "Testing on $$($(BIN)/python -V) of $(VENV)"
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Apart from .venv, whose tests need no browser.
.browser: pyproject.toml | $(VENV)/.pip
	@$(BIN)/python -m pip install -qq --upgrade --target $@ --group browser
	@touch $@

# The picture of the README is the test's: SCREENSHOTS=docs/images draws it anew.
SCREENSHOTS := build/browser
test-browser: $(INSTALLED) .browser  ## Use the playground in Debian's Chromium, installed when it is missing
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq --yes chromium; } >/dev/null
	@PYTHONPATH="$(CURDIR)/.browser" SCREENSHOTS="$(SCREENSHOTS)" $(BIN)/python -m pytest tests/browser

test-pythons:  ## The same on each CPython found in PATH, in pyenv and in the folder PYTHONS=
	@$(PYTHON) tools/pythons.py $(if $(PYTHONS),--folder '$(PYTHONS)')

# Heavy, and not to decide the versions of anything else: each in an environment of its own.
FRAMEWORKS := livekit pipecat
$(FRAMEWORKS:%=.venv-%/.installed): .venv-%/.installed: pyproject.toml setup.py $(NATIVE)
	@echo 'Setting up .venv-$*'
	@test -d .venv-$* || $(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install -qq --upgrade 'pip>=25.1'
	@.venv-$*/bin/python -m pip install -qq --group frameworks --editable '.[emulator,$*]'
	@touch $@

# Neither has wheels for the newest Python.
ifeq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info < (3, 15))'),True)
test-frameworks: $(FRAMEWORKS:%=.venv-%/.installed)  ## Test the adapters, each beside its framework
	@for framework in $(FRAMEWORKS); do \
		echo "Testing with $$framework"; \
		bin=.venv-$$framework/bin; \
		$$bin/mypy src/avatarwire/$$framework/*.py examples/$${framework}_*.py && \
		$$bin/python -m pytest tests/with_$$framework || exit 1; \
	done

adapters: $(FRAMEWORKS:%=.venv-%/.installed)  ## Measure what an adapter adds to a speaking session
	@for framework in $(FRAMEWORKS); do \
		.venv-$$framework/bin/python benchmarks/guard_adapters.py $$framework --check || exit 1; \
	done
else
test-frameworks adapters:
	@echo 'LiveKit Agents and Pipecat need a Python before 3.15: nothing is tested'
endif

# Ray warns of its own ways, which are no concern of ours.
WITH_RAY := -W ignore::DeprecationWarning -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning
.venv-fleet/.installed: pyproject.toml setup.py $(NATIVE)
	@echo 'Setting up .venv-fleet'
	@test -d .venv-fleet || $(PYTHON) -m venv .venv-fleet
	@.venv-fleet/bin/python -m pip install -qq --upgrade 'pip>=25.1'
	@.venv-fleet/bin/python -m pip install -qq --group frameworks --editable '.[cli,fleet]'
	@touch $@

ifeq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info < (3, 15))'),True)
test-fleet: .venv-fleet/.installed  ## Test the fleet on an embedded Ray
	@.venv-fleet/bin/mypy src/avatarwire/fleet/*.py
	@.venv-fleet/bin/python -m pytest tests/with_fleet $(WITH_RAY)

fleet-demo: .venv-fleet/.installed  ## Kill one of two hosts of 100 sessions, and tell what became of each
	@.venv-fleet/bin/python fuzz/fleet.py --demo

fleet-chaos: .venv-fleet/.installed  ## Kill, freeze, drain and redeploy hosts of 200 sessions, by a ledger
	@.venv-fleet/bin/python fuzz/fleet.py --seconds $(CHAOS_S) --seed $(SEED)
else
test-fleet fleet-demo fleet-chaos:
	@echo 'Ray needs a Python before 3.15: nothing is run'
endif

# Its tests alone, each in four threads at once; importing a module that is not declared safe would
# turn the lock on, which is an error here.
test-nogil:  ## Test the codec on a free-threaded CPython, where one is found as for test-pythons
	@python=$$($(PYTHON) tools/pythons.py --free-threaded $(if $(PYTHONS),--folder '$(PYTHONS)')) || exit 0; \
	"$$python" -m venv --clear build/nogil && \
	build/nogil/bin/python -m pip install -qq --upgrade 'pip>=25.1' && \
	build/nogil/bin/python -m pip install -qq --group test-nogil && \
	build/nogil/bin/python setup.py -q build --build-lib build/nogil/built --build-temp build/nogil/temp && \
	PYTHONPATH=build/nogil/built build/nogil/bin/python -W error::RuntimeWarning -m pytest tests/codec \
		--parallel-threads=4

# On the oldest Python: the lowest versions have no wheels for the newest.
test-lowest:  ## The same on the lowest version of each dependency
	@mkdir -p build && $(PYTHON) tools/lowest.py > build/lowest.txt
	@python=$$($(PYTHON) tools/pythons.py --oldest) && \
	$(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-lowest LIMITS='--constraint build/lowest.txt'

# Hypothesis tries the same examples each time: a change lands or not by what it changes.
check: export CI := true
check:  ## All that must hold on one Python before a change lands, a wheel that works by itself included
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory guard
	@$(MAKE) --no-print-directory chaos
	@$(MAKE) --no-print-directory soak SOAK_S=60 SEED=2
	@$(MAKE) --no-print-directory wheel
	@$(BIN)/python -m venv --clear build/fresh
	@build/fresh/bin/python -m pip install -qq "$$(echo dist/*.whl)[cli]"
	@cd build/fresh && bin/python -W error -c \
	"import avatarwire; from avatarwire import AudioFrame, AvatarAgent; print('imported', avatarwire.__version__)"
	@build/fresh/bin/avatarwire --version

lint: $(INSTALLED)  ## Format, types, stubs, import contracts, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint src
	$(BIN)/python tools/examples.py build/examples $(PAGES)
	$(BIN)/mypy
	$(BIN)/pyright --project pyproject.toml --pythonpath $(BIN)/python
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes avatarwire --ignoreexternal --outputjson \
	> build/types.json; $(BIN)/python tools/known_types.py < build/types.json
	$(BIN)/python -m mypy.stubtest avatarwire.codec avatarwire.rfc6455 avatarwire.streaming.lateness \
		avatarwire.streaming.timeline avatarwire.transport.sendqueue avatarwire.session.calling avatarwire.session.eager \
		--ignore-disjoint-bases
	$(BIN)/lint-imports
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet .github

$(VENV)/.docs: $(INSTALLED)
	@$(BIN)/python -m pip install -qq --group docs
	@touch $@

# The variable keeps the theme from advertising; --quiet would pass warnings over.
docs: $(VENV)/.docs  ## Build the documentation into build/docs; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Apart from .venv, whose versions they must not decide.
.peers: pyproject.toml | $(VENV)/.pip
	@$(BIN)/python -m pip install -qq --upgrade --target $@ --group bench
	@touch $@

bench: $(INSTALLED) .peers $(SEEDS)  ## Measure all groups; tables and plots in benchmarks/results and the README
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python benchmarks/bench.py

# The codec's workloads by pytest-benchmark; BENCHMARK= takes its options, such as
# --benchmark-json=out.json, --benchmark-autosave, --benchmark-compare and --benchmark-histogram.
BENCHMARK :=
compare: $(INSTALLED) .peers $(SEEDS)  ## Compare codecs, group by group, with pytest-benchmark
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python -m pytest benchmarks --benchmark-sort=min \
		--benchmark-columns=min,median,iqr,rounds $(BENCHMARK)

history: $(INSTALLED) .peers $(SEEDS)  ## Add what the guards measure to benchmarks/results/history.jsonl
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python benchmarks/history.py

scale: $(INSTALLED) .peers $(SEEDS)  ## Measure up to 10,000 live sessions in one process (minutes)
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python benchmarks/scale.py

guard: $(INSTALLED) .peers $(SEEDS)  ## Fail when the hot path got slower
	@$(BIN)/python benchmarks/guard_codec.py --check
	@$(BIN)/python benchmarks/guard_sending.py --check
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python benchmarks/guard_calls.py --check
	@PYTHONPATH="$(CURDIR)/.peers" $(BIN)/python benchmarks/guard_hearing.py --check
	@$(BIN)/python benchmarks/guard_akool.py --check
	@$(BIN)/python benchmarks/guard_tap.py --check
	@$(BIN)/python benchmarks/guard_instructions.py --check
	@$(BIN)/python benchmarks/guard_promptness.py --check

# A build of its own: it only loads into an interpreter that has the sanitizers. That one gets
# malloc, since its own allocator would hide what lies past the end of an object, and keeps memory
# until it exits, which is no leak. A report ends the process, so pytest must not capture it.
ASAN := build/asan
SANITIZED = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH="$(CURDIR)/$(ASAN)/lib" $(BIN)/python
asan: $(INSTALLED)  ## Run the native modules' tests under Address- and UndefinedBehaviourSanitizer
	@CC=gcc LDSHARED='gcc -shared' LDFLAGS='-fsanitize=address,undefined' \
	CFLAGS='-g -fwrapv -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' \
	$(BIN)/python setup.py -q build --build-lib $(ASAN)/lib --build-temp $(ASAN)/temp
	@$(SANITIZED) -m pytest --capture=sys tests/codec tests/rfc6455 tests/streaming/test_lateness.py tests/streaming/test_timeline.py tests/transport/test_sendqueue.py \
		tests/session/test_eager.py tests/session/test_callbacks.py
	@$(SANITIZED) fuzz/codec.py --count 50000
	@$(SANITIZED) fuzz/reader.py --count 20000

fuzz: $(INSTALLED)  ## Hand a million mutated messages to the codec, and as many streams to the reader
	@$(BIN)/python fuzz/codec.py
	@$(BIN)/python fuzz/reader.py

CHAOS_S ?= 60
SOAK_S ?= 1200
SEED ?= 1

chaos: $(INSTALLED)  ## Break 50 sessions in every way for a minute, and account for all they wrote
	@$(BIN)/python fuzz/chaos.py --seconds $(CHAOS_S) --seed $(SEED)

soak: $(INSTALLED)  ## The same for 20 minutes: memory must stay flat after the first
	@$(BIN)/python fuzz/chaos.py --seconds $(SOAK_S) --seed $(SEED)

guided: $(INSTALLED)  ## Let atheris choose messages for a minute
	@$(BIN)/python -m pip install -qq --group fuzz
	@$(BIN)/python fuzz/guided.py -max_total_time=60

# A virtual environment of its own, with an ordinary installation: PyInstaller packs no editable one.
# PACKAGE= may be a wheel that is there already.
PACKAGE := .
packed:  ## Pack a program with PyInstaller, and run it
	@$(PYTHON) -m venv --clear build/packed
	@build/packed/bin/python -m pip install -qq --upgrade 'pip>=25.1'
	@build/packed/bin/python -m pip install -qq --group freeze '$(PACKAGE)[emulator]'
	@build/packed/bin/python tools/packed.py

wheel: $(INSTALLED)  ## Build an sdist, a wheel from it into dist/, repair the wheel and test it alone
	@$(BIN)/python tools/wheels.py --output dist --python $(BIN)/python

wheels: $(INSTALLED)  ## The same for each CPython found on this machine, into wheelhouse/
	@$(BIN)/python tools/wheels.py --output wheelhouse

clean:  ## Remove everything that the other targets made
	rm -rf .venv .venv-* .seeds .peers .browser build dist wheelhouse src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src -name '*.so' -delete
