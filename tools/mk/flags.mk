# SPDX-License-Identifier: Apache-2.0
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
	-Wformat=2 -Wundef -Wwrite-strings -Wunused-result
CPPFLAGS_ALL := -D_GNU_SOURCE -DIMASTREAM_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(B) $(CPPFLAGS)
HARDENING := -fstack-protector-strong -fPIE -fcf-protection
LDHARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
OPT := -O2 -g

ifeq ($(VARIANT),default)
CPPFLAGS_ALL += -D_FORTIFY_SOURCE=2
else ifeq ($(VARIANT),asan)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANLD := -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
OPT := -O1 -g -fsanitize=thread
SANLD := -fsanitize=thread
else ifeq ($(VARIANT),coverage)
OPT := -O0 -g --coverage
SANLD := --coverage
else ifeq ($(VARIANT),fuzz)
CC := $(CLANG)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
SANLD := -fsanitize=address,undefined
else ifeq ($(VARIANT),clang)
CC := $(CLANG)
CPPFLAGS_ALL += -D_FORTIFY_SOURCE=2
else
$(error VARIANT is one of default, clang, asan, tsan, coverage, fuzz; not '$(VARIANT)')
endif

# gcc's maybe-uninitialized is wrong in code that a sanitizer has instrumented (gcc manual, -fsanitize)
ifneq ($(filter asan tsan coverage,$(VARIANT)),)
ifeq ($(findstring clang,$(CC)),)
WARNINGS += -Wno-maybe-uninitialized
endif
endif

CFLAGS_ALL := -std=gnu11 $(OPT) $(WARNINGS) $(HARDENING) $(CFLAGS)
LDFLAGS_ALL := $(SANLD) $(LDHARDENING) $(LDFLAGS)

LIBS := -lbpf -ltss2-esys -ltss2-mu -ltss2-rc -ltss2-tctildr -lnng -lzstd -lsqlite3 -ljansson -lpcre2-8 \
	-lssl -lcrypto -lseccomp -lcap-ng -lpthread
