#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One guest with one TPM and one verifier: a sleep, a reboot. Each is told apart, nothing is lost over it.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/tests/lib/tap.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/imastream-boots-XXXXXX")
# shellcheck source=tests/vm/stream.sh
. "$top/tests/vm/stream.sh"
trap 'stream_verifier_stop; [ -n "${IMASTREAM_KEEP:-}" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

events() { jq -s "[.[] | select($1)] | length" "$stream_events"; }
boot() { # boot NAME LAB-OPTION...
	local name=$1
	shift
	stream_guest "$work/$name" --kernel bookworm --name boots --tpm-state "$work/tpm" --env LABEL=boots "$@" \
		>"$work/$name.log" 2>"$work/$name.err" || {
		tail -n 20 "$work/$name.err"; tail -n 20 "$work/$name.log"; return 1; }
	stream_compare "$work/$name"
}

stream_programs 0
stream_verifier_start live || { tap_fail "a verifier starts"; tap_done; exit; }
tap_run "a guest sleeps and wakes up: counts and PCR 10 agree" boot first --smp 1 --env SUSPEND=4
tap_is "the verifier saw the TPM resume, once" "$(events '.reason == "tpm-resumed"')" 1
tap_is "no finding fails" "$(events '.event == "finding" and .severity == "fail"')" 0
tap_run "the guest reboots: counts and PCR 10 agree" boot second
tap_is "the verifier saw one reboot" "$(events '.event == "rebooted"')" 1
tap_is "still one attester" "$(stream_status | jq '.attesters | length')" 1
tap_is "no finding fails" "$(events '.event == "finding" and .severity == "fail"')" 0
tap_done
