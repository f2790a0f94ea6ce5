/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator asked for. The table in options.c is the only place that names options. */
#pragma once

#include "base/log.h"
#include "base/options.h"
#include "imastream/event.h"
#include "imastream/limits.h"
#include "tpm/device.h"

enum collector_mode { MODE_EVENT, MODE_POLL };
#define BANK_AUTO HASH_COUNT
#define COLLECTOR_CACHE_DIR "/var/cache/imastream"

struct collector_options {
	struct option_list verifiers; /* each may be a comma list: a fail-over group */
	char *tls_ca, *tls_cert, *tls_key, *tls_server_name;
	char *tcti;
	unsigned int ak_alg; /* enum ak_alg */
	uint32_t ak_handle;  /* persistent key; 0: our own */
	char *iak_cert;
	unsigned int bank;   /* enum hash_alg or BANK_AUTO */
	uint32_t pcr_mask;
	char *label;
	unsigned int mode;   /* enum collector_mode */
	uint64_t interval_us;
	unsigned int support; /* 0: auto, else enum event_support */
	uint64_t poll_interval_us;
	uint64_t ring_bytes;
	uint64_t batch_age_us, batch_entries;
	uint64_t duty_percent, max_proof_delay_us;
	bool context;
	char *source;	   /* "kernel", or "pipe:..." */
	bool test_source;
	char *securityfs;
	char *cache_dir;	/* "none": nothing is kept on disk */
	uint64_t reference_max;
	char *stats_file;
	unsigned int log_level;
	char *user;	      /* NULL: imastream, when there is one */
	unsigned int sandbox; /* enum sandbox_mode */
	bool trim_acknowledged;
	bool test_pipe;	   /* source is a pipe; source_what says which */
	const char *source_what;
};

/* Reads everything and checks what belongs together. Returns as options_load() does. */
must_use_ int collector_options_load(struct collector_options *o, int argc, char **argv, struct writer *text);
/* As options_each_path(). */
must_use_ int collector_options_each_path(const struct collector_options *o, option_path_fn fn, void *user);
/* NULL: none. */
const char *collector_cache_folder(const struct collector_options *o);
void collector_options_clear(struct collector_options *o);
