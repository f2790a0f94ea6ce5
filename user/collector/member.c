// SPDX-License-Identifier: Apache-2.0
#include "collector/member.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"

static int dial(struct member *m, const struct collector_options *o)
{
	const struct net_tls tls = {
		.ca = o->tls_ca, .cert = o->tls_cert, .key = o->tls_key, .server_name = o->tls_server_name,
	};
	const char *url = m->urls[m->url_at];
	int r = net_client_new(&m->client, url, o->tls_ca ? &tls : NULL);

	if (r < 0)
		return r;
	snprintf(m->peer.name, sizeof(m->peer.name), "%s", url);
	return loop_add_fd(m->loop, net_client_fd(m->client), 0, m->readable, m->user);
}

static void hang_up(struct member *m)
{
	uint64_t sent = 0, received = 0;

	if (!m->client)
		return;
	net_client_bytes(m->client, &sent, &received);
	m->bytes_sent += sent;
	m->bytes_received += received;
	(void)loop_del_fd(m->loop, net_client_fd(m->client));
	net_client_free(&m->client);
}

static int split(struct member *m, const char *group, struct writer *why)
{
	while (*group) {
		size_t n = strcspn(group, ",");

		if (n == 0 || m->n_urls == LIMIT_VERIFIERS) {
			write_fmt(why, "--verifier: %s", n ? "too many URLs in one group" : "an empty URL");
			return -EINVAL;
		}
		m->urls[m->n_urls] = strndup(group, n);
		if (!m->urls[m->n_urls])
			return -ENOMEM;
		m->n_urls++;
		group += n + (group[n] == ',');
	}
	return 0;
}

int member_open(struct member *m, const char *group, const struct collector_options *o, struct loop *loop,
		loop_fn readable, void *user, struct writer *why)
{
	uint64_t seed;
	int r;

	*m = (struct member){ .loop = loop, .readable = readable, .user = user };
	r = split(m, group, why);
	if (r < 0)
		return r;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = clock_mono_us();
	peer_init(&m->peer, m->urls[0], o->mode == MODE_POLL, m->n_urls > 1, seed);
	r = dial(m, o);
	if (r < 0)
		write_fmt(why, "--verifier %.200s: %s (tls+tcp://HOST:PORT, tcp://HOST:PORT or ipc://PATH; with TLS, "
			       "are the files of --tls-ca, --tls-cert and --tls-key there?)", m->urls[0], strerror(-r));
	return r;
}

void member_close(struct member *m)
{
	hang_up(m);
	feed_clear(&m->feed);
	for (size_t i = 0; i < m->n_urls; i++)
		free(m->urls[i]);
	m->n_urls = 0;
}

int member_tidy(struct member *m, const struct collector_options *o)
{
	struct peer *p = &m->peer;
	bool redial = p->redial;

	if (p->drop_evidence)
		net_client_cancel(m->client, NET_SLOT_EVIDENCE);
	if (p->drop_wait)
		net_client_cancel(m->client, NET_SLOT_WAIT);
	p->drop_evidence = p->drop_wait = p->redial = false;
	if (p->next_url) {
		p->next_url = false;
		m->url_at = (m->url_at + 1) % m->n_urls;
		hang_up(m);
		return dial(m, o);
	}
	if (redial)
		net_client_redial(m->client);
	return 0;
}

int member_send(struct member *m, enum peer_request request, struct bytes message, uint64_t next, uint64_t now)
{
	unsigned int slot = request == PEER_WAIT ? NET_SLOT_WAIT : NET_SLOT_EVIDENCE;
	int r = net_client_request(m->client, slot, message, peer_timeout_ms(&m->peer, request));

	if (r == 0)
		peer_sent(&m->peer, request, next, now);
	return r;
}

bool member_next(struct member *m, uint64_t now)
{
	struct net_completion c;
	bool wait_slot;

	if (!net_client_next(m->client, &c)) {
		peer_connection(&m->peer, net_client_connected(m->client), now);
		return false;
	}
	wait_slot = c.slot == NET_SLOT_WAIT;
	if (c.status < 0)
		peer_failed(&m->peer, wait_slot, c.status, net_client_connected(m->client), now);
	else
		peer_answer(&m->peer, wait_slot, c.message, now);
	return true;
}

void member_bytes(const struct member *m, uint64_t *sent, uint64_t *received)
{
	uint64_t s = 0, r = 0;

	if (m->client)
		net_client_bytes(m->client, &s, &r);
	*sent = m->bytes_sent + s;
	*received = m->bytes_received + r;
}
