// SPDX-License-Identifier: Apache-2.0
/* The REQ side. A request is kept as it goes over the stream until it is answered: a new connection gets all of them again. */
#include "base/clock.h"
#include "net/connection.h"
#include "net/internal.h"

#define FRAME_MAX (SP_HEAD_SIZE + SP_ID_SIZE + LIMIT_MESSAGE)

enum slot_state {
	SLOT_FREE,
	SLOT_QUEUED, /* not sent on this connection, or not all of it */
	SLOT_SENT,
	SLOT_DONE, /* the completion waits for net_client_next() */
};

struct slot {
	enum slot_state state;
	uint32_t id;	      /* with its top bit */
	uint64_t order;	      /* requests are sent in the order in which they came */
	uint64_t deadline_us; /* 0: none */
	size_t size;	      /* of the message */
	struct writer frame;  /* the request as it goes over the stream */
	int status;
	struct writer reply; /* with its id */
};

struct net_client {
	struct connection connection;
	struct slot slots[NET_SLOTS];
	unsigned int sending; /* the slot whose request is being sent; NET_SLOTS: none */
	uint32_t next_id;
	uint64_t next_order;
	struct writer given; /* behind the view that the last completion gave out */
	uint64_t sent, received;
};

/* --- slots ---- */

static void slot_reset(struct slot *s)
{
	writer_free(&s->frame);
	writer_free(&s->reply);
	*s = (struct slot){ .state = SLOT_FREE };
}

/* Nobody waits for it any more. What has begun to be sent must be sent whole; TLS may have begun although no byte is gone. */
static void give_up(struct net_client *c, unsigned int slot)
{
	struct slot *s = &c->slots[slot];

	if (c->sending == slot) {
		connection_adopt(&c->connection, writer_take(&s->frame));
		c->sending = NET_SLOTS;
	}
	slot_reset(s);
}

static void expire(struct net_client *c, uint64_t now)
{
	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		struct slot *s = &c->slots[i];
		uint64_t order = s->order;

		if ((s->state != SLOT_QUEUED && s->state != SLOT_SENT) || !s->deadline_us || now < s->deadline_us)
			continue;
		give_up(c, i);
		*s = (struct slot){ .state = SLOT_DONE, .order = order, .status = -ETIMEDOUT };
	}
}

/* The longest in this state, or NET_SLOTS. */
static unsigned int oldest(const struct net_client *c, enum slot_state state)
{
	unsigned int found = NET_SLOTS;

	for (unsigned int i = 0; i < NET_SLOTS; i++)
		if (c->slots[i].state == state && (found == NET_SLOTS || c->slots[i].order < c->slots[found].order))
			found = i;
	return found;
}

/* --- the side of a connection ---- */

static void ended(void *owner)
{
	struct net_client *c = owner;

	c->sending = NET_SLOTS;
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		if (c->slots[i].state == SLOT_SENT)
			c->slots[i].state = SLOT_QUEUED;
}

static int push(void *owner)
{
	struct net_client *c = owner;

	for (;;) {
		struct slot *s;
		int r;

		if (c->sending == NET_SLOTS)
			c->sending = oldest(c, SLOT_QUEUED);
		if (c->sending == NET_SLOTS)
			return 0;
		s = &c->slots[c->sending];
		r = connection_send(&c->connection, writer_view(&s->frame));
		if (r != 1)
			return r;
		s->state = SLOT_SENT;
		c->sent += s->size;
		c->sending = NET_SLOTS;
	}
}

/* An answer. To what nobody waits for any more there may be one, too. */
static int take_reply(void *owner)
{
	struct net_client *c = owner;
	cleanup_writer_ struct writer body = sp_take(&c->connection.in);
	struct reader in = reader_of(writer_view(&body));
	uint32_t id = read_u32be(&in);

	if (!reader_ok(&in) || !(id & SP_ID_LAST) || reader_left(&in) > LIMIT_MESSAGE)
		return -EPROTO;
	connection_good(&c->connection);
	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (s->state != SLOT_SENT || s->id != id)
			continue;
		c->received += reader_left(&in);
		writer_free(&s->frame);
		s->reply = writer_take(&body);
		s->state = SLOT_DONE;
		s->status = 0;
		break;
	}
	return 0;
}

static uint64_t due(const void *owner)
{
	const struct net_client *c = owner;
	uint64_t at = 0;

	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		const struct slot *s = &c->slots[i];

		if (s->state == SLOT_DONE)
			return 1; /* the descriptor stays readable */
		if (s->state != SLOT_FREE && s->deadline_us && (!at || s->deadline_us < at))
			at = s->deadline_us;
	}
	return at;
}

static const struct connection_side req_side = {
	.own = SP_REQ, .peer = SP_REP, .message = take_reply, .push = push, .ended = ended, .due = due
};

/* --- the object ---- */

int net_client_new(struct net_client **out, const char *url, const struct net_tls *tls)
{
	cleanup_(net_client_free) struct net_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->sending = NET_SLOTS;
	c->next_id = connection_random();
	r = connection_init(&c->connection, &req_side, c, url, tls);
	if (r < 0)
		return r;
	connection_start(&c->connection);
	*out = TAKE_PTR(c);
	return 0;
}

void net_client_free(struct net_client **client)
{
	struct net_client *c = TAKE_PTR(*client);

	if (!c)
		return;
	connection_fini(&c->connection);
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		slot_reset(&c->slots[i]);
	writer_free(&c->given);
	free(c);
}

int net_client_fd(const struct net_client *c)
{
	return connection_fd(&c->connection);
}

int net_client_request(struct net_client *c, unsigned int slot, struct bytes message, uint32_t timeout_ms)
{
	cleanup_writer_ struct writer frame = WRITER(FRAME_MAX);
	struct slot *s = &c->slots[slot];
	uint32_t id = htobe32(c->next_id | SP_ID_LAST);

	if (message.n > LIMIT_MESSAGE)
		return -EMSGSIZE;
	if (s->state != SLOT_FREE)
		return -EBUSY;
	sp_encode(&frame, c->connection.dialer.ipc, (struct bytes){ (const uint8_t *)&id, sizeof(id) }, message);
	if (writer_status(&frame) < 0)
		return writer_status(&frame);
	*s = (struct slot){ .state = SLOT_QUEUED, .id = be32toh(id), .order = c->next_order++, .size = message.n,
			    .deadline_us = timeout_ms ? clock_mono_us() + (uint64_t)timeout_ms * 1000 : 0,
			    .frame = writer_take(&frame) };
	c->next_id++;
	connection_push(&c->connection);
	connection_arm(&c->connection);
	return 0;
}

bool net_client_busy(const struct net_client *c, unsigned int slot)
{
	return c->slots[slot].state != SLOT_FREE;
}

void net_client_cancel(struct net_client *c, unsigned int slot)
{
	give_up(c, slot);
	connection_arm(&c->connection);
}

bool net_client_next(struct net_client *c, struct net_completion *out)
{
	unsigned int i;

	writer_free(&c->given);
	connection_turn(&c->connection);
	expire(c, clock_mono_us());
	i = oldest(c, SLOT_DONE);
	if (i < NET_SLOTS) {
		struct slot *s = &c->slots[i];
		struct reader in;

		c->given = writer_take(&s->reply);
		in = reader_of(writer_view(&c->given));
		read_u32be(&in);
		*out = (struct net_completion){ .slot = i, .status = s->status, .message = read_rest(&in) };
		slot_reset(s);
	}
	connection_arm(&c->connection);
	return i < NET_SLOTS;
}

bool net_client_connected(const struct net_client *c)
{
	return connection_is_open(&c->connection);
}

void net_client_redial(struct net_client *c)
{
	if (c->connection.stream.fd >= 0)
		connection_hang_up(&c->connection);
	connection_arm(&c->connection);
}

void net_client_bytes(const struct net_client *c, uint64_t *sent, uint64_t *received)
{
	*sent = c->sent;
	*received = c->received;
}
