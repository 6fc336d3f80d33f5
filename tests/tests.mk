# Targets that test culvert; included by the Makefile.

check: ## install what the tests need and pass them all
	@contrib/install-deps.sh test
	@tests/check.sh

lint: ## format, layers, cppcheck, shellcheck
	@contrib/install-deps.sh test
	@tests/lint.sh

asan: ## build with AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan -j$(JOBS) binary units

tsan: ## tests that cross threads, under ThreadSanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan -j$(JOBS) binary units
	@tests/tsan.sh

unit: ## unit tests alone, in the sanitizer build
	@$(MAKE) --no-print-directory VARIANT=asan -j$(JOBS) units
	@tests/unit/run.sh build/asan/unit

integration: asan ## integration tests alone, in the sanitizer build
	CULVERT=build/asan/culvert $(PYTHON) -m pytest -q tests/integration

browser: all ## tests in Chromium, in the release build
	@contrib/install-deps.sh test
	CULVERT=build/release/culvert $(PYTHON) -m pytest -q tests/browser

fuzz: ## run every fuzz target for FUZZ_SECONDS (default 600)
	@contrib/install-deps.sh test
	@tests/fuzz/run.sh $${FUZZ_SECONDS:-600}

fuzz-replay: ## replay the fuzz corpus once
	@tests/fuzz/run.sh 0

soak: all ## hours of mixed traffic; SOAK_SECONDS (default 3600)
	@contrib/install-deps.sh test
	CULVERT=build/release/culvert $(PYTHON) tests/bench/soak.py $${SOAK_SECONDS:-3600}

bench: all ## CPU per unit of work against the floor and against peers
	@contrib/install-deps.sh bench
	@tests/bench/run.sh

units: $(UNIT)

$(BUILD)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  $(VARIANT)  $@'
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(LIB) -lcmocka $(LIBS)

-include $(UNIT:=.d)

fuzz-build:
	@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang-14 -j$(JOBS) fuzzers

.PHONY: fuzz-build fuzzers
fuzzers: $(addprefix $(BUILD)/fuzz/,$(FUZZERS))

$(BUILD)/fuzz/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  $(VARIANT)  $@'
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fsanitize=fuzzer -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(LIB) $(LIBS)

-include $(addprefix $(BUILD)/fuzz/,$(FUZZERS:=.d))
