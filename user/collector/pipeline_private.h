/* SPDX-License-Identifier: Apache-2.0 */
/* Between pipeline.c (the order of work) and pipeline_run.c (start, events, end) only. */
#pragma once

#include "base/sandbox.h"
#include "collector/boot.h"
#include "collector/member.h"
#include "collector/pipeline.h"
#include "collector/quote.h"
#include "collector/sched.h"
#include "collector/stats.h"

struct pipeline {
	const struct collector_options *options;
	struct sandbox sandbox;
	char sandbox_text[256]; /* what of it is in force */
	struct keeper *keeper; /* of --tls-key, NULL: none */
	struct loop *loop;
	struct loop_timer *timer;
	struct boot boot;
	struct quoter *quoter;
	struct sched sched;
	struct source *source;
	int source_fd; /* watched, -1: none */
	bool pull_wanted;
	uint64_t pull_at_us; /* poll level, poll mode's tick, or after a failure; 0: not by timer */
	struct window *window;
	uint64_t visible; /* entries that the verifiers may see: all, or in poll mode those of the last tick */
	struct wire_pack *pack;
	struct set_cache *sets;
	struct writer message;
	struct member members[LIMIT_VERIFIERS];
	size_t n_members;
	uint64_t surveyed_us;
	bool quote_on_change; /* the quote in flight */
	uint8_t commitments[LIMIT_COMMITMENTS][WIRE_DIGEST_SIZE];
	uint32_t n_commitments;
	size_t activating;	      /* whose credential the TPM works on */
	uint32_t activating_serial;
	uint64_t next_wake_us; /* collected during a turn */
	struct log_limit source_log;
	uint64_t unnoticed, lost; /* source_status, as told */
	struct trim trim;
	unsigned int busy_tries; /* in a row, the list was open for writing */
	struct stats stats;
};

static inline bool poll_mode(const struct pipeline *p)
{
	return p->options->mode == MODE_POLL;
}

/* One look at everything that may be done now; sets the timer for what may be done later. Negative errno: the end. */
must_use_ int pipeline_turn(struct pipeline *p);
/* [1] [2]: what is new goes into the window. */
must_use_ int pipeline_pull(struct pipeline *p, uint64_t now);
/* The TPM thread has finished a job. */
must_use_ int pipeline_tpm_done(struct pipeline *p, const struct quoter_result *r, uint64_t now);
/* An answer came: latency of the entries that it acknowledges or proves. */
void pipeline_measure(struct pipeline *p, struct member *m, uint64_t now);
