// SPDX-License-Identifier: Apache-2.0
/* A collector on strings: does what it is told on standard input, one command a line, and answers each with one line of
 * JSON. It has a real TPM (swtpm) and speaks over real sockets; only its honesty is up to who holds the strings (threats.py).
 * Unlike the real collector it sends anything: old quotes, other people's keys, entries that were never extended.
 *
 *   tpm TCTI                     opens the TPM: {"id","ak","name","reset","restart"}
 *   connect URL                  dials the verifier
 *   measure PATH [silent|hidden|tpm-only]
 *                                an entry into list and PCR 10; silent: the list only, hidden: the PCR only (the list that is
 *                                shown does not have it)
 *   hello [ak=HEX] [id=HEX] [ek=HEX] [label=HEX] [reset=N] [length=N] [kernel=HEX]
 *   entries FIRST COUNT FLOOR [measured=N]
 *                                from the list that is shown; measured: what the kernel is said to count
 *   quote SURELY [save=NAME] [measured=N]
 *                                takes a quote with the newest nonce and keeps it
 *   send [NAME] [entries=FIRST] [flip=attest|signature|nonce|commitment] [seq=N] [late=MS]
 *                                sends a quote that was kept
 *   wait                         WAIT, up to 3 s for its DIRECTIVE
 *   raw HEX                      any bytes
 *   block HEX FIRST FLOOR        ENTRIES with these bytes as block
 *   swap I | forget I | restore  exchanges entries I and I+1 of the list that is shown, leaves one out
 *   renumber                     a session of one's own making: a random session id
 */
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "lib/test.h"
#include "net/net.h"
#include "tpm/device.h"
#include "wire/block.h"
#include "wire/msg.h"

#define LIST_MAX 70000u
#define KEPT_MAX 16u
#define WORDS_MAX 16u
#define ANSWER_MS 8000u
#define MASK 0x7ffu /* PCR 0 to 10 */

struct kept {
	char name[32];
	struct wire_quote quote;
	struct tpm_quote bytes;
	uint8_t commitment[WIRE_DIGEST_SIZE];
};

struct puppet {
	struct tpm *tpm;
	struct tpm_identity id;
	struct tpm_clock clock;
	struct net_client *client;
	struct wire_pack *pack;
	struct writer paths[LIST_MAX]; /* template data of what is shown */
	size_t n;
	struct writer saved_entry;
	struct kept kept[KEPT_MAX];
	uint8_t session[WIRE_SESSION_SIZE], nonce[WIRE_NONCE_SIZE], previous[WIRE_DIGEST_SIZE];
	uint64_t seq;
	uint8_t pcrs[TPM_PCR_COUNT][HASH_MAX_SIZE];
	struct writer message, answer, out;
	char *word[WORDS_MAX];
	size_t words;
};

static void die(const char *what, int r)
{
	printf("{\"error\":\"%s: %s\"}\n", what, strerror(-r));
	fflush(stdout);
	exit(1);
}

static void must(const char *what, int r)
{
	if (r < 0)
		die(what, r);
}

static const char *option(const struct puppet *p, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 1; i < p->words; i++)
		if (strncmp(p->word[i], name, n) == 0 && p->word[i][n] == '=')
			return p->word[i] + n + 1;
	return NULL;
}

static uint64_t number(const char *s)
{
	uint64_t v = 0;

	must("a number", parse_u64(s ? s : "", 0, UINT64_MAX, &v));
	return v;
}

static uint64_t word_number(const struct puppet *p, size_t i)
{
	return number(i < p->words ? p->word[i] : NULL);
}

static void unhex(struct writer *w, const char *text)
{
	must("hex", hex_decode_to(w, (struct bytes){ (const uint8_t *)text, strlen(text) }));
}

/* --- the answer, as JSON --- */

static void say_ack(struct json *j, const struct wire_ack *a)
{
	jw_u64(j, "next", a->next);
	jw_u64(j, "proven", a->proven);
	jw_u64(j, "state", a->state);
	jw_bool(j, "quote_wanted", a->quote_wanted);
	jw_string(j, "reason", a->reason ? reason_name(a->reason) : NULL);
}

static void say(struct puppet *p, const struct wire_message *m)
{
	struct json j;

	writer_reset(&p->out);
	jw_begin(&j, &p->out, false);
	jw_object(&j, NULL);
	jw_string(&j, "type", m ? wire_type_name(m->type) : "NOTHING");
	switch (m ? m->type : 0) {
	case WIRE_WELCOME:
		jw_u64(&j, "resume", m->welcome.resume);
		jw_u64(&j, "heartbeat_ms", m->welcome.heartbeat_ms);
		break;
	case WIRE_REJECT:
		jw_string(&j, "reason", reason_name(m->reject.reason));
		jw_bytes(&j, "detail", m->reject.detail);
		jw_u64(&j, "retry_ms", m->reject.retry_ms);
		break;
	case WIRE_ACK:
		say_ack(&j, &m->ack);
		break;
	case WIRE_RESUME:
		jw_u64(&j, "from", m->resume.from);
		jw_string(&j, "reason", m->resume.reason ? reason_name(m->resume.reason) : NULL);
		break;
	case WIRE_DIRECTIVE:
		jw_u64(&j, "flags", m->directive.flags);
		break;
	default:
		break;
	}
	jw_object_end(&j);
	write_u8(&p->out, '\n');
	must("answer", writer_status(&p->out));
	fwrite(p->out.p, 1, p->out.n, stdout);
	fflush(stdout);
}

static void say_ok(void)
{
	puts("{\"type\":\"OK\"}");
	fflush(stdout);
}

/* --- the wire --- */

/* Sends bytes, waits for the answer; *m holds views into p->answer. false: none came. */
static bool ask_bytes(struct puppet *p, unsigned int slot, struct bytes message, uint32_t ms, struct wire_message *m)
{
	struct net_completion c;
	const char *where;
	uint64_t until = clock_mono_us() + ms * 1000ull + 500000u;

	must("request", net_client_request(p->client, slot, message, ms));
	for (;;) {
		struct pollfd f = { .fd = net_client_fd(p->client), .events = POLLIN };

		while (net_client_next(p->client, &c)) {
			if (c.slot != slot)
				continue;
			if (c.status < 0)
				return false;
			writer_reset(&p->answer);
			write_bytes(&p->answer, c.message.p, c.message.n);
			must("answer", writer_status(&p->answer));
			return wire_decode(writer_view(&p->answer), m, &where) == WIRE_DECODE_OK;
		}
		if (clock_mono_us() > until || poll(&f, 1, 100) < 0) {
			net_client_cancel(p->client, slot);
			return false;
		}
	}
}

static void ask(struct puppet *p, unsigned int slot, const struct wire_message *request, uint32_t ms)
{
	struct wire_message m;

	writer_reset(&p->message);
	wire_encode(&p->message, request);
	must("encoding", writer_status(&p->message));
	if (!ask_bytes(p, slot, writer_view(&p->message), ms, &m)) {
		say(p, NULL);
		return;
	}
	if (m.type == WIRE_WELCOME) {
		bytes_copy(p->session, m.welcome.session, sizeof(p->session));
		bytes_copy(p->nonce, m.welcome.nonce, sizeof(p->nonce));
		memset(p->previous, 0, sizeof(p->previous));
		p->seq = 0;
	}
	if (m.type == WIRE_ACK && m.ack.has_nonce)
		bytes_copy(p->nonce, m.ack.nonce, sizeof(p->nonce));
	if (m.type == WIRE_DIRECTIVE && m.directive.has_nonce)
		bytes_copy(p->nonce, m.directive.nonce, sizeof(p->nonce));
	say(p, &m);
}

/* --- commands --- */

static void do_tpm(struct puppet *p)
{
	const struct pcr_selection sel = { hash_tpm_alg(HASH_SHA256), MASK };
	char why[256] = "";
	uint8_t name[34];
	struct json j;

	tpm_close(&p->tpm);
	if (tpm_open(&p->tpm, p->words > 1 ? p->word[1] : NULL, why, sizeof(why)) < 0)
		die(why, -EIO);
	must("identity", tpm_identify(p->tpm, AK_ECC_P256, &p->id));
	must("clock", tpm_read_clock(p->tpm, &p->clock));
	must("PCRs", tpm_pcr_read(p->tpm, &sel, p->pcrs));
	if (tpm_public_name((struct bytes){ p->id.ak_public, p->id.ak_public_n }, name) != QUOTE_OK)
		die("name", -EIO);
	writer_reset(&p->out);
	jw_begin(&j, &p->out, false);
	jw_object(&j, NULL);
	jw_string(&j, "type", "OK");
	jw_hex(&j, "id", p->id.attester_id, sizeof(p->id.attester_id));
	jw_hex(&j, "ak", p->id.ak_public, p->id.ak_public_n);
	jw_hex(&j, "ek", p->id.ek_public, p->id.ek_public_n);
	jw_hex(&j, "name", name, sizeof(name));
	jw_u64(&j, "reset", p->clock.reset_count);
	jw_u64(&j, "restart", p->clock.restart_count);
	jw_object_end(&j);
	write_u8(&p->out, '\n');
	fwrite(p->out.p, 1, p->out.n, stdout);
	fflush(stdout);
}

static void do_connect(struct puppet *p)
{
	net_client_free(&p->client);
	must("dial", net_client_new(&p->client, p->words > 1 ? p->word[1] : "", NULL));
	say_ok();
}

static struct ima_entry entry_of(const struct puppet *p, size_t i)
{
	return (struct ima_entry){ .pcr = WIRE_PCR, .name = BYTES("ima-ng"), .data = writer_view(&p->paths[i]) };
}

static void do_measure(struct puppet *p)
{
	const char *path = p->words > 1 ? p->word[1] : "", *how = p->words > 2 ? p->word[2] : "";
	uint8_t head[40] = "sha256:", digests[HASH_COUNT][HASH_MAX_SIZE];
	struct writer *w = &p->paths[p->n];
	struct ima_entry e;

	if (p->n >= LIST_MAX)
		die("list", -ENOSPC);
	*w = (struct writer)WRITER(LIMIT_ENTRY_DATA);
	hash_one(HASH_SHA256, path, strlen(path), head + 8);
	write_u32le(w, sizeof(head));
	write_bytes(w, head, sizeof(head));
	write_u32le(w, (uint32_t)strlen(path) + 1);
	write_bytes(w, path, strlen(path) + 1);
	must("entry", writer_status(w));
	e = entry_of(p, p->n);
	for (unsigned int a = 0; a < HASH_COUNT; a++)
		ima_template_digest(&e, (enum hash_alg)a, digests[a]);
	if (strcmp(how, "silent") != 0)
		must("extend", tpm_pcr_extend(p->tpm, WIRE_PCR, 1u << HASH_SHA1 | 1u << HASH_SHA256, digests));
	if (strcmp(how, "hidden") == 0)
		writer_free(w);
	else
		p->n++;
	say_ok();
}

static void do_hello(struct puppet *p)
{
	struct wire_message m = { .type = WIRE_HELLO };
	cleanup_writer_ struct writer ak = WRITER(LIMIT_PUBLIC), ek = WRITER(LIMIT_PUBLIC), label = WRITER(4096);
	cleanup_writer_ struct writer kernel = WRITER(4096), id = WRITER(64);
	const char *text;
	struct wire_hello *h = &m.hello;

	h->version = WIRE_VERSION;
	bytes_copy(h->attester, p->id.attester_id, sizeof(h->attester));
	h->ak_public = (struct bytes){ p->id.ak_public, p->id.ak_public_n };
	h->ek_public = (struct bytes){ p->id.ek_public, p->id.ek_public_n };
	h->label = BYTES("puppet");
	h->kernel = BYTES("6.1.0");
	h->bank = hash_tpm_alg(HASH_SHA256);
	h->pcr_mask = MASK;
	h->list_length = p->n;
	h->reset_count = p->clock.reset_count;
	h->restart_count = p->clock.restart_count;
	h->support = WIRE_SUPPORT_ORDERED;
	if ((text = option(p, "ak"))) {
		unhex(&ak, text);
		h->ak_public = writer_view(&ak);
	}
	if ((text = option(p, "ek"))) {
		unhex(&ek, text);
		h->ek_public = writer_view(&ek);
	}
	if ((text = option(p, "id"))) {
		unhex(&id, text);
		bytes_copy(h->attester, id.p, MIN(id.n, sizeof(h->attester)));
	}
	if ((text = option(p, "label"))) {
		unhex(&label, text);
		h->label = writer_view(&label);
	}
	if ((text = option(p, "kernel"))) {
		unhex(&kernel, text);
		h->kernel = writer_view(&kernel);
	}
	if ((text = option(p, "reset")))
		h->reset_count = (uint32_t)number(text);
	if ((text = option(p, "length")))
		h->list_length = number(text);
	for (unsigned int i = 0; i < TPM_PCR_COUNT; i++)
		if (i != WIRE_PCR && MASK & 1u << i)
			h->boot_pcrs[h->n_boot_pcrs++] = (struct wire_pcr){ (uint8_t)i, { p->pcrs[i], hash_size(HASH_SHA256) } };
	ask(p, NET_SLOT_EVIDENCE, &m, ANSWER_MS);
}

static struct bytes packed(struct puppet *p, size_t first, size_t count)
{
	struct bytes b;

	wire_pack_begin(p->pack);
	for (size_t i = first; i < first + count && i < p->n; i++) {
		struct ima_entry e = entry_of(p, i);

		must("packing", wire_pack_add(p->pack, &e, NULL));
	}
	must("packing", wire_pack_finish(p->pack, &b));
	return b;
}

static uint64_t measured(const struct puppet *p)
{
	const char *text = option(p, "measured");

	return text ? number(text) : 0;
}

static void do_entries(struct puppet *p)
{
	struct wire_message m = { .type = WIRE_ENTRIES, .entries.measured = measured(p) };

	m.entries.first = word_number(p, 1);
	m.entries.floor = word_number(p, 3);
	m.entries.block = packed(p, m.entries.first, word_number(p, 2));
	bytes_copy(m.entries.session, p->session, sizeof(p->session));
	ask(p, NET_SLOT_EVIDENCE, &m, ANSWER_MS);
}

static void do_block(struct puppet *p)
{
	struct wire_message m = { .type = WIRE_ENTRIES };
	cleanup_writer_ struct writer block = WRITER(LIMIT_MESSAGE);

	unhex(&block, p->words > 1 ? p->word[1] : "");
	m.entries.first = word_number(p, 2);
	m.entries.floor = word_number(p, 3);
	m.entries.block = writer_view(&block);
	bytes_copy(m.entries.session, p->session, sizeof(p->session));
	ask(p, NET_SLOT_EVIDENCE, &m, ANSWER_MS);
}

static struct kept *keep(struct puppet *p, const char *name, bool make)
{
	struct kept *free_place = NULL;

	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (strcmp(p->kept[i].name, name) == 0)
			return &p->kept[i];
		if (!*p->kept[i].name && !free_place)
			free_place = &p->kept[i];
	}
	if (!make || !free_place)
		die(name, -ENOENT);
	snprintf(free_place->name, sizeof(free_place->name), "%s", name);
	return free_place;
}

static void do_quote(struct puppet *p)
{
	const struct pcr_selection sel = { hash_tpm_alg(HASH_SHA256), MASK };
	const char *name = option(p, "save");
	struct kept *k = keep(p, name ? name : "last", true);
	struct wire_commitment_inputs in = { .seq = p->seq + 1, .surely = word_number(p, 1) };
	uint8_t qualifying[WIRE_DIGEST_SIZE];

	bytes_copy(in.attester, p->id.attester_id, sizeof(in.attester));
	bytes_copy(in.session, p->session, sizeof(in.session));
	bytes_copy(in.nonce, p->nonce, sizeof(in.nonce));
	bytes_copy(in.previous, p->previous, sizeof(in.previous));
	k->quote = (struct wire_quote){ .seq = in.seq, .surely = in.surely, .n_commitments = 1, .quote_us = 300,
				       .measured = measured(p) };
	wire_commitment(&in, k->quote.commitments[0]);
	wire_qualifying(k->quote.commitments, 1, qualifying);
	must("quote", tpm_quote(p->tpm, &sel, (struct bytes){ qualifying, sizeof(qualifying) }, &k->bytes));
	bytes_copy(k->quote.session, p->session, sizeof(p->session));
	bytes_copy(k->quote.nonce, p->nonce, sizeof(p->nonce));
	bytes_copy(k->commitment, k->quote.commitments[0], sizeof(k->commitment));
	say_ok();
}

static void do_send(struct puppet *p)
{
	bool named = p->words > 1 && !strchr(p->word[1], '=');
	struct kept *k = keep(p, named ? p->word[1] : "last", false);
	struct wire_message m = { .type = WIRE_QUOTE, .quote = k->quote };
	struct tpm_quote bytes = k->bytes;
	const char *flip = option(p, "flip"), *text;
	struct wire_quote *q = &m.quote;

	if (flip && strcmp(flip, "attest") == 0)
		bytes.attest[bytes.attest_n - 1] ^= 1;
	if (flip && strcmp(flip, "signature") == 0)
		bytes.signature[bytes.signature_n - 1] ^= 1;
	if (flip && strcmp(flip, "nonce") == 0)
		q->nonce[0] ^= 1;
	if (flip && strcmp(flip, "commitment") == 0)
		q->commitments[0][0] ^= 1;
	q->attest = (struct bytes){ bytes.attest, bytes.attest_n };
	q->signature = (struct bytes){ bytes.signature, bytes.signature_n };
	if ((text = option(p, "seq")))
		q->seq = number(text);
	if ((text = option(p, "session")) && strcmp(text, "now") == 0)
		bytes_copy(q->session, p->session, sizeof(q->session));
	if ((text = option(p, "entries"))) {
		q->first = number(text);
		q->block = packed(p, q->first, p->n - q->first);
	}
	if ((text = option(p, "late")))
		usleep((useconds_t)(number(text) * 1000));
	ask(p, NET_SLOT_EVIDENCE, &m, ANSWER_MS);
	/* the chain moves on when the verifier took it in */
	if (p->out.n && strstr(writer_cstr(&p->out), "\"ACK\"")) {
		p->seq = k->quote.seq;
		bytes_copy(p->previous, k->commitment, sizeof(p->previous));
	}
}

static void do_wait(struct puppet *p)
{
	struct wire_message m = { .type = WIRE_WAIT };

	bytes_copy(m.wait.session, p->session, sizeof(p->session));
	ask(p, NET_SLOT_WAIT, &m, 3000);
}

static void do_raw(struct puppet *p)
{
	struct wire_message m;

	writer_reset(&p->message);
	unhex(&p->message, p->words > 1 ? p->word[1] : "");
	say(p, ask_bytes(p, NET_SLOT_EVIDENCE, writer_view(&p->message), ANSWER_MS, &m) ? &m : NULL);
}

static void do_swap(struct puppet *p)
{
	size_t i = word_number(p, 1);
	struct writer w;

	if (i + 1 >= p->n)
		die("swap", -ERANGE);
	w = p->paths[i];
	p->paths[i] = p->paths[i + 1];
	p->paths[i + 1] = w;
	say_ok();
}

static void do_forget(struct puppet *p)
{
	size_t i = word_number(p, 1);

	if (i >= p->n)
		die("forget", -ERANGE);
	writer_free(&p->paths[i]);
	memmove(&p->paths[i], &p->paths[i + 1], (p->n - i - 1) * sizeof(p->paths[0]));
	p->n--;
	say_ok();
}

static void do_renumber(struct puppet *p)
{
	if (RAND_bytes(p->session, sizeof(p->session)) != 1)
		die("random", -EIO);
	say_ok();
}

static const struct {
	const char *name;
	void (*run)(struct puppet *p);
} commands[] = {
	{ "tpm", do_tpm },     { "connect", do_connect }, { "measure", do_measure }, { "hello", do_hello },
	{ "entries", do_entries }, { "block", do_block }, { "quote", do_quote },     { "send", do_send },
	{ "wait", do_wait },   { "raw", do_raw },	  { "swap", do_swap },	     { "forget", do_forget },
	{ "renumber", do_renumber },
};

int main(void)
{
	struct puppet *p = calloc(1, sizeof(*p));
	char *line = NULL, *rest;
	size_t room = 0;

	if (!p)
		return 1;
	p->message = (struct writer)WRITER(LIMIT_MESSAGE);
	p->answer = (struct writer)WRITER(LIMIT_MESSAGE);
	p->out = (struct writer)WRITER(1u << 20);
	must("packer", wire_pack_new(&p->pack, 3));
	while (getline(&line, &room, stdin) > 0) {
		bool found = false;

		p->words = 0;
		for (char *w = strtok_r(line, " \n", &rest); w && p->words < WORDS_MAX; w = strtok_r(NULL, " \n", &rest))
			p->word[p->words++] = w;
		for (size_t i = 0; p->words && i < ARRAY_SIZE(commands) && !found; i++)
			if ((found = strcmp(commands[i].name, p->word[0]) == 0))
				commands[i].run(p);
		if (p->words && !found)
			die(p->word[0], -ENOSYS);
	}
	free(line);
	for (size_t i = 0; i < p->n; i++)
		writer_free(&p->paths[i]);
	net_client_free(&p->client);
	tpm_close(&p->tpm);
	wire_pack_free(&p->pack);
	writer_free(&p->message);
	writer_free(&p->answer);
	writer_free(&p->out);
	free(p);
	return 0;
}
