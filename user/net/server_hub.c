// SPDX-License-Identifier: Apache-2.0
/* Where the I/O thread and the program meet: only queues under a mutex, and an eventfd for each side. */
#include "base/loop.h"
#include "net/server.h"

void request_append(struct request_queue *q, struct net_request *r)
{
	r->next = NULL;
	if (q->last)
		q->last->next = r;
	else
		q->first = r;
	q->last = r;
}

struct net_request *request_pop(struct request_queue *q)
{
	struct net_request *r = q->first;

	if (!r)
		return NULL;
	q->first = r->next;
	if (!q->first)
		q->last = NULL;
	return r;
}

void request_free(struct net_request *r)
{
	writer_free(&r->body);
	writer_free(&r->reply);
	free(r);
}

static void free_all(struct request_queue *q)
{
	struct net_request *r;

	while ((r = request_pop(q)))
		request_free(r);
}

int hub_new(struct hub **out)
{
	struct hub *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->refs = 1;
	h->ready_fd = wake_fd_new();
	h->io_fd = wake_fd_new();
	if (h->ready_fd < 0 || h->io_fd < 0) {
		r = MIN(h->ready_fd, h->io_fd);
		fd_cleanup(&h->ready_fd);
		fd_cleanup(&h->io_fd);
		free(h);
		return r;
	}
	pthread_mutex_init(&h->lock, NULL);
	*out = h;
	return 0;
}

/* Lock held; lets go of it. */
static void unlock_and_unref(struct hub *h)
{
	bool last = --h->refs == 0;

	pthread_mutex_unlock(&h->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void hub_close(struct hub **hub)
{
	struct hub *h = TAKE_PTR(*hub);

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->closed = true;
	free_all(&h->inbox);
	free_all(&h->returned);
	fd_cleanup(&h->ready_fd);
	fd_cleanup(&h->io_fd);
	unlock_and_unref(h);
}

bool hub_push(struct hub *h, struct net_request *r)
{
	bool full;

	pthread_mutex_lock(&h->lock);
	if (!h->inbox.first)
		wake_fd_kick(h->ready_fd); /* it stays readable until net_server_next() finds nothing */
	request_append(&h->inbox, r);
	h->count++;
	h->bytes += r->body.n;
	h->full = h->count >= LIMIT_SERVER_QUEUE || h->bytes >= LIMIT_SERVER_QUEUE_BYTES;
	full = h->full;
	pthread_mutex_unlock(&h->lock);
	return full;
}

struct hub_wishes hub_collect(struct hub *h)
{
	struct hub_wishes w;

	pthread_mutex_lock(&h->lock);
	wake_fd_clear(h->io_fd); /* under the lock: every later kick has something to show */
	w = (struct hub_wishes){ .stop = h->stop, .resume = h->resume, .returned = h->returned };
	h->resume = false;
	h->returned = (struct request_queue){ 0 };
	pthread_mutex_unlock(&h->lock);
	return w;
}

void hub_stop(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	wake_fd_kick(h->io_fd);
	pthread_mutex_unlock(&h->lock);
}

struct net_request *net_server_next(struct net_server *s)
{
	struct hub *h = s->hub;
	struct net_request *r;

	pthread_mutex_lock(&h->lock);
	r = request_pop(&h->inbox);
	if (r) {
		h->refs++;
		h->count--;
		h->bytes -= r->body.n;
		/* Half empty before receiving starts again: not one switch of threads for each message. */
		if (h->full && h->count <= LIMIT_SERVER_QUEUE / 2 && h->bytes <= LIMIT_SERVER_QUEUE_BYTES / 2) {
			h->full = false;
			h->resume = true;
			wake_fd_kick(h->io_fd);
		}
	} else {
		wake_fd_clear(h->ready_fd);
	}
	pthread_mutex_unlock(&h->lock);
	return r;
}

/* Back to the I/O thread, which counts the requests of each connection. */
static void give_back(struct net_request *r)
{
	struct hub *h = r->hub;

	writer_free(&r->body);
	pthread_mutex_lock(&h->lock);
	if (h->closed) {
		request_free(r);
	} else {
		if (!h->returned.first)
			wake_fd_kick(h->io_fd);
		request_append(&h->returned, r);
	}
	unlock_and_unref(h);
}

void net_request_reply(struct net_server *s unused_, struct net_request **request, struct bytes message)
{
	struct net_request *r = TAKE_PTR(*request);

	/* What does not fit is not sent at all: nobody would take it. */
	if (message.n <= LIMIT_MESSAGE) {
		r->reply = WRITER(LIMIT_MESSAGE + SP_HEAD_SIZE + r->return_address);
		sp_encode(&r->reply, r->ipc, (struct bytes){ r->body.p, r->return_address }, message);
		if (writer_status(&r->reply) < 0)
			writer_free(&r->reply);
	}
	give_back(r);
}

void net_request_drop(struct net_request **request)
{
	struct net_request *r = TAKE_PTR(*request);

	if (r)
		give_back(r);
}

struct bytes net_request_message(const struct net_request *r)
{
	struct reader all = reader_of(writer_view(&r->body));

	read_bytes(&all, r->return_address);
	return read_rest(&all);
}

bool net_request_open(const struct net_request *r)
{
	struct hub *h = r->hub;
	bool open;

	pthread_mutex_lock(&h->lock);
	open = !h->closed && !atomic_load(&r->conn->gone);
	pthread_mutex_unlock(&h->lock);
	return open;
}

bool net_request_peer_user(const struct net_request *r, uint32_t *uid)
{
	if (r->has_uid)
		*uid = r->uid;
	return r->has_uid;
}

uint64_t net_request_peer(const struct net_request *r)
{
	return r->peer;
}

bool net_request_peer_verified(const struct net_request *r)
{
	return r->verified;
}
