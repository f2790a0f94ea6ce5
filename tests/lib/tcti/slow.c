// SPDX-License-Identifier: Apache-2.0
/* A TCTI around another one that makes a software TPM as slow as a hardware one, and notes every command. For tests and
 * benchmarks; the TSS finds it as "slow" when it is preloaded (LD_PRELOAD), or by its path:
 *
 *   slow:quote=70,extend=3,trace=7,inner=swtpm:port=2321
 *
 * quote, extend: milliseconds added to TPM2_Quote and TPM2_PCR_Extend, behind the TPM's answer. trace: a descriptor that
 * gets one `struct record` for each command that was answered. inner: the TCTI that does the work; comes last.
 * Source of the interface: TSS 2.0 TPM Command Transmission Interface (TCG), section 3. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define MAGIC 0x696d6173736c6f77ull
#define HEADER 10u /* tag, size, code */

struct slow {
	TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: callers see only this */
	TSS2_TCTI_CONTEXT *inner;
	uint64_t quote_ns, extend_ns;
	int trace_fd; /* -1: none */
	uint32_t code;
	uint64_t sent_ns;
};

/* CLOCK_MONOTONIC; in the machine's own byte order */
struct record {
	uint64_t sent_ns, answered_ns;
	uint32_t code, response;
};

const TSS2_TCTI_INFO *Tss2_Tcti_Info(void);

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t be32(const uint8_t b[4])
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void pause_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	while (nanosleep(&t, &t) < 0)
		;
}

static struct slow *of(TSS2_TCTI_CONTEXT *context)
{
	return (struct slow *)(void *)context;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct slow *s = of(context);

	s->code = size >= HEADER ? be32(&command[6]) : 0;
	s->sent_ns = now_ns();
	return Tss2_Tcti_Transmit(s->inner, size, command);
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
	struct slow *s = of(context);
	TSS2_RC rc = Tss2_Tcti_Receive(s->inner, size, response, timeout);
	struct record r = { .sent_ns = s->sent_ns, .code = s->code };

	if (rc != TSS2_RC_SUCCESS || !response)
		return rc;
	if (s->code == TPM2_CC_Quote && s->quote_ns)
		pause_ns(s->quote_ns);
	if (s->code == TPM2_CC_PCR_Extend && s->extend_ns)
		pause_ns(s->extend_ns);
	r.answered_ns = now_ns();
	r.response = *size >= HEADER ? be32(&response[6]) : UINT32_MAX;
	if (s->trace_fd >= 0 && write(s->trace_fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
		return TSS2_TCTI_RC_IO_ERROR;
	return rc;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
	Tss2_TctiLdr_Finalize(&of(context)->inner);
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
	return Tss2_Tcti_Cancel(of(context)->inner);
}

static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	return Tss2_Tcti_GetPollHandles(of(context)->inner, handles, n);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	return Tss2_Tcti_SetLocality(of(context)->inner, locality);
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *context, TPM2_HANDLE *handle, uint8_t sticky)
{
	return Tss2_Tcti_MakeSticky(of(context)->inner, handle, sticky);
}

/* "NAME=NUMBER" in front of a comma, at the start of an item of `config`. */
static double setting(const char *config, const char *name, double fallback)
{
	size_t n = strlen(name);

	for (const char *at = config; at && strncmp(at, "inner=", 6) != 0;) {
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return strtod(&at[n + 1], NULL);
		at = strchr(at, ',');
		at = at ? &at[1] : NULL;
	}
	return fallback;
}

static TSS2_RC init(TSS2_TCTI_CONTEXT *context, size_t *size, const char *config)
{
	struct slow *s = of(context);
	const char *inner = config ? strstr(config, "inner=") : NULL;

	if (!size || !inner)
		return TSS2_TCTI_RC_BAD_VALUE;
	if (!context) {
		*size = sizeof(*s);
		return TSS2_RC_SUCCESS;
	}
	*s = (struct slow){
		.common = {
			.v1 = { .magic = MAGIC, .version = 2, .transmit = transmit, .receive = receive,
				.finalize = finalize, .cancel = cancel, .getPollHandles = poll_handles,
				.setLocality = set_locality },
			.makeSticky = make_sticky,
		},
		.quote_ns = (uint64_t)(setting(config, "quote", 0) * 1e6),
		.extend_ns = (uint64_t)(setting(config, "extend", 0) * 1e6),
		.trace_fd = (int)setting(config, "trace", -1),
	};
	return Tss2_TctiLdr_Initialize(&inner[strlen("inner=")], &s->inner);
}

const TSS2_TCTI_INFO *Tss2_Tcti_Info(void)
{
	static const TSS2_TCTI_INFO info = {
		.version = 2,
		.name = "slow",
		.description = "adds delays to the commands of another TCTI, and notes them",
		.config_help = "quote=MS,extend=MS,trace=FD,inner=TCTI",
		.init = init,
	};

	return &info;
}
