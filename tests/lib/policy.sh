#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by tests of `imastream policy` after tap.sh. Needs: imastream (the program), dir (a folder of the test).
# shellcheck disable=SC2154

# check NAME COMMAND...: ok when the command is true; what run() caught goes behind a failure
check() {
	local name=$1
	shift
	if "$@"; then tap_ok "$name"; else tap_fail "$name" "$(head -n 20 "$dir/out" "$dir/err" 2>/dev/null)"; fi
}
# run CODE ARGUMENT...: true when `imastream policy` ends with that code; no terminal, no input
run() {
	local want=$1 got
	shift
	setsid "$imastream" policy "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	[ $got -eq "$want" ] || { echo "# exit code $got, wanted $want: policy $*"; return 1; }
}
says() { grep -qF -- "$1" "$dir/out"; }
complains() { grep -qF -- "$1" "$dir/err"; }
quiet() { [ ! -s "$dir/err" ]; }
# json EXPRESSION [FILE]: true in Python for the document j
json() { python3 -c 'import json,sys; j=json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "${2:-$dir/out}" "$1"; }
