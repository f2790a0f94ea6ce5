// SPDX-License-Identifier: Apache-2.0
#include "collector/member.h"

#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"

static int dial(struct member *m, const struct collector_options *o)
{
	const struct net_tls tls = {
		.ca = o->tls_ca, .cert = o->tls_cert, .key = o->tls_key, .server_name = o->tls_server_name,
		.keeper = m->keeper,
	};
	const char *url = m->urls[m->url_at];
	int r = net_client_new(&m->client, url, o->tls_ca ? &tls : NULL);

	if (r < 0)
		return r;
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
	memset(m->deadline_us, 0, sizeof(m->deadline_us));
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

int member_open(struct member *m, const char *group, const struct collector_options *o, struct keeper *keeper,
		struct set_cache *cache, struct loop *loop, loop_fn readable, void *user, struct writer *why)
{
	uint64_t seed;
	int r;

	*m = (struct member){ .keeper = keeper, .cache = cache, .loop = loop, .readable = readable, .user = user,
			      .set_log = { .interval_us = 60000000, .burst = 3 } };
	r = split(m, group, why);
	if (r < 0)
		return r;
	m->trim.n = m->n_urls;
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
	peer_clear(&m->peer);
	if (m->cache) {
		set_cache_drop(m->cache, &m->set);
		set_cache_release(m->cache, &m->reserved);
	}
	for (size_t i = 0; i < m->n_urls; i++)
		free(m->urls[i]);
	m->n_urls = 0;
}

static void cancel(struct member *m, unsigned int slot)
{
	m->deadline_us[slot] = 0;
	net_client_cancel(m->client, slot);
}

static void failed(struct member *m, unsigned int slot, int status, uint64_t now)
{
	if (slot == NET_SLOT_FETCH)
		peer_fetch_failed(&m->peer, now);
	else
		peer_failed(&m->peer, slot == NET_SLOT_WAIT, status, net_client_connected(m->client), now);
}

void member_expire(struct member *m, uint64_t now)
{
	for (unsigned int slot = 0; slot < NET_SLOTS; slot++) {
		if (!m->deadline_us[slot] || now < m->deadline_us[slot])
			continue;
		cancel(m, slot);
		failed(m, slot, -ETIMEDOUT, now);
	}
}

uint64_t member_wake_at(const struct member *m)
{
	uint64_t at = 0;

	for (unsigned int slot = 0; slot < NET_SLOTS; slot++) {
		if (m->deadline_us[slot] && (!at || m->deadline_us[slot] < at))
			at = m->deadline_us[slot];
	}
	return at;
}

int member_tidy(struct member *m, const struct collector_options *o)
{
	struct peer *p = &m->peer;
	bool redial = p->redial;

	if (p->drop_evidence)
		cancel(m, NET_SLOT_EVIDENCE);
	if (p->drop_wait)
		cancel(m, NET_SLOT_WAIT);
	if (p->drop_fetch)
		cancel(m, NET_SLOT_FETCH);
	p->drop_evidence = p->drop_wait = p->drop_fetch = p->redial = false;
	if (p->next_url) {
		m->url_at = (m->url_at + 1) % m->n_urls;
		hang_up(m);
		peer_moved(p, m->urls[m->url_at]);
		return dial(m, o);
	}
	if (redial)
		net_client_redial(m->client);
	return 0;
}

static void use_set(struct member *m, const struct wire_reference *set, uint64_t now)
{
	set_cache_drop(m->cache, &m->set);
	m->set = set;
	peer_set_ready(&m->peer);
	if (log_allowed(&m->set_log, now))
		log_info("%s: reference set of %u records in use", m->peer.name, set->records);
}

static void find_set(struct member *m, uint64_t now)
{
	const struct peer_set *s = &m->peer.set;
	const struct wire_reference *set = set_cache_take(m->cache, s->digest, s->size);

	int r = set ? 0 : set_cache_reserve(m->cache, s->size);

	if (r < 0 && m->set) { /* no room for both: rather the new one */
		set_cache_drop(m->cache, &m->set);
		set = set_cache_take(m->cache, s->digest, s->size);
		r = set ? 0 : set_cache_reserve(m->cache, s->size);
	}
	if (set) {
		use_set(m, set, now);
	} else if (r == 0) {
		m->reserved = s->size;
		peer_set_fetch(&m->peer, now);
	} else {
		if (log_allowed(&m->set_log, now))
			log_info("%s: its reference set of %u bytes is more than --reference-max leaves room for: entries go in full",
				 m->peer.name, s->size);
		peer_set_refuse(&m->peer, now);
	}
}

static void keep_set(struct member *m, uint64_t now)
{
	struct peer_set *s = &m->peer.set;
	const struct wire_reference *set = NULL;
	int r;

	set_cache_release(m->cache, &m->reserved);
	r = set_cache_add(m->cache, s->digest, &s->got, &set);
	if (r == 0) {
		use_set(m, set, now);
		return;
	}
	if (r > 0 && log_allowed(&m->set_log, now))
		log_warn("%s: what it gave is not the reference set that it named: entries go in full", m->peer.name);
	else if (r < 0 && log_allowed(&m->set_log, now))
		log_errno(r, "%s: its reference set cannot be kept: entries go in full", m->peer.name);
	peer_set_refuse(&m->peer, now);
}

void member_set(struct member *m, uint64_t now)
{
	struct peer *p = &m->peer;

	/* the one before goes on to be used until the next one is here */
	if (m->set && ((p->drop_set && m->set->number == p->evidence_set) || p->set.stage == PEER_SET_NONE))
		set_cache_drop(m->cache, &m->set);
	p->drop_set = false;
	if (p->set.stage != PEER_SET_FETCHING && p->set.stage != PEER_SET_COMPLETE)
		set_cache_release(m->cache, &m->reserved);
	if (p->set.stage == PEER_SET_NAMED)
		find_set(m, now);
	if (p->set.stage == PEER_SET_COMPLETE)
		keep_set(m, now);
}

int member_send(struct member *m, enum peer_request request, struct bytes message, uint64_t next, uint64_t now)
{
	unsigned int slot = request == PEER_WAIT    ? NET_SLOT_WAIT
			    : request == PEER_FETCH ? NET_SLOT_FETCH
						    : NET_SLOT_EVIDENCE;
	int r = net_client_request(m->client, slot, message, 0);

	if (r < 0)
		return r;
	m->deadline_us[slot] = now + (uint64_t)peer_timeout_ms(&m->peer, request) * 1000;
	peer_sent(&m->peer, request, next, now);
	return 0;
}

bool member_next(struct member *m, uint64_t now)
{
	struct net_completion c;

	if (!net_client_next(m->client, &c)) {
		peer_connection(&m->peer, net_client_connected(m->client), now);
		return false;
	}
	m->deadline_us[c.slot] = 0;
	if (c.status < 0)
		failed(m, c.slot, c.status, now);
	else if (c.slot == NET_SLOT_FETCH)
		peer_fetch_answer(&m->peer, c.message, now);
	else
		peer_answer(&m->peer, c.slot == NET_SLOT_WAIT, c.message, now);
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
