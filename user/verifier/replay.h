/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [9], the incremental replay of one boot: running PCR values, the window of values a quote may hit, and the
 * search for the entry at which the quoted digest is reached. Pure: no I/O, no clock. One thread owns a struct replay.
 */
#pragma once

#include "ima/entry.h"
#include "imastream/limits.h"

/* How the kernel turns an entry into what it extends. Undecided until the first match of a boot: both are replayed. */
enum replay_form {
	REPLAY_UNDECIDED = 0,
	REPLAY_NATIVE = 1, /* each bank gets its own hash of the entry */
	REPLAY_PADDED = 2, /* kernels before 5.8: SHA-1, padded with zeros */
};

#define REPLAY_SEARCH_BACK 256u /* entries searched for one that was not extended, or two that are exchanged */

/* Values of the PCRs that entries named; all others are zero. Only PCR 10 is kept inline: few hosts use another. */
struct pcr_values {
	uint8_t ten[HASH_MAX_SIZE];
	uint8_t (*others)[HASH_MAX_SIZE]; /* LIMIT_PCR + 1 values, or NULL */
};

struct replay_track {
	struct pcr_values base;	   /* after `first` entries */
	struct pcr_values running; /* after `next` entries */
	uint8_t *steps;		   /* one for each entry of [first, next): PCR, what was extended, the value then */
	size_t head, capacity;	   /* in steps; the first one stands at `head` */
};

struct replay {
	enum hash_alg bank;
	enum replay_form form;
	uint64_t first, next;
	uint64_t lost;	     /* values before this index fell out of the full window */
	uint32_t used;	     /* bit per PCR that occurred */
	struct replay_track *track[2]; /* native, padded; NULL: not this one, as of a form that is decided */
};

/* form UNDECIDED replays both ways, unless the bank is SHA-1, where they are the same. 0 or -ENOMEM: then r is empty. */
must_use_ int replay_init(struct replay *r, enum hash_alg bank, enum replay_form form, uint64_t at);
void replay_clear(struct replay *r);

/* Extends entries one behind the other; e->pcr is at most LIMIT_PCR (the decoder's promise, checked). 0, -ENOMEM, -EINVAL: then
 * r is only good for replay_restore() and replay_clear(). */
must_use_ int replay_entries(struct replay *r, const struct ima_entry *e, size_t n);

/* A point to go back to when a block turns out to be malformed half-way. */
struct replay_mark {
	uint64_t next;
	uint32_t used;
};
struct replay_mark replay_mark(const struct replay *r);
void replay_restore(struct replay *r, struct replay_mark m);

/* Forgets values below `index` (clamped to `next`): no quote will be matched there. */
void replay_forget(struct replay *r, uint64_t index);

/* The value of a PCR after `next` entries, in the form that holds (native while undecided). */
const uint8_t *replay_value(const struct replay *r, unsigned int pcr);

/* Values at `base` as bytes and back, for the store: used mask, then the values in ascending order.
 * replay_load: 0, -ENOMEM, -EBADMSG. */
void replay_save(const struct replay *r, struct writer *w);
must_use_ int replay_load(struct replay *r, struct bytes saved);

/* Answers whether the quoted digest belongs to these values. value(cookie, pcr) gives the replayed value of a PCR that
 * entries named, NULL for others. */
struct replay_view {
	const struct replay *replay;
	const struct pcr_values *values;
};
const uint8_t *replay_view_value(const struct replay_view *v, unsigned int pcr);
typedef bool (*replay_test_fn)(void *user, const struct replay_view *v);

enum replay_outcome {
	REPLAY_MATCH = 0,
	REPLAY_NO_MATCH,      /* the window was complete, and nothing in it fits */
	REPLAY_BELOW,	      /* fits, but before `lower` */
	REPLAY_SKIPPED,	      /* fits when one entry is left out: its extend failed */
	REPLAY_EXCHANGED,     /* fits when two neighbours are exchanged */
	REPLAY_WINDOW,	      /* nothing fits, but values that could have fitted fell out of the window */
};
struct replay_match {
	uint64_t index;		/* entries replayed when the digest was reached */
	uint64_t culprit;	/* SKIPPED: the entry that was not extended; EXCHANGED: the first of the two */
	enum replay_form form;
};
/* Tests the values after `lower` .. `next` entries. deep: also look for one skipped entry or two exchanged ones
 * (bounded by REPLAY_SEARCH_BACK; not when values that could fit are lost: it would be done again with each quote).
 * 0 .. REPLAY_WINDOW, or -ENOMEM. */
must_use_ int replay_find(const struct replay *r, uint64_t lower, bool deep, replay_test_fn test, void *user,
			  struct replay_match *out);

/* Takes a match as the new base: decides the form, corrects the values for a skipped or exchanged entry, forgets what
 * lies before. 0 or -ENOMEM. */
must_use_ int replay_prove(struct replay *r, enum replay_outcome how, const struct replay_match *m);
