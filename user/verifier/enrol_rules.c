// SPDX-License-Identifier: Apache-2.0
#include "verifier/enrol_rules.h"

static const char *const mode_names[ENROL_MODES] = {
	[ENROL_MODE_EK_CA] = "ek-ca",
	[ENROL_MODE_PREAUTH] = "preauth",
	[ENROL_MODE_MANUAL] = "manual",
	[ENROL_MODE_TOFU] = "tofu",
};

const char *enrol_mode_name(enum enrol_mode m)
{
	return m < ENROL_MODES ? mode_names[m] : "?";
}

void enrol_rules_clear(struct enrol_rules *r)
{
	tpm_cas_free(&r->ek_cas);
	tpm_cas_free(&r->iak_cas);
	ak_list_clear(&r->preauth);
	*r = (struct enrol_rules){ 0 };
}

void enrol_rules_complete(struct enrol_rules *r, bool tofu)
{
	if (r->n_modes == 0)
		r->modes[r->n_modes++] = ENROL_MODE_EK_CA;
	for (size_t i = 0; i < r->n_modes; i++)
		tofu = tofu && r->modes[i] != ENROL_MODE_TOFU;
	if (tofu)
		r->modes[r->n_modes++] = ENROL_MODE_TOFU;
}

static bool add_mode(struct enrol_rules *r, struct bytes name)
{
	for (unsigned int m = 0; m < ENROL_MODES; m++) {
		if (name.n != strlen(mode_names[m]) || !bytes_equal(name.p, mode_names[m], name.n))
			continue;
		for (size_t i = 0; i < r->n_modes; i++)
			if (r->modes[i] == m)
				return false;
		r->modes[r->n_modes++] = (enum enrol_mode)m;
		return true;
	}
	return false;
}

int enrol_modes_parse(const char *list, struct enrol_rules *out, const char **why)
{
	struct reader in = reader_of((struct bytes){ (const uint8_t *)list, strlen(list) });
	struct enrol_rules found = { 0 };

	*why = "--enrol takes a list of ek-ca, preauth, manual and tofu, each once, with commas between";
	for (bool more = true; more;) {
		struct reader ahead = in;
		struct bytes name = read_until(&ahead, ',');

		more = reader_ok(&ahead);
		if (more)
			in = ahead;
		else
			name = read_rest(&in);
		if (!add_mode(&found, name))
			return 1;
	}
	bytes_copy(out->modes, found.modes, sizeof(out->modes));
	out->n_modes = found.n_modes;
	return 0;
}

/* The first refusal is the one to tell. */
static void refuse(struct enrol_decision *d, enum reason reason, const char *detail)
{
	if (d->reason != REASON_NONE)
		return;
	d->reason = reason;
	d->detail = detail && *detail ? detail : NULL;
}

/* An attestation key that a CA vouches for. It says nothing of an endorsement key: that one, where the identity comes
 * from it, still has to be shown to be in the same TPM. */
static int by_iak(const struct enrol_rules *rules, const struct enrol_facts *f, struct enrol_decision *d)
{
	const struct tpm_cas *cas = rules->iak_cas ? rules->iak_cas : rules->ek_cas;
	const char *detail = NULL;
	int r;

	if (f->iak_cert.n == 0 || !cas)
		return 0;
	r = tpm_ak_cert_check(cas, f->ak_public, f->iak_cert, f->ek_chain, f->now_s, &d->cert, &detail);
	if (r < 0)
		return r;
	if (r > 0) {
		refuse(d, (enum reason)r, detail);
		return 0;
	}
	d->has_cert = true;
	d->how = "iak-ca";
	return 1;
}

static int by_ek_ca(const struct enrol_rules *rules, const struct enrol_facts *f, struct enrol_decision *d)
{
	const char *detail = NULL;
	int r = by_iak(rules, f, d);

	if (r != 0 || !rules->ek_cas)
		return r;
	if (f->ek_public.n == 0)
		r = REASON_EK_CERT_MISSING;
	else
		r = tpm_ek_cert_check(rules->ek_cas, f->ek_public, f->ek_cert, f->ek_chain, f->now_s, &d->cert, &detail);
	if (r < 0)
		return r;
	if (r > 0) {
		refuse(d, (enum reason)r, detail);
		return 0;
	}
	d->has_cert = true;
	d->how = "ek-ca";
	return 1;
}

static int by_list(const struct enrol_rules *rules, const struct enrol_facts *f, struct enrol_decision *d)
{
	const struct ak_entry *e = preauth_find(&rules->preauth, f->id, f->ak);

	if (!e)
		return 0;
	d->label = *e->label ? e->label : NULL;
	d->how = "preauth";
	return 1;
}

/* 1: this mode decides; 0: the next one; negative errno. */
static int ask(enum enrol_mode mode, const struct enrol_rules *rules, const struct enrol_facts *f,
	       struct enrol_decision *d)
{
	switch (mode) {
	case ENROL_MODE_EK_CA:
		return by_ek_ca(rules, f, d);
	case ENROL_MODE_PREAUTH:
		return by_list(rules, f, d);
	case ENROL_MODE_MANUAL:
		d->answer = ENROL_SAY_WAIT;
		d->how = "manual";
		return 1;
	case ENROL_MODE_TOFU:
		d->how = "first-use";
		return 1;
	case ENROL_MODES:
		break;
	}
	return 0;
}

int enrol_decide(const struct enrol_rules *rules, const struct ak_list *ak_list, const struct enrol_facts *f,
		 struct enrol_decision *out)
{
	const struct ak_entry *listed = ak_list_find(ak_list, f->id, f->ak);
	struct enrol_decision d = { .answer = ENROL_SAY_TAKE };
	int r = 0;

	if (listed) {
		d.how = "ak-list";
		d.label = *listed->label ? listed->label : NULL;
		*out = d;
		return 0;
	}
	for (size_t i = 0; r == 0 && i < rules->n_modes; i++)
		r = ask(rules->modes[i], rules, f, &d);
	if (r < 0)
		return r;
	if (!d.has_cert)
		d.cert = (struct tpm_cert_facts){ .not_after_s = 0 }; /* what nobody vouches for is not kept */
	if (r == 0) {
		d.answer = ENROL_SAY_REFUSE;
		refuse(&d, REASON_ATTESTER_UNKNOWN, NULL);
	} else if (f->ek_public.n && !f->activated) {
		d.answer = ENROL_SAY_CHALLENGE;
	}
	*out = d;
	return 0;
}
