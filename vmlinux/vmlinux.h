/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reduced: only the kernel types, members and constants that bpf/ names. Where a member really is, libbpf looks up in
 * the running kernel's BTF when it loads the object (CO-RE). README.md says how to add to it. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef short int __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long int __s64;
typedef unsigned long long __u64;
typedef __u16 __be16; /* these three: for bpf_helper_defs.h */
typedef __u32 __be32;
typedef __u32 __wsum;

typedef _Bool bool;
enum { false = 0, true = 1 };

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};
enum {
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
	BPF_RB_CONS_POS = 2,
	BPF_RB_PROD_POS = 3,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/ns_common.h, nsproxy.h, sched.h, fs/mount.h */
struct ns_common {
	unsigned int inum;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
struct task_struct {
	struct nsproxy *nsproxy;
};

/* include/linux/tpm.h; digest[] is longer in the kernel, the first 20 bytes are all that is read */
struct tpm_chip;
struct tpm_digest {
	__u16 alg_id;
	__u8 digest[20];
};

/* security/integrity/ima/ima.h */
struct ima_field_data {
	__u8 *data;
	__u32 len;
};
struct ima_template_desc {
	char *name;
	char *fmt;
	int num_fields;
};
struct ima_template_entry {
	int pcr;
	struct tpm_digest *digests;
	struct ima_template_desc *template_desc;
	__u32 template_data_len;
	struct ima_field_data template_data[];
};

#pragma clang attribute pop

#endif /* __VMLINUX_H__ */
