# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Parts of the guest lab, sourced by tests/vm/run and tests/vm/record: messages, the kernel cache, the guest's root
# directory, the software TPM. No side effect when sourced beyond the variables below.

LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_VM=$LAB_TOP/tests/vm
# Everything that is downloaded or prepared lives here; removing it is always safe.
LAB_DIR=${IMASTREAM_LAB_DIR:-$LAB_TOP/build/lab}
LAB_NAME=lab
LAB_VERBOSE=${LAB_VERBOSE:-0}

# --- messages --------------------------------------------------------------------------------------------------------

# lab_as NAME: the name before every message.
lab_as() { LAB_NAME=$1; }

lab_say()  { printf '%s: %s\n' "$LAB_NAME" "$*" >&2; }
lab_note() { if [ "$LAB_VERBOSE" -ge 1 ]; then lab_say "$@"; fi; }

# A failure of the lab itself, as opposed to one of the script in the guest.
lab_die() { lab_say "$@"; exit 125; }

# lab_quietly LOG COMMAND...: output goes to LOG, and is shown when the command fails.
lab_quietly() {
    local log=$1 rc=0
    shift
    "$@" >"$log" 2>&1 || rc=$?
    if [ "$rc" -ne 0 ]; then
        lab_say "failed ($rc): $*"
        sed 's/^/    /' "$log" | tail -n 20 >&2
    fi
    return "$rc"
}

# lab_need PROGRAM...: one message for everything that is missing.
lab_need() {
    local p missing=()
    for p in "$@"; do
        command -v "$p" >/dev/null 2>&1 || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] || lab_die "missing programs: ${missing[*]} (run tools/setup --need ${LAB_NEED:-lab})"
}

# --- kernels ---------------------------------------------------------------------------------------------------------
#
# LAB_DIR/kernels/VERSION/ holds vmlinuz, version, config, modules/ and initramfs-N.cpio (busybox and the virtio modules;
# N is LAB_FORMAT); a symlink LAB_DIR/kernels/SUITE names the version a suite gave when it was fetched.

LAB_SUITES=(bookworm trixie sid staging)
# shellcheck source-path=SCRIPTDIR source=kernel/build.sh
. "$LAB_VM/kernel/build.sh"
# To be raised when lab_initramfs changes: cached ones are then made again.
LAB_FORMAT=1

# The address of the Debian archive this machine already uses: asked of apt itself, so that every form of its
# configuration works. Prefers a source that says it is Debian, then one whose address looks like it.
lab_archive_uri() {
    local fields="\$(REPO_URI)|\$(RELEASE)|\$(ORIGIN)|\$(LABEL)"
    apt-get indextargets --format "$fields" 'Created-By: Packages' 2>/dev/null |
        awk -F'|' '
            $2 ~ /(-security|-updates|-backports)$/ { next }
            $3 == "Debian" && $4 == "Debian" { if (!best) best = $1 }
            $1 ~ /\/debian\/?$/ { if (!good) good = $1 }
            END { print best ? best : good }'
}

# lab_apt SUITE COMMAND...: runs "apt-get ..." or "apt-cache ..." with lists and caches of its own.
lab_apt() {
    local dir=$LAB_DIR/apt/$1 tool=$2
    shift 2
    APT_CONFIG=$dir/apt.conf "$tool" "$@"
}

# lab_apt_setup NAME [SUITE]: writes the private apt configuration of a suite. What the machine says about transport (proxies, validity times of
# snapshots) is kept; its hooks and its package sources are not.
lab_apt_setup() {
    local dir=$LAB_DIR/apt/$1 suite=${2:-$1} uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    uri=$(lab_archive_uri)
    [ -n "$uri" ] || lab_die "apt has no Debian source configured: cannot fetch the $suite kernel (give --kernel PATH)"
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suite"
        if [ -e "$keyring" ]; then printf 'Signed-By: %s\n' "$keyring"; fi
    } >"$dir/lab.sources"
    {
        apt-config dump 2>/dev/null | grep '^Acquire::' | grep -vE '^Acquire::(IndexTargets|Languages)' || true
        printf 'Dir::Etc::main "/dev/null";\nDir::Etc::parts "/dev/null";\n'
        printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "/dev/null";\n' "$dir/lab.sources"
        printf 'Dir::State::lists "%s";\nDir::Cache "%s";\n' "$dir/lists" "$dir/cache"
        printf 'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
        printf 'APT::Get::List-Cleanup "false";\n'
    } >"$dir/apt.conf"
}

# The packages that hold vmlinuz and the modules of a suite's cloud kernel, one a line.
lab_kernel_packages() {
    local suite=$1 dep version
    dep=$(lab_apt "$suite" apt-cache depends linux-image-cloud-amd64 |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
    [ -n "$dep" ] || return 1
    version=${dep#linux-image-}
    # Since 7.x the image package is only a shell: the kernel is in linux-binary, the modules in linux-modules.
    if lab_apt "$suite" apt-cache show "linux-binary-$version" >/dev/null 2>&1; then
        printf '%s\n' "linux-binary-$version" "linux-modules-$version"
    else
        printf '%s\n' "$dep"
    fi
}

# lab_kernel_fetch SUITE: downloads and unpacks; slow steps say so on standard error.
lab_kernel_fetch() {
    local suite=$1 dir=$LAB_DIR/apt/$1 tmp log packages=() started=$SECONDS
    lab_need apt-get dpkg-deb depmod modprobe cpio busybox
    lab_say "fetching the $suite kernel (once; kept under ${LAB_DIR#"$LAB_TOP"/})"
    lab_apt_setup "$suite"
    log=$dir/log
    lab_quietly "$log" lab_apt "$suite" apt-get -q update ||
        lab_die "cannot read the package list of $suite"
    mapfile -t packages < <(lab_kernel_packages "$suite")
    [ ${#packages[@]} -gt 0 ] || lab_die "$suite has no package linux-image-cloud-amd64"
    lab_say "  downloading ${packages[*]}"
    tmp=$(mktemp -d "$LAB_DIR/kernels/.fetch.XXXXXX")
    chmod 755 "$tmp"
    (cd "$tmp" && lab_quietly "$log" lab_apt "$suite" apt-get -q download "${packages[@]}") ||
        { rm -rf "$tmp"; lab_die "download failed"; }
    local deb
    for deb in "$tmp"/*.deb; do
        dpkg-deb -x "$deb" "$tmp/tree"
    done
    lab_kernel_prepare "$tmp/tree" "$tmp" || { rm -rf "$tmp"; lab_die "cannot use the $suite kernel"; }
    local version
    version=$(cat "$tmp/version")
    rm -rf "$tmp/tree" "$tmp"/*.deb "$LAB_DIR/kernels/$version"
    mv "$tmp" "$LAB_DIR/kernels/$version"
    ln -sfn "$version" "$LAB_DIR/kernels/$suite"
    rm -rf "$dir/lists" "$dir/cache"
    lab_say "  $suite is $version ($((SECONDS - started)) s)"
}

# lab_kernel_prepare TREE DEST: finds vmlinuz and modules in TREE and puts them into DEST. TREE may be an unpacked
# package, a directory with a bare vmlinuz or bzImage, or what "make modules_install" made beside one.
lab_kernel_prepare() {
    local tree=$1 dest=$2 vmlinuz='' moddir='' version='' f
    for f in "$tree"/lib/modules/*/ "$tree"/usr/lib/modules/*/; do
        if [ -d "$f/kernel" ]; then moddir=${f%/}; fi
    done
    for f in "$tree"/boot/vmlinuz-* "${moddir:-/nonexistent}/vmlinuz" "$tree"/vmlinuz* "$tree"/bzImage \
        "$tree"/arch/x86/boot/bzImage; do
        if [ -z "$vmlinuz" ] && [ -f "$f" ]; then vmlinuz=$f; fi
    done
    [ -n "$vmlinuz" ] || { lab_say "no vmlinuz under $tree"; return 1; }
    if [ -n "$moddir" ]; then version=${moddir##*/}; else version=${vmlinuz##*/}; fi
    for f in "$tree/boot/config-$version" "${moddir:-/nonexistent}/config" "$tree/config" "$tree/.config"; do
        if [ -f "$f" ]; then cp "$f" "$dest/config"; break; fi
    done
    cp "$vmlinuz" "$dest/vmlinuz"
    printf '%s\n' "$version" >"$dest/version"
    if [ -n "$moddir" ]; then
        mkdir -p "$dest/modules/lib/modules/$version"
        cp -a --reflink=auto "$moddir/kernel" "$dest/modules/lib/modules/$version/"
        for f in modules.builtin modules.builtin.modinfo modules.order; do
            # Not every package ships these; depmod wants to see them.
            if [ -e "$moddir/$f" ]; then cp "$moddir/$f" "$dest/modules/lib/modules/$version/"
            else : >"$dest/modules/lib/modules/$version/$f"; fi
        done
        depmod -b "$dest/modules" "$version"
    fi
    lab_initramfs "$dest"
}

# lab_initramfs KERNEL_DIR: the part of the initramfs that depends on the kernel only. modprobe knows the order of
# loading; compressed modules are unpacked so that busybox can load them.
lab_initramfs() {
    local dest=$1 root m kind path base list version
    version=$(cat "$dest/version")
    root=$(mktemp -d "$dest/.initramfs.XXXXXX")
    chmod 755 "$root"
    mkdir -p "$root"/{bin,dev,proc,sys,newroot,lab/modules}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for m in $(busybox --list); do
        [ -e "$root/bin/$m" ] || ln -s busybox "$root/bin/$m"
    done
    list=$root/lab/modules.list
    : >"$list"
    if [ -d "$dest/modules" ]; then
        for m in virtio_pci virtio_blk ext4 virtio_console virtio_net; do
            while read -r kind path _; do
                [ "$kind" = insmod ] || continue # the others are built in
                base=${path##*/}
                case $base in
                    *.ko) cp "$path" "$root/lab/modules/$base" ;;
                    *.ko.xz) base=${base%.xz}; xz -dc "$path" >"$root/lab/modules/$base" ;;
                    *.ko.zst) base=${base%.zst}; zstd -qdc "$path" >"$root/lab/modules/$base" ;;
                    *) lab_say "unknown module form: $base"; return 1 ;;
                esac
                grep -qxF "$base" "$list" || printf '%s\n' "$base" >>"$list"
            done < <(modprobe -d "$dest/modules" -S "$version" --show-depends "$m" 2>/dev/null)
        done
    fi
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$root.cpio" || return 1
    mv "$root.cpio" "$dest/initramfs-$LAB_FORMAT.cpio"
    rm -rf "$root"
}

# lab_kernel_ready DIR: whether it holds a prepared kernel; one from an older LAB_FORMAT is brought up to date.
lab_kernel_ready() {
    [ -e "$1/version" ] || return 1
    [ -e "$1/initramfs-$LAB_FORMAT.cpio" ] || lab_initramfs "$1"
}

# lab_kernel NAME: prints the prepared directory of a suite, a vmlinuz or a directory; fetches what is missing.
lab_kernel() {
    local name=$1 dir key tmp
    mkdir -p "$LAB_DIR/kernels"
    if [[ $name != */* ]] && [[ " ${LAB_SUITES[*]} " == *" $name "* || -e $LAB_DIR/kernels/$name/version ]]; then
        dir=$LAB_DIR/kernels/$name
        exec {LAB_LOCK}>"$LAB_DIR/kernels/.lock.$name"
        flock "$LAB_LOCK"
        if [ "${LAB_UPDATE:-0}" = 1 ] || ! lab_kernel_ready "$dir" || lab_kernel_stale "$name" "$dir"; then
            if lab_kernel_builds "$name"; then (lab_kernel_build "$name") || exit; else lab_kernel_fetch "$name"; fi
        fi
        exec {LAB_LOCK}>&-
        readlink -f "$dir"
        return
    fi
    [ -e "$name" ] || lab_die "no such kernel: $name (a suite: ${LAB_SUITES[*]}; a fetched version; or a path)"
    # A path: prepared once, and again when a file changes.
    name=$(readlink -f "$name")
    if [ -d "$name" ]; then
        key=$(find -L "$name" -maxdepth 5 \( -name 'vmlinuz*' -o -name bzImage -o -name modules.order \) \
            -printf '%p %s %T@\n' | sort)
    else
        key=$(stat -c '%n %s %Y' "$name")
    fi
    dir=$LAB_DIR/kernels/path-$(printf '%s' "$key" | sha256sum | cut -c1-16)
    if ! lab_kernel_ready "$dir"; then
        lab_need depmod modprobe cpio busybox
        tmp=$(mktemp -d "$LAB_DIR/kernels/.path.XXXXXX")
        chmod 755 "$tmp"
        if [ -d "$name" ]; then
            lab_kernel_prepare "$name" "$tmp" || { rm -rf "$tmp"; lab_die "cannot use the kernel in $name"; }
        else
            cp "$name" "$tmp/vmlinuz"
            printf '%s\n' "${name##*/}" >"$tmp/version"
            lab_initramfs "$tmp" || { rm -rf "$tmp"; lab_die "cannot prepare $name"; }
        fi
        mv -T "$tmp" "$dir" 2>/dev/null || rm -rf "$tmp" # another lab was faster
    fi
    printf '%s\n' "$dir"
}

# lab_modules KERNEL_DIR ROOT NAME...: modules on the guest's disk, for modprobe there.
lab_modules() {
    local kdir=$1 root=$2 version m kind path
    shift 2
    version=$(cat "$kdir/version")
    [ -d "$kdir/modules" ] || { lab_say "this kernel has no modules"; return 1; }
    for m in "$@"; do
        while read -r kind path _; do
            [ "$kind" = insmod ] || continue
            install -D -m 644 "$path" "$root/usr/lib/modules/$version/${path#*"/$version/"}"
        done < <(modprobe -d "$kdir/modules" -S "$version" --show-depends "$m")
    done
    cp "$kdir/modules/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$version/"
    depmod -b "$root" "$version"
}

# --- the guest's root directory --------------------------------------------------------------------------------------

# lab_copy ROOT SRC DST: a program, with the shared libraries it needs, or any other file.
lab_copy() {
    local root=$1 src=$2 dst=$3 lib out
    install -D -m "$(stat -Lc %a "$src")" "$src" "$root$dst"
    # Not an ELF file: nothing more to copy.
    [ "$(LC_ALL=C head -c 4 "$src" | tr -d '\0')" = $'\x7fELF' ] || return 0
    out=$(ldd "$src" 2>/dev/null) || return 0 # static
    while read -r lib; do
        [ -e "$root$lib" ] || install -D -m 755 "$lib" "$root$lib"
    done < <(awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' <<<"$out")
    if grep -q 'not found' <<<"$out"; then
        lab_say "$src: $(grep 'not found' <<<"$out" | head -n 1 | xargs)"
        return 1
    fi
    # TCTI modules are loaded by name at run time: ldd cannot see them.
    case $out in
        *libtss2-tctildr* | *libtss2-esys* | *libtss2-sys*)
            for lib in "$(dirname "$(awk '/libtss2-/ && $3 ~ /^\// { print $3; exit }' <<<"$out")")"/libtss2-tcti-{device,swtpm,mssim,cmd,tabrmd}.so.0; do
                if [ -e "$lib" ] && [ ! -e "$root$lib" ]; then lab_copy "$root" "$lib" "$lib"; fi
            done
            ;;
    esac
}

# The programs of the base root: the machine's own, so that what is measured is real. Missing ones are left out (busybox
# has most of them too).
lab_base_programs() {
    dpkg-query -L coreutils 2>/dev/null | grep -E '^(/usr)?/s?bin/' || true
    printf '%s\n' bash dash grep egrep sed awk find xargs tar gzip setsid setpriv mount umount dmesg unshare nsenter flock \
        taskset ip ss ps pgrep pkill kill free insmod rmmod modprobe lsmod xxd hexdump getfattr setfattr cmp diff \
        setarch prlimit script findmnt more rev column uuidgen
}

# lab_base: prints a directory tree with the guest's programs, made once for a given set of programs.
lab_base() {
    local p real key dir tmp list=()
    while read -r p; do
        case $p in
            /*) [ -f "$p" ] && list+=("$p") ;;
            *) p=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin type -P "$p") && list+=("$p") ;;
        esac
    done < <(lab_base_programs)
    key=$({ cat "$LAB_VM/lib.sh"; stat -Lc '%n %s %Y' "${list[@]}" "$(command -v busybox)"; } | sha256sum | cut -c1-16)
    dir=$LAB_DIR/base/$key
    if [ ! -d "$dir" ]; then
        mkdir -p "$LAB_DIR/base"
        exec {LAB_LOCK}>"$LAB_DIR/base/.lock"
        flock "$LAB_LOCK"
        if [ ! -d "$dir" ]; then
            tmp=$(mktemp -d "$LAB_DIR/base/.new.XXXXXX")
            chmod 755 "$tmp"
            mkdir -p "$tmp"/usr/{bin,sbin,lib,lib64,local/{bin,sbin,lib}} \
                "$tmp"/{dev,proc,sys,run,tmp,root,out,etc,home,mnt,opt,srv,var/{lib,tmp,log},lab/busybox}
            for p in bin sbin lib lib64; do ln -s "usr/$p" "$tmp/$p"; done
            chmod 1777 "$tmp/tmp" "$tmp/var/tmp"
            chmod 700 "$tmp/root"
            ln -s ../run "$tmp/var/run"
            for p in "${list[@]}"; do
                real=$(readlink -f "$p")
                case $p in /bin/* | /sbin/* | /lib/*) p=/usr$p ;; esac
                lab_copy "$tmp" "$real" "$p"
            done
            ln -sfn dash "$tmp/usr/bin/sh"
            install -m 755 "$(command -v busybox)" "$tmp/lab/busybox/busybox"
            for p in $(busybox --list); do
                [ -e "$tmp/lab/busybox/$p" ] || ln -s busybox "$tmp/lab/busybox/$p"
            done
            printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' 'nobody:x:65534:65534:nobody:/:/bin/false' \
                'tss:x:901:901::/:/bin/false' 'imastream:x:902:902::/:/bin/false' >"$tmp/etc/passwd"
            printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' 'tss:x:901:' 'imastream:x:902:' >"$tmp/etc/group"
            printf 'passwd: files\ngroup: files\nhosts: files\n' >"$tmp/etc/nsswitch.conf"
            printf '127.0.0.1 localhost\n10.0.2.2 host\n' >"$tmp/etc/hosts"
            printf '/usr/local/lib\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n' >"$tmp/etc/ld.so.conf"
            ldconfig -r "$tmp" 2>/dev/null || true
            mv -T "$tmp" "$dir"
            # Trees of older program sets; a lab that copies from one right now holds the lock.
            find "$LAB_DIR/base" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -mmin +60 -exec rm -rf {} +
        fi
        exec {LAB_LOCK}>&-
    fi
    printf '%s\n' "$dir"
}

# lab_ca: the certificates that vouch for the lab's TPMs, one a line; made with the first TPM.
lab_ca() {
    local tmp ca=$LAB_DIR/ca
    if [ ! -e "$ca/issuercert.pem" ]; then
        tmp=$(mktemp -d "${TMPDIR:-/tmp}/imastream-ca-XXXXXX")
        lab_tpm_new "$tmp/tpm" sha256 "$tmp/log" || { rm -rf "$tmp"; lab_die "cannot make the lab's certificate authority"; }
        rm -rf "$tmp"
    fi
    printf '%s\n' "$ca/issuercert.pem" "$ca/swtpm-localca-rootca-cert.pem"
}

# --- software TPM ----------------------------------------------------------------------------------------------------

# lab_tpm_new STATE_DIR BANKS LOG: a manufactured TPM with an endorsement certificate signed by the lab's own CA, whose
# certificate is LAB_DIR/ca/issuercert.pem.
lab_tpm_new() {
    local state=$1 banks=$2 log=$3 ca=$LAB_DIR/ca tool
    mkdir -p "$ca" "$state"
    tool=$(command -v swtpm_localca) || tool=/usr/bin/swtpm_localca
    if [ ! -e "$ca/setup.conf" ]; then
        printf 'statedir = %s\nsigningkey = %s/signkey.pem\nissuercert = %s/issuercert.pem\ncertserial = %s/certserial\n' \
            "$ca" "$ca" "$ca" "$ca" >"$ca/localca.conf.$$"
        printf -- '--platform-manufacturer imastream\n--platform-version 1\n--platform-model lab\n' >"$ca/options.$$"
        printf 'create_certs_tool = %s\ncreate_certs_tool_config = %s/localca.conf\ncreate_certs_tool_options = %s/options\n' \
            "$tool" "$ca" "$ca" >"$ca/setup.conf.$$"
        mv "$ca/localca.conf.$$" "$ca/localca.conf"
        mv "$ca/options.$$" "$ca/options"
        mv "$ca/setup.conf.$$" "$ca/setup.conf"
    fi
    lab_quietly "$log" swtpm_setup --tpm2 --tpmstate "$state" --create-ek-cert --config "$ca/setup.conf" \
        --pcr-banks "$banks"
}
