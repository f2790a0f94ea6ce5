#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# docs/keylime.md against the code: its tests exist, its reasons exist, every member and option that it names exists, and all
# files of the foreign vectors are used by a test. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
doc=docs/keylime.md

# `unit/DIR/FILE TEST` and `integration/FILE words of its name`
missing=
count=0
while IFS= read -r cited; do
	count=$((count + 1))
	file=${cited%% *} name=${cited#* }
	case $file in
	unit/*) grep -qE "\b$name\(void" "tests/${file}_test.c" 2>/dev/null || missing="$missing $cited;" ;;
	integration/*) grep -qF -- "\"$name\"" "tests/$file.sh" 2>/dev/null || missing="$missing $cited;" ;;
	esac
done < <(grep -oE '`(unit|integration)/[a-z0-9_/]+ [^`]+`' "$doc" | tr -d '`')
tap_is "every test that it names exists" "$missing" ""
tap_run "it names many" test "$count" -ge 20

# the right column of the events: every word in back quotes is a reason
unknown=
reasons=$("$imastream" explain --json | python3 -c 'import json,sys; print("\n".join(r["name"] for r in json.load(sys.stdin)))')
while IFS= read -r word; do
	printf '%s\n' "$reasons" | grep -qxF -- "$word" || unknown="$unknown $word"
done < <(sed -n '/^## Events/,/^## Differences/p' "$doc" | awk -F'|' '/^\| `/ { print $3 } /^No event/ , /^$/ { print }' | grep -oE '`[a-z]+(-[a-z0-9]+)*`' | tr -d '`' | sort -u)
tap_is "every reason that it names exists" "$unknown" ""

# Keylime's events of the test cases are in the table
unknown=
while IFS= read -r event; do
	grep -qF "\`$event\`" "$doc" || unknown="$unknown $event"
done < <(python3 -c 'import json; print("\n".join(sorted({e for c in json.load(open("tests/vectors/keylime-ima/cases.json")) for e in c["events"]})))')
tap_is "every event of Keylime's cases is mapped" "$unknown" ""

# options that it names
unknown=
help=$("$imastream" policy create --help; "${imastream}-verifier" --help)
for option in --sums --exclude-from --policies --groups --policy-key --heartbeat --events --publish; do
	grep -qF -- "$option" "$doc" || unknown="$unknown $option(document)"
	printf '%s' "$help" | grep -qF -- "$option" || unknown="$unknown $option"
done
tap_is "options that it names exist" "$unknown" ""

# no vector lies unused: by a case, or by name in a test
unused=
for file in tests/vectors/keylime-ima/* tests/vectors/keylime-ima/keys/* tests/vectors/keylime-quote/*/*; do
	[ -f "$file" ] || continue
	name=$(basename "$file")
	case $file in *keylime-quote*) folder=keylime-quote ;; *) folder=keylime-ima ;; esac
	grep -qF "\"$name\"" tests/vectors/keylime-ima/cases.json && continue
	grep -rqF --include='*.c' --include='*.sh' --include='*.py' "$folder" tests/unit tests/integration &&
		grep -rqE --include='*.c' --include='*.sh' --include='*.py' "[\"/ ]$name\"?" tests/unit tests/integration && continue
	unused="$unused $file"
done
tap_is "every file of the foreign vectors is used" "$unused" ""
tap_is "all cases run" "$(grep -oE 'define CASES [0-9]+' tests/unit/policy/keylime_cases_test.c | grep -oE '[0-9]+')" \
	"$(python3 -c 'import json; print(len(json.load(open("tests/vectors/keylime-ima/cases.json"))))')"
tap_done
