// SPDX-License-Identifier: Apache-2.0
#include "cli/event_line.h"

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : otherwise;
}

static enum cli_style style_of_state(const char *state)
{
	if (strcmp(state, "trusted") == 0)
		return STYLE_GOOD;
	if (strcmp(state, "untrusted") == 0 || strcmp(state, "stale") == 0)
		return STYLE_BAD;
	return STYLE_WARN;
}

static void write_foreign(struct writer *w, const char *s, size_t max)
{
	bool plain = *s && strlen(s) <= max;

	/* names that cannot be mistaken for anything else stay without quotes */
	for (const char *c = s; *c; c++)
		plain = plain && ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
				  *c == '_' || *c == '.');
	if (plain)
		write_fmt(w, "%s", s);
	else
		write_quoted(w, (struct bytes){ (const uint8_t *)s, strlen(s) }, max);
}

/* The time of day of an RFC 3339 text, "hh:mm:ss.mmm", as it stands. */
static void write_time(struct writer *w, const char *rfc3339)
{
	const char *t = strchr(rfc3339, 'T');

	if (t && strlen(t) >= 13 && strspn(t + 1, "0123456789:.") >= 12)
		write_bytes(w, t + 1, 12);
	else
		write_fmt(w, "--:--:--.---");
}

static void write_latency(struct writer *w, const json_t *e)
{
	const json_t *reported = json_object_get(e, "reported_ms"), *proven = json_object_get(e, "proven_ms");
	const json_t *context = json_object_get(e, "context");
	const char *comma = "";

	if (!json_is_object(context) && !json_is_number(reported) && !json_is_number(proven))
		return;
	write_fmt(w, "  %s(", style_on(STYLE_DIM));
	if (json_is_object(context)) {
		write_fmt(w, "pid %lld ", (long long)json_integer_value(json_object_get(context, "pid")));
		write_foreign(w, text_of(context, "comm", "?"), 32);
		comma = ", ";
	}
	if (json_is_number(reported)) {
		write_fmt(w, "%s+%.1f ms reported", comma, json_number_value(reported));
		comma = ", ";
	}
	if (json_is_number(proven))
		write_fmt(w, "%s+%.1f ms proven", comma, json_number_value(proven));
	write_fmt(w, ")%s", style_off());
}

/* Who and where is the collector's word: no quote covers it. */
static void write_context(struct writer *w, const json_t *context)
{
	static const char *const members[] = { "pid", "uid", "cgroup", "mntns" };

	if (!json_is_object(context))
		return;
	write_fmt(w, "             %snot attested:", style_on(STYLE_DIM));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (json_is_integer(json_object_get(context, members[i])))
			write_fmt(w, " %s %lld", members[i], (long long)json_integer_value(json_object_get(context, members[i])));
	write_fmt(w, " comm ");
	write_foreign(w, text_of(context, "comm", "?"), 32);
	write_fmt(w, "%s\n", style_off());
}

int event_line(struct writer *w, struct bytes json, const struct event_filter *filter)
{
	cleanup_(json_cleanup) json_t *e = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	const char *id, *label, *state, *reason, *kind, *severity, *path;
	const struct reason_info *info;
	const json_t *entry;

	if (!json_is_object(e))
		return -EINVAL;
	id = text_of(e, "attester", "");
	label = text_of(e, "label", "");
	kind = text_of(e, "event", "");
	state = text_of(e, "state", "");
	reason = text_of(e, "reason", "");
	severity = text_of(e, "severity", "info");
	path = text_of(e, "path", NULL);
	entry = json_object_get(e, "entry");
	if (!*kind)
		return -EINVAL;
	if (!filter->verbose && strcmp(kind, "started") == 0)
		return 0;
	if (filter->attester && strcmp(filter->attester, label) != 0 &&
	    strncmp(filter->attester, id, strlen(filter->attester)) != 0)
		return 0;
	info = reason_by_name(reason);
	write_time(w, text_of(e, "time", ""));
	write_u8(w, ' ');
	write_foreign(w, *label ? label : *id ? id : "-", 40);
	if (*state) {
		char upper[16];
		size_t i = 0;

		for (; state[i] && i < sizeof(upper) - 1; i++)
			upper[i] = state[i] >= 'a' && state[i] <= 'z' ? (char)(state[i] - 32) : state[i];
		upper[i] = 0;
		write_fmt(w, "  %s", style_on(style_of_state(state)));
		write_foreign(w, upper, sizeof(upper));
		write_fmt(w, "%s", style_off());
	}
	write_fmt(w, "  ");
	if (strcmp(kind, "state") == 0 && !json_is_integer(entry)) {
		write_fmt(w, "%sfrom now on", style_on(STYLE_DIM));
		if (info)
			write_fmt(w, ", because of %s", info->name);
		write_fmt(w, "%s\n", style_off());
		return 0;
	}
	if (info) {
		enum severity s = strcmp(severity, "fail") == 0	     ? SEVERITY_FAIL
				  : strcmp(severity, "warning") == 0 ? SEVERITY_WARNING
								     : SEVERITY_INFO;

		write_fmt(w, "%s%s%s", style_on(style_of_severity(s)), info->name, style_off());
	} else {
		write_foreign(w, kind, 40);
	}
	if (json_is_integer(entry)) {
		write_fmt(w, "  pcr%lld#%lld %s", (long long)json_integer_value(json_object_get(e, "pcr")),
			  (long long)json_integer_value(entry), json_is_true(json_object_get(e, "proven")) ? "proven" : "reported");
	}
	if (!json_is_integer(entry) && json_is_integer(json_object_get(e, "pcr"))) { /* a boot PCR and its value */
		write_fmt(w, "  pcr%lld ", (long long)json_integer_value(json_object_get(e, "pcr")));
		write_foreign(w, text_of(e, "digest", "not-quoted"), 160);
	}
	if (path) {
		write_fmt(w, "  ");
		write_quoted(w, (struct bytes){ (const uint8_t *)path, strlen(path) }, 200);
	} else if (info && !json_is_integer(entry)) {
		write_fmt(w, "  ");
		write_foreign(w, text_of(e, "text", info->text), 200);
	}
	write_latency(w, e);
	write_u8(w, '\n');
	if (filter->verbose && json_is_string(json_object_get(e, "digest"))) {
		write_fmt(w, "             %s", style_on(STYLE_DIM));
		write_foreign(w, text_of(e, "template", ""), 64);
		write_u8(w, ' ');
		write_foreign(w, text_of(e, "digest", ""), 160);
		write_fmt(w, "%s\n", style_off());
	}
	if (filter->verbose)
		write_context(w, json_object_get(e, "context"));
	return 0;
}
