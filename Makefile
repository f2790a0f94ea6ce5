# SPDX-License-Identifier: Apache-2.0
# imastream: `make help` shows the targets. All outputs go to build/<variant>/; programs of the default variant to build/bin/.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
SHELL := /bin/bash

VERSION := 0.1.0$(shell git describe --always --dirty --exclude '*' 2>/dev/null | sed 's/^/+g/')
VARIANT ?= default
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= bpftool
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/imastream
DESTDIR ?=
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
msg = @printf '  %-8s %s\n' "$(1)" "$(2)"

B := build/$(VARIANT)
BIN := $(if $(filter default,$(VARIANT)),build/bin,$(B)/bin)

include tools/mk/flags.mk
include tools/mk/build.mk
include tools/mk/test.mk
include tools/mk/install.mk

##@ Main
help: ## this list
	@if [ -t 1 ]; then b='\033[1m' c='\033[36m' o='\033[0m'; else b= c= o=; fi; \
	awk -v b="$$b" -v c="$$c" -v o="$$o" 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s%s%s\n", b, substr($$0, 5), o } \
	  /^[a-zA-Z_-]+:.*## / { printf "  %s%-14s%s %s\n", c, $$1, o, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables: VARIANT CC CLANG V=1 DESTDIR PREFIX SYSCONFDIR MANDIR\n'

all: programs ## build the three programs into build/bin/ (VARIANT=default|clang|asan|tsan|coverage|fuzz)

demo: ## install what is missing, build, and watch an unknown program being caught on a real kernel
	@tools/setup --need build,run,lab
	@$(MAKE) --no-print-directory -j$(shell nproc) programs
	@tests/vm/demo

test: ## install what is missing, build, run every suite; last line: N passed, N failed, N skipped
	@tools/setup --need build,run,test,lab
	@tests/all

setup: ## install what is missing for building, running and testing (Debian 12, as root)
	@tools/setup --need build,run,test,lab

##@ Other
clean: ## remove what was built; keep downloads of the guest lab
	$(Q)find build -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} + 2>/dev/null || true

distclean: ## remove build/ whole
	$(Q)rm -rf build compile_commands.json

.PHONY: all demo test setup clean distclean help
