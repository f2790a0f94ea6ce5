// SPDX-License-Identifier: Apache-2.0
#include "collector/quote.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/text.h"
#include "tpm/certificate.h"

#define EXTEND_SLICE_US 1000u

struct quoter {
	struct quoter_options options;
	char *tcti;
	struct tpm *tpm; /* of the thread, once it runs */
	struct tpm_identity identity;
	enum hash_alg bank;
	unsigned int banks;
	char description[128];
	struct quoter_survey survey;
	pthread_t thread;
	bool running;
	int done_fd;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wanted;
	bool stop;
	enum quoter_job_kind job; /* wanted or being done */
	bool have_result;
	bool reopen; /* the last job failed: do not trust the connection */
	/* The job's own; of the thread from start to result */
	uint8_t qualifying[32];
	const struct source_extend *work;
	uint8_t blob[LIMIT_CREDENTIAL], encrypted[LIMIT_CREDENTIAL];
	size_t blob_n, encrypted_n;
	struct quoter_result result;
	char error[320];
	uint64_t commands;	  /* as of the last result; atomic */
	uint64_t commands_before; /* of connections that are closed */
};

/* --- what the thread does ------------------------------------------------------------------------------------------- */

static void note_error(struct quoter *q, const char *what)
{
	snprintf(q->error, sizeof(q->error), "%s: %s", what, tpm_error(q->tpm));
}

static struct pcr_selection selection(const struct quoter *q, bool with_10)
{
	uint32_t mask = with_10 ? q->options.pcr_mask : q->options.pcr_mask & ~(1u << 10);

	return (struct pcr_selection){ .alg = hash_tpm_alg(q->bank), .mask = mask };
}

static int do_survey(struct quoter *q, struct quoter_survey *out)
{
	struct pcr_selection sel = selection(q, false);
	int r;

	if (q->options.read_pcr_10)
		sel.mask |= (1u << TPM_PCR_COUNT) - 1; /* a test source may use any */
	r = tpm_read_clock(q->tpm, &out->clock);
	if (r == 0 && sel.mask)
		r = tpm_pcr_read(q->tpm, &sel, out->pcrs);
	if (r < 0)
		note_error(q, "survey");
	return r;
}

static int do_quote(struct quoter *q)
{
	struct pcr_selection sel = selection(q, true);
	int r = tpm_quote(q->tpm, &sel, (struct bytes){ q->qualifying, sizeof(q->qualifying) }, &q->result.quote);

	if (r < 0)
		note_error(q, "quote");
	return r;
}

/* A slice of the job: a quote must not wait behind all of it. At least one. */
static int do_extend(struct quoter *q)
{
	uint64_t until = clock_mono_us() + EXTEND_SLICE_US;

	for (size_t i = q->work->from; i < q->work->n && (q->result.extended == 0 || clock_mono_us() < until); i++) {
		int r = tpm_pcr_extend(q->tpm, q->work->entry[i].pcr, q->banks,
				       (const uint8_t(*)[HASH_MAX_SIZE])q->work->entry[i].digests);

		if (r < 0) {
			note_error(q, "extend");
			return r;
		}
		q->result.extended++;
	}
	return 0;
}

static int do_activate(struct quoter *q)
{
	int r;

	if (q->identity.ek_public_n == 0) {
		snprintf(q->error, sizeof(q->error), "this TPM has no endorsement key");
		return 1;
	}
	r = tpm_activate_credential(q->tpm, (struct bytes){ q->blob, q->blob_n },
					(struct bytes){ q->encrypted, q->encrypted_n }, q->result.secret,
					&q->result.secret_n);

	if (r != 0)
		note_error(q, "credential");
	return r;
}

/* As quoter_options says. */
static int identify(struct quoter *q, struct tpm_identity *out)
{
	int r = tpm_set_ak(q->tpm, q->options.ak_handle);

	return r == 0 ? tpm_identify(q->tpm, q->options.ak_alg, out) : r;
}

static int do_reopen(struct quoter *q)
{
	struct tpm_identity identity;
	char why[256] = "";
	int r;

	if (q->tpm)
		q->commands_before += tpm_commands(q->tpm);
	tpm_close(&q->tpm);
	r = tpm_open(&q->tpm, q->tcti, why, sizeof(why));
	if (r < 0) {
		snprintf(q->error, sizeof(q->error), "open again: %s", why);
		return r;
	}
	r = identify(q, &identity);
	if (r < 0) {
		note_error(q, "open again");
		return r;
	}
	if (!bytes_equal(identity.attester_id, q->identity.attester_id, sizeof(identity.attester_id)) ||
	    identity.ak_public_n != q->identity.ak_public_n ||
	    !bytes_equal(identity.ak_public, q->identity.ak_public, identity.ak_public_n)) {
		snprintf(q->error, sizeof(q->error), "another TPM answers than at the start");
		return -EUCLEAN;
	}
	return 0;
}

static int do_job(struct quoter *q, enum quoter_job_kind job, bool reopen)
{
	int r = reopen ? do_reopen(q) : 0;

	if (r < 0)
		return r;
	switch (job) {
	case QUOTER_QUOTE:
		return do_quote(q);
	case QUOTER_SURVEY:
		return do_survey(q, &q->result.survey);
	case QUOTER_EXTEND:
		return do_extend(q);
	case QUOTER_ACTIVATE:
		return do_activate(q);
	case QUOTER_NONE:
		break;
	}
	return -EINVAL;
}

static void *work(void *user)
{
	struct quoter *q = user;

	pthread_mutex_lock(&q->lock);
	while (!q->stop) {
		enum quoter_job_kind job = q->job;
		bool reopen = q->reopen;

		if (job == QUOTER_NONE || q->have_result) {
			pthread_cond_wait(&q->wanted, &q->lock);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		q->result.kind = job;
		q->result.extended = 0;
		q->result.secret_n = 0;
		q->result.started_us = clock_mono_us();
		q->result.status = do_job(q, job, reopen);
		q->result.ended_us = clock_mono_us();
		pthread_mutex_lock(&q->lock);
		q->reopen = q->result.status < 0;
		__atomic_store_n(&q->commands, q->commands_before + (q->tpm ? tpm_commands(q->tpm) : 0), __ATOMIC_RELAXED);
		q->have_result = true;
		wake_fd_kick(q->done_fd);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* --- opening -------------------------------------------------------------------------------------------------------- */

static int choose_bank(struct quoter *q, struct writer *why)
{
	static const enum hash_alg best[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA1 };
	int r = tpm_banks(q->tpm, &q->banks);

	if (r < 0) {
		write_fmt(why, "cannot ask the TPM for its PCR banks: %s", tpm_error(q->tpm));
		return r;
	}
	if (!q->options.bank_auto) {
		q->bank = q->options.bank;
		if (q->banks & 1u << q->bank)
			return 0;
		write_fmt(why, "the TPM has no PCR 10 in bank %s: leave --bank out, or allocate it in the firmware's "
			       "setup", hash_name(q->bank));
		return -EOPNOTSUPP;
	}
	for (size_t i = 0; i < ARRAY_SIZE(best); i++) {
		if (q->banks & 1u << best[i]) {
			q->bank = best[i];
			return 0;
		}
	}
	write_fmt(why, "the TPM has PCR 10 in no bank that imastream knows (sha1, sha256, sha384, sha512)");
	return -EOPNOTSUPP;
}

/* The certificate of --iak-cert in place of the TPM's; those above it where the EK's are not. */
static int read_iak_cert(struct quoter *q, struct writer *why)
{
	cleanup_writer_ struct writer file = WRITER(1u << 20), cert = WRITER(LIMIT_CERT), chain = WRITER(LIMIT_EK_CHAIN);
	struct tpm_identity *id = &q->identity;
	int r;

	if (!q->options.iak_cert)
		return 0;
	r = read_file(q->options.iak_cert, &file);
	if (r == 0)
		r = tpm_cert_from_file(writer_view(&file), &cert, &chain);
	if (r != 0) {
		write_fmt(why, "--iak-cert %.200s: %s", q->options.iak_cert,
			  r > 0 ? "not a certificate, in PEM or DER" : strerror(-r));
		return r > 0 ? -EINVAL : r;
	}
	if (!tpm_cert_is_for(writer_view(&cert), (struct bytes){ id->ak_public, id->ak_public_n })) {
		write_fmt(why, "--iak-cert %.200s: the certificate is for another key than the attestation key; with --ak-handle "
			       "the collector uses the key that it is for", q->options.iak_cert);
		return -EINVAL;
	}
	bytes_copy(id->iak_cert, cert.p, cert.n);
	id->iak_cert_n = cert.n;
	if (id->ek_chain_n + chain.n <= sizeof(id->ek_chain)) {
		bytes_copy(id->ek_chain + id->ek_chain_n, chain.p, chain.n);
		id->ek_chain_n += chain.n;
	}
	return 0;
}

static int open_tpm(struct quoter *q, struct writer *why)
{
	char text[256] = "";
	int r = tpm_open(&q->tpm, q->tcti, text, sizeof(text));

	if (r < 0) {
		write_fmt(why, "cannot open the TPM (%s): %s; is there one, and may this user open it (root, or group "
			       "tss)? --tcti names another", q->tcti ? q->tcti : "device:/dev/tpmrm0",
			  *text ? text : strerror(-r));
		return r;
	}
	r = identify(q, &q->identity);
	if (r < 0) {
		write_fmt(why, "%s: %s", q->options.ak_handle ? "--ak-handle" : "the TPM made no attestation key",
			  tpm_error(q->tpm));
		return r;
	}
	r = read_iak_cert(q, why);
	if (r < 0)
		return r;
	r = choose_bank(q, why);
	if (r < 0)
		return r;
	if (tpm_describe(q->tpm, q->description, sizeof(q->description)) < 0)
		snprintf(q->description, sizeof(q->description), "unknown");
	r = do_survey(q, &q->survey);
	if (r < 0)
		write_fmt(why, "cannot read the TPM's clock and PCRs: %s", q->error);
	q->commands = tpm_commands(q->tpm);
	return r;
}

static void quoter_free(struct quoter *q)
{
	tpm_close(&q->tpm);
	fd_cleanup(&q->done_fd);
	pthread_cond_destroy(&q->wanted);
	pthread_mutex_destroy(&q->lock);
	free(q->tcti);
	free(q);
}

int quoter_open(struct quoter **out, const struct quoter_options *o, struct writer *why)
{
	struct quoter *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->options = *o;
	q->done_fd = -1;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wanted, NULL);
	if (o->tcti && !(q->tcti = strdup(o->tcti))) {
		quoter_free(q);
		return -ENOMEM;
	}
	q->done_fd = wake_fd_new();
	r = q->done_fd < 0 ? q->done_fd : open_tpm(q, why);
	if (r == 0)
		r = -pthread_create(&q->thread, NULL, work, q);
	if (r < 0) {
		quoter_free(q);
		return r;
	}
	q->running = true;
	*out = q;
	return 0;
}

void quoter_close(struct quoter **q)
{
	struct quoter *x = TAKE_PTR(*q);

	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_signal(&x->wanted);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	quoter_free(x);
}

/* --- the loop's side ------------------------------------------------------------------------------------------------ */

const struct tpm_identity *quoter_identity(const struct quoter *q)
{
	return &q->identity;
}

enum hash_alg quoter_bank(const struct quoter *q)
{
	return q->bank;
}

unsigned int quoter_banks(const struct quoter *q)
{
	return q->banks;
}

const char *quoter_describe(const struct quoter *q)
{
	return q->description;
}

const struct quoter_survey *quoter_survey(const struct quoter *q)
{
	return &q->survey;
}

int quoter_fd(const struct quoter *q)
{
	return q->done_fd;
}

/* job is written by this side only, so it may be read without the lock here. */
bool quoter_busy(const struct quoter *q)
{
	return q->job != QUOTER_NONE;
}

static int start(struct quoter *q, enum quoter_job_kind job)
{
	pthread_mutex_lock(&q->lock);
	q->job = job;
	pthread_cond_signal(&q->wanted);
	pthread_mutex_unlock(&q->lock);
	return 0;
}

int quoter_quote(struct quoter *q, const uint8_t qualifying[32])
{
	if (quoter_busy(q))
		return -EBUSY;
	bytes_copy(q->qualifying, qualifying, sizeof(q->qualifying));
	return start(q, QUOTER_QUOTE);
}

int quoter_start_survey(struct quoter *q)
{
	return quoter_busy(q) ? -EBUSY : start(q, QUOTER_SURVEY);
}

int quoter_extend(struct quoter *q, const struct source_extend *extend)
{
	if (quoter_busy(q))
		return -EBUSY;
	q->work = extend;
	return start(q, QUOTER_EXTEND);
}

int quoter_activate(struct quoter *q, struct bytes blob, struct bytes encrypted)
{
	if (quoter_busy(q))
		return -EBUSY;
	if (blob.n > sizeof(q->blob) || encrypted.n > sizeof(q->encrypted))
		return -EINVAL;
	bytes_copy(q->blob, blob.p, blob.n);
	bytes_copy(q->encrypted, encrypted.p, encrypted.n);
	q->blob_n = blob.n;
	q->encrypted_n = encrypted.n;
	return start(q, QUOTER_ACTIVATE);
}

void quoter_forget(struct quoter *q)
{
	OPENSSL_cleanse(q->result.secret, sizeof(q->result.secret));
	q->result.secret_n = 0;
}

bool quoter_result(struct quoter *q, const struct quoter_result **out)
{
	bool have;

	wake_fd_clear(q->done_fd);
	pthread_mutex_lock(&q->lock);
	have = q->have_result;
	if (have) {
		q->have_result = false;
		q->job = QUOTER_NONE;
	}
	pthread_mutex_unlock(&q->lock);
	if (!have)
		return false;
	if (q->result.kind == QUOTER_SURVEY && q->result.status == 0)
		q->survey = q->result.survey;
	*out = &q->result;
	return true;
}

const char *quoter_error(const struct quoter *q)
{
	return q->error;
}

uint64_t quoter_commands(const struct quoter *q)
{
	return __atomic_load_n(&q->commands, __ATOMIC_RELAXED); /* asked for at any time, also while the thread works */
}
