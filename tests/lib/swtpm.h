/* SPDX-License-Identifier: Apache-2.0 */
/* A software TPM of one's own for a test: private state, private certificate authority, free loopback ports. Any number
 * at once. It ends with the test program, also when that is killed.
 *
 *	struct swtpm s = { 0 };
 *	assert_int_equal(swtpm_start(&s, NULL), 0);
 *	... tpm_open(&t, s.tcti, ...) ...
 *	swtpm_cleanup(&s);
 *
 * There is no resource manager on this path: three transient slots, flush what you load; one client at a time. */
#pragma once

#include "base/common.h"

struct swtpm {
	char dir[256];	/* absolute; holds the state, the authority (ca/) and log files; "" when there is none */
	char tcti[64];	/* "swtpm:host=127.0.0.1,port=N": for tpm_open(), TPM2TOOLS_TCTI and --tcti; the same after a restart */
	unsigned int port; /* commands; control channel on the next port */
	pid_t pid;	/* 0 when it is off */
};

struct swtpm_options {
	const char *pcr_banks; /* NULL: "sha1,sha256,sha384,sha512" */
	bool no_ek_cert;
};

/* True when swtpm and its tools are installed: a test skips otherwise. */
bool swtpm_available(void);
/* Makes a new TPM and turns it on. options may be NULL. 0 or negative errno; on failure nothing is left behind and the
 * reason is on standard error. */
must_use_ int swtpm_start(struct swtpm *s, const struct swtpm_options *options);
/* Turns a TPM that is off on again, with the state it had, on the same port: a TPM Reset (resetCount goes up by one). */
must_use_ int swtpm_run(struct swtpm *s);
/* Orderly end (the process writes its state) or kill -9. The state stays. */
void swtpm_stop(struct swtpm *s);
void swtpm_kill(struct swtpm *s);
/* Stop and run. */
must_use_ int swtpm_reset(struct swtpm *s);
/* Ends the process and removes its directory. Idempotent. */
void swtpm_cleanup(struct swtpm *s);
