#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# imastream policy sign and verify, against openssl and Python. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/policy.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
vectors=$PWD/tests/vectors
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
umask 077

cd "$dir" || exit 1
for curve in P-256 P-384 P-521; do
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve -out $curve.pem 2>/dev/null
	openssl pkey -in $curve.pem -pubout -out $curve.pub
done
openssl ec -in P-256.pem -out traditional.pem 2>/dev/null
openssl pkey -in P-256.pem -aes128 -passout pass:secret -out encrypted.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k1.pem 2>/dev/null
cp "$vectors/keylime-ima/policy-test.json" p.json
echo '{"digests": 1}' >bad.json

# ---- envelopes ----
# dsse KEY HASH FILE: a check of an envelope that shares no code with ours
dsse() {
	/usr/bin/python3 - "$@" <<-'PY'
	import base64, hashlib, json, sys
	from cryptography.hazmat.primitives import hashes, serialization
	from cryptography.hazmat.primitives.asymmetric import ec
	key, alg, name = sys.argv[1:]
	e = json.load(open(name))
	body, kind = base64.b64decode(e["payload"], validate=True), e["payloadType"]
	k = serialization.load_pem_public_key(open(key, "rb").read())
	pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
	k.verify(base64.b64decode(e["signatures"][-1]["sig"], validate=True), pae, ec.ECDSA(getattr(hashes, alg)()))
	assert body == open("p.json", "rb").read() and kind == "application/vnd.keylime+json" and set(e) == {"payload", "payloadType", "signatures"}
	pem = k.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
	assert e["signatures"][-1]["keyid"] == hashlib.sha256(pem).hexdigest()
	PY
}
for pair in P-256:SHA256 P-384:SHA384 P-521:SHA512; do
	curve=${pair%:*} alg=${pair#*:}
	check "sign with $curve" run 0 sign p.json --key $curve.pem -o $curve.dsse
	check "it says by which key" says "signed by key sha256:"
	check "nothing on standard error" quiet
	check "Python verifies $alg and Keylime's key id" dsse $curve.pub $alg $curve.dsse
	check "verify with $curve" run 0 verify $curve.dsse --key $curve.pub
	check "it says who and what" says "vouched for  key sha256:$(openssl pkey -pubin -in $curve.pub -outform DER | sha256sum | cut -d' ' -f1) (dsse)"
	check "and the policy's id" says "policy sha256:$(sha256sum <p.json | cut -d' ' -f1),"
	check "SHA-256 for Keylime with $curve" run 0 sign p.json --key $curve.pem --hash sha256 -o keylime.dsse
	check "Python verifies it with SHA-256" dsse $curve.pub SHA256 keylime.dsse
	check "and we do" run 0 verify keylime.dsse --key $curve.pub
done
check "the traditional form of a key" run 0 sign p.json --key traditional.pem --dsse -o traditional.dsse
check "is the same key" run 0 verify traditional.dsse --key P-256.pub
check "another key vouches for nothing" run 3 verify P-256.dsse --key P-384.pub
check "and that is said" says "key-unknown"
check "an unsigned policy" run 3 verify p.json --key P-256.pub
check "is said to be unsigned" says "unsigned  the policy is not signed"
check "-o takes the policy out" run 0 verify P-256.dsse --key P-256.pub -o taken.json
check "byte for byte" cmp -s p.json taken.json
check "-o - too" run 0 verify P-256.dsse --key P-256.pub -o -
check "only the policy is there" cmp -s p.json out
check "the verdict is on standard error" complains "vouched for"
check "nothing is taken out of what nobody vouches for" run 3 verify P-256.dsse --key P-384.pub -o never.json
check "no file" test ! -e never.json
check "an envelope is not a policy" run 3 check P-256.dsse
check "and check says what it is" says "a signed policy, not a policy"
sed 's/"payload": "./"payload": "Q/' P-256.dsse >changed.dsse
check "a changed payload" run 3 verify changed.dsse --key P-256.pub
check "one more signature" run 0 sign P-256.dsse --key P-384.pem -o two.dsse
check "Python verifies the second" dsse P-384.pub SHA384 two.dsse
check "two of two" run 0 verify two.dsse --key P-256.pub --key P-384.pub --threshold 2
check "both are counted" says "and 1 more"
check "two of two, one of them missing" run 3 verify P-256.dsse --key P-256.pub --key P-384.pub --threshold 2
check "as a threshold" says "threshold"
check "not twice by the same key" run 3 sign two.dsse --key P-256.pem -o never
check "which is said" complains "already"
check "json of a good one" run 0 verify two.dsse --key P-384.pub --json
check "has who and what" json "j['ok'] and j['outcome']=='ok' and j['form']=='dsse' and j['key'].startswith('sha256:') and j['signatures']==1 and j['signed_at'] is None and j['identity'] is None and j['payload_type']=='application/vnd.keylime+json' and j['policy'].startswith('sha256:')"
check "json of a bad one" run 3 verify P-256.dsse --key P-384.pub --json
check "has the reason only" json "not j['ok'] and j['outcome']=='key-unknown' and j['text'] and j['key'] is None and j['policy'] is None and j['signatures']==0"
check "sign to standard output" run 0 sign p.json --key P-256.pem -o -
check "only the envelope is there" json "set(j)=={'payload','payloadType','signatures'}"

# ---- Cosign ----
for curve in P-256 P-384 P-521; do
	alg=sha$(echo $curve | sed 's/P-521/512/; s/P-//')
	check "sign for Cosign with $curve" run 0 sign p.json --key $curve.pem --cosign -o p.sig
	base64 -d p.sig >p.der
	check "openssl verifies it" openssl dgst -"$alg" -verify $curve.pub -signature p.der -out out p.json
	check "and we do" run 0 verify p.json --signature p.sig --key $curve.pub
	openssl dgst -sha256 -sign $curve.pem -out o.der p.json && base64 -w0 o.der >o.sig
	check "openssl's signature with SHA-256, as Cosign makes" run 0 verify p.json --signature o.sig --key $curve.pub
	check "is called what it is" says "(cosign)"
done
cp p.json beside.json && cp p.sig beside.json.sig
check "a signature beside the file is found" run 0 verify beside.json --key P-521.pub
check "and needs its key" run 3 verify beside.json --key P-256.pub
check "compile" run 0 compile p.json -o p.compiled
check "sign what is compiled, for Cosign" run 0 sign p.compiled --key P-256.pem --cosign -o p.compiled.sig
check "and verify it" run 0 verify p.compiled --key P-256.pub
check "no envelope around what is compiled" run 3 sign p.compiled --key P-256.pem -o never
check "not over another file" run 3 verify bad.json --signature p.sig --key P-521.pub
: >empty
check "an empty signature file" run 3 verify p.json --signature empty --key P-521.pub
check "well signed, but no policy" sh -c 'openssl dgst -sha256 -sign P-256.pem bad.json | base64 -w0 >b.sig'
check "is no good" run 3 verify bad.json --signature b.sig --key P-256.pub
check "for that reason" says "bad policy"

# ---- what is not signed, and with what not ----
check "a bad policy is not signed" run 3 sign bad.json --key P-256.pem -o never
check "and its fault is told" complains "/digests"
check "an encrypted key without a terminal" run 1 sign p.json --key encrypted.pem -o never
check "says so" complains "is encrypted, and there is no terminal"
check "an RSA key" run 1 sign p.json --key rsa.pem -o never
check "says what is wanted" complains "P-256"
check "a key on another curve" run 1 sign p.json --key k1.pem -o never
check "a public key" run 1 sign p.json --key P-256.pub -o never
check "a key that is not there" run 1 sign p.json --key nowhere -o never
check "none of them left a file" test ! -e never
chmod 644 P-256.pem
check "a key that others can read" run 0 sign p.json --key P-256.pem -o warned.dsse
check "gives a warning" complains "others may read the key"
check "an envelope for Cosign" run 3 sign P-256.dsse --key P-256.pem --cosign -o never
if command -v script >/dev/null; then
	printf 'secret\n' | script -qec "$imastream policy sign p.json --key encrypted.pem -o asked.dsse" /dev/null >"$dir/out" 2>&1
	check "on a terminal the passphrase is asked for" run 0 verify asked.dsse --key P-256.pub
	printf 'wrong\n' | script -qec "$imastream policy sign p.json --key encrypted.pem -o wrong.dsse" /dev/null >"$dir/out" 2>&1
	check "and a wrong one does not sign" test ! -e wrong.dsse
fi

# ---- Sigstore ----
s=$vectors/sigstore
check "a real bundle, over what is no policy" run 3 verify "$s/staging.txt" --bundle "$s/staging.sigstore.json" --trusted-root "$s/staging-root.json" \
	--identity william@yossarian.net --issuer https://github.com/login/oauth
check "names who signed and when" says "'william@yossarian.net' by 'https://github.com/login/oauth' (sigstore-bundle) at 2024-04-02T19:19:09Z"
/usr/bin/python3 "$vectors/../lib/signed_cases.py" "$dir" >/dev/null || echo "# signed_cases.py failed"
# made NAME: file, bundle and root of that case
made() { python3 -c 'import json,sys; c=[c for c in json.load(open("cases.json")) if c["name"]==sys.argv[1]][0]; print(c["file"], c["detached"], c["roots"][0])' "$1"; }
read -r file bundle root < <(made "bundle: good")
check "a bundle over a policy" run 0 verify "$file" --bundle "$bundle" --identity release@example.org --issuer https://accounts.example.org --trusted-root "$root" --json
check "says who, by whom, when" json "j['ok'] and j['identity']=='release@example.org' and j['issuer']=='https://accounts.example.org' and j['signed_at']==1700000030 and j['log_index']==4711"
check "another issuer" run 3 verify "$file" --bundle "$bundle" --identity release@example.org --issuer https://evil.example.org --trusted-root "$root"
check "says who it was" says "'release@example.org' by 'https://accounts.example.org'"

# ---- the verifier ----
verifier=$(dirname "$imastream")/imastream-verifier
# starts CODE POLICY ARGUMENT...: 124: it was still running after 2 seconds
starts() {
	local want=$1 policy=$2 got
	shift 2
	timeout 2 "$verifier" --listen "ipc://$dir/v.ipc" --publish "ipc://$dir/p.ipc" --control "ipc://$dir/c.ipc" --store "$dir/v.db" --sandbox off \
		--trust-on-first-use --policy "$policy" "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ $got -eq "$want" ] || { echo "# exit code $got, wanted $want: verifier $*"; return 1; }
}
check "a verifier takes an envelope by its key" starts 124 "$dir/P-256.dsse" --policy-key P-256.pub
check "and a signature beside the file" starts 124 "$dir/beside.json" --policy-key P-521.pub
check "and a bundle's file by identity" cp "$bundle" "$file.sigstore.json"
check "beside it" starts 124 "$dir/$file" --policy-identity release@example.org --policy-issuer https://accounts.example.org --policy-trusted-root "$root"
check "not by another identity" starts 1 "$dir/$file" --policy-identity eve@example.org --policy-issuer https://accounts.example.org --policy-trusted-root "$root"
check "not by another key" starts 1 "$dir/P-256.dsse" --policy-key P-384.pub
check "which it says" complains "nobody vouches for the policy"
check "not an unsigned policy" starts 1 "$dir/p.json" --policy-key P-256.pub
check "which it says, too" complains "(unsigned)"
check "not an envelope when nobody asked for signatures" starts 1 "$dir/P-256.dsse"
check "two keys of two" starts 124 "$dir/two.dsse" --policy-key P-256.pub --policy-key P-384.pub --policy-threshold 2
check "one key of two" starts 1 "$dir/P-256.dsse" --policy-key P-256.pub --policy-key P-384.pub --policy-threshold 2
check "a threshold without keys" starts 1 "$dir/p.json" --policy-threshold 2

# ---- usage ----
check "nobody may have signed" run 2 verify p.json
check "identity without issuer" run 2 verify p.json --identity a --trusted-root "$root"
check "identity without root" run 2 verify p.json --identity a --issuer b
check "root without identity" run 2 verify p.json --trusted-root "$root"
check "threshold above the keys" run 2 verify p.json --key P-256.pub --threshold 2
check "threshold 0" run 2 verify p.json --key P-256.pub --threshold 0
check "two signatures" run 2 verify p.json --key P-256.pub --signature a --bundle b
check "no file" run 2 verify --key P-256.pub
check "a private key to verify with" run 1 verify p.json --key P-384.pem
check "sign without a key" run 2 sign p.json -o x
check "sign without a place" run 2 sign p.json --key P-256.pem
check "both forms" run 2 sign p.json --key P-256.pem --dsse --cosign -o x
check "another hash" run 2 sign p.json --key P-256.pem --hash sha1 -o x
check "help of sign" run 0 sign --help
check "help of verify" run 0 verify --help

tap_done
