#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# imastream policy merge, diff, explain: results, exit codes, what is said. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
vectors=$PWD/tests/vectors
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
A=$(printf 'a%.0s' {1..64}) B=$(printf 'b%.0s' {1..64}) C=$(printf 'c%.0s' {1..64})

# code NAME CODE ARGUMENT...: `imastream policy` ends with that code
code() {
	local name=$1 want=$2 got
	shift 2
	"$imastream" policy "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	if [ $got -eq "$want" ]; then tap_ok "$name"; else tap_fail "$name" "exit code $got, wanted $want: policy $*
$(cat "$dir/out" "$dir/err")"; fi
}
says() { if grep -qF -- "$2" "$dir/out"; then tap_ok "$1"; else tap_fail "$1" "not said: $2
$(cat "$dir/out")"; fi; }
complains() { if grep -qF -- "$2" "$dir/err"; then tap_ok "$1"; else tap_fail "$1" "not said: $2
$(cat "$dir/err")"; fi; }
# json NAME FILE EXPRESSION: true in Python for the document j
json() { tap_run "$1" python3 -c 'import json,sys; j=json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$2" "$3"; }

cat >"$dir/a.json" <<E2
{"meta":{"version":1,"generator":5},"release":1,"digests":{"/a":["$A"],"/both":["$A"]},"excludes":["/tmp/"],
 "deny":["$B"],"ima":{"ignored_keyrings":["x"],"log_hash_alg":"sha1","dm_policy":null},"keyrings":{},"ima-buf":{},"verification-keys":""}
E2
cat >"$dir/b.json" <<E2
{"meta":{"version":1},"release":2,"digests":{"/b":["${B^^}"],"/both":["$B","$A"]},"excludes":["/var/","/tmp/"],"own":7,
 "boot-pcrs":{"sha256":{"0":["$A"]}},"ima":{"ignored_keyrings":["y","x"],"log_hash_alg":"sha256","dm_policy":null},"keyrings":{},"ima-buf":{},"verification-keys":""}
E2
sed 's/"own":7/"violations":"fail","own":8,"boot-pcrs":{"sha256":{"0":["'"$B"'"]}}/; s/"boot-pcrs":{"sha256":{"0":\["'"$A"'"\]}},"ima"/"ima"/' "$dir/b.json" >"$dir/c.json"

# ---- merge ----
code "merge" 0 merge "$dir/a.json" "$dir/b.json" -o "$dir/m.json"
json "digests are united" "$dir/m.json" "j['digests']=={'/a':['$A'],'/b':['$B'],'/both':['$A','$B']}"
json "rules, the first policy's in front" "$dir/m.json" "j['excludes']==['/tmp/','/var/'] and j['ima']['ignored_keyrings']==['x','y'] and j['deny']==['$B']"
json "members of one only are kept" "$dir/m.json" "j['own']==7 and j['boot-pcrs']=={'sha256':{'0':['$A']}} and 'violations' not in j"
json "what nobody judges is the first one's" "$dir/m.json" "j['release']==1 and j['meta']['generator']==5 and j['ima']['log_hash_alg']=='sha1'"
code "a verifier takes the result" 0 check "$dir/m.json"
code "the same again" 0 merge "$dir/a.json" "$dir/b.json" -o "$dir/m2.json"
tap_run "gives the same bytes" cmp "$dir/m.json" "$dir/m2.json"
code "merged with itself it stays" 0 merge "$dir/m.json" "$dir/m.json" -o "$dir/m3.json"
tap_run "to the byte" cmp "$dir/m.json" "$dir/m3.json"
code "contradictions are refused" 3 merge "$dir/a.json" "$dir/b.json" "$dir/c.json" -o "$dir/no.json"
complains "each is named" "own: '7' and '8'"
complains "violations: missing means warn" "violations: '\"warn\"' and '\"fail\"'"
tap_run "and nothing is written" test ! -e "$dir/no.json"
code "--prefer decides" 0 merge "$dir/a.json" "$dir/b.json" "$dir/c.json" --prefer "$dir/c.json" -o "$dir/p.json"
json "for its values, and its rules come first" "$dir/p.json" "j['own']==8 and j['violations']=='fail' and j['excludes']==['/var/','/tmp/'] and j['boot-pcrs']=={'sha256':{'0':['$A','$B']}}"
code "--prefer of another file: usage" 2 merge "$dir/a.json" "$dir/b.json" --prefer "$dir/c.json" -o "$dir/no.json"
code "as JSON" 0 merge "$dir/a.json" "$dir/b.json" -o "$dir/m.json" --json
json "says how much" "$dir/out" "j=={'policies':2,'digests':4}"
code "-o - writes to standard output" 0 merge "$dir/a.json" "$dir/b.json" -o -
tap_run "and nothing else" cmp "$dir/out" "$dir/m.json"
code "one policy: usage" 2 merge "$dir/a.json" -o "$dir/no.json"
code "no output: usage" 2 merge "$dir/a.json" "$dir/b.json"
printf '{"digests":[]}' >"$dir/bad.json"
code "a bad policy is refused" 3 merge "$dir/a.json" "$dir/bad.json" -o "$dir/no.json"
complains "with its place" "error: /digests: an array, expected an object"
code "a missing file is an error" 1 merge "$dir/a.json" "$dir/none" -o "$dir/no.json"

# ---- diff ----
code "a policy and itself" 0 diff "$dir/a.json" "$dir/a.json"
says "are the same" "the same"
printf '{"digests":{"/a":["%s","%s"]},"excludes":["/y","/x"],"violations":"warn"}' "$B" "$A" >"$dir/d1.json"
printf '{"digests":{"/a":["%s","%s"]},"excludes":["/x","/y"],"ima":{"log_hash_alg":"sha1"}}' "${A^^}" "$B" >"$dir/d2.json"
code "order, case and defaults are no difference" 0 diff "$dir/d1.json" "$dir/d2.json"
code "two policies differ" 3 diff "$dir/a.json" "$dir/b.json"
says "added path" "+ '/b'"
says "removed path" "- '/a'"
says "changed path" "~ '/both'"
says "with the digest" "    + $B"
says "rules" "+ '/var/'"
says "counts" "3 added, 2 removed, 6 changed"
tap_is "80 columns hold it" "$(awk 'length > 80' "$dir/out" | wc -l)" 0
code "as JSON" 3 diff "$dir/a.json" "$dir/b.json" --json
json "every difference, by member and name" "$dir/out" "j['same'] is False and {(d['member'],d['name'],d['change']) for d in j['differences']}>={('digests','/a','removed'),('digests','/b','added'),('digests','/both','changed'),('excludes',None,'changed'),('boot-pcrs.sha256','0','added'),('own',None,'added')}"
json "digests in it" "$dir/out" "[d for d in j['differences'] if d['name']=='/both'][0]['added']==['$B'] and [d for d in j['differences'] if d['name']=='/both'][0]['removed']==[]"
code "same as JSON" 0 diff "$dir/d1.json" "$dir/d2.json" --json
json "says so" "$dir/out" "j=={'differences':[],'same':True,'added':0,'removed':0,'changed':0}"
printf '{"digests":{"/a\\u001b[31m":["%s"]}}' "$A" >"$dir/esc.json"
code "names are escaped" 3 diff "$dir/d1.json" "$dir/esc.json"
tap_is "no escape sequence gets through" "$(grep -c $'\033' "$dir/out")" 0
code "a bad policy is an error" 1 diff "$dir/a.json" "$dir/bad.json"
complains "and named" "bad.json' is not a good policy"
code "one policy: usage" 2 diff "$dir/a.json"

# ---- explain ----
printf '{"digests":{"/a":["%s"],"/b":["%s"]},"excludes":["/tmp/","/var/log/"],"deny":["%s"]}' "$A" "$A" "$C" >"$dir/e.json"
code "a known path" 4 explain "$dir/e.json" /a
says "with its digest" "sha256:$A"
code "an excluded path" 4 explain "$dir/e.json" /var/log/x
says "with the rule and its number" "rule 2 of 2, '/var/log/'"
code "an unknown path" 4 explain "$dir/e.json" /zzz
says "says so" "not known, and no exclude rule covers it"
code "a digest" 4 explain "$dir/e.json" "$A"
says "all its places" "digests as sha256: '/b'"
code "a denied digest" 4 explain "$dir/e.json" "sha256:$C"
says "says so" "on the deny list"
code "path and digest that are known" 0 explain "$dir/e.json" /a "$A"
says "decided by the digest" "10  digests of the path  one of 1 known: vouched for"
code "path with another digest" 3 explain "$dir/e.json" /a "$B"
says "nothing vouched" "12  result               nothing vouched for it"
says "the known one is shown" "      sha256:$A"
says "and the reason" "FAIL digest-mismatch"
tap_is "explain holds to 80 columns" "$(awk 'length > 80' "$dir/out" | wc -l)" 0
code "denied" 3 explain "$dir/e.json" /tmp/x "$C"
says "before any rule" " 4  deny list            the digest is on it (1 digest)"
code "excluded passes with a warning" 0 explain "$dir/e.json" /tmp/x "$B"
says "by this rule" " 9  exclude rules        rule 1 of 2, '/tmp/'"
code "another algorithm of that size" 3 explain "$dir/e.json" /a "sm3:$A"
says "is told" "FAIL digest-algorithm"
code "as JSON" 3 explain "$dir/e.json" /a "$B" --json
json "steps, known digests, findings" "$dir/out" "[s['step'] for s in j['entries'][0]['steps']]==[2,3,4,5,7,8,9,10,12] and j['entries'][0]['steps'][-1]['decided'] and j['entries'][0]['known']==['sha256:$A'] and j['entries'][0]['findings']==[{'reason':'digest-mismatch','severity':'fail'}]"
list=$vectors/kernel/6.1-ima-sig/binary_runtime_measurements
"$imastream" policy create --log "$list" -o "$dir/l.json" >/dev/null
code "a list with its own policy" 0 explain "$dir/l.json" --log "$list"
path=$(python3 -c 'import json,sys; print([k for k in json.load(open(sys.argv[1]))["digests"] if k.startswith("/")][0])' "$dir/l.json")
python3 - "$dir/l.json" "$dir/l2.json" "$path" <<'E2'
import json, sys
j = json.load(open(sys.argv[1])); del j["digests"][sys.argv[3]]; json.dump(j, open(sys.argv[2], "w"))
E2
code "with one path taken out of it" 3 explain "$dir/l2.json" --log "$list"
says "that entry is told" "'$path'"
says "with its reason" "FAIL digest-unknown"
code "the same path by name" 3 explain "$dir/l2.json" "$path" --log "$list"
code "an entry by number" 0 explain "$dir/l.json" --log "$list" --entry 1
says "boot_aggregate" "entry 1  'boot_aggregate'"
code "no such entry" 4 explain "$dir/l.json" --log "$list" --entry 999999
keys=$vectors/keylime-ima/keys
code "signatures with the right key" 0 explain "$vectors/keylime-ima/policy-empty.json" --log "$vectors/keylime-ima/signatures.ascii" \
	--entry 2 --keyring "$keys/rsa2048pub.pem" --keyring "$keys/secp256k1pub.pem"
says "vouch" "11  signature            verifies: vouched for"
code "without a key" 3 explain "$vectors/keylime-ima/policy-empty.json" --log "$vectors/keylime-ima/signatures.ascii" --entry 2
# one source of truth: what explain finds in a list is what log verify finds in it
"$imastream" policy explain "$dir/e.json" --log "$list" --json >"$dir/x.json"
"$imastream" log verify "$list" --policy "$dir/e.json" --json >"$dir/v.json"
tap_run "explain and log verify find the same" python3 - "$dir/x.json" "$dir/v.json" <<'E2'
import json, sys
x, v = (json.load(open(f)) for f in sys.argv[1:])
told = [(e["entry"], f["reason"]) for e in x["entries"] for f in e["findings"]]
seen = [(f["entry"], f["reason"]) for f in v["findings"] if f["entry"]]
assert told and set(told) <= set(seen), set(told) - set(seen)
numbers = {e["entry"] for e in x["entries"]}
assert {s for s in seen if s[0] in numbers} == set(told)
E2
# the same with a key that the list brings: what it signs passes, in both
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$dir/k.pem" 2>/dev/null
openssl pkey -in "$dir/k.pem" -pubout -outform DER -out "$dir/k.der"
printf 'signed\n' >"$dir/signed"
openssl dgst -sha256 -sign "$dir/k.pem" -out "$dir/sig" "$dir/signed"
python3 - "$dir" <<'E2'
import hashlib, json, struct, sys
dir = sys.argv[1]
read = lambda n: open(f"{dir}/{n}", "rb").read()
def field(b): return struct.pack("<I", len(b)) + b
def entry(template, *fields):
    data = b"".join(map(field, fields))
    return struct.pack("<I", 10) + hashlib.sha1(data).digest() + field(template) + field(data)
def digest(b): return b"sha256:\0" + hashlib.sha256(b).digest()
der, sig = read("k.der"), read("sig")
header = bytes([3, 2, 4]) + hashlib.sha1(der[-270:]).digest()[-4:] + struct.pack(">H", len(sig))
with open(f"{dir}/learn.list", "wb") as f:
    f.write(entry(b"ima-buf", digest(der), b".ima\0", der) + entry(b"ima-sig", digest(read("signed")), b"/signed\0", header + sig))
json.dump({"digests": {}, "keyrings": {".ima": [hashlib.sha256(der).hexdigest()]}}, open(f"{dir}/learn.json", "w"))
json.dump({"digests": {}, "ima": {"ignored_keyrings": ["*"]}}, open(f"{dir}/nolearn.json", "w"))
E2
code "a key of the list vouches where the policy knows it" 0 explain "$dir/learn.json" /signed --log "$dir/learn.list"
says "by its signature" "11  signature            verifies: vouched for"
code "and not where it does not" 3 explain "$dir/nolearn.json" /signed --log "$dir/learn.list"
for policy in learn nolearn; do
	"$imastream" policy explain "$dir/$policy.json" --log "$dir/learn.list" --json >"$dir/x.json"
	"$imastream" log verify "$dir/learn.list" --policy "$dir/$policy.json" --json >"$dir/v.json"
	tap_run "log verify finds the same ($policy)" python3 - "$dir/x.json" "$dir/v.json" <<'E2'
import json, sys
x, v = (json.load(open(f)) for f in sys.argv[1:])
told = {(e["entry"], f["reason"]) for e in x["entries"] for f in e["findings"]}
assert told == {(f["entry"], f["reason"]) for f in v["findings"] if f["entry"]}, (told, v["findings"])
E2
done
code "no question: usage" 2 explain "$dir/e.json"
code "two paths: usage" 2 explain "$dir/e.json" /a /b
code "--entry without a list: usage" 2 explain "$dir/e.json" /a --entry 1
code "a bad policy is an error" 1 explain "$dir/bad.json" /a
printf 'nothing\n' >"$dir/text"
code "a bad key is an error" 1 explain "$dir/e.json" /a --keyring "$dir/text"
code "a bad list is an error" 1 explain "$dir/e.json" /a --log "$dir/text"

# ---- check: what to think about ----
printf '{"digests":{"/a":["%s"],"/b":["%s"]},"excludes":["/b$"],"keyrings":{"k":["%s"]}}' "${A:0:40}" "$A" "$A" >"$dir/w.json"
code "a policy to think about" 0 check "$dir/w.json"
says "weak digests" "warning: 1 of 2 digests are SHA-1 or MD5"
says "digests that nobody looks at" "warning: 1 of 2 paths are known and excluded"
says "counts by algorithm" "sha1 1, sha256 1; keys 1, buffers 0"
code "as JSON" 0 check "$dir/w.json" --json
json "the same" "$dir/out" "j['algorithms']=={'sha1':1,'sha256':1} and j['excluded_paths']==1 and len(j['warnings'])==2 and j['keyring_digests']==1"
printf '{"digests":{"/a":["%s"]},"excludes":["/x",".*"]}' "$A" >"$dir/w.json"
code "a rule that covers all" 0 check "$dir/w.json"
says "is named" "exclude rule 2 covers every path"
printf '{"digests":{"/a":["%s"]},"excludes":["/y/","/x"]}' "$A" >"$dir/w.json"
code "a rule without an end" 0 check "$dir/w.json"
says "covers longer names" "1 exclude rule is written as a name without an end, and covers longer names, too: rule 2, '/x'"
printf '{}' >"$dir/w.json"
code "an empty policy" 0 check "$dir/w.json"
says "says that all is refused" "no file is known and no key"

for c in merge diff explain create check; do code "$c --help" 0 "$c" --help; tap_is "$c --help fits 80 columns and a bit" "$(awk 'length > 92' "$dir/out" | wc -l)" 0; done
tap_done
