/* SPDX-License-Identifier: Apache-2.0 */
/* Policies while the verifier runs: files are read by a thread, and swapped in when they are whole and good; else the old
 * ones stay in force. Roll-back, overlaps, history: what the operator's command asks for. One thread owns a rollout. */
#pragma once

#include "base/loop.h"
#include "verifier/asker.h"
#include "verifier/history.h"
#include "verifier/options.h"
#include "verifier/pipeline.h"

struct rollout;

struct rollout_io {
	void *user;
	void (*after)(void *user); /* events and deadlines may have changed */
	/* Exactly once for each token that rollout_control() took. */
	void (*answer)(void *user, void *token, struct bytes answer);
};

/* At start: generations for the rules that were read, before the pipeline has them. Logs. */
must_use_ int rollout_first(const struct verifier_options *o, struct store *store, struct rules *rules,
			    const struct instant *now);
must_use_ int rollout_new(struct rollout **out, const struct verifier_options *o, struct loop *loop,
			  struct pipeline *pipeline, const struct rollout_io *io);
/* Waits for a thread that is at work. */
void rollout_free(struct rollout **r);
/* Reads everything again. reason: "signal", "file". */
void rollout_reload(struct rollout *r, const char *reason);
/* A request about policies: {"get":"policies"}, {"get":"policy-history"}, {"policy":...}; README.md. True: it is one, the
 * token is taken and will be answered. */
must_use_ bool rollout_control(struct rollout *r, struct bytes request, const struct asker *asker, void *token);
