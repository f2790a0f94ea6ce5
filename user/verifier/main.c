// SPDX-License-Identifier: Apache-2.0
/* imastream-verifier: reads options, opens everything, runs the loop. */
#include <fcntl.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "base/resident.h"
#include "base/text.h"
#include "imastream/options.h"
#include "net/keeper.h"
#include "verifier/confine.h"
#include "verifier/control.h"
#include "verifier/librarian.h"
#include "verifier/options.h"
#include "verifier/publish.h"
#include "verifier/receive.h"
#include "verifier/rollout.h"

#define MARK_AFTER_US 1000000u	 /* published events are marked in the store this much later */
#define SINK_RETRY_US 20000u	 /* the reader of --events is slow */
#define GOODBYE_MS 100		 /* for the last replies to leave */

struct verifier {
	struct verifier_options options;
	struct loop *loop;
	struct loop_timer *tick, *mark, *sink;
	struct store *store;
	struct receiver *receiver;
	struct net_server *control;
	struct pipeline *pipeline;
	struct rollout *rollout;
	struct librarian *librarian;
	struct publisher publisher;
	struct net_pub *pub; /* NULL: none */
	struct sandbox sandbox;
	struct sandbox_report confined;
	struct user_names names;
	struct keeper *keeper; /* of the TLS key; NULL: no key */
	int events_fd;
	bool stopping, sink_told;
	struct log_limit failures;
	uint64_t failures_told;
};

/* --- rules ---- */

static void log_lines(enum log_level level, struct writer *text)
{
	char *rest = NULL;

	if (!writer_cstr(text))
		return;
	for (char *line = strtok_r((char *)text->p, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_at(level, "%s", line);
}

static int load_rules(const struct verifier_options *o, struct rules *out)
{
	cleanup_rules_report_ struct rules_report report = RULES_REPORT;
	int r = rules_load(o, NULL, out, &report);

	log_lines(LOG_LEVEL_ERROR, &report.why);
	log_lines(LOG_LEVEL_INFO, &report.notes);
	return r;
}

/* --- the loop ---- */

static void report_failure(struct verifier *v, int r, const char *what)
{
	if (r < 0 && log_allowed(&v->failures, instant_now().mono))
		log_errno(r, "%s; nothing of it was acknowledged", what);
}

/* Messages that failed alone, in batches that did not. */
static void report_messages(struct verifier *v)
{
	const struct pipeline *p = v->pipeline;

	if (p->failures == v->failures_told || !log_allowed(&v->failures, instant_now().mono))
		return;
	log_errno(p->failure, "%llu messages failed; nothing of them was acknowledged",
		  (unsigned long long)(p->failures - v->failures_told));
	v->failures_told = p->failures;
}

/* After anything that may have made events or moved deadlines. */
static void after(struct verifier *v)
{
	struct instant now = instant_now();
	bool waiting;
	int r = publisher_pump(&v->publisher, now.real, &waiting);

	report_failure(v, r, "cannot read events from the store");
	if (v->publisher.failed && !v->sink_told) {
		log_error("the reader of --events is gone: events go to subscribers and the store only");
		v->sink_told = true;
	}
	if (v->publisher.stuck && log_allowed(&v->failures, now.mono))
		log_errno(-v->publisher.stuck, "cannot write to the file of --events; events wait in the store");
	loop_timer_at(v->sink, waiting ? now.mono + SINK_RETRY_US : 0);
	if (v->publisher.n_marks && !loop_timer_when(v->mark))
		loop_timer_at(v->mark, now.mono + MARK_AFTER_US);
	loop_timer_at(v->tick, pipeline_next_tick(v->pipeline));
	report_messages(v);
	if (v->pipeline->broken)
		loop_stop(v->loop);
}

static int on_requests(void *user, uint32_t events unused_)
{
	struct verifier *v = user;
	bool more;

	report_failure(v, receiver_run(v->receiver, v->pipeline, &more), "a batch failed");
	after(v);
	return 0;
}

static int on_tick(void *user, uint32_t events unused_)
{
	struct verifier *v = user;
	struct instant now = instant_now();
	int r = pipeline_tick(v->pipeline, &now);

	report_failure(v, r, "deadlines could not be stored");
	after(v);
	if (r < 0) /* what is due stays due: not at once again */
		loop_timer_at(v->tick, now.mono + 1000000u);
	return 0;
}

static int on_sink(void *user, uint32_t events unused_)
{
	after(user);
	return 0;
}

static int on_mark(void *user, uint32_t events unused_)
{
	struct verifier *v = user;

	report_failure(v, publisher_mark(&v->publisher), "cannot mark events as published");
	after(v);
	return 0;
}

static void answer_control(void *user, void *token, struct bytes answer)
{
	struct verifier *v = user;
	struct net_request *request = token;

	net_request_reply(v->control, &request, answer);
}

static int on_control(void *user, uint32_t events unused_)
{
	struct verifier *v = user;
	struct net_request *request;

	while ((request = net_server_next(v->control))) {
		cleanup_writer_ struct writer answer = WRITER(CONTROL_ANSWER_MAX);
		struct instant now = instant_now();
		struct asker asker;

		asker_of(&asker, &v->names, request);
		if (rollout_control(v->rollout, net_request_message(request), &asker, request))
			continue;
		control_answer(v->pipeline, net_request_message(request), &asker, &now, &answer);
		if (writer_status(&answer) == 0)
			net_request_reply(v->control, &request, writer_view(&answer));
		else
			net_request_drop(&request);
	}
	after(v);
	return 0;
}

static int on_stop(void *user, uint32_t events unused_)
{
	struct verifier *v = user;

	v->stopping = true;
	loop_stop(v->loop);
	return 0;
}

static int on_reload(void *user, uint32_t events unused_)
{
	struct verifier *v = user;

	if (v->rollout)
		rollout_reload(v->rollout, "signal");
	return 0;
}

static void after_rollout(void *user)
{
	struct verifier *v = user;

	if (v->librarian)
		librarian_look(v->librarian);
	after(v);
}

static void after_set(void *user)
{
	after(user);
}

/* --- start and end ---- */

static int listen_on(struct net_server *s, const char *url)
{
	const char *why = "";
	int r = net_server_listen(s, url, &why);

	if (r < 0)
		log_error("cannot listen on %s: %s", url, *why ? why : strerror(-r));
	else if (strncmp(url, "tcp://", 6) == 0 && strncmp(url, "tcp://127.", 10) != 0 &&
		 strncmp(url, "tcp://[::1]", 11) != 0)
		log_warn("%s is not encrypted: names and digests of files can be read on the way", url);
	return r;
}

static struct net_tls tls_files(const struct verifier *v)
{
	const struct verifier_options *o = &v->options;

	return (struct net_tls){ .ca = o->tls_ca, .cert = o->tls_cert, .key = o->tls_key, .keeper = v->keeper,
				 .require_peer_cert = o->tls_require_client_cert };
}

/* Before the sandbox, and without a thread: ports and paths that only root may bind. */
static int bind_network(struct verifier *v)
{
	const struct verifier_options *o = &v->options;
	struct net_tls tls = tls_files(v);
	int r = receiver_new(&v->receiver, &tls);

	if (r < 0)
		return log_errno(r, "cannot make a socket");
	for (size_t i = 0; r == 0 && i < o->listen.n; i++)
		r = listen_on(receiver_server(v->receiver), o->listen.items[i]);
	if (r == 0 && !o->listen.n)
		r = listen_on(receiver_server(v->receiver), DEFAULT_LISTEN_URL);
	net_remove_abandoned(o->publish); /* later it may not connect, not even to see that nobody is there */
	if (r == 0 && strcmp(o->control, "none") != 0) {
		r = net_server_prepare(&v->control, &tls);
		if (r == 0)
			r = listen_on(v->control, o->control);
	}
	return r;
}

static void tell(void *pub, struct bytes line)
{
	net_pub_send(pub, line);
}

static int open_network(struct verifier *v)
{
	const struct verifier_options *o = &v->options;
	struct net_tls tls = tls_files(v);
	const char *why = "";
	int r = net_server_start(receiver_server(v->receiver));

	if (r == 0 && v->control)
		r = net_server_start(v->control);
	if (r < 0)
		return log_errno(r, "cannot start a thread");
	if (strcmp(o->publish, "none") != 0) {
		r = net_pub_new(&v->pub, o->publish, &tls, &why);
		if (r < 0)
			log_error("cannot publish on %s: %s", o->publish, *why ? why : strerror(-r));
	}
	publisher_init(&v->publisher, v->store, v->pub ? tell : NULL, v->pub, v->events_fd);
	return r;
}

/* The defaults name folders that a fresh machine does not have; a service manager makes them otherwise. */
static int make_default_folders(const struct verifier_options *o)
{
	static const struct {
		const char *of, *folder;
		mode_t mode;
	} defaults[] = {
		{ DEFAULT_STORE, "/var/lib/imastream", 0750 },
		{ DEFAULT_LISTEN_URL, "/run/imastream", 0755 },
		{ DEFAULT_CONTROL_URL, "/run/imastream", 0755 },
		{ DEFAULT_PUBLISH_URL, "/run/imastream", 0755 },
	};
	const char *used[] = { o->store, o->listen.n ? NULL : DEFAULT_LISTEN_URL, o->control, o->publish };

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (used[i] && strcmp(used[i], defaults[i].of) == 0 && mkdir(defaults[i].folder, defaults[i].mode) < 0 &&
		    errno != EEXIST)
			return log_errno(-errno, "cannot make %s", defaults[i].folder);
	}
	return 0;
}

/* A verifier that was killed may have left half a line: end it, so that the next event starts a line of its own. */
static int end_torn_line(const char *path, int fd)
{
	cleanup_fd_ int readable = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char last;

	if (readable < 0 || fstat(readable, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return 0;
	if (pread(readable, &last, 1, st.st_size - 1) != 1 || last == '\n')
		return 0;
	return write(fd, "\n", 1) == 1 ? 0 : -EIO;
}

static int open_events(struct verifier *v)
{
	const char *where = v->options.events;

	v->events_fd = -1;
	if (strcmp(where, "-") == 0)
		v->events_fd = dup(STDOUT_FILENO);
	else if (strcmp(where, "none") != 0)
		v->events_fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	else
		return 0;
	if (v->events_fd < 0)
		return log_errno(-errno, "cannot write events to %s", where);
	if (strcmp(where, "-") != 0 && end_torn_line(where, v->events_fd) < 0)
		return log_errno(-EIO, "cannot write events to %s", where);
	return 0;
}

static int open_pipeline(struct verifier *v, struct rules *rules)
{
	struct rollout_io rollout = { .user = v, .after = after_rollout, .answer = answer_control };
	struct pipeline_io io = receiver_io(v->receiver);
	cleanup_writer_ struct writer line = WRITER(256);
	struct instant now = instant_now();
	uint64_t seed;
	int r;

	if (RAND_bytes((uint8_t *)&seed, sizeof(seed)) != 1)
		return log_errno(-EIO, "no random numbers");
	r = rollout_first(&v->options, v->store, rules, &now);
	if (r < 0)
		return r;
	rules_tell(rules);
	r = pipeline_new(&v->pipeline, v->store, rules, &io, &now, seed);
	if (r < 0)
		return log_errno(r, "cannot read the store %s", v->options.store);
	sandbox_describe(&v->confined, &line);
	snprintf(v->pipeline->sandbox, sizeof(v->pipeline->sandbox), "%s", writer_cstr(&line) ? (const char *)line.p : "");
	r = rollout_new(&v->rollout, &v->options, v->loop, v->pipeline, &rollout);
	if (r == 0)
		r = librarian_new(&v->librarian, v->loop, v->pipeline, after_set, v);
	return r < 0 ? log_errno(r, "cannot watch the policies") : 0;
}

static int watch(struct verifier *v)
{
	int r = loop_add_fd(v->loop, net_server_fd(receiver_server(v->receiver)), 0, on_requests, v);

	if (r == 0 && v->control)
		r = loop_add_fd(v->loop, net_server_fd(v->control), 0, on_control, v);
	if (r == 0)
		r = loop_add_boot_timer(v->loop, &v->tick, on_tick, v);
	if (r == 0)
		r = loop_add_boot_timer(v->loop, &v->mark, on_mark, v);
	if (r == 0)
		r = loop_add_boot_timer(v->loop, &v->sink, on_sink, v);
	return r < 0 ? log_errno(r, "cannot watch sockets") : 0;
}

static int tell_ready(struct verifier *v)
{
	cleanup_writer_ struct writer line = WRITER(1u << 16);
	const char *url;
	struct json j;

	jw_begin(&j, &line, false);
	jw_object(&j, NULL);
	jw_array(&j, "listen");
	for (unsigned int i = 0; (url = net_server_url(receiver_server(v->receiver), i)); i++) {
		jw_string(&j, NULL, url);
		log_info("listening on %s", url);
	}
	jw_array_end(&j);
	jw_string(&j, "publish", v->pub ? net_pub_url(v->pub) : NULL);
	jw_string(&j, "control", v->control ? net_server_url(v->control, 0) : NULL);
	jw_object_end(&j);
	write_u8(&line, '\n');
	notify_state("READY=1");
	if (v->options.ready_fd == READY_FD_NONE || writer_status(&line) < 0)
		return writer_status(&line);
	if (write((int)v->options.ready_fd, line.p, line.n) != (ssize_t)line.n)
		return log_errno(-errno, "cannot write to --ready-fd %d", (int)v->options.ready_fd);
	close((int)v->options.ready_fd);
	return 0;
}

static int on_keeper(void *user, uint32_t events unused_)
{
	struct verifier *v = user;

	log_error("the keeper of the TLS key (process %d) is gone: nobody could connect any more", (int)keeper_pid(v->keeper));
	return -EPIPE;
}

static int start_keeper(struct verifier *v)
{
	const char *key = v->options.tls_key, *why = "";
	int r = key ? keeper_start(&v->keeper, key, &v->sandbox, &why) : 0;

	if (r < 0) {
		log_error("cannot use the private key %s: %s", key, why);
		return r;
	}
	return v->keeper ? loop_add_fd(v->loop, keeper_fd(v->keeper), EPOLLRDHUP, on_keeper, v) : 0;
}

/* All that another user could not do; then become that user and give up what is not needed. */
static int open_confined(struct verifier *v)
{
	const char *why;
	int r = verifier_sandbox(&v->sandbox, &v->options, &why);

	if (r < 0)
		return log_errno(r, "--user %s: %s", v->options.user ? v->options.user : SANDBOX_DEFAULT_USER, why);
	r = start_keeper(v);
	if (r == 0)
		r = make_default_folders(&v->options);
	if (r == 0)
		r = open_events(v);
	if (r == 0)
		r = bind_network(v);
	if (r == 0)
		r = confine_give(&v->sandbox, &v->options);
	return r == 0 ? confine(&v->sandbox, &v->options, &v->confined) : r;
}

/* A connection is a descriptor, and many systems start programs with room for a thousand. */
static void allow_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_errno(-errno, "cannot raise the number of open files");
}

static int start(struct verifier *v, struct rules *rules)
{
	struct instant now;
	const char *why = "";
	int r = loop_new(&v->loop);

	allow_descriptors();
	resident_give_back();
	signal(SIGPIPE, SIG_IGN);
	if (r == 0)
		r = user_names_load("/etc/passwd", &v->names);
	umask(0007); /* sockets for owner and group */
	if (r == 0) /* before any thread starts: they inherit the blocked signals */
		r = loop_add_signal(v->loop, SIGTERM, on_stop, v);
	if (r == 0)
		r = loop_add_signal(v->loop, SIGINT, on_stop, v);
	if (r == 0)
		r = loop_add_signal(v->loop, SIGHUP, on_reload, v);
	if (r < 0)
		return log_errno(r, "cannot start");
	r = open_confined(v);
	if (r < 0)
		return r;
	r = store_sqlite_open(&v->store, v->options.store, &why);
	if (r < 0) {
		log_error("cannot open the store %s: %s", v->options.store, *why ? why : strerror(-r));
		return r;
	}
	r = open_network(v);
	if (r == 0)
		r = open_pipeline(v, rules);
	if (r == 0)
		r = watch(v);
	if (r < 0)
		return r;
	now = instant_now();
	r = pipeline_note(v->pipeline, "started", "imastream-verifier " IMASTREAM_VERSION, &now);
	if (r < 0)
		return log_errno(r, "cannot write to the store %s", v->options.store);
	(void)on_tick(v, 0); /* who passed the deadline meanwhile is stale before anybody is heard */
	return tell_ready(v);
}

static void finish(struct verifier *v)
{
	struct instant now = instant_now();
	bool waiting;

	if (v->stopping && v->pipeline) {
		log_info("stopping");
		notify_state("STOPPING=1");
		pipeline_goodbye(v->pipeline);
		report_failure(v, pipeline_note(v->pipeline, "stopped", "a clean stop", &now), "cannot store an event");
		report_failure(v, publisher_pump(&v->publisher, now.real, &waiting),
			       "cannot read events from the store");
		report_failure(v, publisher_mark(&v->publisher), "cannot mark events as published");
		usleep(GOODBYE_MS * 1000);
	}
	librarian_free(&v->librarian);
	rollout_free(&v->rollout);
	pipeline_free(&v->pipeline);
	publisher_clear(&v->publisher);
	net_pub_free(&v->pub);
	receiver_free(&v->receiver);
	net_server_free(&v->control);
	store_close(&v->store);
	loop_free(&v->loop);
	fd_cleanup(&v->events_fd);
	sandbox_clear(&v->sandbox);
	keeper_free(&v->keeper);
	user_names_clear(&v->names);
	options_clear(&verifier_options_spec, &v->options);
}

int main(int argc, char **argv)
{
	cleanup_writer_ struct writer text = WRITER(1u << 20);
	struct verifier v = { .events_fd = -1, .failures = { .interval_us = 10000000, .burst = 5 } };
	struct rules rules = { 0 };
	int what = options_load(&verifier_options_spec, argc, argv, &v.options, &text), r = 0;
	const char *problem;

	log_setup("imastream-verifier", (enum log_level)v.options.log_level);
	if (what == OPTIONS_SHOWN || what == OPTIONS_USAGE) {
		fprintf(what == OPTIONS_SHOWN ? stdout : stderr, "%s%s", what == OPTIONS_SHOWN ? "" : "imastream-verifier: ",
			writer_cstr(&text) ? (char *)text.p : "wrong usage\n");
		options_clear(&verifier_options_spec, &v.options);
		return what == OPTIONS_SHOWN ? 0 : EXIT_CODE_USAGE;
	}
	problem = what < 0 ? "out of memory" : verifier_options_problem(&v.options);
	if (problem) {
		log_error("%s; see --help", problem);
		options_clear(&verifier_options_spec, &v.options);
		return what < 0 ? EXIT_CODE_ERROR : EXIT_CODE_USAGE;
	}
	r = load_rules(&v.options, &rules);
	if (r == 0 && what == OPTIONS_CHECK)
		fwrite(text.p, 1, text.n, stdout);
	else if (r == 0)
		r = start(&v, &rules);
	if (r == 0 && what == OPTIONS_RUN) {
		r = loop_run(v.loop);
		if (r < 0)
			log_errno(r, "the loop ended");
		else if (v.pipeline->broken)
			r = log_errno(v.pipeline->broken, "what the store holds cannot be read again after a failure");
	}
	rules_clear(&rules);
	finish(&v);
	return r < 0 ? EXIT_CODE_ERROR : 0;
}
