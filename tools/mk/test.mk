# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*/*_test.c))
INTEGRATION_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/integration/*_test.c))
TEST_TOOLS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/vm/*.c tests/bench/*.c tests/adversary/*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_LIB_OBJS := $(patsubst tests/%.c,$(B)/tests/%.o,$(filter-out tests/lib/fuzz_replay.c tests/lib/lsan.c,$(wildcard tests/lib/*.c)))
LOADGEN := $(BIN)/loadgen
LOADGEN_OBJS := $(patsubst tools/%.c,$(B)/tools/%.o,$(wildcard tools/loadgen/*.c))
SLOW_TPM := $(B)/tests/libtss2-tcti-slow.so.0
CLOCK_STEP := $(B)/tests/clock_step.so
TEST_LIBS := $(B)/tests/libtest.a $(B)/libcli.a $(B)/libverifier.a $(B)/libcollector.a $(LINK_LIBS)
TEST_CPPFLAGS := -Itests -DTESTS_DIR='"$(CURDIR)/tests"' -DBUILD_DIR='"$(CURDIR)/$(B)"' -DBIN_DIR='"$(CURDIR)/$(BIN)"'
TIME ?= 30
DURATION ?= 10m

##@ Tests
tests: $(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_TOOLS) $(FUZZERS) $(SLOW_TPM) $(CLOCK_STEP) $(LOADGEN) ## build every test program

unit: tests programs ## run the unit tests only
	@tests/run --unit

integration: tests programs ## run the swtpm integration tests only
	@tests/run --integration

adversary: tests programs ## attacks by threat number (docs/THREATS.md), with memory bounds
	@tests/run --adversary

vm: tests programs ## run the guest-kernel tests only (6.1; others: make test-kernels)
	@tests/run --vm

test-kernels: tests programs ## run the guest-kernel tests on every kernel, template and hash algorithm
	@tools/setup --need kernels
	@tests/run --kernels

soak: programs $(CLOCK_STEP) ## everything goes wrong for DURATION (10m; 90s, 1h): nothing lost, nothing twice, memory flat
	@tests/soak/run --duration $(DURATION)

sanitize: ## build with ASan+UBSan and run unit, fuzz-corpus, integration and adversary tests
	@$(MAKE) --no-print-directory VARIANT=asan programs tests
	@VARIANT=asan tests/run --unit --fuzz-corpus --integration --adversary

tsan: ## build with TSan and run unit and integration tests
	@$(MAKE) --no-print-directory VARIANT=tsan programs tests
	@VARIANT=tsan tests/run --unit --integration

fuzz: ## run every fuzzer for TIME seconds (default 30)
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-run TIME=$(TIME)
	@$(MAKE) --no-print-directory fuzz-coverage

fuzz-coverage: ## what the fuzzers' corpora reach of their parsers, against tests/fuzz/floors
	@$(MAKE) --no-print-directory VARIANT=coverage programs fuzz-coverage-run

fuzz-coverage-run: $(FUZZERS)
	@tests/fuzz/coverage $(FUZZERS)

fuzz-run: $(FUZZERS)
	@tests/fuzz/run $(TIME) $(FUZZERS)

BENCHES := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/bench/*_bench.c))
bench: ## install what is missing, build, measure: a table, and JSON lines in build/bench/results.jsonl; fails when a gate is missed (15 min)
	@tools/setup --need build,run,test,lab
	@$(MAKE) --no-print-directory -j$(shell nproc) bench-run

bench-run: programs $(BENCHES) $(SLOW_TPM) $(LOADGEN) $(B)/tests/bench/kernel_tool $(B)/tests/bench/latency_tool
	@tests/bench/run $(BENCHES) tests/bench/evmctl.py tests/bench/collector_memory.py tests/bench/kernel.py \
	  tests/bench/latency.py tests/bench/fleet.py

bench-verify: programs $(B)/tests/bench/verify_bench $(B)/tests/bench/quote_bench ## entries and quotes that a verifier checks, against OpenSSL and evmctl
	@tests/bench/run $(B)/tests/bench/verify_bench $(B)/tests/bench/quote_bench tests/bench/evmctl.py

bench-wire: $(B)/tests/bench/wire_bench ## bytes that an entry takes on the wire, with and without a reference set
	@tests/bench/run $(B)/tests/bench/wire_bench

bench-memory: programs ## resident memory of a collector, with and without a reference set
	@tests/bench/run tests/bench/collector_memory.py

bench-latency: programs $(SLOW_TPM) $(B)/tests/bench/latency_tool ## time to reported and to proven, event mode against polling, slow TPMs (3 min)
	@tests/bench/latency.py

bench-fleet: programs $(LOADGEN) ## a fleet played by tools/loadgen against a verifier: cost of a quote, time to the acknowledgement, memory (4 min)
	@tests/bench/fleet.py

bench-kernel: programs $(B)/tests/bench/kernel_tool $(B)/tests/bench/latency_tool ## what the hooks cost on a real kernel; what executions wait while the TPM quotes (4 min)
	@tests/bench/kernel.py

bench-report: ## write docs/benchmarks.md, its plots and README's figures from the last make bench
	@tests/bench/report.py

coverage: ## line coverage of the unit and integration tests, as text
	@$(MAKE) --no-print-directory VARIANT=coverage programs tests
	@VARIANT=coverage tests/run --unit --fuzz-corpus --integration
	@find build/coverage/user -name '*.gcda' -exec gcov -n {} + 2>/dev/null | awk -F"'" '/^File/ { file = $$2 } \
	  /^Lines executed/ && file ~ /^user\// { sub(/^Lines executed:/, ""); printf "%-44s %s\n", file, $$0; file = "" }' | sort -u

lint: ## shellcheck, house rules that a machine can check
	@tests/lint

$(B)/tests/%.o: tests/%.c $(B)/.flags
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(TEST_CPPFLAGS) -MMD -MP -c $< -o $@

$(B)/tools/%.o: tools/%.c $(B)/.flags
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(TEST_CPPFLAGS) -MMD -MP -c $< -o $@

$(LOADGEN): $(LOADGEN_OBJS) $(TEST_LIBS)
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)

$(B)/tests/libtest.a: $(TEST_LIB_OBJS)
	$(call msg,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

# a TCTI for the TSS to load: nothing of ours in it, no sanitizer either
$(SLOW_TPM): tests/lib/tcti/slow.c $(B)/.flags
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -fPIC -shared -Wl,-z,defs -Wl,-soname,$(@F) $< -o $@ -ltss2-tctildr

# a wall clock that the soak steps, for a daemon to preload
$(CLOCK_STEP): tests/soak/clock_step.c $(B)/.flags
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -fPIC -shared -Wl,-z,defs -o $@ $<

# allocations that fail on purpose: tests/lib/alloc_fail.h
$(filter %/alloc_test,$(UNIT_TESTS)): WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup

# leaks that are not ours
ifeq ($(VARIANT),asan)
$(PROGRAMS) $(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_TOOLS) $(FUZZERS) $(LOADGEN): $(B)/tests/lib/lsan.o
endif

$(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_TOOLS): $(B)/tests/%: $(B)/tests/%.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(WRAP) -o $@ $^ -lcmocka $(LIBS)

ifeq ($(VARIANT),fuzz)
$(FUZZERS): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
else
$(FUZZERS): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/lib/fuzz_replay.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
endif

.PHONY: tests bench-run unit integration adversary vm test-kernels soak sanitize tsan fuzz fuzz-run fuzz-coverage fuzz-coverage-run coverage bench bench-verify bench-wire bench-memory bench-latency bench-fleet bench-kernel bench-report lint
