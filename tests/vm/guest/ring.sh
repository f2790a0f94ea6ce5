#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The ring at every level on a real kernel. Run it as
#   tests/vm/run --kernel K --bin build/default/tests/vm/ring_probe -- tests/vm/guest/ring.sh [MODE]...
# MODE: ordered signal burst tiny (default: all four); deep wants --append 'ima_template_fmt=d-ng|n-ng|n-ng|n-ng'.
# Each mode prints one line "ok ..." or "FAIL ..."; ends with "ring: N passed, M failed" and status 0 or 1.

set -u
passed=0 failed=0
nothing_lost='full=0 oversized=0 read_failed=0 bad_fields=0 missed=0 malformed=0 '
[ $# -gt 0 ] || set -- ordered signal burst tiny

# check NAME CONDITION ARG...: ring_probe must end well, and its result line must match the extended regex CONDITION.
check() {
    local name=$1 condition=$2 out rc
    shift 2
    out=$(ring_probe "$@" 2>&1)
    rc=$?
    if [ $rc -eq 0 ] && printf '%s\n' "$out" | tail -n 1 | grep -qE "$condition"; then
        passed=$((passed + 1))
        printf '%s: %s\n' "$name" "$(printf '%s\n' "$out" | tail -n 1)"
    else
        failed=$((failed + 1))
        printf '%s: failed (status %s, wanted %s)\n%s\n' "$name" "$rc" "$condition" "$out"
    fi
}

printf 'kernel %s\n' "$(uname -r)"
for mode in "$@"; do
    case $mode in
        # nothing may be lost
        ordered) check ordered " violations=[1-9].* $nothing_lost" --level ordered ;;
        burst) check burst " $nothing_lost" --level ordered --programs 2000 --parallel 2000 ;;
        signal) check signal ' records=0 ' --level signal ;;
        # must lose entries, must account for each, must wake
        tiny) check tiny ' full=[1-9]' --level ordered --ring 4096 --programs 2000 --parallel 2000 --stall 100 ;;
        deep) check deep ' oversized=[1-9]' --level ordered --programs 20 --deep ;;
        *) printf 'unknown mode %s\n' "$mode"; failed=$((failed + 1)) ;;
    esac
done
printf 'ring: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
