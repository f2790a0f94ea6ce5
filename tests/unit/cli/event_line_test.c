// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "cli/cli.h"
#include "cli/event_line.h"

static const char *line(struct writer *w, const char *json, const struct event_filter *f)
{
	writer_reset(w);
	assert_int_equal(event_line(w, (struct bytes){ (const uint8_t *)json, strlen(json) }, f), 0);
	return writer_cstr(w);
}

static const struct event_filter all = { 0 };

static void a_finding_reads_as_designed(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);

	assert_string_equal(
		line(&w, "{\"schema\":1,\"seq\":4,\"time\":\"2026-11-23T12:04:07.123456Z\",\"attester\":\"ab\",\"label\":\"node-17\","
			 "\"event\":\"finding-proven\",\"state\":\"untrusted\",\"reason\":\"digest-unknown\",\"severity\":\"fail\","
			 "\"entry\":4821,\"pcr\":10,\"path\":\"/opt/x\",\"proven\":true,\"reported_ms\":2.1,\"proven_ms\":38.0,"
			 "\"context\":{\"pid\":812,\"comm\":\"curl\",\"attested\":false}}", &all),
		"12:04:07.123 node-17  UNTRUSTED  digest-unknown  pcr10#4821 proven  '/opt/x'  (pid 812 curl, +2.1 ms reported, "
		"+38.0 ms proven)\n");
}

static void context_is_shown_as_not_attested(void **state unused_)
{
	const struct event_filter verbose = { .verbose = true };
	cleanup_writer_ struct writer w = WRITER(4096);
	const char *s = line(&w, "{\"time\":\"x\",\"label\":\"n\",\"event\":\"finding\",\"state\":\"untrusted\",\"reason\":\"digest-unknown\","
				 "\"entry\":1,\"pcr\":10,\"path\":\"/x\",\"proven\":true,"
				 "\"context\":{\"pid\":812,\"uid\":1000,\"comm\":\"a\\nb\",\"cgroup\":7,\"mntns\":9,\"attested\":false}}", &verbose);

	assert_non_null(strstr(s, "not attested: pid 812 uid 1000 cgroup 7 mntns 9 comm 'a\\x0ab'\n"));
}

static void boot_pcr_names_pcr_and_value(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	const char *s = line(&w, "{\"time\":\"x\",\"label\":\"n\",\"event\":\"finding\",\"state\":\"untrusted\",\"reason\":\"boot-pcr\","
				 "\"severity\":\"fail\",\"proven\":true,\"pcr\":7,\"digest\":\"sha256:abcd\"}", &all);

	assert_non_null(strstr(s, "boot-pcr  pcr7 'sha256:abcd'"));
	s = line(&w, "{\"time\":\"x\",\"label\":\"n\",\"event\":\"finding\",\"reason\":\"boot-pcr\",\"pcr\":7,\"digest\":null}", &all);
	assert_non_null(strstr(s, "pcr7 not-quoted"));
}

static void foreign_text_cannot_inject(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	const char *s = line(&w, "{\"time\":\"x\",\"attester\":\"ab\",\"label\":\"a b\\u001b[2J\",\"event\":\"finding\",\"state\":\"trusted\\n\","
				 "\"reason\":\"digest-unknown\",\"entry\":1,\"pcr\":10,\"path\":\"/\\u001b]0;x\\u0007\\n12:00 forged\","
				 "\"context\":{\"pid\":1,\"comm\":\"a\\nb\"}}", &all);

	for (const char *c = s; c[1]; c++)
		assert_true((unsigned char)*c >= 0x20);
	assert_non_null(strstr(s, "'/\\x1b]0;x\\x07\\x0a12:00 forged'"));
}

static void filter_takes_label_or_id(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct event_filter f = { .attester = "node-1" };
	const char *json = "{\"time\":\"\",\"attester\":\"abcdef\",\"label\":\"node-1\",\"event\":\"state\",\"state\":\"trusted\"}";

	assert_true(strlen(line(&w, json, &f)) > 0);
	f.attester = "abc";
	assert_true(strlen(line(&w, json, &f)) > 0);
	f.attester = "node";
	assert_string_equal(line(&w, json, &f), "");
}

static void not_an_event_is_refused(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);

	assert_int_equal(event_line(&w, BYTES("{}"), &all), -EINVAL);
	assert_int_equal(event_line(&w, BYTES("[1]"), &all), -EINVAL);
	assert_int_equal(event_line(&w, BYTES("{\"event\":\"x\""), &all), -EINVAL);
	assert_int_equal(event_line(&w, BYTES(""), &all), -EINVAL);
	assert_int_equal(w.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_reads_as_designed),
		cmocka_unit_test(context_is_shown_as_not_attested),
		cmocka_unit_test(boot_pcr_names_pcr_and_value),
		cmocka_unit_test(foreign_text_cannot_inject),
		cmocka_unit_test(filter_takes_label_or_id),
		cmocka_unit_test(not_an_event_is_refused),
	};

	cli_set_colour(COLOUR_NEVER);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
