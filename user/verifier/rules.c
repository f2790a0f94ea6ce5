// SPDX-License-Identifier: Apache-2.0
#include "verifier/rules.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "verifier/options.h"
#include "verifier/policy_file.h"

#define PATH_SIZE 4096u

void rules_report_clear(struct rules_report *r)
{
	writer_free(&r->why);
	writer_free(&r->notes);
	free(r->failed);
	*r = RULES_REPORT;
}

void rules_clear(struct rules *r)
{
	policies_clear(&r->policies);
	keyring_free(&r->keyring);
	imapolicies_free(&r->ima_policies);
	ak_list_clear(&r->ak_list);
	policy_trust_free(&r->trust);
	enrol_rules_clear(&r->enrol);
	r->appraisal = (struct appraisal){ 0 };
}

struct loading {
	const struct verifier_options *options;
	struct rules *rules;
	const struct policies *known;
	struct writer *why, *notes;
	char **failed;
	struct hash basis;
};

static int cannot(struct loading *l, int error, const char *what, const char *path)
{
	write_fmt(l->why, "cannot read the %s %s: %s\n", what, path, strerror(-error));
	return error;
}

/* --- policies ---- */

static int load_policy(struct loading *l, const char *name, const char *path)
{
	struct policy_opener opener = { .trust = l->rules->trust, .known = l->known, .now_s = clock_real_us() / 1000000u,
					.why = l->why, .notes = l->notes };
	struct policies *set = &l->rules->policies;
	struct named_policy opened = { 0 };
	int r = policy_file_open(&opener, path, &opened);

	if (r < 0) {
		*l->failed = strdup(path);
		return r;
	}
	r = policies_add(set, name, &opened.policy);
	if (r == 0)
		set->list[set->n - 1].source = TAKE_PTR(opened.source);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
	if (r > 0) {
		write_fmt(l->why, "the policy %s: there is a policy \"%s\" already, or there are %u\n", path, name,
			  LIMIT_POLICIES);
		return -EINVAL;
	}
	return r;
}

/* FILE is the default policy, NAME=FILE one with a name. */
static int load_option(struct loading *l, const char *item)
{
	const char *equals = strchr(item, '=');
	struct bytes before = { (const uint8_t *)item, equals ? (size_t)(equals - item) : 0 };
	char name[LIMIT_POLICY_NAME + 1] = POLICY_DEFAULT_NAME;

	if (!equals || !policy_name_ok(before))
		return load_policy(l, name, item);
	snprintf(name, sizeof(name), "%.*s", (int)before.n, item);
	return load_policy(l, name, item + before.n + 1);
}

/* NAME.json and its like in a folder: bytes of the name without its end, 0: not a policy. */
static size_t policy_file_name(const char *file)
{
	static const char *const ends[] = { ".json", ".policy", ".dsse", ".imap" };
	size_t n = strlen(file);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t end = strlen(ends[i]);

		if (n > end && strcmp(file + n - end, ends[i]) == 0 &&
		    policy_name_ok((struct bytes){ (const uint8_t *)file, n - end }))
			return n - end;
	}
	return 0;
}

static int wanted_policy(const struct dirent *d)
{
	/* a signature beside its policy ends in .json too */
	return policy_file_name(d->d_name) > 0 && fnmatch("*.sigstore.json", d->d_name, 0) != 0;
}

static int load_folder(struct loading *l, const char *folder)
{
	struct dirent **files = NULL;
	int n = scandir(folder, &files, wanted_policy, alphasort), r = 0;

	if (n < 0)
		return cannot(l, -errno, "policies in", folder);
	for (int i = 0; i < n; i++) {
		char path[PATH_SIZE], name[LIMIT_POLICY_NAME + 1];

		snprintf(name, sizeof(name), "%.*s", (int)policy_file_name(files[i]->d_name), files[i]->d_name);
		if (r == 0 && snprintf(path, sizeof(path), "%s/%s", folder, files[i]->d_name) >= (int)sizeof(path))
			r = cannot(l, -ENAMETOOLONG, "policies in", folder);
		if (r == 0)
			r = load_policy(l, name, path);
		free(files[i]);
	}
	free(files);
	return r;
}

static int load_groups(struct loading *l, const char *path)
{
	cleanup_writer_ struct writer text = WRITER(LIMIT_GROUPS_FILE), why = WRITER(4096);
	int r = read_file(path, &text);

	if (r < 0)
		return cannot(l, r, "groups", path);
	r = policies_parse_groups(&l->rules->policies, writer_view(&text), &why);
	if (r > 0) {
		const char *reason = writer_cstr(&why);

		write_fmt(l->why, "the groups %s are not usable: %s\n", path, reason ? reason : "");
		return -EINVAL;
	}
	return r < 0 ? cannot(l, r, "groups", path) : 0;
}

static int load_policies(struct loading *l)
{
	const struct verifier_options *o = l->options;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->policy.n; i++)
		r = load_option(l, o->policy.items[i]);
	if (r == 0 && o->policies)
		r = load_folder(l, o->policies);
	return r == 0 && o->groups ? load_groups(l, o->groups) : r;
}

/* --- who must have signed policies ---- */

static int refuse(struct loading *l, const char *what, const char *name, const char *why)
{
	write_fmt(l->why, "the %s %s is not usable: %s\n", what, name, why);
	return -EINVAL;
}

static int load_trust_file(struct loading *l, const char *what, const char *path, size_t max, bool root)
{
	cleanup_writer_ struct writer file = WRITER(max), why = WRITER(8192);
	const char *reason = "";
	int r = read_file(path, &file);

	if (r == 0)
		r = root ? policy_trust_add_root(l->rules->trust, writer_view(&file), &why)
			 : policy_trust_add_key(l->rules->trust, writer_view(&file), &reason);
	if (r > 0 && root)
		reason = writer_cstr(&why);
	if (r > 0)
		return refuse(l, what, path, reason ? reason : "");
	return r < 0 ? cannot(l, r, what, path) : 0;
}

static int load_trust(struct loading *l)
{
	const struct verifier_options *o = l->options;
	const char *gap;
	int r;

	if (!verifier_options_sign(o))
		return 0;
	r = policy_trust_new(&l->rules->trust);
	for (size_t i = 0; r == 0 && i < o->policy_key.n; i++)
		r = load_trust_file(l, "policy key", o->policy_key.items[i], LIMIT_PEM, false);
	for (size_t i = 0; r == 0 && i < o->policy_trusted_root.n; i++)
		r = load_trust_file(l, "trusted root", o->policy_trusted_root.items[i], LIMIT_TRUSTED_ROOT, true);
	for (size_t i = 0; r == 0 && i < o->policy_identity.n; i++) {
		const char *why = "";

		r = policy_trust_add_identity(l->rules->trust, o->policy_identity.items[i], o->policy_issuer.items[i],
					      &why);
		if (r > 0)
			return refuse(l, "policy identity", o->policy_identity.items[i], why);
	}
	if (r == 0)
		policy_trust_set_threshold(l->rules->trust, (unsigned int)o->policy_threshold);
	gap = r == 0 ? policy_trust_gap(l->rules->trust) : NULL;
	if (gap) {
		write_fmt(l->why, "signed policies: %s\n", gap);
		return -EINVAL;
	}
	return r;
}

/* --- keys ---- */

static int load_keyring(struct loading *l)
{
	const struct option_list *files = &l->options->keyring;
	int r = files->n ? keyring_new(&l->rules->keyring) : 0;

	for (size_t i = 0; r == 0 && i < files->n; i++) {
		cleanup_writer_ struct writer file = WRITER(LIMIT_PEM);
		const char *why = "";

		r = read_file(files->items[i], &file);
		if (r == 0)
			hash_add_field(&l->basis, file.p, file.n);
		if (r == 0)
			r = keyring_add(l->rules->keyring, writer_view(&file), &why);
		if (r > 0) {
			write_fmt(l->why, "the key %s is not usable: %s\n", files->items[i], why);
			return -EINVAL;
		}
		if (r < 0)
			return cannot(l, r, "key", files->items[i]);
	}
	return r;
}

static int load_ak_list(struct loading *l)
{
	const struct option_list *files = &l->options->ak_list;

	for (size_t i = 0; i < files->n; i++) {
		cleanup_writer_ struct writer why = WRITER(4096);
		int r = ak_list_load(&l->rules->ak_list, files->items[i], &why);

		if (r > 0) {
			const char *reason = writer_cstr(&why);

			write_fmt(l->why, "the AK list %s is not usable: %s\n", files->items[i], reason ? reason : "");
			return -EINVAL;
		}
		if (r < 0)
			return cannot(l, r, "AK list", files->items[i]);
	}
	return 0;
}

int rules_load(const struct verifier_options *o, const struct policies *known, struct rules *out, struct rules_report *report)
{
	struct rules r = { .trust_on_first_use = o->trust_on_first_use, .allow_test_sources = o->allow_test_sources,
			   .heartbeat_us = o->heartbeat_us,
			   .deadline_us = o->deadline_us ? o->deadline_us : 2 * o->heartbeat_us + 1000000u };
	struct loading l = { .options = o, .rules = &r, .known = known, .why = &report->why, .notes = &report->notes,
			     .failed = &report->failed };
	int ret;

	hash_begin(&l.basis, HASH_SHA256);
	ret = load_trust(&l);
	if (ret == 0)
		ret = load_policies(&l);
	if (ret == 0)
		ret = load_keyring(&l);
	if (ret == 0)
		ret = load_ak_list(&l);
	if (ret == 0)
		ret = enrol_rules_load(o, &r.enrol, l.why);
	hash_end(&l.basis, r.basis);
	if (ret == 0)
		ret = rules_load_ima_policies(o, &r, &report->why);
	if (ret < 0) {
		rules_clear(&r);
		return ret;
	}
	r.appraisal.keyring = r.keyring;
	r.appraisal.ima_policies = r.ima_policies;
	r.appraisal.violations =
		o->violations == VIOLATIONS_BY_POLICY ? VIOLATION_WARN : (enum violation_rule)o->violations;
	*out = r;
	return 0;
}

int rules_load_trust(const struct verifier_options *o, struct rules *out, struct rules_report *report)
{
	struct rules r = { 0 };
	struct loading l = { .options = o, .rules = &r, .why = &report->why, .notes = &report->notes,
			     .failed = &report->failed };
	int ret = load_trust(&l);

	if (ret < 0) {
		rules_clear(&r);
		return ret;
	}
	out->trust = r.trust;
	return 0;
}

void rules_tell(const struct rules *r)
{
	for (size_t i = 0; i < r->policies.n; i++) {
		const struct named_policy *n = &r->policies.list[i];

		log_info("policy %s is %s, generation %llu: %zu digests, %zu paths, %zu excludes", n->name,
			 policy_id(n->policy), (unsigned long long)n->generation, policy_digest_count(n->policy),
			 policy_path_count(n->policy), policy_exclude_count(n->policy));
		if (n->source && n->source->signer.n)
			log_info("policy %s is signed by %.*s", n->name, (int)n->source->signer.n,
				 (const char *)n->source->signer.p);
	}
	if (!r->policies.n)
		log_warn("no --policy: lists are checked against quotes, but no file digest is judged");
	else if (!policies_find(&r->policies, POLICY_DEFAULT_NAME))
		log_warn("no policy has the name \"default\": attesters that --groups does not name are not judged");
	enrol_rules_tell(&r->enrol, r->ak_list.n > 0);
	if (r->allow_test_sources)
		log_warn("--allow-test-sources: entries may come from something that is not a kernel");
}
