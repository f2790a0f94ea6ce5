// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "collector/options.h"

static struct writer text = WRITER(65536);

static int load(struct collector_options *o, const char *const *args)
{
	char *argv[32] = { (char *)"imastream-collector" };
	int argc = 1;

	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	writer_reset(&text);
	*o = (struct collector_options){ 0 };
	return collector_options_load(o, argc, argv, &text);
}
#define LOAD(o, ...) load(o, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void refused(const char *const *args, const char *what)
{
	struct collector_options o;

	assert_int_equal(load(&o, args), OPTIONS_USAGE);
	if (!strstr(writer_cstr(&text), what))
		fail_msg("'%s' does not say '%s'", writer_cstr(&text), what);
	collector_options_clear(&o);
}
#define REFUSED(what, ...) refused((const char *const[]){ __VA_ARGS__, NULL }, what)

static void defaults(void **state unused_)
{
	struct collector_options o;

	assert_int_equal(LOAD(&o, "--verifier", "tcp://127.0.0.1:1"), OPTIONS_RUN);
	assert_int_equal(o.verifiers.n, 1);
	assert_int_equal(o.ak_alg, AK_ECC_P256);
	assert_int_equal(o.bank, BANK_AUTO);
	assert_int_equal(o.pcr_mask, 0x7ff);
	assert_int_equal(o.mode, MODE_EVENT);
	assert_int_equal(o.support, 0);
	assert_int_equal(o.ring_bytes, EVENT_RING_DEFAULT);
	assert_int_equal(o.batch_age_us, 2000);
	assert_int_equal(o.duty_percent, 20);
	assert_int_equal(o.max_proof_delay_us, 1000000);
	assert_true(o.context);
	assert_false(o.test_pipe);
	assert_string_equal(o.securityfs, "/sys/kernel/security");
	collector_options_clear(&o);
}

/* A test source cannot be mistaken for a kernel, in either direction. */
static void a_test_source_needs_its_flag(void **state unused_)
{
	struct collector_options o;

	REFUSED("--test-source", "--verifier=ipc:///x", "--source=pipe:3");
	REFUSED("not with the kernel", "--verifier=ipc:///x", "--test-source");
	REFUSED("--source is kernel", "--verifier=ipc:///x", "--source=pipe:", "--test-source");
	REFUSED("--source is kernel", "--verifier=ipc:///x", "--source=file", "--test-source");
	assert_int_equal(LOAD(&o, "--verifier=ipc:///x", "--source=pipe:/a/b", "--test-source"), OPTIONS_RUN);
	assert_true(o.test_pipe);
	assert_string_equal(o.source_what, "/a/b");
	collector_options_clear(&o);
}

static void handles(void **state unused_)
{
	static const char *const bad[] = { "0x80ffffff", "0x82000000", "81020000", "0x8102000", "0x081020000", "0x8102000g", "0x",
					   "2164391936", "" };
	struct collector_options o;

	assert_int_equal(LOAD(&o, "--verifier=ipc:///x", "--ak-handle=0x81000000"), OPTIONS_RUN);
	assert_int_equal(o.ak_handle, 0x81000000u);
	collector_options_clear(&o);
	assert_int_equal(LOAD(&o, "--verifier=ipc:///x", "--ak-handle=0x81FFffff", "--iak-cert=/x.pem"), OPTIONS_RUN);
	assert_int_equal(o.ak_handle, 0x81ffffffu);
	assert_string_equal(o.iak_cert, "/x.pem");
	collector_options_clear(&o);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		REFUSED("handle", "--verifier=ipc:///x", "--ak-handle", bad[i]);
}

static void pcr_lists(void **state unused_)
{
	static const struct { const char *text; uint32_t mask; } good[] = {
		{ "10", 1u << 10 }, { "0-10", 0x7ff }, { "0-7,10", 0x4ff }, { "10,11,23", 1u << 10 | 1u << 11 | 1u << 23 },
		{ "0-23", 0xffffff }, { "10-10", 1u << 10 },
	};
	static const char *const bad[] = { "", "0-9", "10,", ",10", "10-9", "0-24", "10,24", "a", "10-", "-10", "1 0", "10;11",
					   "00000000000000010" };
	struct collector_options o;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(LOAD(&o, "--verifier=ipc:///x", "--pcrs", good[i].text), OPTIONS_RUN);
		assert_int_equal(o.pcr_mask, good[i].mask);
		collector_options_clear(&o);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		REFUSED("with PCR 10 in it", "--verifier=ipc:///x", "--pcrs", bad[i]);
}

#define ONE "-vipc:///x"
static void what_belongs_together(void **state unused_)
{
	char label[LIMIT_LABEL + 2];
	struct collector_options o;

	REFUSED("no verifier", "--duty=5");
	REFUSED("at most 8 verifiers", ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE);
	assert_int_equal(LOAD(&o, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE), OPTIONS_RUN);
	collector_options_clear(&o);
	REFUSED("power of two", "-v", "ipc:///x", "--ring-size=5000");
	REFUSED("--ring-size", "-v", "ipc:///x", "--ring-size=2048");
	REFUSED("go together", "-v", "ipc:///x", "--tls-cert=c");
	REFUSED("needs --tls-ca", "-v", "ipc:///x,tls+tcp://h:1");
	REFUSED("--verifier: 'a' is not", "-v", "a");
	REFUSED("--verifier: 'tcp://' is not", "-v", "tcp://,ipc:///x");
	REFUSED("--verifier: 'http://h\\x1b' is not", "-v", "ipc:///x,http://h\033");
	REFUSED("--verifier: '' is not", "-v", ",ipc:///x");
	REFUSED("--duty: '0'", "-v", "ipc:///x", "--duty=0");
	REFUSED("--duty: '101'", "-v", "ipc:///x", "--duty=101");
	REFUSED("--batch-entries: '4097'", "-v", "ipc:///x", "--batch-entries=4097");
	memset(label, 'l', sizeof(label) - 1);
	label[LIMIT_LABEL] = '\0';
	assert_int_equal(LOAD(&o, "-v", "ipc:///x", "--label", label), OPTIONS_RUN);
	collector_options_clear(&o);
	label[LIMIT_LABEL] = 'l';
	label[LIMIT_LABEL + 1] = '\0';
	REFUSED("--label has at most 128", "-v", "ipc:///x", "--label", label);
}

/* Asked for on a kernel that cannot: said before anything starts, and by --check-config. */
static void trimming_needs_a_kernel_that_trims(void **state unused_)
{
	char dir[] = "/tmp/imastream-options-XXXXXX", ima[64], list[128];
	struct collector_options o;

	REFUSED("--mode=poll", ONE, "--trim-acknowledged", "--mode=poll");
	REFUSED("--support=poll", ONE, "--trim-acknowledged", "--support=poll");
	REFUSED("--source=pipe", ONE, "--trim-acknowledged", "--source=pipe:/x", "--test-source");
	assert_non_null(mkdtemp(dir));
	snprintf(ima, sizeof(ima), "%s/ima", dir);
	snprintf(list, sizeof(list), "%s/binary_runtime_measurements", ima);
	assert_int_equal(LOAD(&o, ONE, "--trim-acknowledged", "--securityfs", dir), OPTIONS_RUN); /* nothing there to tell */
	assert_true(o.trim_acknowledged);
	collector_options_clear(&o);
	assert_int_equal(mkdir(ima, 0700), 0);
	assert_int_equal(close(creat(list, 0440)), 0);
	REFUSED("Linux 7.2", ONE, "--trim-acknowledged", "--securityfs", dir);
	REFUSED("Linux 7.2", ONE, "--trim-acknowledged", "--check-config", "--securityfs", dir);
	assert_int_equal(LOAD(&o, ONE, "--securityfs", dir), OPTIONS_RUN);
	assert_false(o.trim_acknowledged);
	collector_options_clear(&o);
	assert_int_equal(chmod(list, 0660), 0);
	assert_int_equal(LOAD(&o, ONE, "--trim-acknowledged", "--securityfs", dir), OPTIONS_RUN);
	collector_options_clear(&o);
	unlink(list);
	rmdir(ima);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(a_test_source_needs_its_flag),
		cmocka_unit_test(handles),
		cmocka_unit_test(pcr_lists),
		cmocka_unit_test(what_belongs_together),
		cmocka_unit_test(trimming_needs_a_kernel_that_trims),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	writer_free(&text);
	return r;
}
