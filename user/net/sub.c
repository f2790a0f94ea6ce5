// SPDX-License-Identifier: Apache-2.0
/* The SUB side. A publisher sends all that it has to everybody, and drops what a subscriber does not take. What comes is read only
 * when all that came before has been taken: the rest stays in the socket. */
#include "net/connection.h"
#include "net/internal.h"

struct net_sub {
	struct connection connection;
	struct writer *messages; /* what one turn has brought, with room for `room` */
	size_t next, count, room;
	struct writer given; /* behind the view that net_sub_next() gave out last */
};

static int take_message(void *owner)
{
	struct net_sub *s = owner;

	connection_good(&s->connection);
	if (s->count == s->room) {
		size_t room = MAX(16u, 2 * s->room);
		struct writer *more = reallocarray(s->messages, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->messages = more;
		s->room = room;
	}
	s->messages[s->count++] = sp_take(&s->connection.in);
	return 0;
}

static uint64_t due(const void *owner)
{
	const struct net_sub *s = owner;

	return s->next < s->count ? 1 : 0;
}

static const struct connection_side sub_side = { .own = SP_SUB, .peer = SP_PUB, .message = take_message, .due = due };

int net_sub_new(struct net_sub **out, const char *url, const struct net_tls *tls)
{
	cleanup_(net_sub_free) struct net_sub *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = connection_init(&s->connection, &sub_side, s, url, tls);
	if (r < 0)
		return r;
	connection_start(&s->connection);
	*out = TAKE_PTR(s);
	return 0;
}

void net_sub_free(struct net_sub **sub)
{
	struct net_sub *s = TAKE_PTR(*sub);

	if (!s)
		return;
	connection_fini(&s->connection);
	for (; s->next < s->count; s->next++)
		writer_free(&s->messages[s->next]);
	free(s->messages);
	writer_free(&s->given);
	free(s);
}

int net_sub_fd(const struct net_sub *s)
{
	return connection_fd(&s->connection);
}

bool net_sub_next(struct net_sub *s, struct bytes *message)
{
	bool any;

	writer_free(&s->given);
	if (s->next == s->count) {
		s->next = s->count = 0;
		connection_turn(&s->connection);
	}
	any = s->next < s->count;
	if (any) {
		s->given = writer_take(&s->messages[s->next++]);
		*message = writer_view(&s->given);
	}
	connection_arm(&s->connection);
	return any;
}

bool net_sub_connected(const struct net_sub *s)
{
	return connection_is_open(&s->connection);
}
