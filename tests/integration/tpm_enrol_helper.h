/* SPDX-License-Identifier: Apache-2.0 */
/* Two software TPMs, credentials for them, tpm2-tools: for the tests of enrolment. */
#pragma once

#include <openssl/x509.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/test.h"

#include "base/clock.h"
#include "base/text.h"
#include "lib/swtpm.h"
#include "tpm/certificate.h"
#include "tpm/credential.h"
#include "tpm/device.h"

static struct swtpm first, second;
static bool available;

static unused_ int start_both(void **state)
{
	int r = 0;

	(void)state;
	available = swtpm_available();
	if (available)
		r = swtpm_start(&first, NULL);
	if (available && r == 0)
		r = swtpm_start(&second, NULL);
	return r;
}

static unused_ int stop_both(void **state)
{
	(void)state;
	swtpm_cleanup(&first);
	swtpm_cleanup(&second);
	return 0;
}

#define NEEDS_SWTPM()           \
	do {                    \
		(void)state;    \
		if (!available) \
			skip(); \
	} while (0)

static unused_ struct tpm *open_tpm(const struct swtpm *s)
{
	struct tpm *t = NULL;
	char why[256] = "";

	if (tpm_open(&t, s->tcti, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return t;
}

static unused_ struct tpm_identity *identify(struct tpm *t, enum ak_alg alg)
{
	struct tpm_identity *id = calloc(1, sizeof(*id));

	assert_non_null(id);
	if (tpm_identify(t, alg, id) != 0)
		fail_msg("%s", tpm_error(t));
	return id;
}

static unused_ struct bytes ek_of(const struct tpm_identity *id)
{
	return (struct bytes){ id->ek_public, id->ek_public_n };
}

static unused_ struct bytes cert_of(const struct tpm_identity *id)
{
	return (struct bytes){ id->ek_cert, id->ek_cert_n };
}

static const uint8_t secret[32] = { 's', 'e', 'c', 'r', 'e', 't', 1, 2, 3 };

static unused_ void make_for(const struct tpm_identity *ek, const struct tpm_identity *ak, struct credential *out)
{
	uint8_t name[34];
	const char *why = "";

	assert_int_equal(tpm_public_name((struct bytes){ ak->ak_public, ak->ak_public_n }, name), QUOTE_OK);
	if (credential_make(ek_of(ek), (struct bytes){ name, 34 }, (struct bytes){ secret, 32 }, out, &why) != 0)
		fail_msg("%s", why);
}

static unused_ int activate(struct tpm *t, const struct credential *c, uint8_t out[LIMIT_CREDENTIAL_SECRET], size_t *n)
{
	return tpm_activate_credential(t, (struct bytes){ c->blob, c->blob_n }, (struct bytes){ c->secret, c->secret_n }, out, n);
}

static unused_ void expect_secret(struct tpm *t, const struct credential *c)
{
	uint8_t got[LIMIT_CREDENTIAL_SECRET];
	size_t n = 0;

	if (activate(t, c, got, &n) != 0)
		fail_msg("%s", tpm_error(t));
	assert_int_equal(n, 32);
	assert_memory_equal(got, secret, 32);
}

static unused_ void expect_refusal(struct tpm *t, const struct credential *c)
{
	uint8_t got[LIMIT_CREDENTIAL_SECRET];
	size_t n = 77;

	if (activate(t, c, got, &n) != 1)
		fail_msg("%s", tpm_error(t));
	assert_int_equal(n, 77);
	assert_true(strlen(tpm_error(t)) > 0);
}

static unused_ int run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unused_ void write_to(const char *dir, const char *name, struct bytes b)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(write_file_atomic(path, b, 0600), 0);
}

static unused_ void read_from(const char *dir, const char *name, struct writer *w)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(read_file(path, w), 0);
}

static unused_ void tool(const struct swtpm *s, const char *what)
{
	char command[4096];

	snprintf(command, sizeof(command), "cd %s && export TPM2TOOLS_TCTI=%s && { %s ; } >tools.log 2>&1", s->dir, s->tcti, what);
	if (run(command) != 0) {
		cleanup_writer_ struct writer log = WRITER(65536);

		read_from(s->dir, "tools.log", &log);
		fail_msg("%s: %s", what, writer_cstr(&log));
	}
}
