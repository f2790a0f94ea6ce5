# SPDX-License-Identifier: Apache-2.0
##@ Install
install: programs man ## install programs, manual pages and documentation (DESTDIR, PREFIX, SYSCONFDIR, MANDIR)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(DOCDIR)/adr $(DESTDIR)$(SYSCONFDIR)/imastream \
	  $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man8
	install -m 0755 $(BIN)/imastream $(DESTDIR)$(BINDIR)/imastream
	install -m 0755 $(BIN)/imastream-collector $(BIN)/imastream-verifier $(DESTDIR)$(SBINDIR)/
	install -m 0644 README.md CHANGELOG.md LICENSE $(filter-out docs/README.md,$(wildcard docs/*.md)) docs/wire.cddl $(DESTDIR)$(DOCDIR)/
	install -m 0644 $(wildcard docs/adr/*.md) $(DESTDIR)$(DOCDIR)/adr/
	install -m 0644 build/man/*.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 0644 build/man/*.8 $(DESTDIR)$(MANDIR)/man8/

uninstall: ## remove what install put there (configuration stays)
	rm -f $(DESTDIR)$(BINDIR)/imastream $(DESTDIR)$(SBINDIR)/imastream-collector $(DESTDIR)$(SBINDIR)/imastream-verifier
	rm -f $(DESTDIR)$(MANDIR)/man1/imastream.1 $(DESTDIR)$(MANDIR)/man8/imastream-collector.8 \
	  $(DESTDIR)$(MANDIR)/man8/imastream-verifier.8
	rm -rf $(DESTDIR)$(DOCDIR)

man: programs ## make the manual pages in build/man/
	$(Q)tools/docs/man $(BIN) build/man

.PHONY: install uninstall man
