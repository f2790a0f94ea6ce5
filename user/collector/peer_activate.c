// SPDX-License-Identifier: Apache-2.0
/* Enrolment: a CHALLENGE, the TPM's work on it, the secret. */
#include <openssl/crypto.h>

#include "base/log.h"
#include "collector/peer_private.h"

/* Between two activations for one verifier: a second, doubled each time, at most a minute; and four times as long as the TPM
 * took, so that it has a fifth of the time at most. Only a long pause starts from the beginning. */
#define PAUSE_FIRST_US 1000000u
#define PAUSE_MAX_US 60000000u
#define PAUSE_TIMES_WORK 4u
#define FORGET_US 600000000u

void peer_activation_end(struct peer *p)
{
	struct peer_activation *a = &p->activation;

	OPENSSL_cleanse(a->blob, sizeof(a->blob));
	OPENSSL_cleanse(a->encrypted, sizeof(a->encrypted));
	OPENSSL_cleanse(a->secret, sizeof(a->secret));
	a->blob_n = a->encrypted_n = a->secret_n = 0;
	a->stage = PEER_ACTIVATION_NONE;
}

void peer_challenged(struct peer *p, const struct wire_challenge *m, uint64_t now)
{
	struct peer_activation *a = &p->activation;

	if (now < a->not_before_us) {
		log_debug("%s: asks for another activation so soon; in a moment", p->name);
		peer_back_off(p, a->not_before_us - now, now);
		return;
	}
	peer_activation_end(p);
	/* the decoder has checked the sizes */
	bytes_copy(a->blob, m->credential_blob.p, m->credential_blob.n);
	bytes_copy(a->encrypted, m->secret.p, m->secret.n);
	a->blob_n = m->credential_blob.n;
	a->encrypted_n = m->secret.n;
	a->serial++;
	a->stage = PEER_ACTIVATION_WANTED;
	log_info("%s: asks for proof that the attestation key is in this TPM", p->name);
}

bool peer_wants_activation(const struct peer *p)
{
	return p->state == PEER_GREETING && p->activation.stage == PEER_ACTIVATION_WANTED;
}

void peer_activate_begin(struct peer *p)
{
	p->activation.stage = PEER_ACTIVATION_WORKING;
}

static void note_work(struct peer_activation *a, uint64_t took_us, uint64_t now)
{
	uint64_t pause;

	if (now - a->last_us > FORGET_US)
		a->recent = 0;
	pause = peer_growing(PAUSE_FIRST_US, PAUSE_MAX_US, a->recent);
	a->recent++;
	a->last_us = now;
	a->not_before_us = now + MAX(pause, took_us * PAUSE_TIMES_WORK);
}

void peer_activated(struct peer *p, uint32_t serial, int status, struct bytes secret, const char *what, uint64_t took_us,
		    uint64_t now)
{
	struct peer_activation *a = &p->activation;

	note_work(a, took_us, now);
	if (a->stage != PEER_ACTIVATION_WORKING || a->serial != serial)
		return; /* the session that it was for is over */
	if (status > 0 || secret.n > sizeof(a->secret)) {
		log_warn("%s: the TPM refuses the verifier's credential, so it was made for other keys than ours, or changed on "
			 "its way (%s); does somebody stand between? Trying again later", p->name, what);
		peer_back_off(p, PEER_RETRY_MAX_US, now);
		return;
	}
	if (status < 0) {
		log_warn("%s: the TPM could not work on the verifier's credential: %s", p->name, what);
		peer_back_off(p, 0, now);
		return;
	}
	bytes_copy(a->secret, secret.p, secret.n);
	a->secret_n = secret.n;
	a->stage = PEER_ACTIVATION_READY;
}
