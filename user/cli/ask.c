// SPDX-License-Identifier: Apache-2.0
#include "cli/ask.h"

#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "net/net.h"

static void client_cleanup(struct net_client **c)
{
	net_client_free(c);
}

int cli_ask(const char *url, const char *question, uint64_t timeout_us, struct writer *w)
{
	cleanup_(client_cleanup) struct net_client *c = NULL;
	struct bytes message = { (const uint8_t *)question, strlen(question) };
	uint64_t deadline = clock_mono_us() + timeout_us;
	struct net_completion done;
	int r = net_client_new(&c, url, NULL);

	if (r < 0)
		return r;
	r = net_client_request(c, NET_SLOT_EVIDENCE, message, (uint32_t)(timeout_us / 1000));
	if (r < 0)
		return r;
	while (clock_mono_us() < deadline + 100000) {
		struct pollfd p = { .fd = net_client_fd(c), .events = POLLIN };

		if (poll(&p, 1, 100) < 0 && errno != EINTR)
			return -errno;
		if (!net_client_next(c, &done))
			continue;
		if (done.status < 0)
			return done.status;
		write_bytes(w, done.message.p, done.message.n);
		return writer_status(w);
	}
	return -ETIMEDOUT;
}

const char *cli_control_url(void)
{
	const char *env = getenv("IMASTREAM_CONTROL");

	return env && *env ? env : DEFAULT_CONTROL_URL;
}

int cli_not_asked(const char *command, const char *url, int error)
{
	if (strncmp(url, "ipc://", 6) == 0 && faccessat(AT_FDCWD, url + 6, W_OK, AT_EACCESS) < 0 && errno == EACCES)
		return cli_fail(EXIT_CODE_UNREACHABLE, command,
				"Permission denied: you may not open %s; its owner and its group may", url + 6);
	return cli_fail(EXIT_CODE_UNREACHABLE, command,
			error == -EINVAL ? "cannot use the address '%s': %s (it is ipc:///PATH or tcp://HOST:PORT)" :
					   "no verifier answers at %s (%s); start imastream-verifier, or give its --control "
					   "address",
			url, strerror(-error));
}
