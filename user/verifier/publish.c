// SPDX-License-Identifier: Apache-2.0
#include "verifier/publish.h"

#include <limits.h>
#include <poll.h>

#include "verifier/journal.h"

#define PUMP_ROUND 64u

void publisher_init(struct publisher *p, struct store *store, struct net_pub *pub, int fd)
{
	*p = (struct publisher){ .store = store, .pub = pub, .fd = fd, .backlog = WRITER(PUBLISH_BACKLOG * 4),
				 .line = WRITER(PUBLISH_BACKLOG * 2) };
}

void publisher_clear(struct publisher *p)
{
	net_pub_free(&p->pub);
	writer_free(&p->backlog);
	writer_free(&p->line);
}

/* No room for a file now; there may be some later. */
static bool no_room(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Writes without ever waiting: a pipe that polls writable takes PIPE_BUF bytes, pipe(7). */
static void drain(struct publisher *p)
{
	while (p->backlog_sent < p->backlog.n) {
		struct pollfd ready = { .fd = p->fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&ready, 1, 0) <= 0 || !(ready.revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)))
			return;
		n = write(p->fd, p->backlog.p + p->backlog_sent, MIN(p->backlog.n - p->backlog_sent, (size_t)PIPE_BUF));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		p->stuck = n < 0 && no_room(errno) ? errno : 0;
		if (p->stuck)
			return;
		if (n < 0) {
			p->failed = true;
			break;
		}
		p->backlog_sent += (size_t)n;
		p->drained += (uint64_t)n;
	}
	writer_reset(&p->backlog);
	p->backlog_sent = 0;
	p->drained = p->queued; /* what a reader that is gone did not take, nobody waits for */
}

static uint64_t marked(const struct publisher *p, uint64_t seq)
{
	for (size_t i = 0; i < p->n_marks; i++)
		if (p->marks[i].seq == seq)
			return p->marks[i].real;
	return 0;
}

struct round {
	struct publisher *p;
	uint64_t now_real;
	size_t count;
};

static int publish_one(void *user, const struct event_row *row)
{
	struct round *r = user;
	struct publisher *p = r->p;
	struct event_row with = *row;

	if (!with.about_published_real && with.about)
		with.about_published_real = marked(p, with.about);
	writer_reset(&p->line);
	journal_render(&p->line, &with, r->now_real);
	if (writer_status(&p->line) < 0)
		return writer_status(&p->line);
	if (p->pub)
		net_pub_send(p->pub, writer_view(&p->line));
	if (p->fd >= 0 && !p->failed) {
		write_bytes(&p->backlog, p->line.p, p->line.n);
		write_u8(&p->backlog, '\n');
		if (writer_status(&p->backlog) < 0)
			return writer_status(&p->backlog);
		p->queued += p->line.n + 1;
	}
	p->cursor = row->seq;
	p->marks[p->n_marks].seq = row->seq;
	p->marks[p->n_marks].end = p->queued;
	p->marks[p->n_marks++].real = r->now_real;
	r->count++;
	return 0;
}

int publisher_pump(struct publisher *p, uint64_t now_real, bool *waiting)
{
	struct round r = { .p = p, .now_real = now_real };
	int ret = 0;

	*waiting = false;
	do {
		size_t room = PUBLISH_MARKS - p->n_marks;

		drain(p);
		if (p->backlog.n > PUBLISH_BACKLOG) {
			*waiting = true;
			return 0;
		}
		if (room == 0) {
			ret = publisher_mark(p);
			if (ret < 0)
				return ret;
			room = PUBLISH_MARKS - p->n_marks;
			*waiting = room == 0;
			if (*waiting)
				return 0;
		}
		r.count = 0;
		ret = p->store->ops->each_event(p->store, p->cursor, true, MIN(room, (size_t)PUMP_ROUND), publish_one,
						&r);
	} while (ret == 0 && r.count > 0);
	drain(p);
	*waiting = p->backlog.n > 0;
	return ret;
}

int publisher_mark(struct publisher *p)
{
	const struct store_ops *ops = p->store->ops;
	size_t n = 0;
	int r;

	while (n < p->n_marks && p->marks[n].end <= p->drained)
		n++;
	if (!n)
		return 0;
	r = ops->begin(p->store);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = ops->mark_published(p->store, p->marks[i].seq, p->marks[i].real);
	if (r == 0)
		r = ops->commit(p->store);
	if (r < 0) {
		ops->rollback(p->store);
		return r;
	}
	p->n_marks -= n;
	for (size_t i = 0; i < p->n_marks; i++)
		p->marks[i] = p->marks[n + i];
	return 0;
}
