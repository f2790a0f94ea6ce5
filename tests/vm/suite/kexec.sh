#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A kexec that loses the list: PCR 10 goes on, the list starts anew, and never matches again. The verifier must say just that.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/tests/lib/tap.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/imastream-kexec-XXXXXX")
# shellcheck source=tests/vm/stream.sh
. "$top/tests/vm/stream.sh"
# shellcheck source=tests/vm/lib.sh
. "$top/tests/vm/lib.sh"
trap 'stream_verifier_stop; [ -n "${IMASTREAM_KEEP:-}" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
command -v kexec >/dev/null || { tap_skip "kexec" "kexec-tools is missing: tools/setup --need lab"; tap_done; exit; }

guest() {
	local kernel
	kernel=$(lab_kernel bookworm) || return 1
	mkdir -p "$work/init" "$work/out"
	cp "$top/tests/vm/guest/init" "$work/init/"
	{
		cat "$kernel/initramfs-$LAB_FORMAT.cpio"
		(cd "$work/init" && find . | cpio -o -H newc -R 0:0 --quiet)
	} >"$work/initrd"
	"$top/tests/vm/run" --kernel bookworm --net --smp 1 --mem 768 --tpm2-tools --bin "$work/imastream-collector" \
		--bin "$(command -v kexec):/usr/local/bin/kexec" --file "$kernel/vmlinuz:/boot/vmlinuz" \
		--file "$work/initrd:/boot/initrd" --out "$work/out" --timeout 150 \
		--env "VERIFIER=tcp://10.0.2.2:${stream_url##*:}" --env LABEL=kexec -- "$top/tests/vm/guest/kexec" >"$work/log" 2>"$work/err" ||
		{
			tail -n 20 "$work/err" "$work/log"
			return 1
		}
	grep '^@' "$work/log"
}
events() { jq -s "[.[] | select($1)] | length" "$stream_events"; }

stream_programs 0
stream_verifier_start live || { tap_fail "a verifier starts"; tap_done; exit; }
tap_run "a guest starts its kernel again through kexec" guest
tap_is "the verifier does not take it for a reboot" "$(events '.event == "rebooted"')" 0
tap_is "what is missing is called by its name" "$(events '.event == "finding" and .reason == "kexec-gap"')" 1
tap_is "and not tampering" "$(events '.event == "finding" and .reason == "list-tampered"')" 0
tap_is "the host is not trusted" "$(stream_status | jq -r '.attesters[0].state')" untrusted
[ -z "${IMASTREAM_KEEP:-}" ] || echo "# kept $work"
tap_done
