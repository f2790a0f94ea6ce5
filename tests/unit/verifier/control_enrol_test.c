// SPDX-License-Identifier: Apache-2.0
/* Requests about enrolments over the control socket: what they tell, who may change, what is recorded, what is refused. */
#include "enrol_helper.h"
#include "imastream/limits.h"
#include "verifier/control.h"

static const struct user_names nobody_known;
static struct writer answer;

static const char *asked_by(const struct asker *asker, const char *question)
{
	writer_free(&answer);
	answer = WRITER(CONTROL_ANSWER_MAX);
	control_answer(b.pipeline, (struct bytes){ (const uint8_t *)question, strlen(question) }, asker, &b.now, &answer);
	assert_int_equal(writer_status(&answer), 0);
	assert_non_null(writer_cstr(&answer));
	return writer_cstr(&answer);
}

static const char *asked(const char *question)
{
	struct asker me;

	asker_user(&me, &nobody_known, 1234);
	return asked_by(&me, question);
}

static const char *id_text(void)
{
	static char text[2 * WIRE_DIGEST_SIZE + 1];

	for (size_t i = 0; i < WIRE_DIGEST_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", b.hello.attester[i]);
	return text;
}

static const char *decision(const char *action, const char *more)
{
	static char text[CONTROL_REQUEST_MAX + 4096];

	assert_true(snprintf(text, sizeof(text), "{\"enrol\":\"%s\",\"attester\":\"%s\"%s}", action, id_text(), more) <
		    (int)sizeof(text));
	return text;
}

static void says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

static int close_all(void **state)
{
	writer_free(&answer);
	return close_bench(state);
}

static void who_waits_and_who_is_in(void **state unused_)
{
	open_with("manual", NULL);
	says(asked("{\"get\":\"enrolments\"}"), "\"enrolments\":[]");
	come_in();
	says(asked("{\"get\":\"enrolments\"}"), id_text());
	says((char *)answer.p, "\"status\":\"pending\",\"how\":\"manual\"");
	says((char *)answer.p, "\"ek\":true,\"certificate\":null");
	says(asked("{\"get\":\"status\"}"), "\"enrolment\":\"pending\"");
	says(asked(decision("approve", ",\"why\":\"ticket 7\"")), "\"done\":\"approve\",\"who\":\"uid 1234\"");
	logged("approved");
	says(asked("{\"get\":\"enrolments\"}"), "\"status\":\"enrolled\"");
	says(asked("{\"get\":\"status\"}"), "\"enrolment\":\"enrolled\"");
	says(asked("{\"get\":\"enrolment-log\"}"), "\"action\":\"approved\",\"who\":\"uid 1234\",\"why\":\"ticket 7\"");
	says(asked("{\"get\":\"events\",\"since\":0}"), "approved by uid 1234: ticket 7");
	assert_int_equal(bench_events(&b, "enrolled", REASON_ENROLLED), 1);
	says(asked(decision("revoke", "")), "\"done\":\"revoke\"");
	says(asked("{\"get\":\"enrolments\"}"), "\"status\":\"revoked\"");
	says(asked(decision("forget", "")), "\"done\":\"forget\"");
	says(asked("{\"get\":\"enrolments\"}"), "\"enrolments\":[]");
	says(asked("{\"get\":\"enrolment-log\"}"), "\"action\":\"forgotten\""); /* the log forgets nothing */
	come_in();
	says(asked(decision("reject", "")), "\"done\":\"reject\"");
	says(asked("{\"get\":\"enrolments\"}"), "\"status\":\"rejected\"");
}

static void what_the_certificate_says(void **state unused_)
{
	open_with("ek-ca", "maker.pem");
	come_in();
	bench_welcomed(&b);
	says(asked("{\"get\":\"enrolments\"}"), "\"how\":\"ek-ca\"");
	says((char *)answer.p, "\"manufacturer\":\"id:494D4153\",\"model\":\"Test\",\"version\":\"id:00000001\"");
	says((char *)answer.p, "\"issuer\":\"");
	says((char *)answer.p, "\"not_after\":\"20");
}

/* Who is not let in by any rule is not in the store, but people see it. */
static void who_was_refused(void **state unused_)
{
	struct refusals *r;

	open_with("ek-ca", "wrong.pem");
	says(asked("{\"get\":\"status\"}"), "\"refused\":[]");
	say_hello();
	bench_expect_reject(&b, REASON_EK_CERT_UNTRUSTED);
	say_hello();
	says(asked("{\"get\":\"status\"}"), "\"reason\":\"ek-cert-untrusted\",\"times\":2,\"last\":\"");
	says((char *)answer.p, id_text());
	/* somebody else, another time: the list is bounded, and the oldest goes */
	r = &b.pipeline->refusals;
	for (unsigned int i = 1; i <= LIMIT_REFUSALS; i++) {
		uint8_t id[WIRE_DIGEST_SIZE] = { 0 };

		assert_int_equal(r->n, i);
		assert_memory_equal(r->list[0].id, b.hello.attester, sizeof(id));
		id[0] = (uint8_t)i;
		refusals_add(r, id, BYTES("x"), REASON_ATTESTER_UNKNOWN, i);
	}
	assert_int_equal(r->n, LIMIT_REFUSALS);
	assert_int_equal(r->list[0].id[0], 1);
	assert_int_equal(r->list[LIMIT_REFUSALS - 1].id[0], LIMIT_REFUSALS);
	refusals_add(r, r->list[0].id, BYTES("y"), REASON_EK_CERT_MISSING, 99);
	assert_int_equal(r->n, LIMIT_REFUSALS);
	assert_int_equal(r->list[0].id[0], 2);
	assert_int_equal(r->list[LIMIT_REFUSALS - 1].times, 2);
	assert_string_equal(r->list[LIMIT_REFUSALS - 1].label, "y");
}

/* One that came in after all is not shown as refused. */
static void refused_and_then_known(void **state unused_)
{
	const char *why;

	open_with("ek-ca", "wrong.pem");
	say_hello();
	assert_int_equal(b.pipeline->refusals.n, 1);
	assert_int_equal(enrol_modes_parse("manual", &b.pipeline->rules.enrol, &why), 0);
	come_in();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	says(asked("{\"get\":\"status\"}"), "\"refused\":[]");
	/* and one that is known, and refused, is an attester with a state */
	says(asked(decision("reject", "")), "\"done\":\"reject\"");
	say_hello();
	says(asked("{\"get\":\"status\"}"), "\"refused\":[]");
	says((char *)answer.p, "\"reason\":\"enrol-rejected\"");
}

/* A log of one host, and of all. */
static void the_log_of_one(void **state unused_)
{
	char question[256];

	open_with("manual", NULL);
	come_in();
	snprintf(question, sizeof(question), "{\"get\":\"enrolment-log\",\"attester\":\"%s\"}", id_text());
	says(asked(question), "\"action\":\"pending\"");
	snprintf(question, sizeof(question), "{\"get\":\"enrolment-log\",\"attester\":\"%064d\"}", 0);
	says(asked(question), "\"log\":[]");
	says(asked("{\"get\":\"enrolment-log\",\"attester\":\"12\"}"), "\"error\":\"attester is 64 hex digits");
	says(asked("{\"get\":\"enrolment-log\",\"attester\":12}"), "\"error\":\"attester is 64 hex digits");
}

static void only_the_unix_socket_changes(void **state unused_)
{
	static const char *const actions[] = { "approve", "reject", "revoke", "forget", "nothing" };
	const struct asker remote = { .who = "192.0.2.1:7" };

	open_with("manual", NULL);
	come_in();
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		says(asked_by(&remote, decision(actions[i], "")), "\"error\":\"" CONTROL_NO_CHANGE);
	says(asked_by(&remote, "{\"get\":\"enrolments\"}"), "\"status\":\"pending\"");
	logged("pending");
}

static void wrong_requests(void **state unused_)
{
	static char why[LIMIT_ENROL_WHY + 64];
	char zeros[128];
	int n;

	open_with("manual", NULL);
	come_in();
	says(asked("{\"enrol\":\"approve\"}"), "\"error\":\"attester is 64 hex digits");
	says(asked("{\"enrol\":\"approve\",\"attester\":\"0011\"}"), "\"error\":\"attester is 64 hex digits");
	says(asked("{\"enrol\":\"approve\",\"attester\":7}"), "\"error\":\"attester is 64 hex digits");
	says(asked("{\"enrol\":7}"), "\"error\":\"enrol is approve,");
	says(asked(decision("promote", "")), "\"error\":\"enrol is approve,");
	says(asked(decision("approve", ",\"why\":7")), "\"error\":\"why is text");
	says(asked(decision("approve", ",\"why\":\"a\\u0000b\"")), "\"error\":\"a request is"); /* not taken apart at all */
	snprintf(zeros, sizeof(zeros), "{\"enrol\":\"approve\",\"attester\":\"%064d\"}", 0);
	says(asked(zeros), "\"error\":\"no attester has this id");
	says(asked(decision("revoke", "")), "\"error\":\"it is not enrolled");
	n = snprintf(why, sizeof(why), ",\"why\":\"%0*d\"", (int)LIMIT_ENROL_WHY + 1, 0);
	assert_true(n > 0 && n < (int)sizeof(why));
	says(asked(decision("approve", why)), "\"error\":\"why is too long");
	logged("pending");
	n = snprintf(why, sizeof(why), ",\"why\":\"%0*d\"", (int)LIMIT_ENROL_WHY, 0);
	says(asked(decision("approve", why)), "\"done\":\"approve\"");
	says(asked(decision("approve", "")), "\"error\":\"it does not wait");
	says(asked(decision("reject", "")), "\"error\":\"it does not wait");
}

static void one_that_cannot_be_stored(void **state unused_)
{
	open_with("manual", NULL);
	come_in();
	b.fail_commit = ENOSPC;
	says(asked(decision("approve", "")), "\"error\":\"the decision could not be stored (No space left on device)");
	b.fail_commit = 0;
	says(asked("{\"get\":\"enrolments\"}"), "\"status\":\"pending\"");
}

/* --- who asks ---- */

static void write_passwd(char *path, size_t n, unsigned int users)
{
	FILE *f;

	snprintf(path, n, "%s/passwd", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
	for (unsigned int i = 2; i < users; i++)
		fprintf(f, "u%u:x:%u:1::/:/bin/sh\n", i, 2000 + i);
	fclose(f);
}

static void users_have_names(void **state unused_)
{
	struct user_names names;
	struct asker a;
	char path[128];

	write_passwd(path, sizeof(path), LIMIT_USER_NAMES + 1);
	assert_int_equal(user_names_load(path, &names), 0);
	assert_int_equal(names.n, LIMIT_USER_NAMES);
	asker_user(&a, &names, 0);
	assert_string_equal(a.who, "uid 0 (root)");
	assert_true(a.may_change);
	asker_user(&a, &names, 1000);
	assert_string_equal(a.who, "uid 1000 (alice)");
	asker_user(&a, &names, 2000 + LIMIT_USER_NAMES - 1);
	assert_non_null(strchr(a.who, '('));
	asker_user(&a, &names, 2000 + LIMIT_USER_NAMES);
	assert_null(strchr(a.who, '('));
	user_names_clear(&names);
	assert_int_equal(user_names_load("/nowhere/passwd", &names), 0);
	assert_int_equal(names.n, 0);
	asker_user(&a, &names, 0);
	assert_string_equal(a.who, "uid 0");
	user_names_clear(&names);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_and_who_is_in),
		TEST(what_the_certificate_says),
		TEST(who_was_refused),
		TEST(refused_and_then_known),
		TEST(the_log_of_one),
		TEST(only_the_unix_socket_changes),
		TEST(wrong_requests),
		TEST(one_that_cannot_be_stored),
		cmocka_unit_test(users_have_names),
	};

	return cmocka_run_group_tests(tests, make_everything, free_everything);
}
