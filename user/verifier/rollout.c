// SPDX-License-Identifier: Apache-2.0
#include "verifier/rollout.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/text.h"
#include "verifier/control.h"
#include "verifier/policy_keep.h"
#include "verifier/policy_watch.h"

#define SAME_REFUSAL_US 1000000u
#define NO_OVERLAP_GIVEN UINT64_MAX

enum task_kind { TASK_RELOAD, TASK_ROLL_BACK, TASK_OVERLAP };

/* What the thread works on: its own until it is joined. */
struct task {
	enum task_kind kind;
	const struct verifier_options *options; /* never changed after start */
	const char *reason;
	char who[ASKER_SIZE], name[LIMIT_POLICY_NAME + 1];
	uint64_t overlap_us;
	struct policies known; /* shares policies with those in force */
	struct history_kept kept;
	void *token; /* who waits for the answer, NULL: nobody */
	int wake;
	/* what it made */
	int result;
	struct rules rules;
	struct named_policy opened;
	struct rules_report report;
};

struct rollout {
	const struct verifier_options *options;
	struct loop *loop;
	struct pipeline *pipeline;
	struct rollout_io io;
	struct policy_watch *watch;
	struct policy_keep *keep;
	int wake;
	struct task *task; /* at work, NULL: none */
	pthread_t thread;
	const char *again; /* a reload was asked for meanwhile: its reason */
	char *refusal;	   /* what was said last, and when: a change that also came with a signal is one event */
	uint64_t refusal_us;
};

static void task_free(struct task **t)
{
	struct task *old = TAKE_PTR(*t);

	if (!old)
		return;
	policies_clear(&old->known);
	history_kept_clear(&old->kept);
	rules_clear(&old->rules);
	policy_unref(&old->opened.policy);
	policy_source_free(&old->opened.source);
	rules_report_clear(&old->report);
	free(old);
}

static void log_lines(enum log_level level, struct writer *text)
{
	cleanup_free_ char *copy = writer_cstr(text) ? strdup(writer_cstr(text)) : NULL;
	char *rest = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		log_at(level, "%s", line);
}

/* --- the thread ---- */

static void *work(void *user)
{
	struct task *t = user;

	if (t->kind == TASK_RELOAD)
		t->result = rules_load(t->options, &t->known, &t->rules, &t->report);
	else
		t->result = rules_load_trust(t->options, &t->rules, &t->report);
	if (t->result == 0 && t->kind != TASK_RELOAD) {
		struct policy_opener opener = { .trust = t->rules.trust, .known = &t->known,
						.now_s = clock_real_us() / 1000000u, .why = &t->report.why,
						.notes = &t->report.notes };
		char what[LIMIT_POLICY_NAME + 64];

		snprintf(what, sizeof(what), "\"%s\", generation %llu,", t->name,
			 (unsigned long long)t->kept.generation);
		t->result = policy_kept_open(&opener, what, writer_view(&t->kept.packed), writer_view(&t->kept.detached),
					     &t->opened);
	}
	wake_fd_kick(t->wake);
	return NULL;
}

static int start(struct rollout *r, struct task *t)
{
	int error;

	t->options = r->options;
	t->wake = r->wake;
	error = policies_copy(&r->pipeline->rules.policies, &t->known);
	if (error < 0)
		return error;
	r->task = t;
	error = -pthread_create(&r->thread, NULL, work, t);
	if (error < 0)
		r->task = NULL;
	else
		notify_state("RELOADING=1");
	return error;
}

static struct task *task_new(enum task_kind kind, const char *reason, const char *who, void *token)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->kind = kind;
	t->reason = reason;
	t->token = token;
	t->kept = HISTORY_KEPT;
	t->report = RULES_REPORT;
	t->overlap_us = NO_OVERLAP_GIVEN;
	snprintf(t->who, sizeof(t->who), "%s", who);
	return t;
}

/* --- answers ---- */

static void answer(struct rollout *r, void *token, const char *member, const char *text)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct json j;

	if (!token)
		return;
	jw_begin(&j, &w, false);
	jw_object(&j, NULL);
	jw_u64(&j, "schema", 1);
	jw_string(&j, member, text);
	jw_object_end(&j);
	r->io.answer(r->io.user, token, writer_view(&w));
}

static void noted(int error)
{
	if (error < 0)
		log_errno(error, "cannot store an event");
}

/* The old ones stay in force: in the log, as an event, as an answer. */
static void refused(struct rollout *r, struct task *t, int error)
{
	cleanup_writer_ struct writer text = WRITER(16384);
	const char *why = writer_cstr(&t->report.why), *whole;
	struct instant now = instant_now();

	if (!why || !*why)
		write_fmt(&t->report.why, "cannot change the policies: %s\n", strerror(-error));
	log_lines(LOG_LEVEL_ERROR, &t->report.why);
	log_error("the rules stay as they were");
	why = writer_cstr(&t->report.why);
	if (t->report.failed)
		write_fmt(&text, "%s: ", t->report.failed);
	write_bytes(&text, why, why ? strnlen(why, 8192) : 0);
	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	whole = writer_cstr(&text);
	if (!r->refusal || !whole || strcmp(r->refusal, whole) != 0 || clock_mono_us() - r->refusal_us > SAME_REFUSAL_US)
		noted(pipeline_warn(r->pipeline, "policy-refused", whole ? whole : "", &now));
	r->refusal_us = clock_mono_us();
	free(r->refusal);
	r->refusal = whole ? strdup(whole) : NULL;
	answer(r, TAKE_PTR(t->token), "error", whole ? whole : "");
}

static struct history_how how_of(const struct rollout *r, const struct task *t, uint64_t overlap, struct writer *told)
{
	return (struct history_how){ .reason = t->reason, .who = t->who, .keep = r->options->policy_history, .told = told,
				     .overlap_us = t->overlap_us == NO_OVERLAP_GIVEN ? overlap : t->overlap_us };
}

static void in_force(struct rollout *r, struct task *t, const char *event, struct writer *told, int error)
{
	struct instant now = instant_now();
	const char *text;

	log_lines(LOG_LEVEL_INFO, told);
	while (told->n && told->p[told->n - 1] == '\n')
		told->n--;
	text = writer_cstr(told);
	if (error < 0)
		log_errno(error, "entries could not be judged again");
	noted(pipeline_note(r->pipeline, event, text ? text : "", &now));
	answer(r, TAKE_PTR(t->token), "text", text && *text ? text : "nothing changed");
}

/* What is not kept cannot be rolled back to; all else goes on. */
static void keep(struct rollout *r)
{
	int error = policy_keep_add(r->keep, &r->pipeline->rules.policies);

	if (error < 0)
		log_errno(error, "cannot keep a policy for its history");
}

/* --- a task is done ---- */

static void reloaded(struct rollout *r, struct task *t)
{
	cleanup_writer_ struct writer told = WRITER(1u << 16);
	struct history_how how = how_of(r, t, r->options->policy_overlap_us, &told);
	struct policy_opener opener = { .trust = t->rules.trust, .known = &t->known,
					.now_s = clock_real_us() / 1000000u, .why = &t->report.why,
					.notes = &t->report.notes };
	struct instant now = instant_now();
	bool same_groups = policies_same_groups(&r->pipeline->rules.policies, &t->rules.policies);
	int error = history_adopt(r->pipeline->store, &r->pipeline->rules.policies, &t->rules.policies, &opener, &how,
				  &now);

	if (error < 0) {
		refused(r, t, error);
		return;
	}
	free(TAKE_PTR(r->refusal));
	log_lines(LOG_LEVEL_INFO, &t->report.notes);
	/* a folder changed, and nothing of ours: collectors need not hear of it */
	if (strcmp(t->reason, "file") == 0 && same_groups && told.n == 0)
		return;
	rules_tell(&t->rules);
	error = pipeline_set_rules(r->pipeline, &t->rules, &now);
	keep(r);
	if (told.n == 0)
		write_fmt(&told, "policies, keyring, CA certificates and lists were read again; no policy changed\n");
	in_force(r, t, "reloaded", &told, error);
}

/* A roll-back or an overlap of one policy: `change` writes it into the history and into the entry. */
static void changed_one(struct rollout *r, struct task *t, typeof(history_overlap) *change, const char *event)
{
	cleanup_writer_ struct writer told = WRITER(1u << 16);
	struct history_how how = how_of(r, t, 0, &told);
	struct policies next = { 0 };
	struct instant now = instant_now();
	struct named_policy *entry;
	int error = policies_copy(&r->pipeline->rules.policies, &next);

	entry = error == 0 ? policies_find(&next, t->name) : NULL;
	if (error == 0)
		error = entry ? change(r->pipeline->store, entry, &t->opened, &how, &now) : -ENOENT;
	if (error < 0) {
		policies_clear(&next);
		refused(r, t, error);
		return;
	}
	error = pipeline_set_policies(r->pipeline, &next, &now);
	in_force(r, t, event, &told, error);
}

static int on_done(void *user, uint32_t events unused_)
{
	struct rollout *r = user;
	cleanup_(task_free) struct task *t = TAKE_PTR(r->task);
	const char *again;

	(void)wake_fd_clear(r->wake);
	if (!t)
		return 0;
	pthread_join(r->thread, NULL);
	if (t->result < 0)
		refused(r, t, t->result);
	else if (t->kind == TASK_RELOAD)
		reloaded(r, t);
	else if (t->kind == TASK_ROLL_BACK)
		changed_one(r, t, history_roll_back, "policy-rolled-back");
	else
		changed_one(r, t, history_overlap, "policy-overlap");
	answer(r, TAKE_PTR(t->token), "text", "nothing changed");
	notify_state("READY=1");
	r->io.after(r->io.user);
	again = TAKE_PTR(r->again);
	if (again)
		rollout_reload(r, again);
	return 0;
}

/* --- what is asked for ---- */

static void reload(struct rollout *r, const char *reason, const char *who, uint64_t overlap_us, void *token)
{
	struct task *t = task_new(TASK_RELOAD, reason, who, token);
	int error = t ? 0 : -ENOMEM;

	if (t) {
		t->overlap_us = overlap_us;
		error = start(r, t);
	}
	if (error == 0)
		return;
	log_errno(error, "cannot read the policies again");
	answer(r, token, "error", strerror(-error));
	task_free(&t);
}

void rollout_reload(struct rollout *r, const char *reason)
{
	if (r->task)
		r->again = reason;
	else
		reload(r, reason, "", NO_OVERLAP_GIVEN, NULL);
}

static int on_change(void *user, uint32_t events unused_)
{
	rollout_reload(user, "file");
	return 0;
}

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

/* Kept bytes of a generation, for the thread to open. */
static void open_generation(struct rollout *r, enum task_kind kind, const json_t *request, const char *who, uint64_t overlap_us,
			    void *token)
{
	const char *name = json_string_value(json_object_get(request, "name")), *why = "out of memory";
	json_int_t generation = json_integer_value(json_object_get(request, "generation"));
	struct task *t = task_new(kind, kind == TASK_ROLL_BACK ? "rollback" : "overlap", who, token);
	const struct named_policy *entry = name ? policies_find(&r->pipeline->rules.policies, name) : NULL;
	int error = t ? 0 : -ENOMEM;

	if (t && !entry) {
		why = "no policy of that name is in force: see imastream policy list";
		error = 1;
	}
	if (error == 0) {
		if (kind == TASK_OVERLAP)
			generation = (json_int_t)entry->before_generation;
		snprintf(t->name, sizeof(t->name), "%s", name);
		t->overlap_us = overlap_us;
		error = history_find(r->pipeline->store, name, generation > 0 ? (uint64_t)generation : 0, &t->kept, &why);
	}
	if (error == 0)
		error = start(r, t);
	if (error == 0)
		return;
	answer(r, token, "error", error > 0 ? why : strerror(-error));
	task_free(&t);
}

static void change(struct rollout *r, const char *what, const json_t *request, const char *who, void *token)
{
	const json_t *seconds = json_object_get(request, "overlap_s");
	uint64_t overlap = seconds && json_integer_value(seconds) >= 0 ? (uint64_t)json_integer_value(seconds) * 1000000u
								       : NO_OVERLAP_GIVEN;

	if (seconds && (!json_is_integer(seconds) || json_integer_value(seconds) < 0 ||
			json_integer_value(seconds) > 90 * 86400))
		answer(r, token, "error", "overlap_s is a number of seconds, at most 90 days");
	else if (r->task)
		answer(r, token, "error", "policies are being read: ask again in a moment");
	else if (strcmp(what, "reload") == 0)
		reload(r, "request", who, overlap, token);
	else if (strcmp(what, "rollback") == 0)
		open_generation(r, TASK_ROLL_BACK, request, who, overlap == NO_OVERLAP_GIVEN ? 0 : overlap, token);
	else if (strcmp(what, "overlap") == 0 && seconds)
		open_generation(r, TASK_OVERLAP, request, who, overlap, token);
	else
		answer(r, token, "error", "a policy request is reload, rollback, or overlap with overlap_s");
}

static int write_row(void *user, const struct policy_row *row)
{
	struct json *j = user;
	char time[32];

	jw_object(j, NULL);
	jw_string(j, "name", row->name);
	jw_u64(j, "generation", row->generation);
	jw_string(j, "id", row->id);
	jw_string(j, "file", row->file);
	jw_string(j, "signer", *row->signer ? row->signer : NULL);
	jw_string(j, "loaded", clock_format_rfc3339(row->loaded_real, time, sizeof(time)));
	jw_string(j, "reason", row->reason);
	jw_string(j, "who", *row->who ? row->who : NULL);
	jw_string(j, "until", row->until_real ? clock_format_rfc3339(row->until_real, time, sizeof(time)) : NULL);
	jw_bool(j, "kept", row->kept);
	jw_object_end(j);
	return writer_status(j->w);
}

static void tell_history(struct rollout *r, const json_t *request, void *token)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	cleanup_writer_ struct writer w = WRITER(CONTROL_ANSWER_MAX);
	struct json j;
	int error;

	jw_begin(&j, &w, false);
	jw_object(&j, NULL);
	jw_u64(&j, "schema", 1);
	jw_array(&j, "history");
	error = r->pipeline->store->ops->each_policy(r->pipeline->store, name, write_row, &j);
	jw_array_end(&j);
	jw_object_end(&j);
	if (error < 0 || writer_status(&w) < 0)
		answer(r, token, "error", "the store cannot be read");
	else
		r->io.answer(r->io.user, token, writer_view(&w));
}

static void tell_policies(struct rollout *r, void *token)
{
	cleanup_writer_ struct writer w = WRITER(CONTROL_ANSWER_MAX);
	struct json j;

	jw_begin(&j, &w, false);
	jw_object(&j, NULL);
	jw_u64(&j, "schema", 1);
	control_write_policies(&j, r->pipeline);
	jw_object_end(&j);
	if (writer_status(&w) < 0)
		answer(r, token, "error", "out of memory");
	else
		r->io.answer(r->io.user, token, writer_view(&w));
}

bool rollout_control(struct rollout *r, struct bytes request, const struct asker *asker, void *token)
{
	cleanup_(json_cleanup) json_t *doc = NULL;
	const char *get, *policy;

	if (request.n <= CONTROL_REQUEST_MAX)
		doc = json_loadb((const char *)request.p, request.n, JSON_REJECT_DUPLICATES, NULL);
	get = json_string_value(json_object_get(doc, "get"));
	policy = json_string_value(json_object_get(doc, "policy"));
	if (get && strcmp(get, "policies") == 0)
		tell_policies(r, token);
	else if (get && strcmp(get, "policy-history") == 0)
		tell_history(r, doc, token);
	else if (policy && asker->may_change)
		change(r, policy, doc, asker->who, token);
	else if (policy)
		answer(r, token, "error", CONTROL_NO_CHANGE);
	else
		return false;
	return true;
}

/* --- life ---- */

int rollout_first(const struct verifier_options *o, struct store *store, struct rules *rules, const struct instant *now)
{
	cleanup_rules_report_ struct rules_report report = RULES_REPORT;
	struct history_how how = { .reason = "start", .who = "", .overlap_us = o->policy_overlap_us,
				   .keep = o->policy_history };
	struct policy_opener opener = { .trust = rules->trust, .now_s = now->real / 1000000u, .why = &report.why,
					.notes = &report.notes };
	int r = history_adopt(store, NULL, &rules->policies, &opener, &how, now);

	log_lines(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, &report.why);
	return r < 0 ? log_errno(r, "cannot put the policies in force") : 0;
}

int rollout_new(struct rollout **out, const struct verifier_options *o, struct loop *loop, struct pipeline *pipeline,
		const struct rollout_io *io)
{
	cleanup_writer_ struct writer why = WRITER(8192);
	struct rollout *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->options = o;
	r->loop = loop;
	r->pipeline = pipeline;
	r->io = *io;
	r->wake = wake_fd_new();
	error = r->wake < 0 ? r->wake : loop_add_fd(loop, r->wake, 0, on_done, r);
	if (error == 0 && policy_watch_new(&r->watch, o, loop, on_change, r, &why) < 0)
		log_warn("changes of policy files are not seen: send SIGHUP");
	log_lines(LOG_LEVEL_WARN, &why);
	if (error == 0)
		error = policy_keep_new(&r->keep, loop, pipeline->store, o->policy_history);
	if (error < 0) {
		rollout_free(&r);
		return error;
	}
	keep(r);
	*out = r;
	return 0;
}

void rollout_free(struct rollout **r)
{
	struct rollout *old = TAKE_PTR(*r);

	if (!old)
		return;
	if (old->task) {
		pthread_join(old->thread, NULL);
		answer(old, TAKE_PTR(old->task->token), "error", "the verifier stops");
		task_free(&old->task);
	}
	policy_watch_free(&old->watch);
	policy_keep_free(&old->keep);
	free(old->refusal);
	if (old->wake >= 0) {
		(void)loop_del_fd(old->loop, old->wake);
		close(old->wake);
	}
	free(old);
}
