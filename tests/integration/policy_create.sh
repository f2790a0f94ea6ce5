#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# imastream policy create from files: trees, installed deb packages, deb files, rpm databases. TAP on standard output.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
imastream=${IMASTREAM_BIN:-$PWD/build/bin}/imastream
dir=$(mktemp -d) || exit 1
trap 'chmod -R u+rwx "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
export LC_ALL=C

# code NAME CODE ARGUMENT...: `imastream policy create ARGUMENT...` ends with that code
code() {
	local name=$1 want=$2 got
	shift 2
	"$imastream" policy create "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	if [ $got -eq "$want" ]; then tap_ok "$name"; else tap_fail "$name" "exit code $got, wanted $want: policy create $*
$(cat "$dir/out" "$dir/err")"; fi
}
says() { if grep -qF -- "$2" "$dir/out"; then tap_ok "$1"; else tap_fail "$1" "not said: $2
$(cat "$dir/out")"; fi; }
complains() { if grep -qF -- "$2" "$dir/err"; then tap_ok "$1"; else tap_fail "$1" "not said: $2
$(cat "$dir/err")"; fi; }
# json NAME FILE EXPRESSION: true in Python for the document j; d is its digests, names those that it has
json() { tap_run "$1" python3 -c 'import json,sys; j=json.load(open(sys.argv[1])); d=j.get("digests",{}); names=sorted(d) if isinstance(d, dict) else []; sys.exit(not eval(sys.argv[2]))' "$2" "$3"; }
sum() { sha256sum "$1" | cut -c1-64; }

# ---- a tree: an image with merged /usr ----
image=$dir/image
mkdir -p "$image"/usr/bin "$image"/usr/lib/modules/6.1 "$image"/usr/lib/firmware "$image"/etc "$image"/var/log "$image"/deep
ln -s usr/bin "$image/bin"
ln -s usr/lib "$image/lib"
ln -s /etc "$image/usr/abs"   # absolute, means the image's
ln -s ../.. "$image/usr/lib/out" # a loop
ln -s "$dir" "$image/usr/escape" # out of the tree
ln -s /etc/passwd "$image/usr/bin/passwd-link"
cp "/bin/true" "$image/usr/bin/tool"
chmod 755 "$image/usr/bin/tool"
printf '#!/bin/sh\nexit 0\n' >"$image/usr/bin/script"
chmod 644 "$image/usr/bin/script"
cp "/bin/true" "$image/usr/lib/noexec.bin"
chmod 644 "$image/usr/lib/noexec.bin"
printf 'data\n' >"$image/etc/data"
printf 'x\n' >"$image/etc/executable-data"
chmod 755 "$image/etc/executable-data"
printf 'so\n' >"$image/usr/lib/libx.so.1.2"
printf 'ko\n' | xz >"$image/usr/lib/modules/6.1/m.ko.xz"
printf 'fw\n' >"$image/usr/lib/firmware/f.bin"
printf 'log\n' >"$image/var/log/messages"
printf 'new\n' >"$image/etc/with space"
: >"$image/etc/empty"
mkfifo "$image/etc/fifo"
printf 'out\n' >"$dir/secret"
code "a tree" 0 --tree "$image" --root "$image" -o "$dir/t.json"
json "all regular files, named as on the host" "$dir/t.json" "names==sorted(['/etc/data','/etc/empty','/etc/executable-data','/etc/with space','/usr/bin/script','/usr/bin/tool','/usr/lib/firmware/f.bin','/usr/lib/libx.so.1.2','/usr/lib/modules/6.1/m.ko.xz','/usr/lib/noexec.bin','/var/log/messages'])"
json "with their digests" "$dir/t.json" "d['/usr/bin/tool']==['$(sum "$image/usr/bin/tool")'] and d['/etc/empty']==['$(sum /dev/null)']"
json "a compressed module as it lies on the disk" "$dir/t.json" "d['/usr/lib/modules/6.1/m.ko.xz']==['$(sum "$image/usr/lib/modules/6.1/m.ko.xz")']"
tap_run "no link is followed out of it" sh -c "! grep -q $(sum "$dir/secret") '$dir/t.json'"
tap_run "a verifier takes the policy" "$imastream" policy check "$dir/t.json"
code "the same again" 0 --tree "$image" --root "$image" -o "$dir/t2.json"
tap_run "gives the same bytes" cmp "$dir/t.json" "$dir/t2.json"
code "with both names of linked directories" 0 --tree "$image" --root "$image" --aliases -o "$dir/a.json"
json "/bin and /usr/bin" "$dir/a.json" "d['/bin/tool']==d['/usr/bin/tool'] and '/lib/libx.so.1.2' in d and '/abs/data' not in d and len(names)==17"
code "only what is run or loaded" 0 --tree "$image" --root "$image" --executables -o "$dir/x.json"
json "mode, ELF, script, library, module, firmware" "$dir/x.json" "names==sorted(['/etc/executable-data','/usr/bin/script','/usr/bin/tool','/usr/lib/firmware/f.bin','/usr/lib/libx.so.1.2','/usr/lib/modules/6.1/m.ko.xz','/usr/lib/noexec.bin'])"
says "the rest is counted" "4 neither run nor loaded were left out"
code "a part of an image" 0 --tree "$image/usr/bin" --root "$image" -o "$dir/part.json"
json "keeps the host's names" "$dir/part.json" "names==['/usr/bin/script','/usr/bin/tool']"
code "through a link, by its real name" 0 --tree "$image/bin" --root "$image" -o "$dir/part2.json"
tap_run "is the same" cmp "$dir/part.json" "$dir/part2.json"
code "without --root names are this machine's" 0 --tree "$image/usr/bin" -o "$dir/own.json"
json "so they are" "$dir/own.json" "names==['$(realpath "$image")/usr/bin/script','$(realpath "$image")/usr/bin/tool']"
code "a tree outside of the root: usage" 2 --tree "$dir" --root "$image" -o "$dir/no.json"
complains "says so" "is not under --root"
code "excluded files are left out" 0 --tree "$image" --root "$image" --exclude /usr/ -o "$dir/e.json"
json "the rule is in" "$dir/e.json" "j['excludes']==['/usr/'] and not [n for n in names if n.startswith('/usr/')]"
code "default excludes" 0 --tree "$image" --root "$image" --default-excludes --exclude /mine -o "$dir/de.json"
json "come in front of the given ones, and are those of docs/policy.md" "$dir/de.json" "j['excludes'][-1]=='/mine' and len(j['excludes'])>5 and '/var/log/messages' not in d and all('\`'+r+'\`' in open('docs/policy.md').read() for r in j['excludes'][:-1])"
json "no rule covers where programs are dropped" "$dir/de.json" "not [p for p in ['/tmp/x','/var/tmp/x','/home/u/x','/root/x','/opt/x','/usr/local/bin/x','/usr/lib/python3/x.pyc','/var/lib/dpkg/info/x.postinst','/dev/shm/x'] for r in j['excludes'] if __import__('re').match(r,p)]"
for h in sha1 sha384 sha512; do
	code "--hash $h" 0 --tree "$image/usr/bin" --root "$image" --hash $h -o "$dir/h.json"
	json "has such digests" "$dir/h.json" "d['/usr/bin/tool']==['$(${h}sum "$image/usr/bin/tool" | cut -d' ' -f1)']"
done
code "another hash: usage" 2 --tree "$image" --hash md5 -o "$dir/no.json"
code "as JSON" 0 --tree "$image" --root "$image" --executables --json -o "$dir/x.json"
json "with the counts" "$dir/out" "j['complete'] and j['files']==7 and j['left_out']['not_loaded']==4 and j['new']==7"
code "on a base" 0 --tree "$image" --root "$image" --base "$dir/x.json" -o "$dir/b.json"
says "only the rest is new" "11 digests, 4 new"
printf 'x\n' >"$image/etc/$(printf 'n\377')"
code "a name that is no UTF-8" 0 --tree "$image/etc" --root "$image" -o "$dir/u.json"
says "is counted" "1 that JSON v1 cannot carry"
rm "$image/etc/"n*
# LIMIT_TREE_DEPTH: the tree itself is one of 256 open directories
d=$image/deep
for _ in $(seq 255); do d=$d/d; done
mkdir -p "$d"
: >"$d/file"
code "as deep as a tree may be" 0 --tree "$image/deep" --root "$image" -o "$dir/deep.json"
says "is read" "1 file,"
mkdir "$d/d"
: >"$d/d/file"
code "one deeper" 3 --tree "$image/deep" --root "$image" -o "$dir/deep.json"
complains "is told, not followed" "Too many levels"
says "the rest is read" "1 file,"
rm -rf "$image/deep"
code "a missing tree is an error" 1 --tree "$dir/none" -o "$dir/no.json"
code "a file is no tree" 1 --tree "$image/etc/data" -o "$dir/no.json"
tap_run "nothing was written" test ! -e "$dir/no.json"
chmod 000 "$image/etc/data"
as_is=$imastream
[ "$(id -u)" -ne 0 ] || imastream=$dir/unprivileged # root reads everything by these two capabilities
printf '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search "%s" "$@"\n' "$as_is" >"$dir/unprivileged"
chmod 755 "$dir/unprivileged"
code "an unreadable file" 3 --tree "$image" --root "$image" -o "$dir/r.json"
imastream=$as_is
complains "is named" "/etc/data': Permission denied"
chmod 644 "$image/etc/data"
# many files: memory does not grow with what is in them
mkdir "$dir/many"
python3 - "$dir/many" <<'E2'
import os, sys
for i in range(20000):
    if i % 500 == 0: os.mkdir(f"{sys.argv[1]}/{i // 500}")
    with open(f"{sys.argv[1]}/{i // 500}/file-{i}", "wb") as f: f.write(b"%d" % i)
with open(f"{sys.argv[1]}/large", "wb") as f: f.truncate(300 << 20)
E2
python3 - "$imastream" "$dir/many" "$dir/many.json" >"$dir/out" 2>"$dir/err" <<'E2'
import resource, subprocess, sys
r = subprocess.run([sys.argv[1], "policy", "create", "--tree", sys.argv[2], "--root", sys.argv[2], "-o", sys.argv[3]])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, "KiB")
sys.exit(r.returncode)
E2
tap_is "20,000 files and one of 300 MB" "$?" 0
says "all are in" "20001 digests"
peak=$(sed -n 's/^peak \([0-9]*\) KiB/\1/p' "$dir/out")
case ${VARIANT:-default} in
default | clang) bound=80 ;;
*) bound=160 ;; # a sanitizer needs memory of its own; 300 MB would still show
esac
tap_run "in less than $bound MiB" test "${peak:-99999999}" -lt $((bound << 10))
rm -rf "$dir/many"

# ---- digests that somebody else made, rules from a file ----
(cd "$image" && sha256sum usr/bin/tool etc/data "etc/with space" | sed 's,  ,  /,') >"$dir/sums"
sha1sum "$image/etc/data" | sed 's,  .*, */etc/data,' >>"$dir/sums"
printf '# comment\n\n%s boot_aggregate\n' "$(sum /dev/null)" >>"$dir/sums"
printf '# rules\n\n/tmp/\n/etc/with.*$' >"$dir/rules"
code "lines as sha256sum prints them" 0 --sums "$dir/sums" --exclude-from "$dir/rules" -o "$dir/s.json"
json "as Keylime's old allowlists and exclude lists" "$dir/s.json" "names==['/etc/data','/usr/bin/tool','boot_aggregate'] and len(d['/etc/data'])==2 and d['/usr/bin/tool']==['$(sum "$image/usr/bin/tool")'] and j['excludes']==['/tmp/','/etc/with.*\$']"
printf '%s\n' nothing >"$dir/sums2"
code "other lines are errors" 1 --sums "$dir/sums2" -o "$dir/no.json"
complains "with their number" "line 1: no space behind the digest"
printf '\\%s  /a\\nb\n' "$(sum /dev/null)" >"$dir/sums2"
code "escaped names are refused" 1 --sums "$dir/sums2" -o "$dir/no.json"
printf '(foo\n' >"$dir/rules"
code "a bad rule in a file: usage" 2 --sums "$dir/sums" --exclude-from "$dir/rules" -o "$dir/no.json"

# ---- installed deb packages ----
root=$dir/debroot
db=$root/var/lib/dpkg
mkdir -p "$db/info" "$root/usr/bin" "$root/usr/share/doc" "$root/etc"
ln -s usr/bin "$root/bin"
cp "/bin/true" "$root/usr/bin/good"
cp "/bin/true" "$root/usr/bin/evil"
printf 'mine\n' >"$root/usr/bin/tool"         # diverting's own file
printf 'theirs\n' >"$root/usr/bin/tool.real"  # diverted: theirs
printf 'gone\n' >"$root/usr/bin/removed"
printf 'doc\n' >"$root/usr/share/doc/d"
printf 'lib\n' >"$root/usr/bin/multi"
md5() { md5sum "$root/$1" | cut -c1-32; }
cat >"$db/status" <<'E2'
Package: plain
Status: install ok installed
Architecture: amd64
Version: 1

Package: diverting
Status: install ok installed
Architecture: all
Description: x
 Package: not-a-field

Package: gone
Status: deinstall ok config-files
Architecture: amd64

Package: libmulti
Status: hold ok triggers-pending
Architecture: amd64
Multi-Arch: same

Package: nosums
Status: install ok installed
Architecture: all
E2
printf '%s\n' /. /bin /bin/good /usr/bin/evil /usr/bin/tool /usr/share/doc/missing >"$db/info/plain.list"
printf '%s  bin/good\n%s  usr/bin/evil\n%s  usr/bin/tool\n' "$(md5 usr/bin/good)" "$(md5 usr/bin/evil)" "$(md5 usr/bin/tool.real)" >"$db/info/plain.md5sums"
printf '/usr/bin/tool\n' >"$db/info/diverting.list"
printf '%s  usr/bin/tool\n' "$(md5 usr/bin/tool)" >"$db/info/diverting.md5sums"
printf '/usr/bin/tool\n/usr/bin/tool.real\ndiverting\n' >"$db/diversions"
printf '/usr/bin/removed\n' >"$db/info/gone.list"
printf '/usr/bin/multi\n' >"$db/info/libmulti:amd64.list"
printf '%s  usr/bin/multi\n' "$(md5 usr/bin/multi)" >"$db/info/libmulti:amd64.md5sums"
printf '/usr/share/doc/d\n' >"$db/info/nosums.list"
code "installed packages" 0 --deb "$root" -o "$dir/deb.json"
json "their files, by the names that the kernel logs" "$dir/deb.json" "names==['/usr/bin/evil','/usr/bin/good','/usr/bin/multi','/usr/bin/tool','/usr/bin/tool.real','/usr/share/doc/d']"
json "what was diverted is where it went" "$dir/deb.json" "d['/usr/bin/tool']==['$(sum "$root/usr/bin/tool")'] and d['/usr/bin/tool.real']==['$(sum "$root/usr/bin/tool.real")']"
says "what is there is counted" "6 files of 4 packages"
says "what is not there, too" "1 not there were left out"
says "packages without checksums are told" "1 package has no checksums"
printf 'x' >>"$root/usr/bin/evil"
code "a file that was changed after installation" 3 --deb="$root" -o "$dir/deb2.json"
complains "is named" "'/usr/bin/evil': changed since its package was installed"
json "and left out" "$dir/deb2.json" "names==['/usr/bin/good','/usr/bin/multi','/usr/bin/tool','/usr/bin/tool.real','/usr/share/doc/d']"
cp "$root/usr/bin/good" "$root/usr/bin/good2" && mv "$root/usr/bin/good" "$root/usr/bin/real" && ln -s "$dir/secret" "$root/usr/bin/good"
code "a file that was replaced by a link" 3 --deb "$root" -o "$dir/deb3.json"
tap_run "is not followed" sh -c "! grep -q $(sum "$dir/secret") '$dir/deb3.json'"
printf '/usr/bin/../../../../%s\n' "$dir/secret" >"$db/info/nosums.list"
code "a list that points out of the root" 3 --deb "$root" -o "$dir/deb4.json"
tap_run "stays in it" sh -c "! grep -q $(sum "$dir/secret") '$dir/deb4.json'"
rm "$db/info/plain.list"
code "a package without its list is an error" 1 --deb "$root" -o "$dir/no.json"
complains "and named" "the package 'plain'"
code "a root without a database is an error" 1 --deb "$image" -o "$dir/no.json"
complains "says which" "no dpkg database"

# ---- a deb file ----
if command -v dpkg-deb >/dev/null; then
	p=$dir/pkg
	long=$(printf 'l%.0s' {1..120})
	mkdir -p "$p/DEBIAN" "$p/bin" "$p/usr/lib/$long" "$p/usr/share/doc"
	cp "/bin/true" "$p/bin/tool"
	ln "$p/bin/tool" "$p/bin/again"
	ln -s tool "$p/bin/link"
	printf 'lib\n' >"$p/usr/lib/$long/$long.so"
	printf 'doc\n' >"$p/usr/share/doc/d"
	head -c 200000 /dev/zero >"$p/usr/share/doc/big"
	printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' >"$p/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$p" "$dir/p.deb" >/dev/null
	code "a package" 0 --deb-file "$dir/p.deb" -o "$dir/f.json"
	json "both names where the host may have either" "$dir/f.json" "names==sorted(['/bin/again','/bin/tool','/usr/bin/again','/usr/bin/tool','/lib/$long/$long.so','/usr/lib/$long/$long.so','/usr/share/doc/big','/usr/share/doc/d'])"
	json "with their digests" "$dir/f.json" "d['/usr/bin/again']==['$(sum "$p/bin/tool")'] and d['/usr/share/doc/big']==['$(sum "$p/usr/share/doc/big")'] and d['/lib/$long/$long.so']==['$(sum "$p/usr/lib/$long/$long.so")']"
	code "only what is run or loaded" 0 --deb-file "$dir/p.deb" --executables -o "$dir/fx.json"
	json "without the rest" "$dir/fx.json" "len(names)==6 and '/usr/share/doc/d' not in d"
	(cd "$dir" && cp p.deb -- -p.deb)
	(cd "$dir" && "$imastream" policy create --deb-file=-p.deb -o "$dir/f2.json" >/dev/null 2>"$dir/err")
	tap_is "a name like an option is a name" "$?" 0
	head -c 3000 "$dir/p.deb" >"$dir/torn.deb"
	code "a torn package is an error" 1 --deb-file "$dir/torn.deb" -o "$dir/no.json"
	printf 'no package\n' >"$dir/text.deb"
	code "other files are errors" 1 --deb-file "$dir/text.deb" -o "$dir/no.json"
	complains "told by dpkg-deb" "dpkg-deb cannot read"
	# a hostile archive inside: dpkg-deb passes it on
	mkdir "$dir/ar" && (cd "$dir/ar" && echo 2.0 >debian-binary && tar -C "$p/DEBIAN" -cJf control.tar.xz ./control &&
		mkdir up && printf 'up\n' >up/x && tar --transform 's,^,./usr/../../etc/,' -cJf data.tar.xz up/x && ar rc "$dir/up.deb" debian-binary control.tar.xz data.tar.xz) 2>/dev/null
	code "names that lead upwards are refused" 1 --deb-file "$dir/up.deb" -o "$dir/no.json"
	complains "as no package may have them" "a name that no package may have"
	# LIMIT_TAR_NAME, as GNU tar writes long names
	for n in 4096 4097; do
		python3 - "$dir/ar/data.tar" $n <<'E2'
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.GNU_FORMAT) as t:
    i = tarfile.TarInfo("./" + "/".join(["d" * 250] * 16) + "/"); i.name += "f" * (int(sys.argv[2]) + 1 - len(i.name)); i.size = 2
    t.addfile(i, io.BytesIO(b"x\n"))
E2
		(cd "$dir/ar" && rm -f data.tar.xz "$dir/long$n.deb" && ar rc "$dir/long$n.deb" debian-binary control.tar.xz data.tar)
	done
	code "a name of 4096 bytes" 0 --deb-file "$dir/long4096.deb" -o "$dir/long.json"
	json "is taken whole" "$dir/long.json" "len(names)==1 and len(names[0])==4096"
	code "one byte more" 1 --deb-file "$dir/long4097.deb" -o "$dir/no.json"
	(env PATH="$dir/nothing" "$imastream" policy create --deb-file "$dir/p.deb" -o "$dir/no.json" >"$dir/out" 2>"$dir/err")
	tap_is "without dpkg-deb: not supported here" "$?" 77
	complains "says what to install" "install the package dpkg"
else
	tap_skip "deb files" "no dpkg-deb"
fi

# ---- rpm ----
(env PATH="$dir/nothing" "$imastream" policy create --rpm -o "$dir/no.json" >"$dir/out" 2>"$dir/err")
tap_is "without rpm: not supported here" "$?" 77
complains "says what to install" "install the package rpm"
if command -v rpmbuild >/dev/null && command -v rpm >/dev/null; then
	r=$dir/rpmroot
	mkdir -p "$r/var/lib/rpm" "$r/usr/bin" "$dir/rpmbuild"
	ln -s usr/bin "$r/bin"
	cat >"$dir/t.spec" <<'E2'
Name: tiny
Version: 1
Release: 1
Summary: x
License: x
BuildArch: noarch
%description
x
%install
mkdir -p %{buildroot}/bin %{buildroot}/usr/share/tiny
printf '#!/bin/true\n' >%{buildroot}/bin/tiny
printf 'data\n' >%{buildroot}/usr/share/tiny/data
ln -s tiny %{buildroot}/bin/link
: >%{buildroot}/usr/share/tiny/ghost
%files
%attr(755,root,root) /bin/tiny
/bin/link
%dir /usr/share/tiny
/usr/share/tiny/data
%ghost /usr/share/tiny/ghost
E2
	rpmbuild -bb --quiet --define "_topdir $dir/rpmbuild" --define "_binary_filedigest_algorithm 8" --define '__brp_mangle_shebangs /bin/true' \
		--define "_build_id_links none" "$dir/t.spec" >"$dir/rpm.log" 2>&1
	package=$(find "$dir/rpmbuild/RPMS" -name '*.rpm' | head -1)
	rpm --dbpath "$r/var/lib/rpm" --initdb >>"$dir/rpm.log" 2>&1
	rpm --dbpath "$r/var/lib/rpm" -i --justdb --nodeps --noscripts "$package" >>"$dir/rpm.log" 2>&1
	printf '#!/bin/true\n' >"$r/usr/bin/tiny"
	code "an rpm database" 0 --rpm "$r" -o "$dir/rpm.json"
	json "digests of the headers, by the names that the kernel logs" "$dir/rpm.json" "d=={'/usr/bin/tiny':['$(sum "$r/usr/bin/tiny")'],'/usr/share/tiny/data':['$(printf 'data\n' | sha256sum | cut -c1-64)']}"
	says "one package" "2 files of 1 package,"
	printf 'changed\n' >"$r/usr/bin/tiny"
	code "a file that was changed" 0 --rpm "$r" -o "$dir/rpm2.json"
	tap_run "changes nothing: the header counts" cmp "$dir/rpm.json" "$dir/rpm2.json"
	code "only what is run or loaded" 0 --rpm "$r" --executables -o "$dir/rpmx.json"
	json "without the rest" "$dir/rpmx.json" "names==['/usr/bin/tiny']"
	code "a root without a database is an error" 1 --rpm "$image" -o "$dir/no.json"
	mkdir -p "$dir/empty/var/lib/rpm"
	code "an empty database is an error" 1 --rpm "$dir/empty" -o "$dir/no.json"
else
	tap_skip "rpm databases" "no rpmbuild: tools/setup --need test"
fi
tap_run "nothing was written where something failed" test ! -e "$dir/no.json"
tap_done
