/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [1]: the ring buffer that bpf/ fills. The only user of the skeleton; ring.c hides libbpf from everyone else.
 *
 * What comes out is a hint, never evidence: a lost, late or false record costs time, because the list (stage [2]) and
 * the quote decide. One thread owns a ring. */
#pragma once

#include "ima/entry.h"
#include "imastream/event.h"

struct ring;

struct ring_options {
	enum event_support want; /* 0: the best that works; else exactly this level or -EOPNOTSUPP */
	uint32_t ring_bytes;	 /* 0: EVENT_RING_DEFAULT; else a power of two, EVENT_RING_MIN to EVENT_RING_MAX */
};

/* What was found while opening, for `doctor`. Complete whether or not ring_open() succeeds. */
struct ring_probe {
	bool btf;		 /* the kernel describes its types: /sys/kernel/btf/vmlinux */
	bool hook_digest_entry;	 /* ima_add_digest_entry: entries */
	bool hook_pcr_extend;	 /* tpm_pcr_extend: how far the PCR is extended; wake-up */
	bool hook_template_entry; /* ima_add_template_entry: wake-up at the signal level */
	bool position_symbol;	 /* the kernel's number of entries can be read */
	enum event_support support; /* the level reached */
	int load_errno;		 /* first failure to load or attach, negative errno, 0 = none */
	char detail[1024];	 /* end of what libbpf and the verifier said about it; may hold several lines */
};

/* Who caused the measurement, as the kernel saw it. Unattested: shown to people, never decided upon. */
struct ring_context {
	uint64_t ktime_ns; /* CLOCK_MONOTONIC at the append */
	uint64_t cgroup_id;
	uint32_t pid, tgid, uid; /* initial namespaces */
	uint32_t mnt_ns;	 /* 0 = unknown */
	char comm[EVENT_COMM_LEN]; /* NUL-terminated; any bytes, escape it */
};

struct ring_record {
	enum event_type type;
	uint64_t seq;		 /* entry, bare: its own number, from 1 without gaps unless dropped. wake: the newest */
	uint64_t extended_seq;	 /* wake only: entries up to this one have been through their PCR extend */
	uint64_t position;	 /* 1-based place in the kernel's list, 0 = unknown; goes down when the list is trimmed */
	uint64_t total;		 /* entries since boot, this one included; 0 = unknown. Linux 7.2; a trim does not lower it */
	enum event_drop drop;	 /* bare only: why the data is not here; read the list */
	uint32_t data_len;	 /* bytes of template data, also when it is not here */
	uint32_t field_count;
	struct ima_entry entry;	 /* pcr, violation, name, data (bare: no data); no digest. Views into the record's bytes */
	struct ring_context context;
};

/* Counters since ring_open(); all zero at the poll level. */
struct ring_counters {
	uint64_t extended_seq; /* newest entry whose PCR extend returned success; stays 0 without a TPM */
	uint64_t seq;	       /* entries that the program saw; >= extended_seq */
	uint64_t position;     /* the kernel's list position of the newest one, 0 = unknown */
	uint64_t signals;      /* wake-ups wanted, at least one an entry: all there is at the signal level */
	uint64_t wakes;	       /* wake records sent; for the other signals an unread one was in the ring */
	uint64_t extend_failures; /* PCR extends that failed: list and PCR differ until reboot */
	uint64_t extend_failed_first, extend_failed_last; /* their sequence numbers, 0 = none */
	int32_t extend_error;	      /* of the last: negative errno or positive TPM response code */
	uint64_t drops[EVENT_DROP_COUNT]; /* by enum event_drop; one entry can count under its cause and RING_FULL */
};

/* Called for each record; the record and its views are valid until it returns. 0: go on; > 0: stop behind this record;
 * negative errno: stop, and ring_consume() returns it. */
typedef int (*ring_fn)(void *user, const struct ring_record *record);

/* Probes, loads and attaches, and falls back level by level. With want == 0 the poll level always works: the ring then
 * has no descriptor and no records, so that the caller needs no special case. probe may be NULL.
 * 0, or -EOPNOTSUPP (the wanted level does not work: see probe), -EINVAL (ring_bytes), -ENOMEM. Needs CAP_BPF and
 * CAP_PERFMON; ring_consume() and ring_snapshot() need nothing. Not reentrant: libbpf's print hook is one per process. */
must_use_ int ring_open(struct ring **out, const struct ring_options *options, struct ring_probe *probe);
/* Detaches and frees; *ring becomes NULL. NULL is fine. */
void ring_close(struct ring **ring);
#define cleanup_ring_ cleanup_(ring_close)

enum event_support ring_support(const struct ring *ring);
/* "poll", "signal", "ordered". */
const char *ring_support_name(enum event_support support);

/* For epoll, EPOLLIN, level-triggered (edge-triggered can miss a wake-up that arrives while consuming). Borrowed. -1 at
 * the poll level. */
int ring_fd(const struct ring *ring);

/* Delivers what is in the ring; never blocks. Records whose bytes do not decode are counted (EVENT_DROP_MALFORMED) and
 * skipped. Returns the number of records delivered, or the callback's negative errno. */
must_use_ int ring_consume(struct ring *ring, ring_fn fn, void *user);

/* Reads the counters: memory only, no system call. Take one behind each ring_consume() and compare it with the one
 * before: if a drop counter moved or seq ran ahead of the records, go to the list. Take one per heartbeat too. */
void ring_snapshot(const struct ring *ring, struct ring_counters *out);
/* Asks the kernel how many runs of the programs it skipped, for EVENT_DROP_MISSED_RUN: bpf(BPF_OBJ_GET_INFO_BY_FD) three
 * times, needs no capability. Once per heartbeat; a failure leaves the count as it was. */
void ring_check_missed(struct ring *ring);

/* What the kernel counts. */
struct ring_counts {
	uint64_t live;	 /* entries in its list */
	uint64_t staged; /* in the staged list */
	uint64_t total;	 /* since boot; 0: not counted (before Linux 7.2, where live is all) */
};

/* Asks the kernel for its present numbers, cheaper than opening the list: bpf(BPF_PROG_TEST_RUN), needs no capability. They are
 * read while entries are added: total - live may be too small by what was added meanwhile, never too large. 0, or -EOPNOTSUPP. */
must_use_ int ring_counts(struct ring *ring, struct ring_counts *out);

/* Pure: the bytes of one record to *out, whose views point into bytes. 0, or -EBADMSG for anything that the BPF program
 * cannot have written: wrong size, unknown type or flag, fields that do not add up. */
must_use_ int ring_record_decode(const void *bytes, size_t n, struct ring_record *out);
