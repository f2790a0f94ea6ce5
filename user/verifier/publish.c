// SPDX-License-Identifier: Apache-2.0
#include "verifier/publish.h"

#include <limits.h>
#include <poll.h>

#include "verifier/journal.h"

#define PUMP_ROUND 64u

void publisher_init(struct publisher *p, struct store *store, publish_fn tell, void *user, int fd)
{
	*p = (struct publisher){ .store = store, .tell = tell, .user = user, .fd = fd, .backlog = WRITER(PUBLISH_BACKLOG * 4),
				 .line = WRITER(PUBLISH_BACKLOG * 2) };
}

void publisher_clear(struct publisher *p)
{
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

/* When it was published first; 0: not since the start, or long ago. */
static uint64_t time_of(const struct publisher *p, uint64_t seq)
{
	if (p->times[seq % PUBLISH_MARKS].seq == seq)
		return p->times[seq % PUBLISH_MARKS].real;
	for (size_t i = 0; i < p->n_marks; i++)
		if (p->marks[i].seq == seq)
			return p->marks[i].real;
	return 0;
}

struct round {
	struct publisher *p;
	uint64_t now_real;
	bool held; /* the descriptor takes no more: subscribers only */
	size_t count;
};

static int to_descriptor(struct publisher *p, const struct event_row *row, uint64_t real)
{
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
	p->marks[p->n_marks++].real = real;
	return 0;
}

static int publish_one(void *user, const struct event_row *row)
{
	struct round *r = user;
	struct publisher *p = r->p;
	struct event_row with = *row;
	uint64_t first = time_of(p, row->seq), real = first ? first : r->now_real;

	if (!with.about_published_real && with.about)
		with.about_published_real = time_of(p, with.about);
	writer_reset(&p->line);
	journal_render(&p->line, &with, real);
	if (writer_status(&p->line) < 0)
		return writer_status(&p->line);
	if (row->seq > p->told) {
		p->told = row->seq;
		p->times[row->seq % PUBLISH_MARKS].seq = row->seq;
		p->times[row->seq % PUBLISH_MARKS].real = real;
		if (p->tell)
			p->tell(p->user, writer_view(&p->line));
	}
	r->count++;
	return r->held ? 0 : to_descriptor(p, row, real);
}

int publisher_pump(struct publisher *p, uint64_t now_real, bool *waiting)
{
	struct round r = { .p = p, .now_real = now_real };
	int ret, marked = 0;

	do {
		drain(p);
		if (p->n_marks == PUBLISH_MARKS && marked == 0)
			marked = publisher_mark(p);
		r.held = p->n_marks == PUBLISH_MARKS || p->backlog.n > PUBLISH_BACKLOG;
		r.count = 0;
		ret = p->store->ops->each_event(p->store, r.held ? p->told : p->cursor, true,
						r.held ? PUMP_ROUND : MIN(PUBLISH_MARKS - p->n_marks, (size_t)PUMP_ROUND),
						publish_one, &r);
	} while (ret == 0 && r.count > 0);
	drain(p);
	*waiting = p->backlog.n > 0 || (r.held && marked == 0);
	return ret < 0 ? ret : marked;
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
