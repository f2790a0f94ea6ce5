// SPDX-License-Identifier: Apache-2.0
/* The rules of enrolment from the files that the options name. */
#include "base/log.h"
#include "verifier/enrol_rules.h"
#include "verifier/options.h"

static int cannot(struct writer *why, int error, const char *what, const char *path)
{
	write_fmt(why, "cannot read the %s %s: %s\n", what, path, strerror(-error));
	return error;
}

static int unusable(struct writer *why, const char *what, const char *path, struct writer *text)
{
	const char *reason = writer_cstr(text);

	write_fmt(why, "the %s %s cannot be used: %s\n", what, path, reason ? reason : "");
	return -EINVAL;
}

static int load_cas(const struct option_list *paths, struct tpm_cas **out, struct writer *why)
{
	int r = paths->n ? tpm_cas_new(out) : 0;

	for (size_t i = 0; r == 0 && i < paths->n; i++) {
		cleanup_writer_ struct writer text = WRITER(4096);

		r = tpm_cas_load(*out, paths->items[i], &text);
		if (r > 0)
			return unusable(why, "CA certificates", paths->items[i], &text);
		if (r < 0)
			return cannot(why, r, "CA certificates", paths->items[i]);
	}
	return r;
}

static int load_preauth(const struct option_list *files, struct ak_list *out, struct writer *why)
{
	for (size_t i = 0; i < files->n; i++) {
		cleanup_writer_ struct writer text = WRITER(4096);
		int r = preauth_load(out, files->items[i], &text);

		if (r > 0)
			return unusable(why, "list", files->items[i], &text);
		if (r < 0)
			return cannot(why, r, "list", files->items[i]);
	}
	return 0;
}

int enrol_rules_load(const struct verifier_options *o, struct enrol_rules *out, struct writer *why)
{
	const char *reason = "";
	int r;

	if (o->enrol && enrol_modes_parse(o->enrol, out, &reason) > 0) {
		write_fmt(why, "%s\n", reason);
		return -EINVAL;
	}
	enrol_rules_complete(out, o->trust_on_first_use);
	r = load_cas(&o->ek_ca, &out->ek_cas, why);
	if (r == 0)
		r = load_cas(&o->iak_ca, &out->iak_cas, why);
	return r == 0 ? load_preauth(&o->preauth, &out->preauth, why) : r;
}

static bool tell_mode(const struct enrol_rules *e, enum enrol_mode mode)
{
	size_t cas = (e->ek_cas ? tpm_cas_count(e->ek_cas) : 0) + (e->iak_cas ? tpm_cas_count(e->iak_cas) : 0);

	switch (mode) {
	case ENROL_MODE_EK_CA:
		if (cas)
			log_info("hosts enrol by certificate: %zu CA certificates are trusted", cas);
		return cas > 0;
	case ENROL_MODE_PREAUTH:
		log_info("hosts enrol by list: %zu are on it", e->preauth.n);
		return e->preauth.n > 0;
	case ENROL_MODE_MANUAL:
		log_info("hosts wait until somebody approves them: imastream enrol list");
		return true;
	case ENROL_MODE_TOFU:
		log_warn("tofu: whoever comes first under an identity is enrolled");
		return true;
	case ENROL_MODES:
		break;
	}
	return false;
}

void enrol_rules_tell(const struct enrol_rules *e, bool ak_list)
{
	bool open = ak_list;

	for (size_t i = 0; i < e->n_modes; i++) {
		bool last = e->modes[i] == ENROL_MODE_MANUAL || e->modes[i] == ENROL_MODE_TOFU;

		open |= tell_mode(e, e->modes[i]);
		if (last && i + 1 < e->n_modes)
			log_warn("--enrol: nothing behind %s is ever asked", enrol_mode_name(e->modes[i]));
	}
	if (!open)
		log_warn("no --ek-ca, --preauth or --ak-list: only attesters already in the store may come");
}
