// SPDX-License-Identifier: Apache-2.0
#include "unit/net/net_helper.h"

static struct bytes await_event(struct net_sub *s)
{
	struct bytes b;

	while (!net_sub_next(s, &b))
		assert_true(is_readable(net_sub_fd(s), PATIENCE_MS));
	return b;
}

static void await_sub(struct net_sub *s, bool want)
{
	struct bytes b;

	while (net_sub_connected(s) != want) {
		assert_true(is_readable(net_sub_fd(s), PATIENCE_MS));
		assert_false(net_sub_next(s, &b));
	}
}

static struct net_sub *new_sub(const char *url)
{
	struct net_sub *s = NULL;

	assert_int_equal(net_sub_new(&s, url, NULL), 0);
	await_sub(s, true);
	return s;
}

/* A subscription reaches the publisher's nng by itself, a little later than the connection: send until it is there. */
static void first_event(struct net_pub *p, struct net_sub *s)
{
	struct bytes b;

	for (;;) {
		net_pub_send(p, text("first"));
		if (is_readable(net_sub_fd(s), 50) && net_sub_next(s, &b))
			return;
	}
}

static void test_events(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL;
	struct net_sub *a, *b;
	struct bytes event;

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	a = new_sub(net_pub_url(p));
	b = new_sub(net_pub_url(p));
	first_event(p, a);
	first_event(p, b);
	net_pub_send(p, text("{\"event\":1}"));
	do
		event = await_event(a);
	while (event.n == strlen("first"));
	assert_bytes(event, "{\"event\":1}");
	do
		event = await_event(b);
	while (event.n == strlen("first"));
	assert_bytes(event, "{\"event\":1}");
	assert_false(net_sub_next(a, &event));
	assert_false(is_readable(net_sub_fd(a), 0));

	/* 200 at once, in order */
	for (int i = 0; i < 200; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d", i);
		net_pub_send(p, text(line));
	}
	for (int i = 0; i < 200; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d", i);
		assert_bytes(await_event(a), line);
	}
	net_sub_free(&a);
	net_sub_free(&a);
	/* nobody reads b: the publisher goes on */
	for (int i = 0; i < 20000; i++)
		net_pub_send(p, text("flood"));
	net_pub_free(&p);
	net_pub_free(&p);
	net_sub_free(&b);
}

static void test_publisher_restart(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL;
	struct net_sub *s;
	char url[80];

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	snprintf(url, sizeof(url), "%s", net_pub_url(p));
	s = new_sub(url);
	/* nng 1.5.2 does not survive a connection that ends while a receive begins (user/net/close.c): an event that arrived
	 * shows that the first has begun, and the pause is for the next. */
	first_event(p, s);
	usleep(200000);
	net_pub_free(&p);
	await_sub(s, false);
	assert_int_equal(net_pub_new(&p, url, NULL, &why), 0);
	await_sub(s, true);
	first_event(p, s);
	net_sub_free(&s);
	net_pub_free(&p);
}

static void test_failures(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL, *q = NULL;
	struct net_sub *s = NULL;

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	assert_int_equal(net_pub_new(&q, net_pub_url(p), NULL, &why), -EADDRINUSE);
	assert_non_null(why);
	assert_true(net_pub_new(&q, "rubbish", NULL, &why) < 0);
	assert_int_equal(net_pub_new(&q, "tls+tcp://127.0.0.1:0", NULL, &why), -EINVAL);
	assert_null(q);
	assert_true(net_sub_new(&s, "rubbish", NULL) < 0);
	assert_int_equal(net_sub_new(&s, "tls+tcp://127.0.0.1:1", NULL), -EINVAL);
	assert_null(s);
	net_pub_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_publisher_restart),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
