# SPDX-License-Identifier: Apache-2.0
LIBRARIES := base ima tpm wire net policy collector verifier cli
PROGRAMS := $(BIN)/imastream $(BIN)/imastream-collector $(BIN)/imastream-verifier

lib_srcs = $(filter-out user/$(1)/main.c,$(wildcard user/$(1)/*.c))
lib_objs = $(patsubst user/%.c,$(B)/user/%.o,$(call lib_srcs,$(1)))
ALL_LIBS := $(LIBRARIES:%=$(B)/lib%.a)
# later before earlier: each may use what stands to its left in LIBRARIES
LINK_LIBS := $(B)/libpolicy.a $(B)/libnet.a $(B)/libwire.a $(B)/libtpm.a $(B)/libima.a $(B)/libbase.a

programs: $(PROGRAMS) compile_commands.json

define library_rule
$(B)/lib$(1).a: $(call lib_objs,$(1))
	$$(call msg,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call library_rule,$(l))))

$(B)/user/%.o: user/%.c $(B)/.flags
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) -MMD -MP -c $< -o $@

# a change of compiler or flags rebuilds
$(B)/.flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(LDFLAGS_ALL)' | sed 's/-DIMASTREAM_VERSION=[^ ]*//' | cmp -s - $@ || \
	  echo '$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(LDFLAGS_ALL)' | sed 's/-DIMASTREAM_VERSION=[^ ]*//' > $@
# a new version rebuilds what shows it
$(B)/.version: FORCE
	@mkdir -p $(B)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(patsubst user/%.c,$(B)/user/%.o,$(shell grep -l IMASTREAM_VERSION user/*/*.c)): $(B)/.version
FORCE:

# BPF: object and skeleton
$(B)/bpf/imastream.bpf.o: bpf/imastream.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_x86 -Ivmlinux -Iinclude -Wall -Wextra -Werror \
	  -MMD -MP -MF $(B)/bpf/imastream.bpf.d -MT $@ -c $< -o $@
	$(Q)llvm-strip -g $@ 2>/dev/null || true

$(B)/bpf/imastream.skel.h: $(B)/bpf/imastream.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name imastream_bpf > $@

$(B)/user/collector/ring.o: $(B)/bpf/imastream.skel.h

$(BIN)/imastream: $(B)/user/cli/main.o $(B)/libcli.a $(B)/libcollector.a $(LINK_LIBS)
$(BIN)/imastream-collector: $(B)/user/collector/main.o $(B)/libcollector.a $(LINK_LIBS)
$(BIN)/imastream-verifier: $(B)/user/verifier/main.o $(B)/libverifier.a $(LINK_LIBS)
$(PROGRAMS):
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

compile_commands.json: Makefile $(wildcard tools/mk/*.mk) $(wildcard user/*/*.c)
	$(Q){ echo '['; first=1; for f in $(wildcard user/*/*.c); do \
	  [ $$first = 1 ] || echo ','; first=0; \
	  printf '{"directory":"%s","file":"%s","command":"%s"}' "$(CURDIR)" "$$f" \
	    '$(CC) $(subst ",\\\",$(CFLAGS_ALL) $(CPPFLAGS_ALL)) -c '"$$f"; done; echo; echo ']'; } > $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: programs FORCE
