#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by shell tests: TAP lines and a plan. tap_done must be the last call.
tap_n=0
tap_bad=0

tap_ok() { # tap_ok NAME
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}
tap_fail() { # tap_fail NAME [DETAIL]
	tap_n=$((tap_n + 1))
	tap_bad=$((tap_bad + 1))
	echo "not ok $tap_n - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/#   /'
}
tap_skip() { # tap_skip NAME REASON
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}
# tap_run NAME COMMAND...: what it prints goes behind a failure as a comment
tap_run() {
	local name=$1 out status
	shift
	out=$("$@" 2>&1)
	status=$?
	if [ $status -eq 0 ]; then
		tap_ok "$name"
		printf '%s\n' "$out" | tail -3 | sed 's/^/# /'
	else
		tap_fail "$name" "status $status
$(printf '%s\n' "$out" | tail -40)"
	fi
}
# tap_is NAME SEEN EXPECTED
tap_is() {
	if [ "$2" = "$3" ]; then tap_ok "$1"; else tap_fail "$1" "seen '$2', expected '$3'"; fi
}
tap_done() {
	echo "1..$tap_n"
	[ $tap_bad -eq 0 ]
}
