// SPDX-License-Identifier: Apache-2.0
/* The collector, as a process with a software TPM, against a verifier that is a script: what it sends for which answer. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/test.h"

#include "base/clock.h"
#include "base/text.h"
#include "imastream/reason.h"
#include "lib/swtpm.h"
#include "net/net.h"
#include "tpm/attest.h"
#include "tpm/credential.h"
#include "wire/block.h"
#include "wire/msg.h"

#define PATIENCE_MS 30000

static bool available;

struct stage {
	struct swtpm tpm;
	struct net_server *server;
	char list[300], log[300];
	unsigned int entries; /* in the list */
	pid_t collector;
	struct net_request *request; /* the one to answer */
	struct writer message;	     /* its bytes */
	struct wire_message got;
};

/* Appends entries with the template ima-ng as a kernel's list has them. */
static void add_entries(struct stage *s, unsigned int n)
{
	cleanup_writer_ struct writer w = WRITER(4u << 20);
	FILE *f = fopen(s->list, "a");

	for (unsigned int i = 0; i < n; i++) {
		cleanup_writer_ struct writer data = WRITER(1024);
		char path[64];
		uint8_t digest[32], sha1[20];

		snprintf(path, sizeof(path), "/usr/bin/program-%u", s->entries++);
		hash_one(HASH_SHA256, path, strlen(path), digest);
		write_u32le(&data, 8 + 32);
		write_bytes(&data, "sha256:", 8);
		write_bytes(&data, digest, sizeof(digest));
		write_u32le(&data, (uint32_t)strlen(path) + 1);
		write_bytes(&data, path, strlen(path) + 1);
		hash_one(HASH_SHA1, data.p, data.n, sha1);
		write_u32le(&w, 10);
		write_bytes(&w, sha1, sizeof(sha1));
		write_u32le(&w, 6);
		write_bytes(&w, "ima-ng", 6);
		write_u32le(&w, (uint32_t)data.n);
		write_bytes(&w, data.p, data.n);
	}
	assert_non_null(f);
	assert_int_equal(fwrite(w.p, 1, w.n, f), w.n);
	assert_int_equal(fclose(f), 0);
}

static void launch(struct stage *s)
{
	char source[320], url[128];
	const char *argv[] = { BIN_DIR "/imastream-collector", "--tcti", s->tpm.tcti, "--source", source, "--test-source",
			       "--verifier", url, "--poll-interval", "10ms", NULL };
	pid_t parent = getpid();

	snprintf(source, sizeof(source), "pipe:%s", s->list);
	snprintf(url, sizeof(url), "%s", net_server_url(s->server, 0));
	s->collector = fork();
	assert_true(s->collector >= 0);
	if (s->collector == 0) {
		int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
}

static void set(struct stage *s, unsigned int entries)
{
	const char *why = NULL;
	FILE *f;

	*s = (struct stage){ .message = WRITER(LIMIT_MESSAGE) };
	assert_int_equal(swtpm_start(&s->tpm, NULL), 0);
	snprintf(s->list, sizeof(s->list), "%s/list", s->tpm.dir);
	snprintf(s->log, sizeof(s->log), "%s/collector.log", s->tpm.dir);
	f = fopen(s->list, "w");
	assert_non_null(f);
	fclose(f);
	add_entries(s, entries);
	assert_int_equal(net_server_new(&s->server, NULL), 0);
	assert_int_equal(net_server_listen(s->server, "tcp://127.0.0.1:0", &why), 0);
	launch(s);
}

static void strike(struct stage *s)
{
	int status = -1;

	if (s->request)
		net_request_drop(&s->request);
	kill(s->collector, SIGTERM);
	assert_int_equal(waitpid(s->collector, &status, 0), s->collector);
	assert_int_equal(status, 0);
	net_server_free(&s->server);
	writer_free(&s->message);
	swtpm_cleanup(&s->tpm);
}

/* The next request but WAIT, which nobody answers; false when none comes for so long. */
static bool next_within(struct stage *s, int timeout_ms)
{
	uint64_t end = clock_mono_us() + (uint64_t)timeout_ms * 1000;

	for (;;) {
		struct net_request *r = net_server_next(s->server);
		struct pollfd p = { .fd = net_server_fd(s->server), .events = POLLIN };
		const char *where = "";
		uint64_t now = clock_mono_us();

		if (!r && now >= end)
			return false;
		if (!r) {
			poll(&p, 1, (int)((end - now) / 1000 + 1));
			continue;
		}
		writer_reset(&s->message);
		write_bytes(&s->message, net_request_message(r).p, net_request_message(r).n);
		assert_int_equal(wire_decode(writer_view(&s->message), &s->got, &where), WIRE_DECODE_OK);
		if (s->got.type == WIRE_WAIT) {
			net_request_drop(&r);
			continue;
		}
		s->request = r;
		return true;
	}
}

static void show_log(const struct stage *s)
{
	cleanup_writer_ struct writer log = WRITER(1u << 20);

	if (read_file(s->log, &log) == 0)
		print_error("%s", writer_cstr(&log));
}

static void expect(struct stage *s, enum wire_type type)
{
	if (!next_within(s, PATIENCE_MS) || s->got.type != type) {
		show_log(s);
		fail_msg("%s instead of %s", s->request ? wire_type_name(s->got.type) : "nothing", wire_type_name(type));
	}
}

static void answer(struct stage *s, const struct wire_message *m)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	wire_encode(&w, m);
	assert_int_equal(writer_status(&w), 0);
	net_request_reply(s->server, &s->request, writer_view(&w));
	s->request = NULL;
}

static void welcome(struct stage *s, uint32_t max_block_entries)
{
	struct wire_message m = { .type = WIRE_WELCOME };

	memset(m.welcome.session, 1, sizeof(m.welcome.session));
	memset(m.welcome.nonce, 2, sizeof(m.welcome.nonce));
	m.welcome.heartbeat_ms = 60000;
	m.welcome.max_message = LIMIT_MESSAGE;
	m.welcome.max_block_entries = max_block_entries;
	answer(s, &m);
}

static void ack(struct stage *s, uint64_t next, uint64_t proven, uint8_t nonce)
{
	struct wire_message m = { .type = WIRE_ACK };

	m.ack.next = next;
	m.ack.proven = proven;
	m.ack.state = WIRE_STATE_TRUSTED;
	m.ack.has_nonce = nonce != 0;
	memset(m.ack.nonce, nonce, sizeof(m.ack.nonce));
	answer(s, &m);
}

static void resume(struct stage *s, uint64_t from, uint32_t reason)
{
	struct wire_message m = { .type = WIRE_RESUME };

	m.resume.from = from;
	m.resume.reason = reason;
	answer(s, &m);
}

static const uint8_t secret[32] = { 9, 8, 7, 6 };

/* For the keys of the HELLO, but flip one bit of the AK's Name if told so. */
static void challenge(struct stage *s, bool wrong)
{
	struct wire_message m = { .type = WIRE_CHALLENGE };
	const struct wire_hello *h = &s->got.hello;
	struct credential c;
	uint8_t name[34];
	const char *why = "";

	assert_int_equal(tpm_public_name(h->ak_public, name), QUOTE_OK);
	name[20] ^= wrong;
	assert_int_equal(credential_make(h->ek_public, (struct bytes){ name, sizeof(name) }, (struct bytes){ secret, 32 }, &c, &why),
			 0);
	m.challenge.credential_blob = (struct bytes){ c.blob, c.blob_n };
	m.challenge.secret = (struct bytes){ c.secret, c.secret_n };
	answer(s, &m);
}

static uint32_t entries_in(struct bytes block)
{
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;

	assert_int_equal(wire_unpack_new(&u), 0);
	assert_int_equal(wire_unpack_begin(u, block), WIRE_BLOCK_OK);
	return wire_unpack_count(u);
}

static uint64_t entries_here(const struct stage *s)
{
	struct bytes block = s->got.type == WIRE_QUOTE ? s->got.quote.block : s->got.entries.block;

	return block.n ? entries_in(block) : 0;
}

/* The test source extends its entries one by one: on a busy machine the first quote has not all of them yet. Acknowledges that
 * quote and what comes behind it, until all are here and proven. The number of the last quote. */
static uint64_t acknowledge_until(struct stage *s, uint64_t all)
{
	uint64_t next = 0, seq = 0;
	uint8_t nonce = 3;

	for (;;) {
		bool quote = s->got.type == WIRE_QUOTE;

		assert_true(quote || s->got.type == WIRE_ENTRIES);
		assert_int_equal(quote ? s->got.quote.first : s->got.entries.first, next);
		next += entries_here(s);
		assert_true(next <= all);
		seq = quote ? s->got.quote.seq : seq;
		ack(s, next, quote ? next : 0, quote ? nonce++ : 0);
		if (quote && next == all)
			return seq;
		assert_true(next_within(s, PATIENCE_MS));
	}
}

static void activation_then_a_quote_then_entries(void **state unused_)
{
	struct stage s;
	uint8_t attester[32];
	uint64_t began, seq;

	if (!available)
		skip();
	set(&s, 20);
	expect(&s, WIRE_HELLO);
	memcpy(attester, s.got.hello.attester, 32);
	assert_true(s.got.hello.ek_cert.n > 0);
	began = clock_mono_us();
	challenge(&s, false);
	expect(&s, WIRE_ACTIVATE);
	print_message("# CHALLENGE to ACTIVATE: %llu us\n", (unsigned long long)(clock_mono_us() - began));
	assert_int_equal(s.got.activate.secret.n, 32);
	assert_memory_equal(s.got.activate.secret.p, secret, 32);
	assert_memory_equal(s.got.activate.hello.attester, attester, 32);
	welcome(&s, 1000);
	/* the key first, with what there is */
	expect(&s, WIRE_QUOTE);
	assert_int_equal(s.got.quote.seq, 1);
	assert_int_equal(s.got.quote.first, 0);
	seq = acknowledge_until(&s, 20);
	/* from now on report first */
	add_entries(&s, 1);
	expect(&s, WIRE_ENTRIES);
	assert_int_equal(s.got.entries.first, 20);
	/* the verifier has forgotten that the key was shown */
	resume(&s, 20, REASON_SESSION_UNPROVEN);
	expect(&s, WIRE_QUOTE);
	assert_int_equal(s.got.quote.seq, seq + 1);
	ack(&s, 21, 21, 99);
	strike(&s);
}

static void more_entries_than_a_quote_carries(void **state unused_)
{
	struct stage s;
	uint8_t commitment[32];
	uint64_t next = 0;

	if (!available)
		skip();
	set(&s, 100);
	expect(&s, WIRE_HELLO);
	sleep(3); /* meanwhile the test source extends its entries into the TPM */
	welcome(&s, 10); /* known here: no challenge */
	expect(&s, WIRE_QUOTE);
	assert_true(s.got.quote.surely > 10);
	assert_int_equal(s.got.quote.block.n, 0);
	memcpy(commitment, s.got.quote.commitments[s.got.quote.position], 32);
	resume(&s, 0, REASON_LIST_UNREACHED);
	for (;;) {
		assert_true(next_within(&s, PATIENCE_MS));
		if (s.got.type != WIRE_ENTRIES)
			break;
		assert_int_equal(s.got.entries.first, next);
		next += entries_in(s.got.entries.block);
		ack(&s, next, 0, 0);
	}
	assert_int_equal(s.got.type, WIRE_QUOTE);
	assert_int_equal(s.got.quote.seq, 1);
	assert_memory_equal(s.got.quote.commitments[s.got.quote.position], commitment, 32);
	assert_true(next > 0);
	ack(&s, 100, 100, 3);
	strike(&s);
}

static void a_credential_for_other_keys(void **state unused_)
{
	cleanup_writer_ struct writer log = WRITER(1u << 20);
	struct stage s;

	if (!available)
		skip();
	set(&s, 3);
	expect(&s, WIRE_HELLO);
	challenge(&s, true);
	assert_false(next_within(&s, 2000)); /* no answer to it, no new try at once */
	assert_int_equal(read_file(s.log, &log), 0);
	assert_non_null(strstr(writer_cstr(&log), "the TPM refuses the verifier's credential"));
	strike(&s);
}

/* It does what it is told once; the second CHALLENGE at once gets no second activation at once. */
static void a_verifier_that_challenges_again(void **state unused_)
{
	struct wire_hello hello;
	struct stage s;
	uint64_t began;

	if (!available)
		skip();
	set(&s, 3);
	expect(&s, WIRE_HELLO);
	challenge(&s, false);
	expect(&s, WIRE_ACTIVATE);
	began = clock_mono_us();
	hello = s.got.activate.hello;
	s.got.hello = hello;
	challenge(&s, false);
	expect(&s, WIRE_HELLO);
	assert_true(clock_mono_us() - began > 500000);
	strike(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(activation_then_a_quote_then_entries),
		cmocka_unit_test(more_entries_than_a_quote_carries),
		cmocka_unit_test(a_credential_for_other_keys),
		cmocka_unit_test(a_verifier_that_challenges_again),
	};

	available = swtpm_available();
	return cmocka_run_group_tests_name("collector/enrol", tests, NULL, NULL);
}
