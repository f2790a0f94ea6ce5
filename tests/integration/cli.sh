#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The operator's command and the daemons' command lines where no verifier runs: help, usage, exit codes, explain, doctor,
# saved events. With a verifier: stream_status.sh.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
bin=${IMASTREAM_BIN:-$PWD/build/bin}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export NO_COLOR=1

code() { # code EXPECTED NAME COMMAND...: the exit status; output is kept in $tmp/out and $tmp/err
	local wanted=$1 name=$2 status
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status -eq "$wanted" ]; then
		tap_ok "$name"
	else
		tap_fail "$name" "exit code $status, expected $wanted: $*
$(tail -n 5 "$tmp/out" "$tmp/err" 2>&1)"
	fi
}
says() { # says NAME FILE REGEX
	if grep -qE -- "$3" "$2"; then tap_ok "$1"; else tap_fail "$1" "no line like '$3' in:
$(head -20 "$2")"; fi
}
json() { python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$1"; }

# help goes to standard output and ends with 0, for each program and command
for c in "" status watch log quote policy explain doctor; do
	# shellcheck disable=SC2086
	code 0 "imastream $c --help" "$bin/imastream" $c --help
	says "imastream $c --help is a usage" "$tmp/out" '^ *[Uu]sage: '
done
for p in imastream-collector imastream-verifier; do
	code 0 "$p --help" "$bin/$p" --help
	says "$p --help is a usage" "$tmp/out" '[Uu]sage: '
	code 0 "$p --version" "$bin/$p" --version
	says "$p --version" "$tmp/out" "^$p [0-9A-Za-z][0-9A-Za-z.+~-]*\$"
	code 2 "$p: an option that does not exist" "$bin/$p" --no-such-option
	says "$p names it" "$tmp/err" 'no-such-option'
	code 2 "$p: an argument that is no option" "$bin/$p" whatever
done
code 0 "imastream --version" "$bin/imastream" --version

# what is wrong is a usage error, says what, and says nothing on standard output
code 2 "no such command" "$bin/imastream" nonsense
says "the commands are shown" "$tmp/err" 'doctor'
tap_is "nothing on standard output" "$(cat "$tmp/out")" ""
for bad in "status --no" "status --timeout soon" "status --color pink" "status --control" "watch --count 0" "watch --count" \
	"watch --what" "explain --what" "explain no-such-reason" "explain 65000" "doctor --what" "log" "log verify" \
	"log verify --what" "log nonsense" "quote" "quote verify" "policy" "policy nonsense" "policy check" "policy create"; do
	# shellcheck disable=SC2086
	code 2 "imastream $bad" "$bin/imastream" $bad
done
code 2 "doctor: a value is missing" "$bin/imastream" doctor --tcti
says "it says which" "$tmp/err" '--tcti needs a value'
code 2 "collector without a verifier" "$bin/imastream-collector"
says "it says so" "$tmp/err" '--verifier'
code 2 "collector: unknown bank" "$bin/imastream-collector" --verifier ipc:///x --bank md5
code 2 "collector: duty over 100" "$bin/imastream-collector" --verifier ipc:///x --duty 101
code 2 "collector: PCRs without 10" "$bin/imastream-collector" --verifier ipc:///x --pcrs 0-9
code 2 "collector: TLS without an authority" "$bin/imastream-collector" --verifier tls+tcp://127.0.0.1:1
code 2 "collector: a test source must be called one" "$bin/imastream-collector" --verifier ipc:///x --source "pipe:$tmp/x"
says "it says how" "$tmp/err" '--test-source'
code 2 "collector: --test-source with the kernel's list" "$bin/imastream-collector" --verifier ipc:///x --test-source
for bad in http://h:1 tcp:// ipc://x,bogus; do
	code 2 "collector: no address: $bad" "$bin/imastream-collector" --verifier "$bad"
	says "it says what one is" "$tmp/err" '^imastream-collector: --verifier: .*tcp://HOST:PORT'
done
code 2 "verifier: heartbeat 0" "$bin/imastream-verifier" --heartbeat 0
says "it says who speaks, and of what" "$tmp/err" '^imastream-verifier: --heartbeat: '
for bad in "--listen bogus" "--control http://h:1" "--publish tcp://" "--enrol first" "--enrol ek-ca,ek-ca" \
	"--tls-require-client-cert"; do
	# shellcheck disable=SC2086
	code 2 "verifier: $bad" "$bin/imastream-verifier" --store :memory: --sandbox off $bad
	says "it says so" "$tmp/err" "${bad%% *}"
done

# nobody there
code 5 "status without a verifier" "$bin/imastream" status --control "ipc://$tmp/nobody" --timeout 200ms
says "it says what to do" "$tmp/err" 'imastream-verifier'
code 5 "watch without a verifier" "$bin/imastream" watch --events "ipc://$tmp/nobody" --connect-timeout 200ms
IMASTREAM_CONTROL=ipc://$tmp/nobody code 5 "the bare command is status" "$bin/imastream" status --timeout 200ms

# explain
code 0 "explain lists all reasons" "$bin/imastream" explain
listed=$(wc -l <"$tmp/out")
code 0 "explain --json" "$bin/imastream" explain --json
tap_is "as many in JSON" "$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))))' "$tmp/out")" "$listed"
code 0 "explain by name" "$bin/imastream" explain list-tampered
says "text and remedy" "$tmp/out" 'What to do:'
code 0 "explain by number" "$bin/imastream" explain 70 --json
tap_is "the same reason" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["name"])' "$tmp/out")" list-tampered

# doctor: this host need not be fit, but the answer must be whole
"$bin/imastream" doctor --json --tcti swtpm:port=1 --securityfs "$tmp" >"$tmp/out" 2>"$tmp/err"
tap_is "doctor on a host without list and TPM: not supported" $? 77
tap_run "doctor --json is JSON" json "$tmp/out"
says "each failed check has a remedy" "$tmp/out" '"remedy": "'
"$bin/imastream" doctor --tcti swtpm:port=1 --securityfs "$tmp" >"$tmp/out" 2>"$tmp/err"
says "doctor numbers its checks" "$tmp/out" '^ *1 +(OK|WARN|FAIL) '

# saved events look like live ones, and cannot inject anything
cat >"$tmp/events" <<'EVENTS'
{"schema":1,"seq":1,"time":"2026-11-23T12:04:07.123456Z","attester":"ab12","label":"node-17","event":"finding","state":"untrusted","reason":"digest-unknown","severity":"fail","entry":4821,"pcr":10,"path":"/opt/\u001b[2Jx\n12:00 forged","proven":false,"reported_ms":2.1,"context":{"pid":812,"comm":"cu\u0007rl","attested":false}}
{"schema":1,"seq":2,"time":"2026-11-23T12:04:08.123456Z","attester":"cd34","label":"node-18","event":"state","state":"trusted"}
EVENTS
code 0 "watch --from" "$bin/imastream" watch --from "$tmp/events"
tap_is "an event is a line" "$(wc -l <"$tmp/out")" 2
tap_is "nothing but printable characters" "$(LC_ALL=C tr -d '\040-\176\n' <"$tmp/out" | wc -c)" 0
says "the line reads as designed" "$tmp/out" '^12:04:07\.123 node-17 +UNTRUSTED +digest-unknown +pcr10#4821 reported'
code 0 "watch --count" "$bin/imastream" watch --from "$tmp/events" --count 1
tap_is "stops after one" "$(wc -l <"$tmp/out")" 1
code 0 "watch --attester" "$bin/imastream" watch --from "$tmp/events" --attester node-18 --json
tap_is "only that one" "$(python3 -c 'import json,sys; print([json.loads(x)["seq"] for x in open(sys.argv[1])])' "$tmp/out")" "[2]"
code 1 "watch: a file that is not there" "$bin/imastream" watch --from "$tmp/none"

# a file that is no events, a folder, an address that is none
head -c 3000 /bin/sh >"$tmp/elf"
printf 'x\ny\nz\n' >>"$tmp/elf"
code 0 "watch: a file of something else" "$bin/imastream" watch --from "$tmp/elf"
tap_is "is said once, and how often" "$(grep -c 'no events\|not an event' "$tmp/err")" 2
code 1 "watch: a folder" "$bin/imastream" watch --from "$tmp"
says "watch: names the folder" "$tmp/err" "cannot read '$tmp'"
code 5 "watch: an address that is none" "$bin/imastream" watch --events bogus
says "watch: says what one is" "$tmp/err" 'ipc:///PATH'
code 5 "status: an address that is none" "$bin/imastream" status --control bogus
says "status: says what one is" "$tmp/err" 'ipc:///PATH'
code 5 "the status's options without its name" "$bin/imastream" --control "ipc://$tmp/none.sock" --timeout 100ms
code 2 "an option that there is not" "$bin/imastream" --frobnicate

# arguments are shown, never obeyed
evil=$(printf 'a\033[31mb\302\233c')
for argv in "explain" "watch --from" "status --control" "policy check" "quote verify --message x --signature y --ak" "log verify" ""; do
	# shellcheck disable=SC2086
	"$bin/imastream" $argv "$evil" >"$tmp/out" 2>&1
	tap_is "no control character: $argv" "$(LC_ALL=C tr -d '\n\040-\176' <"$tmp/out" | wc -c)" 0
done

tap_done
