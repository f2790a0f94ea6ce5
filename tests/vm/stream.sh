#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by demo, e2e and the suite: a verifier on the host, a collector in a guest, and what both say at the end.
# Needs: top (the checkout), work (a temporary directory of the caller). Sets stream_* variables.
# shellcheck disable=SC2154

stream_bin=${IMASTREAM_BIN:-$top/build/bin}
stream_verifier=

# Programs for the guest: the collector, known ones, a load, and the unknown one, each with content of its own.
stream_programs() { # stream_programs LOAD-COUNT
	local i true_bin
	true_bin=$(type -P true)
	mkdir -p "$work/known" "$work/load" "$work/unknown"
	for i in 1 2 3 4 5; do
		cp "$true_bin" "$work/known/tool-$i"
		echo "known $i" >>"$work/known/tool-$i"
	done
	for ((i = 1; i <= ${1:-0}; i++)); do
		cp "$true_bin" "$work/load/job-$i"
		echo "load $i" >>"$work/load/job-$i"
	done
	cp "$true_bin" "$work/unknown/dropper"
	echo "nobody knows me" >>"$work/unknown/dropper"
	chmod -R a+rx "$work/known" "$work/load" "$work/unknown"
	# golden and live boot run the same bytes, whatever is built meanwhile
	cp "$stream_bin/imastream-collector" "$work/imastream-collector"
}

# A verifier that enrols whoever has an endorsement certificate of the lab's authority.
# stream_verifier_start NAME [VERIFIER-OPTION...]: sets stream_url, stream_control, stream_events, stream_log
stream_verifier_start() {
	local dir=$work/$1 i ca=()
	shift
	mkdir -p "$dir"
	while read -r i; do
		ca+=(--ek-ca "$i")
	done < <("$top/tests/vm/run" --ca)
	stream_events=$dir/events.ndjson
	stream_log=$dir/verifier.log
	stream_control=ipc://$dir/control.sock
	stream_publish=ipc://$dir/events.sock
	: >"$dir/ready"
	"$stream_bin/imastream-verifier" --listen tcp://127.0.0.1:0 --store "$dir/verifier.db" --control "$stream_control" \
		--publish "$stream_publish" "${ca[@]}" --events "$stream_events" --ready-fd 9 "$@" \
		2>"$stream_log" 9>"$dir/ready" &
	stream_verifier=$!
	for ((i = 0; i < 100; i++)); do
		[ -s "$dir/ready" ] && break
		kill -0 $stream_verifier 2>/dev/null || break
		sleep 0.05
	done
	stream_url=$(jq -r '.listen[0]' "$dir/ready" 2>/dev/null)
	if [ -z "$stream_url" ] || [ "$stream_url" = null ]; then
		echo "the verifier did not start:" >&2
		tail -20 "$stream_log" >&2
		return 1
	fi
}

stream_verifier_stop() {
	[ -n "$stream_verifier" ] || return 0
	kill -TERM "$stream_verifier" 2>/dev/null
	wait "$stream_verifier" 2>/dev/null
	stream_verifier=
}

stream_status() { "$stream_bin/imastream" status --control "$stream_control" --json; }

# stream_guest OUT LAB-OPTIONS... : one boot with the collector; what the guest prints goes to standard output
stream_guest() {
	local out=$1 port=${stream_url##*:}
	shift
	mkdir -p "$out"
	"$top/tests/vm/run" --net --tpm2-tools --bin "$work/imastream-collector" --file "$work/known:/opt/known" \
		--file "$work/load:/opt/load" --file "$work/unknown:/opt/unknown" --out "$out" --timeout "${STREAM_TIMEOUT:-150}" \
		--env "VERIFIER=tcp://10.0.2.2:$port" "$@" -- "$top/tests/vm/guest/stream"
}

# stream_compare OUT: the kernel's count and the TPM's PCR 10 against what the verifier stored and replayed.
# Sets kernel_count, entries, proven, tpm_pcr, replayed_pcr; says what differs and fails.
stream_compare() {
	local out=$1 doc
	kernel_count=$(sed -n 's/^count=//p' "$out/result" 2>/dev/null)
	tpm_pcr=$(sed -n 's/^pcr10=//p' "$out/result" 2>/dev/null)
	doc=$(stream_status)
	entries=$(jq -r '.attesters[-1].entries' <<<"$doc")
	proven=$(jq -r '.attesters[-1].proven' <<<"$doc")
	replayed_pcr=$(jq -r '.attesters[-1].pcr10.value' <<<"$doc")
	if [ -z "$kernel_count" ] || [ "$kernel_count" != "$entries" ] || [ "$kernel_count" != "$proven" ]; then
		echo "the kernel counts ${kernel_count:-?} entries, the verifier stored $entries and proved $proven" >&2
		return 1
	fi
	if [ -z "$tpm_pcr" ] || [ "$tpm_pcr" != "$replayed_pcr" ]; then
		echo "the TPM's PCR 10 is ${tpm_pcr:-?}, the verifier replayed $replayed_pcr" >&2
		return 1
	fi
}
