// SPDX-License-Identifier: Apache-2.0
/* Plays a fleet: attesters with software keys against a real verifier, over real sockets, in one thread. Prints one line
 * of JSON with what it cost. Closed loop: `--in-flight` requests are on their way at any moment, or fewer with `--rate`. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/json.h"
#include "base/options.h"
#include "base/text.h"
#include "host.h"
#include "link.h"
#include "meter.h"
#include "yardstick.h"

#define EVENTS 256
#define WAITING 1u /* lowest bit of a request id: it is a WAIT */
#define SETTLE_US 300000u
#define SLICES 8u /* of what is measured, each with figures of its own */
#define STUCK_US 20000000u /* nothing came back for so long: give up */

enum mix { MIX_HEARTBEAT, MIX_BUSY };

struct load_options {
	char *verifier, *ca, *policy;
	uint64_t attesters, connections, pid, in_flight, rate, entries, list, run_us, warmup_us;
	unsigned int mix;
	bool wait;
};

static const struct option_choice mixes[] = { { "heartbeat", MIX_HEARTBEAT }, { "busy", MIX_BUSY }, { NULL, 0 } };

#define AT(member) .offset = offsetof(struct load_options, member)
static const struct option_row rows[] = {
	{ .name = "verifier", .metavar = "URL", .group = "load", .type = OPTION_TEXT, AT(verifier),
	  .help = "tcp://A.B.C.D:PORT or tls+tcp://A.B.C.D:PORT" },
	{ .name = "ca", .metavar = "FILE", .group = "load", .type = OPTION_TEXT, AT(ca),
	  .help = "who vouches for the verifier, PEM; needed for tls+tcp; its name is not looked at" },
	{ .name = "pid", .metavar = "N", .group = "load", .type = OPTION_U64, AT(pid), .max = 1u << 30,
	  .help = "process of the verifier: its processor time and memory are told as well" },
	{ .name = "attesters", .metavar = "N", .group = "load", .type = OPTION_U64, AT(attesters), .fallback = "100", .min = 1,
	  .max = 1u << 20, .help = "hosts that are played, each with a P-256 key of its own" },
	{ .name = "connections", .metavar = "N", .group = "load", .type = OPTION_U64, AT(connections), .fallback = "0",
	  .max = 60000, .help = "that they share; 0: one for each" },
	{ .name = "in-flight", .metavar = "N", .group = "load", .type = OPTION_U64, AT(in_flight), .fallback = "256", .min = 1,
	  .max = 65536, .help = "requests without an answer, at most" },
	{ .name = "rate", .metavar = "N", .group = "load", .type = OPTION_U64, AT(rate), .fallback = "0", .max = 1u << 20,
	  .help = "quotes begun in a second; 0: as many as the verifier takes" },
	{ .name = "mix", .metavar = "MIX", .group = "load", .type = OPTION_CHOICE, AT(mix), .fallback = "heartbeat",
	  .choices = mixes, .help = "heartbeat: quotes only; busy: entries, then a quote over them" },
	{ .name = "entries", .metavar = "N", .group = "load", .type = OPTION_U64, AT(entries), .fallback = "10", .min = 1,
	  .max = LIMIT_BLOCK_ENTRIES, .help = "of each report, when busy" },
	{ .name = "list", .metavar = "N", .group = "load", .type = OPTION_U64, AT(list), .fallback = "20", .min = 1,
	  .max = LIMIT_BLOCK_ENTRIES, .help = "entries of each host before it connects" },
	{ .name = "wait", .group = "load", .type = OPTION_SWITCH, AT(wait), .fallback = "on",
	  .help = "each host holds a WAIT open, as collectors do; at most 30 of a connection" },
	{ .name = "run", .metavar = "DURATION", .group = "load", .type = OPTION_DURATION, AT(run_us), .fallback = "5s",
	  .max = 3600000000u, .help = "that is measured" },
	{ .name = "warm-up", .metavar = "DURATION", .group = "load", .type = OPTION_DURATION, AT(warmup_us), .fallback = "1s",
	  .max = 3600000000u, .help = "the same before, not measured" },
	{ .name = "write-policy", .metavar = "FILE", .group = "load", .type = OPTION_TEXT, AT(policy),
	  .help = "writes the policy that accepts all entries, and ends" },
};

static const struct options_spec spec = {
	.program = "loadgen", .summary = "plays a fleet of attesters with software keys against a verifier", .env_prefix = "LOADGEN_",
	.epilogue = "The verifier must let them in: --enrol tofu --trust-on-first-use. Prints one line of JSON.",
	.rows = rows, .n_rows = ARRAY_SIZE(rows),
};

struct load {
	struct load_options o;
	struct maker maker;
	struct yardstick yardstick;
	struct host *hosts;
	struct link *links;
	uint32_t *queue; /* hosts that have something to do; a ring of `attesters` places */
	size_t first, queued;
	int epoll_fd;
	bool running;	 /* else they only come in */
	bool measuring;
	uint64_t now_us, next_us, in_flight, proven, busy, refused, heard_us;
	struct histogram quotes, entries; /* microseconds to the acknowledgement */
	const char *why;
};

static void die(const char *what, int r)
{
	fprintf(stderr, "loadgen: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void must(const char *what, int r)
{
	if (r < 0)
		die(what, r);
}

static void enqueue(struct load *l, uint32_t host)
{
	l->queue[(l->first + l->queued++) % l->o.attesters] = host;
}

static struct link *link_of(struct load *l, uint32_t host)
{
	return &l->links[host % l->o.connections];
}

static void send_to(struct load *l, uint32_t host, uint32_t flags, struct bytes message)
{
	struct link *to = link_of(l, host);

	must("sending", link_send(to, host << 1 | flags, message));
	if (to->want_write) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = to };

		must("epoll", epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, to->fd, &ev));
	}
}

/* The next request of a host. */
static void act(struct load *l, uint32_t host)
{
	struct host *h = &l->hosts[host];
	struct bytes message;

	if (h->stage == HOST_NEW)
		message = host_hello(h, &l->maker);
	else if (h->stage == HOST_READY && l->o.mix == MIX_BUSY)
		message = host_entries(h, &l->maker, (unsigned int)l->o.entries);
	else
		message = host_quote(h, &l->maker);
	h->sent_us = clock_mono_us();
	l->in_flight++;
	send_to(l, host, 0, message);
}

static void note_answer(struct load *l, const struct host *h, enum host_stage before)
{
	uint64_t took = clock_mono_us() - h->sent_us;

	if (!l->measuring || before == HOST_NEW || before == HOST_GREETED)
		return;
	histogram_add(before == HOST_READY && h->stage == HOST_TOLD ? &l->entries : &l->quotes, took);
}

static void refuse(struct load *l, struct host *h, const char *why)
{
	h->stage = HOST_LOST;
	l->refused++;
	l->why = why;
}

static void on_answer(void *user, struct link *link unused_, uint32_t id, struct bytes message)
{
	struct load *l = user;
	uint32_t host = id >> 1;
	struct host *h;
	enum host_stage before;
	enum host_event event;
	const char *why;

	if (host >= l->o.attesters)
		die("an answer to nobody", -EPROTO);
	h = &l->hosts[host];
	before = h->stage;
	event = host_answer(h, message, &why);
	if (event == HOST_WOKEN && l->o.wait)
		send_to(l, host, WAITING, host_wait(h, &l->maker));
	if (id & WAITING) {
		if (event != HOST_WOKEN)
			refuse(l, h, why);
		return;
	}
	l->in_flight--;
	l->heard_us = l->now_us;
	note_answer(l, h, before);
	switch (event) {
	case HOST_GO_ON:
		act(l, host); /* a round that began goes on at once */
		return;
	case HOST_PROVEN:
		l->proven++;
		if (!l->running && l->o.wait)
			send_to(l, host, WAITING, host_wait(h, &l->maker));
		if (l->running)
			enqueue(l, host);
		return;
	case HOST_BUSY:
		l->busy++;
		enqueue(l, host);
		return;
	case HOST_WOKEN:
	case HOST_REFUSED:
		refuse(l, h, why);
	}
}

static bool due(struct load *l)
{
	if (!l->queued || l->in_flight >= l->o.in_flight)
		return false;
	if (!l->running || !l->o.rate)
		return true;
	if (l->now_us < l->next_us)
		return false;
	l->next_us += 1000000u / l->o.rate;
	return true;
}

static void turn(struct load *l)
{
	struct epoll_event events[EVENTS];
	int n;

	l->now_us = clock_mono_us();
	if (l->measuring)
		yardstick_use(&l->yardstick, l->now_us);
	while (due(l)) {
		uint32_t host = l->queue[l->first];

		l->first = (l->first + 1) % l->o.attesters;
		l->queued--;
		act(l, host);
	}
	n = epoll_wait(l->epoll_fd, events, EVENTS, l->running && l->o.rate ? 1 : 100);
	for (int i = 0; i < n; i++) {
		struct link *link = events[i].data.ptr;

		if (events[i].events & EPOLLOUT) {
			struct epoll_event ev = { .events = EPOLLIN, .data.ptr = link };

			must("sending", link_flush(link));
			if (!link->want_write)
				must("epoll", epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, link->fd, &ev));
		}
		must("the verifier hung up", link_read(link, on_answer, l));
	}
	if (l->in_flight && l->now_us > l->heard_us + STUCK_US)
		die("no answer", -ETIMEDOUT);
}

/* --- phases --- */

static SSL_CTX *tls_of(const struct load_options *o)
{
	SSL_CTX *ctx;

	if (strncmp(o->verifier, "tls+tcp://", 10) != 0)
		return NULL;
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || !o->ca || SSL_CTX_load_verify_locations(ctx, o->ca, NULL) != 1)
		die("--ca", -EINVAL);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

static struct sockaddr_in address_of(const struct load_options *o)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *host = strstr(o->verifier, "://"), *colon = strrchr(o->verifier, ':');
	uint64_t port = 0;
	char text[64];

	if (!host || !colon || colon < host + 3)
		die(o->verifier, -EINVAL);
	host += 3;
	snprintf(text, sizeof(text), "%.*s", (int)(colon - host), host);
	must("the port of --verifier", parse_u64(colon + 1, 1, UINT16_MAX, &port));
	a.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		die("the address of --verifier", -EINVAL);
	return a;
}

static void connect_all(struct load *l)
{
	struct sockaddr_in to = address_of(&l->o);
	SSL_CTX *tls = tls_of(&l->o);

	for (size_t i = 0; i < l->o.connections; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &l->links[i] };

		must("connecting", link_open(&l->links[i], &to, tls));
		must("epoll", epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->links[i].fd, &ev) < 0 ? -errno : 0);
	}
	SSL_CTX_free(tls);
	usleep(SETTLE_US);
}

static void enrol_all(struct load *l)
{
	l->heard_us = clock_mono_us();
	for (uint32_t i = 0; i < l->o.attesters; i++) {
		host_measure(&l->hosts[i], &l->maker, (unsigned int)l->o.list);
		enqueue(l, i);
	}
	while (l->proven + l->refused < l->o.attesters)
		turn(l);
	if (l->refused)
		die(l->why, -EACCES);
	usleep(SETTLE_US);
}

static void run_for(struct load *l, uint64_t us)
{
	uint64_t until = clock_mono_us() + us;

	while (clock_mono_us() < until)
		turn(l);
}

struct phase {
	uint64_t at_us, proven, checks, check_ns;
	struct cost cost;
};

static struct phase mark(const struct load *l)
{
	struct phase p = { .at_us = clock_mono_us(), .proven = l->proven, .checks = l->yardstick.checks,
			   .check_ns = l->yardstick.cpu_ns };

	must("--pid", cost_of(l->o.pid, &p.cost));
	return p;
}

static void say_latency(struct json *j, const char *key, const struct histogram *h)
{
	jw_object(j, key);
	jw_u64(j, "count", h->count);
	jw_u64(j, "p50", histogram_quantile(h, 500));
	jw_u64(j, "p90", histogram_quantile(h, 900));
	jw_u64(j, "p99", histogram_quantile(h, 990));
	jw_u64(j, "max", h->max);
	jw_object_end(j);
}

/* Between two marks: for each piece of evidence, what the verifier spent. */
static void say_phase(struct json *j, const char *key, const struct phase *from, const struct phase *to)
{
	uint64_t n = MAX(to->proven - from->proven, 1u);

	jw_object(j, key); /* NULL: in an array */
	jw_u64(j, "evidence", to->proven - from->proven);
	jw_double(j, "seconds", (double)(to->at_us - from->at_us) / 1e6, 3);
	jw_double(j, "cpu_us", (double)(to->cost.cpu_ns - from->cost.cpu_ns) / 1000.0 / (double)n, 2);
	jw_double(j, "user_us", (double)(to->cost.user_us - from->cost.user_us) / (double)n, 2);
	jw_double(j, "system_us", (double)(to->cost.system_us - from->cost.system_us) / (double)n, 2);
	if (to->checks > from->checks)
		jw_double(j, "signature_us",
			  (double)(to->check_ns - from->check_ns) / 1000.0 / (double)(to->checks - from->checks), 2);
	jw_double(j, "switches", (double)(to->cost.switches - from->cost.switches) / (double)n, 3);
	jw_object_end(j);
}

enum mark { BEFORE, CONNECTED, ATTACHED, RUN, MARKS = RUN + SLICES + 1 };

static void say(const struct load *l, const struct phase p[MARKS])
{
	cleanup_writer_ struct writer w = WRITER(65536);
	struct json j;

	jw_begin(&j, &w, false);
	jw_object(&j, NULL);
	jw_u64(&j, "attesters", l->o.attesters);
	jw_u64(&j, "connections", l->o.connections);
	jw_u64(&j, "busy_answers", l->busy);
	jw_u64(&j, "refused", l->refused);
	jw_string(&j, "refused_why", l->why);
	jw_object(&j, "rss_kib");
	jw_u64(&j, "before", p[BEFORE].cost.rss_kib);
	jw_u64(&j, "connected", p[CONNECTED].cost.rss_kib);
	jw_u64(&j, "attached", p[ATTACHED].cost.rss_kib);
	jw_u64(&j, "after", p[MARKS - 1].cost.rss_kib);
	jw_object_end(&j);
	say_phase(&j, "enrol", &p[CONNECTED], &p[ATTACHED]);
	say_phase(&j, "run", &p[RUN], &p[MARKS - 1]);
	jw_array(&j, "slices");
	for (size_t i = RUN; i + 1 < MARKS; i++)
		say_phase(&j, NULL, &p[i], &p[i + 1]);
	jw_array_end(&j);
	say_latency(&j, "quote_us", &l->quotes);
	say_latency(&j, "entries_us", &l->entries);
	jw_object_end(&j);
	write_u8(&w, '\n');
	must("memory", writer_status(&w));
	fwrite(w.p, 1, w.n, stdout);
}

static void run(struct load *l)
{
	struct phase p[MARKS];

	maker_init(&l->maker);
	yardstick_init(&l->yardstick, &l->maker.tpm);
	l->hosts = calloc(l->o.attesters, sizeof(*l->hosts));
	l->links = calloc(l->o.connections, sizeof(*l->links));
	l->queue = calloc(l->o.attesters, sizeof(*l->queue));
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!l->hosts || !l->links || !l->queue || l->epoll_fd < 0)
		die("memory", -ENOMEM);
	for (size_t i = 0; i < l->o.attesters; i++)
		host_init(&l->hosts[i], &l->maker);
	p[BEFORE] = mark(l);
	connect_all(l);
	p[CONNECTED] = mark(l);
	enrol_all(l);
	p[ATTACHED] = mark(l);
	l->running = true;
	for (uint32_t i = 0; i < l->o.attesters; i++)
		enqueue(l, i);
	l->next_us = l->heard_us = clock_mono_us();
	run_for(l, l->o.warmup_us);
	l->measuring = true;
	p[RUN] = mark(l);
	for (size_t i = RUN + 1; i < MARKS; i++) {
		run_for(l, l->o.run_us / SLICES);
		p[i] = mark(l);
	}
	say(l, p);
	for (size_t i = 0; i < l->o.connections; i++)
		link_close(&l->links[i]);
	for (size_t i = 0; i < l->o.attesters; i++)
		host_clear(&l->hosts[i]);
	free(l->hosts);
	free(l->links);
	free(l->queue);
	close(l->epoll_fd);
	yardstick_clear(&l->yardstick);
	maker_clear(&l->maker);
}

static int write_policy(const char *path)
{
	cleanup_writer_ struct writer w = WRITER(16u << 20);

	host_policy(&w);
	return write_file_atomic(path, writer_view(&w), 0644);
}

int main(int argc, char **argv)
{
	cleanup_writer_ struct writer text = WRITER(1u << 20);
	struct load l = { 0 };
	int what = options_load(&spec, argc, argv, &l.o, &text);
	struct rlimit files;

	if (what == OPTIONS_RUN && l.o.policy) {
		must(l.o.policy, write_policy(l.o.policy));
	} else if (what == OPTIONS_RUN && l.o.verifier) {
		if (!l.o.connections)
			l.o.connections = l.o.attesters;
		l.o.connections = MIN(l.o.connections, l.o.attesters);
		if (l.o.wait && l.o.attesters > 30 * l.o.connections)
			die("more than 30 attesters of a connection with --wait on", -EINVAL);
		signal(SIGPIPE, SIG_IGN);
		must("files", getrlimit(RLIMIT_NOFILE, &files));
		files.rlim_cur = files.rlim_max;
		must("files", setrlimit(RLIMIT_NOFILE, &files));
		run(&l);
	} else {
		fprintf(what == OPTIONS_RUN || what == OPTIONS_USAGE ? stderr : stdout, "%s",
			what == OPTIONS_RUN ? "loadgen: --verifier is missing; see --help\n" :
			writer_cstr(&text)  ? (const char *)text.p : "");
		options_clear(&spec, &l.o);
		return what == OPTIONS_RUN || what == OPTIONS_USAGE ? 2 : 0;
	}
	options_clear(&spec, &l.o);
	return 0;
}
