#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# imastream policy create and check: results, exit codes, what is said. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/policy.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
vectors=tests/vectors
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

kernel=$vectors/kernel/6.1-ima-sig
entries=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["entries"])' "$kernel/recording.json")
cp "$kernel/binary_runtime_measurements" "$dir/list"

# ---- create ----
check "create from a binary list" run 0 create --log "$dir/list" -o "$dir/p.json"
check "one line sums it up" grep -qE "^[0-9]+ entries read, [0-9]+ digests, [0-9]+ new; skipped: [0-9]+ violations, 0 not understood, 0 that JSON v1 cannot carry\$" "$dir/out"
check "every entry was read" says "$entries entries read"
check "it is a Keylime policy" json "j['meta']['version']==1 and j['release']==0 and j['excludes']==[] and j['ima']=={'ignored_keyrings':[],'log_hash_alg':'sha1','dm_policy':None} and j['ima-buf']=={} and j['verification-keys']==''" "$dir/p.json"
check "violations are left out, files are in" json "'boot_aggregate' in j['digests'] and all(len(d)>0 and d==sorted(set(d)) for d in j['digests'].values())" "$dir/p.json"
check "check finds it good" run 0 check "$dir/p.json"
check "the same again gives the same bytes" run 0 create --log "$dir/list" -o "$dir/p2.json"
check "byte for byte" cmp -s "$dir/p.json" "$dir/p2.json"
check "onto itself nothing is new" run 0 create --log "$dir/list" --base "$dir/p.json" -o "$dir/p3.json"
check "and it says so" says " digests, 0 new;"
check "and nothing changes" cmp -s "$dir/p.json" "$dir/p3.json"
check "-o - writes to standard output" run 0 create --log "$dir/list" -o -
check "only the policy is there" cmp -s "$dir/out" "$dir/p.json"
check "the line is on standard error" complains "entries read"
"$imastream" policy create --log - -o "$dir/p4.json" <"$dir/list" >"$dir/out" 2>"$dir/err"
check "--log - reads standard input" cmp -s "$dir/p.json" "$dir/p4.json"
check "an ASCII list is taken" run 0 create --log "$kernel/ascii_runtime_measurements" -o "$dir/ascii.json"
check "with a word of warning" says "prefer the binary one"
check "all its entries were read" says "$entries entries read"
check "buffers and keys have their own sections" run 0 create --log "$vectors/kernel/6.1-ima-buf/binary_runtime_measurements" -o "$dir/buf.json"
check "keys under keyrings, the rest under ima-buf" json "'rec_keys' in j['keyrings'] and 'kernel_version' in j['ima-buf'] and 'rec_keys' not in j['digests'] and 'kernel_version' not in j['digests']" "$dir/buf.json"
check "several lists and excludes" run 0 create --log "$dir/list" --log "$vectors/kernel/6.1-ima-buf/binary_runtime_measurements" --exclude '/tmp/' --exclude '/var/.*\.log$' -o "$dir/two.json"
check "both are in" json "j['excludes']==['/tmp/','/var/.*\\\\.log\$'] and 'rec_keys' in j['keyrings'] and len(j['digests'])>=len(json.load(open('$dir/p.json'))['digests'])" "$dir/two.json"
check "base, exclude and what imastream does not know are kept" run 0 create --log "$dir/list" --base "$vectors/keylime-ima/policy-test-excludes.json" --exclude '/new' -o "$dir/merged.json"
check "merged" json "j['excludes'][-1]=='/new' and len(j['excludes'])==7 and j['keyrings']['.ima'] and '/usr/bin/zless' in j['digests']" "$dir/merged.json"

# ---- refused ----
check "a bad exclude is a usage error" run 2 create --log "$dir/list" --exclude '(foo' -o "$dir/no.json"
check "with its reason" complains "missing closing parenthesis"
check "a bad base is a bad policy" run 3 create --log "$dir/list" --base "$vectors/keylime-ima/cases.json" -o "$dir/no.json"
check "with its place" complains "error: /: an array, expected an object"
check "a missing list is an error" run 1 create --log "$dir/none" -o "$dir/no.json"
head -c 1000 "$dir/list" >"$dir/torn"
check "a torn list is an error" run 1 create --log "$dir/torn" -o "$dir/no.json"
check "that says where" complains "entry"
printf 'this is no list\n' >"$dir/text"
check "other text is an error" run 1 create --log "$dir/text" -o "$dir/no.json"
check "nothing was written" test ! -e "$dir/no.json"
check "an unwritable place is an error" run 1 create --log "$dir/list" -o "$dir/none/p.json"
check "no list: usage" run 2 create -o "$dir/no.json"
check "no output: usage" run 2 create --log "$dir/list"
check "says which option is missing" complains "-o FILE is needed"
check "no list: usage" run 2 create -o "$dir/no.json"
check "says that, too" complains "create: from what? --log LIST, --tree DIR"
check "a list without its option: usage" run 2 create "$dir/list" -o "$dir/no.json"
check "says how it is given" complains "lists come with --log"
check "unknown option: usage" run 2 create --log "$dir/list" -o "$dir/no.json" --frobnicate
check "no command: usage" run 2
check "unknown command: usage" run 2 frobnicate
check "--help" run 0 --help
check "create --help" run 0 create --help

# ---- check ----
check "check with notes" run 0 check "$vectors/keylime-ima/policy-test.json"
check "says what was defaulted" says "note: /release: missing, taken as 0"
check "says how much there is" says "6 paths, 6 digests"
printf '{"digests":{"/a\\u001b[31m":["zz"]},"excludes":["(foo"]}' >"$dir/bad.json"
check "check of a bad policy" run 3 check "$dir/bad.json"
check "digests with their place, escaped" says "error: /digests/~1a\\x1b[31m/0: 2 digits"
check "excludes with their place" says "error: /excludes/0: missing closing parenthesis at offset 4 in '(foo'"
check "no escape sequence gets through" test "$(tr -d '\n' <"$dir/out" | grep -c $'\033')" -eq 0
check "as JSON" run 3 check --json "$dir/bad.json"
check "with the same places" json "j['ok'] is False and j['id'] is None and j['errors']==2 and [m['place'] for m in j['messages'] if m['severity']=='error']==['/digests/~1a\\\\x1b[31m/0','/excludes/0']" "$dir/out"
check "a good one as JSON" run 0 check "$dir/p.json" --json
check "has its id" json "j['ok'] is True and j['id']=='sha256:'+__import__('hashlib').sha256(open('$dir/p.json','rb').read()).hexdigest() and j['errors']==0 and j['messages']==[] and j['violations']=='warn'" "$dir/out"
printf '{"a":1,"a":2}' >"$dir/twice.json"
check "a member given twice" run 3 check "$dir/twice.json"
check "is named" says "duplicate object key"
check "a missing file is an error" run 1 check "$dir/none"
check "no file: usage" run 2 check
check "two files: usage" run 2 check "$dir/p.json" "$dir/p.json"
truncate -s $((512 * 1024 * 1024 + 1)) "$dir/huge.json"
check "a file that is too large is an error" run 1 check "$dir/huge.json"
check "says the limit" complains "larger than 536870912 bytes"
check "the same as --base" run 1 create --log "$dir/list" --base "$dir/huge.json" -o "$dir/no.json"
check "says the limit, too" complains "larger than 536870912 bytes"
rm "$dir/huge.json"
check "unknown option of check: usage" run 2 check --frobnicate "$dir/p.json"

# ---- compile ----
check "compile" run 0 compile "$dir/p.json" -o "$dir/p.imap"
check "says how large" grep -qE '^[0-9]+ bytes of JSON, [0-9]+ bytes compiled$' "$dir/out"
check "the same again gives the same bytes" run 0 compile "$dir/p.json" -o "$dir/p2.imap"
check "byte for byte" cmp -s "$dir/p.imap" "$dir/p2.imap"
"$imastream" policy check "$dir/p.json" --json >"$dir/as-json" 2>/dev/null
check "check takes it" run 0 check "$dir/p.imap" --json
check "it has the id and the numbers of its source" cmp -s "$dir/out" "$dir/as-json"
"$imastream" log verify "$dir/list" --policy "$dir/p.json" --json >"$dir/by-json" 2>/dev/null
by_json=$?
"$imastream" log verify "$dir/list" --policy "$dir/p.imap" --json >"$dir/by-compiled" 2>/dev/null
check "log verify ends the same" test $? -eq $by_json
check "and says the same" cmp -s "$dir/by-json" "$dir/by-compiled"
check "compiling a bad policy" run 3 compile "$dir/bad.json" -o "$dir/no"
check "says why" complains "error: /excludes/0: missing closing parenthesis"
check "writes nothing" test ! -e "$dir/no"
check "compiling a compiled one: usage" run 2 compile "$dir/p.imap" -o "$dir/no"
check "where to? usage" run 2 compile "$dir/p.json"
printf 'x' | dd of="$dir/p2.imap" bs=1 seek=300 conv=notrunc 2>/dev/null
check "a damaged one is bad" run 3 check "$dir/p2.imap"
check "says so" says "error: compiled: the file is damaged"
head -c 1000 "$dir/p.imap" >"$dir/cut.imap"
check "a cut one is bad" run 3 check "$dir/cut.imap"
check "standard output is taken" run 0 compile "$dir/p.json" -o -
check "only the file is there" cmp -s "$dir/out" "$dir/p.imap"

tap_done
