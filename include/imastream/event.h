/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* What the BPF program (bpf/) tells the collector (user/collector/ring.c): records in a ring buffer and counters in
 * its .bss. Both sides compile this file, so: __u* types only, padding spelled out, the tag first, no number is ever
 * used for something else. tests/integration/event_btf_test.c compares it with the BTF of the built object.
 *
 * Nothing here is evidence. It is a wake-up and a fast path; the truth is the kernel's list and the quote. */
#pragma once

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define EVENT_DATA_MAX 8192u	  /* template data that one record carries; larger entries travel as EVENT_BARE */
#define EVENT_NAME_MAX 255u	  /* template name or format, without NUL (LIMIT_TEMPLATE_NAME) */
#define EVENT_FIELDS_MAX 15u	  /* TEMPLATE_NUM_FIELDS_MAX of the kernel (LIMIT_TEMPLATE_FIELDS) */
#define EVENT_COMM_LEN 16u	  /* TASK_COMM_LEN of the kernel, NUL included */
#define EVENT_RING_MIN 4096u	  /* bytes; the ring is a power of two and whole pages */
#define EVENT_RING_MAX (64u << 20)
#define EVENT_RING_DEFAULT (1u << 20)

/* First word of each record. */
enum event_type {
	EVENT_ENTRY = 1, /* struct event_entry, then name_len bytes of name, then data_len bytes of template data */
	EVENT_BARE = 2,	 /* struct event_entry, then name_len bytes: an entry whose data must be read from the list */
	EVENT_WAKE = 3,	 /* struct event_wake: an entry is in the list, and its PCR extend is over */
};

/* Why an entry, or its data, is not in the ring. Index into event_state.drops. */
enum event_drop {
	EVENT_DROP_NONE = 0,
	EVENT_DROP_RING_FULL = 1,     /* no room: nothing was sent, the sequence shows a gap */
	EVENT_DROP_OVERSIZED = 2,     /* more than EVENT_DATA_MAX: EVENT_BARE was sent */
	EVENT_DROP_READ_FAILED = 3,   /* bpf_probe_read_kernel failed: EVENT_BARE was sent */
	EVENT_DROP_NO_SCRATCH = 4,    /* no scratch memory: nothing was sent */
	EVENT_DROP_BAD_FIELDS = 5,    /* field count or lengths disagree with template_data_len: EVENT_BARE was sent */
	EVENT_DROP_NAME_TOO_LONG = 6, /* more than EVENT_NAME_MAX: EVENT_BARE was sent */
	/* Counted in user space, never by the BPF program */
	EVENT_DROP_MALFORMED = 7,     /* a record's bytes did not decode */
	EVENT_DROP_MISSED_RUN = 8,    /* the kernel skipped a run of a program (bpf_prog_info.recursion_misses) */
	EVENT_DROP_COUNT = 9,
	EVENT_DROP_ROOM = 16, /* size of the array: room to grow without moving anything */
};

/* event_entry.flags */
enum event_flag {
	EVENT_FLAG_VIOLATION = 1, /* the template digest is all zeros; all ones are extended */
	EVENT_FLAG_POSITION = 2,  /* `position` is known */
	EVENT_FLAG_TOTAL = 4,	  /* `total` is known */
};

/* Kept in order of what works: a higher level does all that a lower one does. */
enum event_support {
	EVENT_SUPPORT_POLL = 1,	   /* no BPF */
	EVENT_SUPPORT_SIGNAL = 2,  /* ima_add_template_entry (and tpm_pcr_extend): a wake-up, no entries */
	EVENT_SUPPORT_ORDERED = 3, /* ima_add_digest_entry and tpm_pcr_extend: entries in list order, with context */
};

struct event_header {
	__u32 type; /* enum event_type */
	__u32 size; /* of the whole record, this header included */
	__u64 seq;  /* EVENT_ENTRY, EVENT_BARE: own number of the entry, from 1, +1 each; EVENT_WAKE: the newest one */
};

struct event_entry {
	struct event_header header;
	__u64 position;	   /* 1-based place in the kernel's list; goes down when the list is trimmed */
	__u64 ktime_ns;	   /* CLOCK_MONOTONIC when the entry was appended */
	__u64 cgroup_id;   /* of the task that caused the measurement, cgroup v2 */
	__u32 pid;	   /* thread */
	__u32 tgid;	   /* process, in the initial pid namespace */
	__u32 uid;	   /* in the initial user namespace */
	__u32 mnt_ns;	   /* inode number of the mount namespace, 0 = unknown */
	__u32 pcr;
	__u32 flags;	   /* enum event_flag */
	__u32 drop;	   /* EVENT_BARE: enum event_drop; EVENT_ENTRY: 0 */
	__u32 data_len;	   /* EVENT_ENTRY: bytes of data; EVENT_BARE: what the kernel says, none follow */
	__u32 field_count;
	__u32 name_len;
	char comm[EVENT_COMM_LEN];
	__u64 total;	   /* entries since boot, this one included: not lowered by a trim (Linux 7.2) */
};

struct event_wake {
	struct event_header header;
	__u64 extended_seq; /* every entry up to this one has been through its PCR extend */
};

/* One global in .bss, mapped into the collector read-only by convention. Written under ima_extend_list_mutex, except
 * the members marked (atomic). Each member is one aligned word: read it with an atomic load. */
struct event_state {
	__u64 seq;	       /* entries seen since the program was attached */
	__u64 extended_seq;    /* newest entry whose PCR extend has returned success */
	__u64 position;	       /* the kernel's list position of the newest entry, or of the last probe */
	__u64 signals;	       /* (atomic) wake-ups wanted: at least one an entry */
	__u64 wakes;	       /* (atomic) EVENT_WAKE records sent; the others found an unread one in the ring */
	__u64 extend_failures; /* PCR extends of IMA that failed: list and PCR differ until reboot */
	__u64 extend_failed_first; /* their first sequence number, 0 = none */
	__u64 extend_failed_last;
	__s32 extend_error;    /* result of the last failed one: negative errno or positive TPM code */
	__u32 reserved;
	__u64 drops[EVENT_DROP_ROOM]; /* (atomic) by enum event_drop */
	/* Of the last probe: entries in the live list; in the staged list and since boot, 0 before Linux 7.2. */
	__u64 live;
	__u64 staged;
	__u64 total;
};

#ifdef __cplusplus
#define EVENT_ASSERT(x) static_assert(x, #x)
#else
#define EVENT_ASSERT(x) _Static_assert(x, #x)
#endif
EVENT_ASSERT(sizeof(struct event_header) == 16);
EVENT_ASSERT(__builtin_offsetof(struct event_header, type) == 0);
EVENT_ASSERT(__builtin_offsetof(struct event_header, size) == 4);
EVENT_ASSERT(__builtin_offsetof(struct event_header, seq) == 8);
EVENT_ASSERT(sizeof(struct event_entry) == 104);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, position) == 16);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, ktime_ns) == 24);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, cgroup_id) == 32);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, pid) == 40);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, tgid) == 44);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, uid) == 48);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, mnt_ns) == 52);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, pcr) == 56);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, flags) == 60);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, drop) == 64);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, data_len) == 68);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, field_count) == 72);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, name_len) == 76);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, comm) == 80);
EVENT_ASSERT(__builtin_offsetof(struct event_entry, total) == 96);
EVENT_ASSERT(sizeof(struct event_wake) == 24);
EVENT_ASSERT(__builtin_offsetof(struct event_wake, extended_seq) == 16);
EVENT_ASSERT(sizeof(struct event_state) == 224);
EVENT_ASSERT(__builtin_offsetof(struct event_state, extended_seq) == 8);
EVENT_ASSERT(__builtin_offsetof(struct event_state, position) == 16);
EVENT_ASSERT(__builtin_offsetof(struct event_state, signals) == 24);
EVENT_ASSERT(__builtin_offsetof(struct event_state, wakes) == 32);
EVENT_ASSERT(__builtin_offsetof(struct event_state, extend_failures) == 40);
EVENT_ASSERT(__builtin_offsetof(struct event_state, extend_failed_first) == 48);
EVENT_ASSERT(__builtin_offsetof(struct event_state, extend_failed_last) == 56);
EVENT_ASSERT(__builtin_offsetof(struct event_state, extend_error) == 64);
EVENT_ASSERT(__builtin_offsetof(struct event_state, drops) == 72);
EVENT_ASSERT(__builtin_offsetof(struct event_state, live) == 200);
EVENT_ASSERT(__builtin_offsetof(struct event_state, staged) == 208);
EVENT_ASSERT(__builtin_offsetof(struct event_state, total) == 216);
