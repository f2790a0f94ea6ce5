// SPDX-License-Identifier: Apache-2.0
/* The rules of `imastream policy create --default-excludes`: data that programs rewrite in daily work. Not in it, on purpose:
 * /tmp, /var/tmp, /home, /root, /opt, and all that can hold code (maintainer scripts, .pyc, hooks): there an intruder's
 * program would lie. docs/policy.md has the same list. */
#include "cli/policy_cmd.h"

static const char *const rules[] = {
	"/(proc|sys)/",
	"/run/(systemd|udev|user|lock|log)/",
	"/var/(log|cache|backups|crash)/",
	"/var/lib/(apt/lists|systemd|NetworkManager|dhcp|chrony|plymouth)/",
	"/var/lib/(dpkg/(status|available|diversions|statoverride)|logrotate/status|rpm/[^/]*)",
	"/etc/(ld\\.so\\.cache|mtab|adjtime|resolv\\.conf|machine-id|hostname)$",
	"/(usr/)?lib/modules/[^/]+/modules\\.[a-z.]+$",
	"/usr/share/(mime|icons|applications)/[^/]*/?[^/]*cache$",
	"/usr/lib/locale/locale-archive$",
	"/boot/(initrd|initramfs)[^/]*$",
	"/boot/grub2?/grubenv$",
};

const char *policy_default_exclude(size_t i)
{
	return i < ARRAY_SIZE(rules) ? rules[i] : NULL;
}
