# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*/*_test.c))
INTEGRATION_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/integration/*_test.c))
TEST_TOOLS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/vm/*.c tests/bench/*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_LIB_OBJS := $(patsubst tests/%.c,$(B)/tests/%.o,$(filter-out tests/lib/fuzz_replay.c,$(wildcard tests/lib/*.c)))
TEST_LIBS := $(B)/tests/libtest.a $(B)/libcli.a $(B)/libverifier.a $(B)/libcollector.a $(LINK_LIBS)
TEST_CPPFLAGS := -Itests -DTESTS_DIR='"$(CURDIR)/tests"' -DBUILD_DIR='"$(CURDIR)/$(B)"' -DBIN_DIR='"$(CURDIR)/$(BIN)"'
TIME ?= 30

##@ Tests
tests: $(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_TOOLS) $(FUZZERS) ## build every test program

unit: tests programs ## run the unit tests only
	@tests/run --unit

integration: tests programs ## run the swtpm integration tests only
	@tests/run --integration

vm: tests programs ## run the guest-kernel tests only (6.1; others: make test-kernels)
	@tests/run --vm

test-kernels: tests programs ## run the guest-kernel tests on every kernel, template and hash algorithm
	@tests/run --kernels

sanitize: ## build with ASan+UBSan and run unit, fuzz-corpus and integration tests
	@$(MAKE) --no-print-directory VARIANT=asan programs tests
	@VARIANT=asan tests/run --unit --fuzz-corpus --integration

tsan: ## build with TSan and run unit and integration tests
	@$(MAKE) --no-print-directory VARIANT=tsan programs tests
	@VARIANT=tsan tests/run --unit --integration

fuzz: ## run every fuzzer for TIME seconds (default 30)
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-run TIME=$(TIME)

fuzz-run: $(FUZZERS)
	@tests/fuzz/run $(TIME) $(FUZZERS)

coverage: ## line coverage of the unit and integration tests, as text
	@$(MAKE) --no-print-directory VARIANT=coverage programs tests
	@VARIANT=coverage tests/run --unit --fuzz-corpus --integration
	@lcov -q -c -d build/coverage/user -o build/coverage/lcov.info && lcov --list build/coverage/lcov.info

lint: ## shellcheck, house rules that a machine can check
	@tests/lint

$(B)/tests/%.o: tests/%.c $(B)/.flags
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(TEST_CPPFLAGS) -MMD -MP -c $< -o $@

$(B)/tests/libtest.a: $(TEST_LIB_OBJS)
	$(call msg,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

$(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_TOOLS): $(B)/tests/%: $(B)/tests/%.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)

ifeq ($(VARIANT),fuzz)
$(FUZZERS): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
else
$(FUZZERS): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/lib/fuzz_replay.o $(TEST_LIBS)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
endif

.PHONY: tests unit integration vm test-kernels sanitize tsan fuzz fuzz-run coverage lint
