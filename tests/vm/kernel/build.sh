# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by tests/vm/lib.sh when a kernel has to be built instead of fetched: Debian's linux-source, "make tinyconfig", a fragment
# of this folder merged into it. 7 minutes on two idle processors, once for each content of the fragment.

# lab_kernel_builds NAME: whether NAME is a kernel of this folder.
lab_kernel_builds() { [ -e "$LAB_VM/kernel/$1.config" ]; }

# lab_kernel_stale NAME DIR: whether the one that is there was built from another fragment.
lab_kernel_stale() { lab_kernel_builds "$1" && ! cmp -s "$LAB_VM/kernel/$1.config" "$2/fragment"; }

# lab_kernel_source DIR: unpacks the newest linux-source of sid there, without its top folder.
lab_kernel_source() {
    local dir=$1 log=$LAB_DIR/apt/source/log package
    lab_apt_setup source sid
    lab_quietly "$log" lab_apt source apt-get -q update || lab_die "cannot read the package list of sid"
    package=$(lab_apt source apt-cache depends linux-source | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$package" ] || lab_die "sid has no package linux-source"
    lab_say "  downloading $package (160 MB)"
    (cd "$dir" && lab_quietly "$log" lab_apt source apt-get -q download "$package") || lab_die "download failed"
    dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -C "$dir" -xO --wildcards './usr/src/linux-source-*.tar.xz' |
        tar -C "$dir" -xJ --strip-components=1 || lab_die "cannot unpack $package"
    rm -rf "$dir"/*.deb "$LAB_DIR/apt/source/lists" "$LAB_DIR/apt/source/cache"
}

# lab_kernel_configure NAME DIR: every line of the fragment must have come through: an option that is gone would be dropped in silence.
lab_kernel_configure() {
    local fragment=$LAB_VM/kernel/$1.config dir=$2 line missing=()
    (cd "$dir" && make -s tinyconfig && scripts/kconfig/merge_config.sh -m .config "$fragment" && make -s olddefconfig) || return 1
    while read -r line; do
        grep -qxF -- "$line" "$dir/.config" || missing+=("$line")
    done < <(grep '^CONFIG_' "$fragment")
    [ ${#missing[@]} -eq 0 ] || { echo "this kernel does not take: ${missing[*]}"; return 1; }
}

# lab_kernel_build NAME: fills the cache, as lab_kernel_fetch does.
lab_kernel_build() {
    local name=$1 tmp started=$SECONDS version
    lab_say "building the $name kernel (once, some minutes; kept under ${LAB_DIR#"$LAB_TOP"/})"
    LAB_NEED=kernels lab_need apt-get dpkg-deb make gcc flex bison bc pahole xz cpio busybox
    tmp=$(mktemp -d "$LAB_DIR/kernels/.build.XXXXXX")
    chmod 755 "$tmp"
    mkdir "$tmp/source"
    # shellcheck disable=SC2064 # the name of now
    trap "rm -rf '$tmp'" EXIT
    lab_kernel_source "$tmp/source"
    lab_quietly "$tmp/log" lab_kernel_configure "$name" "$tmp/source" || lab_die "cannot configure the $name kernel"
    version=$(make -s -C "$tmp/source" kernelrelease)
    lab_say "  compiling $version"
    lab_quietly "$tmp/log" nice -n 5 make -C "$tmp/source" -j"$(nproc)" bzImage || lab_die "cannot build the $name kernel"
    cp "$tmp/source/arch/x86/boot/bzImage" "$tmp/vmlinuz"
    cp "$tmp/source/.config" "$tmp/config"
    printf '%s\n' "$version" >"$tmp/version"
    lab_initramfs "$tmp" || lab_die "cannot use the $name kernel"
    cp "$LAB_VM/kernel/$name.config" "$tmp/fragment"
    rm -rf "$tmp/source" "$tmp/log" "${LAB_DIR:?}/kernels/$version"
    mv "$tmp" "$LAB_DIR/kernels/$version"
    trap - EXIT
    ln -sfn "$version" "$LAB_DIR/kernels/$name"
    lab_say "  $name is $version ($((SECONDS - started)) s)"
}
