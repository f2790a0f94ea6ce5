#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# imastream log verify as a person calls it: exit codes, errors that say what and where, both outputs, evmctl as an oracle,
# Keylime's vectors. What it finds in lists and quotes is tested in tests/unit/cli/log_verify_test.c.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
kernel=tests/vectors/kernel
keylime=tests/vectors/keylime-ima
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# ends CODE NAME ARGUMENT...: exit code of `imastream log verify`; output in $dir/out and $dir/err
ends() {
	local code=$1 name=$2 got
	shift 2
	"$imastream" log verify "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	if [ "$got" -eq "$code" ]; then
		tap_ok "$name"
	else
		tap_fail "$name" "exit code $got, expected $code: $*
$(cat "$dir/out" "$dir/err")"
	fi
}
says() { # says FILE TEXT NAME
	if grep -qF -- "$2" "$dir/$1"; then tap_ok "$3"; else tap_fail "$3" "no '$2' in: $(cat "$dir/$1")"; fi
}
# json NAME EXPRESSION: true in Python for the document j on standard output of the last call
json() {
	if python3 -c 'import json,sys; j=json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$dir/out" "$2"; then
		tap_ok "$1"
	else
		tap_fail "$1" "$2 is false for $(cat "$dir/out")"
	fi
}

r=$kernel/6.1-ima-ng
list=$r/binary_runtime_measurements
quote=(--quote "$r/quote-sha256-ecc.msg" --signature "$r/quote-sha256-ecc.sig" --ak "$r/ak-ecc.pem")
nonce=$(python3 -c '
import json, sys
print(next(q["nonce"] for q in json.load(open(sys.argv[1]))["quotes"] if q["message"] == "quote-sha256-ecc.msg"))' "$r/recording.json")

# usage: 2
ends 2 "no list"
ends 2 "two lists" "$list" "$list"
ends 2 "quote without signature" "$list" --quote "$r/quote-sha256-ecc.msg"
says err "belong together" "says that the three belong together"
ends 2 "nonce without quote" "$list" --nonce 00
ends 2 "nonce that is not hex" "$list" "${quote[@]}" --nonce 0g
ends 2 "nonce of odd length" "$list" "${quote[@]}" --nonce 012
ends 2 "nonce of 65 bytes" "$list" "${quote[@]}" --nonce "$(printf '00%.0s' {1..65})"
ends 3 "nonce of 64 bytes is only a wrong one" "$list" "${quote[@]}" --nonce "$(printf '00%.0s' {1..64})"
ends 2 "unknown rule for violations" "$list" --violations maybe
ends 2 "option given twice" "$list" --policy a --policy b
ends 2 "option without its value" "$list" --policy
for bad in sha256 sha256: :00 md5:00 24:sha1:0000000000000000000000000000000000000000 10:00 sha1:00 sha1:zz \
	sha1:00000000000000000000000000000000000000000; do
	ends 2 "--pcr $bad" "$list" --pcr "$bad"
done
zero=0000000000000000000000000000000000000000
ends 3 "PCR 23 is the last" "$list" --pcr "23:sha1:${zero/0/1}"
keys=()
for _ in {1..256}; do keys+=(--keyring "$keylime/keys/rsa2048pub.pem"); done
ends 3 "256 keys" "$list" "${keys[@]}"
ends 2 "257 keys" "$list" "${keys[@]}" --keyring "$keylime/keys/rsa2048pub.pem"
ends 2 "one PCR and bank twice" "$list" --pcr "sha1:$zero" --pcr "10:sha1:$zero"

# errors of ours or of the operator's files: 1, with the file's name
ends 1 "list that does not exist" "$dir/none"
says err "'$dir/none': No such file" "names it"
ends 1 "list that is a directory" "$dir"
ends 1 "policy that does not exist" "$list" --policy "$dir/none"
printf '{"digests": {"/x": ["zz"]}}' >"$dir/bad.json"
ends 1 "policy that is bad" "$list" --policy "$dir/bad.json"
says err "is bad:" "says what is wrong with it"
ends 1 "key that is none" "$list" --keyring "$dir/bad.json"
ends 1 "attestation key that is none" "$list" --quote "$r/quote-sha256-ecc.msg" --signature "$r/quote-sha256-ecc.sig" --ak "$dir/bad.json"
ends 1 "PCR file that is none" "$list" "${quote[@]}" --pcrs "$dir/bad.json"

# verdicts
ends 4 "nothing to compare with: unproven" "$list"
says out UNPROVEN "says so"
says out -- "--quote MSG" "says what to give"
ends 0 "quote, nonce: trusted with warnings" "$list" "${quote[@]}" --nonce "$nonce"
ends 0 "quote, nonce, violations ignored: trusted" "$list" "${quote[@]}" --nonce "$nonce" --violations ignore
says out "TRUSTED  0 failures, 0 warnings" "says so"
ends 3 "violations refused" "$list" "${quote[@]}" --nonce "$nonce" --violations fail
ends 3 "wrong nonce" "$list" "${quote[@]}" --nonce 00
says out "quote-nonce" "names the reason"
ends 0 "the quote's plain PCR file" "$list" "${quote[@]}" --pcrs "$r/quote-sha256-ecc.pcrs"
"$imastream" log verify - --json <"$list" >"$dir/out" 2>"$dir/err"
tap_is "from standard input" $? 4
json "the same entries" 'j["entries"] > 40 and j["verdict"] == "unproven" and j["quote"] is None'
value=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["pcrs"]["10"]["sha256"])' "$dir/out")
ends 0 "expected PCR value" "$list" --pcr "sha256:$value"
ends 0 "the same with its index" "$list" --pcr "10:sha256:$value" --json
json "reached at the end" 'j["expected"]["matched"] and j["expected"]["at_entry"] == j["entries"] and j["unproven_entries"] == 0'
ends 3 "another PCR value" "$list" --pcr "sha1:${zero/0/1}"
says out list-tampered "names the reason"
ends 4 "the value of a PCR that was never extended proves nothing" "$list" --pcr "sha1:$zero"
: >"$dir/empty"
ends 4 "empty list" "$dir/empty"
ends 3 "empty list with a quote" "$dir/empty" "${quote[@]}"
ends 3 "empty list with an expected value" "$dir/empty" --pcr "sha256:$value"
head -c 1000 "$list" >"$dir/torn"
ends 3 "torn list" "$dir/torn"
says out "list ends inside this entry" "says where"
head -c 3000 /bin/sh >"$dir/elf"
ends 3 "not a list at all" "$dir/elf"
says out "entry 1 at byte 0" "says where"
says out "Next: give a measurement list" "says what to give"
tap_run "what it quotes is whole UTF-8" iconv -f UTF-8 -t UTF-8 "$dir/out"
ends 3 "quote and signature exchanged" "$list" --quote "$r/quote-sha256-ecc.sig" --signature "$r/quote-sha256-ecc.msg" --ak "$r/ak-ecc.pem"
says out "Next: exchange the files" "says so"
says out "FAIL  quote   quote-magic" "and that it is about the quote"
printf '{"digests":' >"$dir/torn.json"
ends 1 "torn policy" "$list" --policy "$dir/torn.json"
tap_is "no empty line in what it says" "$(grep -c '^$' "$dir/err")" 0
python3 - "$list" >"$dir/renamed" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[28] ^= 1 # the first letter of the first entry's template
sys.stdout.buffer.write(data)
PY
ends 3 "a template name that one byte was changed of" "$dir/renamed" "${quote[@]}" --nonce "$nonce" --json
json "is named, though the quote is reached" 'j["quote"]["matched"] and [(f["entry"], f["reason"]) for f in j["findings"] if f["severity"] == "fail"] == [(1, "template-malformed")]'

# foreign names never reach the terminal as they are
ends 3 "names with escape sequences" tests/vectors/ima-made/ima-ng.sha1.bin --keyring "$keylime/keys/rsa2048pub.pem"
says out '\x1b[31m' "are escaped"
if LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')" "$dir/out"; then
	tap_fail "no control character in the output" "$(cat -v "$dir/out")"
else
	tap_ok "no control character in the output"
fi
ends 4 "colour on demand" "$list"
IMASTREAM_COLOR=always "$imastream" log verify "$list" >"$dir/out" 2>&1
says out "$(printf '\033[')" "is there"

# evmctl computes the same PCR values
if command -v evmctl >/dev/null; then
	for r in "$kernel"/*/; do
		name=$(basename "$r")
		"$imastream" log verify "$r/binary_runtime_measurements" --json >"$dir/out" 2>"$dir/err"
		for bank in sha1 sha256; do
			python3 - "$dir/out" $bank >"$dir/pcrs" <<'PY'
import json, sys
pcrs = json.load(open(sys.argv[1]))["pcrs"]
size = {"sha1": 20, "sha256": 32}[sys.argv[2]]
for i in range(24):
    value = bytes.fromhex(pcrs[str(i)][sys.argv[2]]) if str(i) in pcrs else bytes(size)
    print("PCR-%02d: %s" % (i, value.hex(" ").upper()))
PY
			tap_run "evmctl: $name $bank" evmctl ima_measurement --ignore-violations --pcrs "$bank,$dir/pcrs" \
				"$r/binary_runtime_measurements"
		done
	done
else
	tap_skip "evmctl computes the same PCR values" "ima-evm-utils is not installed"
fi

# files signed on real kernels, RSA and ECDSA: verified by the right key, refused with another and with none of the two
python3 - "$imastream" >"$dir/signed" <<'PY'
import json, subprocess, sys
imastream = sys.argv[1]
kernel = "tests/vectors/kernel/"

def findings(recording, keys):
    args = [imastream, "log", "verify", kernel + recording + "/binary_runtime_measurements", "--json"]
    for key in keys:
        args += ["--keyring", kernel + key]
    found = json.loads(subprocess.run(args, capture_output=True, text=True, check=False).stdout)["findings"]
    return {f["path"]: f["reason"] for f in found if f["path"] and "/signed/" in f["path"]}

def signed(reasons, alg, reason):
    """How many of the files signed with this kind of key have this reason."""
    return sum(1 for p, r in reasons.items() if r == reason and "/%s-sha" % alg in p)

for recording, other in (("6.1-ima-sig", "6.12-ima-sigv2"), ("6.12-ima-sig-pcrs", "6.1-ima-sig"),
                         ("7.2-ima-sig-sha512", "6.1-ima-sig")):
    rsa, ec = recording + "/sign-rsa.pem", recording + "/sign-ec.pem"
    both = findings(recording, [rsa, ec])
    only_rsa, only_ec = findings(recording, [rsa]), findings(recording, [ec])
    wrong = findings(recording, [other + "/sign-rsa.pem", other + "/sign-ec.pem"])
    unknown = "signature-key-unknown"
    print(len([p for p in both if "/rsa-sha" in p or "/ec-sha" in p]), 0, recording, "right keys: RSA and ECDSA verify")
    print([r for p, r in both.items() if p.endswith("/wrong")] == ["signature-invalid"], True, recording, "a signature that does not fit")
    print(signed(only_rsa, "ec", unknown) >= 2 and signed(only_rsa, "rsa", unknown) == 0, True, recording, "RSA key only")
    print(signed(only_ec, "rsa", unknown) >= 2 and signed(only_ec, "ec", unknown) == 0, True, recording, "ECDSA key only")
    print(signed(wrong, "rsa", unknown) >= 2 and signed(wrong, "ec", unknown) >= 2, True, recording, "another signer's keys")
PY
while read -r got want name; do tap_is "signed: $name" "$got" "$want"; done <"$dir/signed"
tap_is "signed: all were there" "$(wc -l <"$dir/signed")" 15

# the host's own IMA policy
good=tests/vectors/kernel/6.1-ima-sig/policy
printf 'measure func=BPRM_CHECK mask=MAY_EXEC\n' >"$dir/ima-policy"
ends 4 "IMA rules required, none measured: a warning" "$list" --require-ima-policy tcb-exec
says out ima-policy-unknown "says so"
ends 1 "IMA policy that is none" "$list" --ima-policy "$dir/bad.json"
says err "is no IMA policy: line 1" "says where"
ends 2 "required twice" "$list" --require-ima-policy tcb-exec --require-ima-policy "$good"
ends 1 "IMA policy that does not exist" "$list" --require-ima-policy "$dir/none"
ends 4 "known IMA policy, nothing required" "$list" --ima-policy "$dir/ima-policy" --ima-policy "$good"

# Keylime's cases; "pass" is unproven here, for they come without a quote. An empty keyring has no way to be said on this
# command line (keyring [] is as none): the one case that turns on it is policy's, tests/unit/policy.
python3 - "$imastream" "$keylime" >"$dir/cases" <<'PY'
import json, subprocess, sys
imastream, base = sys.argv[1:]

def run(args, stdin=None):
    return subprocess.run([imastream, "log", "verify", *args], input=stdin, capture_output=True, text=True).returncode

for n, case in enumerate(json.load(open(base + "/cases.json"))):
    if case["keyring"] == [] and not case["policy"]:
        continue
    args = [base + "/" + case["log"]]
    if case["policy"]:
        args += ["--policy", base + "/" + case["policy"]]
    for key in case["keyring"] or []:
        args += ["--keyring", base + "/keys/" + key]
    want = 4 if case["outcome"] == "pass" else 3
    print(run(args), want, "case", n, case["log"], case["policy"], case["keyring"])
for name, entry in json.load(open(base + "/ast-valid.json")).items():
    print(run(["-"], entry["line"]), 4, "valid entry", name)
for name, line in json.load(open(base + "/ast-invalid.json")).items():
    print(run(["-"], line), 3, "invalid entry", name)
PY
while read -r got want name; do tap_is "keylime: $name" "$got" "$want"; done <"$dir/cases"
tap_is "keylime: all were there" "$(wc -l <"$dir/cases")" 28
tap_done
