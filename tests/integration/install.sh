#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make install and uninstall: what is put where, and that it goes again. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
to=$(mktemp -d)
trap 'rm -rf "$to"' EXIT

# the programs are there already, and others may be running them
tap_run "install" make --no-print-directory -o programs install DESTDIR="$to" PREFIX=/usr
for f in bin/imastream sbin/imastream-collector sbin/imastream-verifier share/man/man1/imastream.1 \
	share/man/man8/imastream-collector.8 share/man/man8/imastream-verifier.8; do
	tap_run "it installs $f" test -s "$to/usr/$f"
done
tap_run "README.md is the project's" cmp README.md "$to/usr/share/doc/imastream/README.md"
missing=$(for f in docs/*.md docs/*.cddl docs/adr/*.md; do
	[ "$f" = docs/README.md ] || cmp -s "$f" "$to/usr/share/doc/imastream/${f#docs/}" || echo "$f"
done)
tap_is "every document is installed" "$missing" ""
bin=${IMASTREAM_BIN:-$PWD/build/bin}
# "status" and "policy create", as the programs list them
commands() { "$bin/imastream" "$@" --help | sed -n "s/^  \([a-z]\{1,\}\)  *[a-zA-Z].*/${1:+$1 }\1/p"; }
missing=$({ commands; commands policy; } | while read -r c; do
	grep -qE "^\.SS $c( |\$)" "$to/usr/share/man/man1/imastream.1" || echo "$c"
done)
tap_is "imastream(1) has every command" "$missing" ""
touch "$to/etc/imastream/site.conf"
tap_run "uninstall" make --no-print-directory uninstall DESTDIR="$to" PREFIX=/usr
tap_is "only the configuration stays" "$(find "$to" -type f)" "$to/etc/imastream/site.conf"
tap_done
