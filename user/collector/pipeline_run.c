// SPDX-License-Identifier: Apache-2.0
/* Start, events and end of the pipeline. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/notify.h"
#include "base/resident.h"
#include "base/text.h"
#include "collector/confine.h"
#include "collector/pipeline_private.h"
#include "net/keeper.h"

#define ZSTD_LEVEL 6

/* --- counters ------------------------------------------------------------------------------------------------------- */

/* A verifier may have entries that we have not seen yet (a test source that is read again). */
static void account(struct stats_gathered *g, const struct peer *peer)
{
	uint64_t sent = peer->evidence == PEER_NOTHING ? peer->cursor : MAX(peer->cursor, peer->evidence_next);

	g->verifiers[g->n_verifiers].name = peer->name;
	g->verifiers[g->n_verifiers].acknowledged = peer->cursor;
	g->verifiers[g->n_verifiers].proven = peer->proven;
	g->verifiers[g->n_verifiers].quote_pending = peer->quote.stage != PEER_QUOTE_NONE;
	g->verifiers[g->n_verifiers].in_flight = sent - peer->cursor;
	g->verifiers[g->n_verifiers].waiting = g->entries > sent ? g->entries - sent : 0;
	g->n_verifiers++;
}

static void gather(const struct pipeline *p, struct stats_gathered *g)
{
	*g = (struct stats_gathered){
		.entries = window_end(p->window),
		.tpm_commands = quoter_commands(p->quoter),
		.loop_wakeups = loop_wakeups(p->loop),
		.cpu_us = clock_cpu_us(),
		.acknowledged = UINT64_MAX,
		.proven = UINT64_MAX,
		.sandbox = p->sandbox_text,
		.set_bytes = set_cache_bytes(p->sets),
	};
	source_status(p->source, &g->source);
	for (size_t i = 0; i < p->n_members; i++) {
		const struct member *m = &p->members[i];
		const struct peer_counters *c = &m->peer.counters;
		uint64_t sent, received;

		member_bytes(m, &sent, &received);
		g->bytes_sent += sent;
		g->bytes_received += received;
		g->peers.hellos += c->hellos;
		g->peers.resumes += c->resumes;
		g->peers.reconnects += c->reconnects;
		g->peers.rejects += c->rejects;
		g->peers.directives += c->directives;
		g->acknowledged = MIN(g->acknowledged, m->peer.cursor);
		g->proven = MIN(g->proven, m->peer.proven);
		g->rtt_us = MAX(g->rtt_us, m->peer.rtt_us);
		account(g, &m->peer);
	}
}

static void write_stats(const struct pipeline *p, uint64_t measured)
{
	cleanup_writer_ struct writer w = WRITER(65536);
	struct stats_gathered g;
	int r;

	if (!p->options->stats_file)
		return;
	gather(p, &g);
	g.measured = measured;
	stats_json(&w, &p->stats, &g, clock_mono_us());
	r = writer_status(&w);
	if (r == 0)
		r = write_file_atomic(p->options->stats_file, writer_view(&w), 0644);
	if (r < 0)
		log_errno(r, "cannot write %s", p->options->stats_file);
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static int on_source(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;

	p->pull_wanted = true;
	return pipeline_turn(p);
}

static int on_tpm(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;
	const struct quoter_result *result;

	if (quoter_result(p->quoter, &result)) {
		int r = pipeline_tpm_done(p, result, clock_mono_us());

		if (r < 0)
			return r;
	}
	return pipeline_turn(p);
}

static int on_member(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;
	uint64_t now = clock_mono_us();

	for (size_t i = 0; i < p->n_members; i++) {
		struct member *m = &p->members[i];
		uint64_t directives = m->peer.counters.directives;

		while (member_next(m, now))
			pipeline_measure(p, m, now);
		if (m->peer.counters.directives == directives)
			continue;
		source_check(p->source); /* the heartbeat is also ours */
		p->pull_wanted = !poll_mode(p);
	}
	return pipeline_turn(p);
}

static int on_timer(void *user, uint32_t events unused_)
{
	return pipeline_turn(user);
}

static int on_stop(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;

	loop_stop(p->loop);
	return 0;
}

static int on_stats(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;
	uint64_t measured = source_measured(p->source);
	int r = poll_mode(p) ? 0 : pipeline_pull(p, clock_mono_us()); /* then what was counted before has been seen */

	write_stats(p, measured);
	return r < 0 ? r : pipeline_turn(p);
}

static int on_hangup(void *user unused_, uint32_t events unused_)
{
	log_info("SIGHUP: nothing is read again while running; restart to use a changed configuration");
	return 0;
}

/* --- start and end -------------------------------------------------------------------------------------------------- */

static int open_tpm(struct pipeline *p, struct writer *why)
{
	const struct collector_options *o = p->options;
	const struct quoter_options q = {
		.tcti = o->tcti,
		.ak_alg = o->ak_alg,
		.ak_handle = o->ak_handle,
		.iak_cert = o->iak_cert,
		.bank_auto = o->bank == BANK_AUTO,
		.bank = o->bank == BANK_AUTO ? HASH_SHA256 : o->bank,
		.pcr_mask = o->pcr_mask,
		.read_pcr_10 = o->test_pipe,
	};
	int r = quoter_open(&p->quoter, &q, why);

	if (r < 0)
		return r;
	p->surveyed_us = clock_mono_us();
	return loop_add_fd(p->loop, quoter_fd(p->quoter), 0, on_tpm, p);
}

static int open_kernel(struct pipeline *p, struct writer *why)
{
	const struct source_kernel_options k = {
		.securityfs = p->options->securityfs,
		.support = p->options->support,
		.ring_bytes = (uint32_t)p->options->ring_bytes,
		.trim = p->options->trim_acknowledged,
		.poll_mode = poll_mode(p),
	};
	struct ring_probe probe;
	int r = source_kernel_open(&p->source, &k, &probe, why);

	if (r < 0 || poll_mode(p) || k.support)
		return r;
	if (probe.support != EVENT_SUPPORT_ORDERED)
		log_warn("support level %s: %s%s", ring_support_name(probe.support),
			 !probe.btf ? "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF); " : "",
			 probe.load_errno == -EPERM ? "BPF needs CAP_BPF and CAP_PERFMON, or root" :
						      "imastream doctor says more; nothing is lost, only later");
	return 0;
}

static int open_source(struct pipeline *p, struct writer *why)
{
	struct source_pipe_options pipe = { .what = p->options->source_what };
	int r;

	if (p->options->test_pipe) {
		pipe.banks = quoter_banks(p->quoter);
		pipe.bank = quoter_bank(p->quoter);
		bytes_copy(pipe.pcrs, quoter_survey(p->quoter)->pcrs, sizeof(pipe.pcrs));
		r = source_pipe_open(&p->source, &pipe, why);
	} else {
		r = open_kernel(p, why);
	}
	if (r < 0)
		return r;
	p->source_fd = source_fd(p->source);
	if (p->source_fd >= 0)
		r = loop_add_fd(p->loop, p->source_fd, 0, on_source, p);
	return r;
}

static int open_members(struct pipeline *p, struct writer *why)
{
	for (size_t i = 0; i < p->options->verifiers.n; i++) {
		int r = member_open(&p->members[p->n_members++], p->options->verifiers.items[i], p->options, p->keeper,
				    p->sets, p->loop, on_member, p, why);

		if (r < 0)
			return r;
		if (p->options->trim_acknowledged && p->members[i].n_urls > 1)
			log_info("--trim-acknowledged: the kernel forgets only what each of the %zu verifiers of %s has proven for itself",
				 p->members[i].n_urls, p->options->verifiers.items[i]);
	}
	return 0;
}

static int add_signals(struct pipeline *p)
{
	static const struct { int signo; loop_fn fn; } signals[] = {
		{ SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGUSR1, on_stats }, { SIGHUP, on_hangup },
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int r = loop_add_signal(p->loop, signals[i].signo, signals[i].fn, p);

		if (r < 0)
			return r;
	}
	return 0;
}

static int on_keeper(void *user, uint32_t events unused_)
{
	struct pipeline *p = user;

	log_error("the keeper of the TLS key (process %d) is gone: no verifier could be reached any more",
		  (int)keeper_pid(p->keeper));
	return -EPIPE;
}

static int start_keeper(struct pipeline *p, struct writer *why)
{
	const char *key = p->options->tls_key, *problem = "";
	int r = key ? keeper_start(&p->keeper, key, &p->sandbox, &problem) : 0;

	if (r < 0)
		write_fmt(why, "cannot use the private key %s: %s", key, problem);
	else if (p->keeper)
		r = loop_add_fd(p->loop, keeper_fd(p->keeper), EPOLLRDHUP, on_keeper, p);
	return r;
}

static int confine(struct pipeline *p, struct writer *why)
{
	cleanup_writer_ struct writer line = WRITER(sizeof(p->sandbox_text));
	struct sandbox_report report;
	int r = collector_sandbox(&p->sandbox, p->options, why);

	if (r == 0)
		r = start_keeper(p, why);
	if (r == 0)
		r = collector_confine(&p->sandbox, p->options, &report, why);
	if (r < 0)
		return r;
	sandbox_describe(&report, &line);
	snprintf(p->sandbox_text, sizeof(p->sandbox_text), "%s", writer_cstr(&line) ? (const char *)line.p : "");
	return 0;
}

/* BPF programs are loaded with the rights of the start. All else, the TPM too, is opened as it will be opened again later:
 * confined, and before the first thread. A test source needs the TPM's banks. */
static int open_all(struct pipeline *p, struct writer *why)
{
	int r = p->options->test_pipe ? 0 : open_source(p, why);

	if (r == 0)
		r = confine(p, why);
	if (r == 0)
		r = open_tpm(p, why);
	if (r == 0 && p->options->test_pipe)
		r = open_source(p, why);
	return r == 0 ? open_members(p, why) : r;
}

int pipeline_new(struct pipeline **out, const struct collector_options *o, struct writer *why)
{
	cleanup_(pipeline_free) struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->options = o;
	p->source_fd = -1;
	p->message = WRITER(LIMIT_MESSAGE);
	p->source_log = (struct log_limit){ .interval_us = 60000000, .burst = 3 };
	p->stats.started_us = clock_mono_us();
	sched_init(&p->sched, (unsigned int)o->duty_percent, o->max_proof_delay_us);
	r = loop_new(&p->loop);
	if (r == 0)
		r = add_signals(p); /* before any thread starts */
	if (r == 0)
		r = loop_add_timer(p->loop, &p->timer, on_timer, p);
	if (r == 0)
		r = boot_read(&p->boot, o->label);
	if (r == 0)
		r = window_new(&p->window, LIMIT_WINDOW_BYTES);
	if (r == 0)
		r = wire_pack_new(&p->pack, ZSTD_LEVEL);
	if (r == 0)
		r = set_cache_new(&p->sets, collector_cache_folder(o), (size_t)o->reference_max);
	if (r == 0)
		r = open_all(p, why);
	if (r < 0)
		return r;
	*out = TAKE_PTR(p);
	return 0;
}

void pipeline_free(struct pipeline **pipeline)
{
	struct pipeline *p = TAKE_PTR(*pipeline);

	if (!p)
		return;
	for (size_t i = 0; i < p->n_members; i++)
		member_close(&p->members[i]);
	quoter_close(&p->quoter);
	source_free(&p->source);
	window_free(&p->window);
	wire_pack_free(&p->pack);
	set_cache_free(&p->sets);
	writer_free(&p->message);
	loop_free(&p->loop);
	keeper_free(&p->keeper);
	sandbox_clear(&p->sandbox);
	free(p);
}

static void say_hello(const struct pipeline *p)
{
	const struct tpm_identity *identity = quoter_identity(p->quoter);
	cleanup_writer_ struct writer w = WRITER(256);
	uint8_t ak_digest[32]; /* a TPM Name is the name algorithm, ours is SHA-256, and that digest of the public area */
	struct source_status status;
	const char *line;

	source_status(p->source, &status);
	hash_one(HASH_SHA256, identity->ak_public, identity->ak_public_n, ak_digest);
	write_hex(&w, identity->attester_id, WIRE_DIGEST_SIZE);
	write_fmt(&w, ", attestation key 000b");
	write_hex(&w, ak_digest, sizeof(ak_digest));
	line = writer_cstr(&w);
	log_info("attester %s", line ? line : "?");
	log_info("%s, bank %s; %s, %" PRIu64 " entries", quoter_describe(p->quoter), hash_name(quoter_bank(p->quoter)),
		 status.test_source ? "TEST SOURCE" :
		 poll_mode(p)	    ? "poll mode" :
				      ring_support_name(status.support),
		 window_end(p->window));
}

int pipeline_run(struct pipeline *p)
{
	int r = pipeline_pull(p, clock_mono_us()); /* the list to its end, before anything is said */

	p->visible = window_end(p->window);
	if (poll_mode(p))
		p->pull_at_us = clock_mono_us() + p->options->interval_us;
	if (r < 0)
		return r;
	say_hello(p);
	if (notify_state("READY=1") < 0)
		log_warn("cannot tell the service manager that we are ready");
	r = pipeline_turn(p);
	resident_trim(); /* what starting took */
	if (r == 0)
		r = loop_run(p->loop);
	if (r < 0)
		log_errno(r, "ending");
	(void)notify_state("STOPPING=1");
	write_stats(p, source_measured(p->source));
	return r;
}
