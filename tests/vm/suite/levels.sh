#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The stream end to end on 6.1 at each support level, in poll mode, and with a ring that overflows.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
policy=$(mktemp "${TMPDIR:-/tmp}/imastream-policy-XXXXXX")
trap 'rm -f "$policy"' EXIT
export SAVE_POLICY=$policy
tap_run "6.1, level ordered" env SUPPORT=ordered tests/vm/e2e --kernel bookworm
unset SAVE_POLICY
[ -s "$policy" ] && export POLICY=$policy
tap_run "6.1, level signal" env SUPPORT=signal tests/vm/e2e --kernel bookworm
tap_run "6.1, level poll" env SUPPORT=poll tests/vm/e2e --kernel bookworm
tap_run "6.1, poll mode for comparison" env "COLLECTOR_ARGS=--mode poll --interval 1" tests/vm/e2e --kernel bookworm
tap_done
