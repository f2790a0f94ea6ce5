// SPDX-License-Identifier: Apache-2.0
/* The rules of an IMA policy, and whether one measures all that another does. */
#include "policy/imapolicy.h"

#define BAD_TEXT 1

enum condition_kind {
	CONDITION_FUNC,
	CONDITION_MASK,
	CONDITION_PCR,
	CONDITION_SET,	 /* keyrings=, label=: values with | between */
	CONDITION_OTHER, /* the rule is about some files, users, labels only */
};

struct condition {
	enum condition_kind kind;
	struct bytes key, value; /* key with its operator; value of CONDITION_OTHER is compared as text */
};

struct rule {
	bool measure; /* else dont_measure */
	struct bytes text;
	struct condition conditions[LIMIT_IMA_RULE_CONDITIONS];
	size_t n;
};

struct imapolicy {
	uint8_t *text; /* a copy: what the rules point into */
	struct rule *rules;
	size_t n;
};

static bool is(struct bytes b, const char *text)
{
	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

static bool same(struct bytes a, struct bytes b)
{
	return a.n == b.n && bytes_equal(a.p, b.p, a.n);
}

/* --- reading ---- */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, empty at its end. */
static struct bytes next_word(struct bytes *line)
{
	size_t start = 0, end;
	struct bytes word;
	struct reader r;

	while (start < line->n && is_space(line->p[start]))
		start++;
	for (end = start; end < line->n && !is_space(line->p[end]); end++)
		;
	r = reader_of(*line);
	(void)read_bytes(&r, start);
	word = read_bytes(&r, end - start);
	*line = read_rest(&r);
	return word;
}

/* Up to the line feed or the end. */
static struct bytes next_line(struct reader *r)
{
	struct reader look = *r;
	struct bytes line = read_until(&look, '\n');

	if (!reader_ok(&look))
		return read_rest(r);
	*r = look;
	return line;
}

/* What changes how, not what is measured. */
static bool is_option(struct bytes key)
{
	static const char *const options[] = { "template=",	 "appraise_type=", "appraise_flag=", "appraise_algos=",
					       "permit_directio", "digest_type=" };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (is(key, options[i]))
			return true;
	return false;
}

/* Names that the kernel takes for the same hook. */
static struct bytes func_name(struct bytes func)
{
	static const uint8_t mmap[] = "MMAP_CHECK", file[] = "FILE_CHECK";

	if (is(func, "FILE_MMAP"))
		return (struct bytes){ mmap, sizeof(mmap) - 1 };
	return is(func, "PATH_CHECK") ? (struct bytes){ file, sizeof(file) - 1 } : func;
}

static const char *read_condition(struct bytes word, struct rule *rule)
{
	struct condition c = { .kind = CONDITION_OTHER };
	struct reader r = reader_of(word);
	size_t key = 0;

	while (key < word.n && word.p[key] != '=' && word.p[key] != '<' && word.p[key] != '>')
		key++;
	c.key = read_bytes(&r, key < word.n ? key + 1 : key);
	c.value = read_rest(&r);
	if (is_option(c.key))
		return NULL;
	if (key == word.n || key == 0 || c.value.n == 0)
		return "neither a condition nor an option";
	if (is(c.key, "func=")) {
		c.kind = CONDITION_FUNC;
		c.value = func_name(c.value);
	} else if (is(c.key, "mask=")) {
		c.kind = CONDITION_MASK;
	} else if (is(c.key, "pcr=")) {
		c.kind = CONDITION_PCR;
	} else if (is(c.key, "keyrings=") || is(c.key, "label=")) {
		c.kind = CONDITION_SET;
	}
	for (size_t i = 0; i < rule->n; i++)
		if (same(rule->conditions[i].key, c.key))
			return "a condition given twice";
	if (rule->n == LIMIT_IMA_RULE_CONDITIONS)
		return "too many conditions";
	rule->conditions[rule->n++] = c;
	return NULL;
}

/* NULL, or what is wrong; *counts: it is a measure or dont_measure rule. */
static const char *read_rule(struct bytes line, struct rule *rule, bool *counts)
{
	static const char *const others[] = { "appraise", "dont_appraise", "audit", "hash", "dont_hash", "dont_audit" };
	struct bytes rest = line, word = next_word(&rest);
	const char *why;

	*counts = false;
	if (word.n == 0 || word.p[0] == '#')
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (is(word, others[i]))
			return NULL;
	*rule = (struct rule){ .measure = is(word, "measure"), .text = line };
	if (!rule->measure && !is(word, "dont_measure"))
		return "no action of an IMA policy";
	while ((word = next_word(&rest)).n) {
		why = read_condition(word, rule);
		if (why)
			return why;
	}
	*counts = true;
	return NULL;
}

static int add_rule(struct imapolicy *p, size_t *capacity, const struct rule *rule)
{
	if (p->n == *capacity) {
		size_t wanted = *capacity ? *capacity * 2 : 16;
		struct rule *grown = reallocarray(p->rules, wanted, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->rules = grown;
		*capacity = wanted;
	}
	p->rules[p->n++] = *rule;
	return 0;
}

int imapolicy_parse(struct imapolicy **out, struct bytes text, unsigned int *line, const char **why)
{
	cleanup_imapolicy_ struct imapolicy *p = NULL;
	size_t capacity = 0;
	struct reader r;

	*line = 0;
	*why = "longer than an IMA policy can be";
	if (text.n > LIMIT_IMA_POLICY)
		return BAD_TEXT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->text = alloc_bytes(text.n);
	if (!p->text)
		return -ENOMEM;
	bytes_copy(p->text, text.p, text.n);
	r = reader_over(p->text, text.n);
	while (reader_left(&r)) {
		struct bytes one = next_line(&r);
		struct rule rule;
		bool counts;

		++*line;
		*why = read_rule(one, &rule, &counts);
		if (!*why && counts && p->n == LIMIT_IMA_POLICY_RULES)
			*why = "more rules than are taken";
		if (*why)
			return BAD_TEXT;
		if (counts && add_rule(p, &capacity, &rule) < 0)
			return -ENOMEM;
	}
	*out = TAKE_PTR(p);
	return 0;
}

void imapolicy_free(struct imapolicy **p)
{
	struct imapolicy *old = TAKE_PTR(*p);

	if (!old)
		return;
	free(old->rules);
	free(old->text);
	free(old);
}

size_t imapolicy_rules(const struct imapolicy *p)
{
	return p->n;
}

struct bytes imapolicy_rule(const struct imapolicy *p, size_t i)
{
	return p->rules[i].text;
}

/* --- comparing ---- */

static const struct condition *find(const struct rule *r, enum condition_kind kind)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->conditions[i].kind == kind)
			return &r->conditions[i];
	return NULL;
}

static const struct condition *find_key(const struct rule *r, struct bytes key)
{
	for (size_t i = 0; i < r->n; i++)
		if (same(r->conditions[i].key, key))
			return &r->conditions[i];
	return NULL;
}

/* Hooks that are only ever called with one mask (ima_main.c): without mask= they are about that one. */
static struct bytes implied_mask(const struct rule *r)
{
	static const uint8_t exec[] = "MAY_EXEC";
	const struct condition *func = find(r, CONDITION_FUNC);

	if (func && (is(func->value, "BPRM_CHECK") || is(func->value, "CREDS_CHECK")))
		return (struct bytes){ exec, sizeof(exec) - 1 };
	return (struct bytes){ NULL, 0 };
}

static struct bytes mask_of(const struct rule *r)
{
	const struct condition *mask = find(r, CONDITION_MASK);

	return mask ? mask->value : implied_mask(r);
}

/* "^MAY_READ": also together with others. */
static struct bytes mask_bits(struct bytes mask)
{
	struct reader r = reader_of(mask);

	if (mask.n && mask.p[0] == '^')
		(void)read_u8(&r);
	return read_rest(&r);
}

static bool mask_covers(struct bytes wide, struct bytes narrow)
{
	if (wide.n == 0)
		return true;
	if (narrow.n == 0 || !same(mask_bits(wide), mask_bits(narrow)))
		return false;
	return wide.p[0] == '^' || narrow.p[0] != '^';
}

static bool set_has(struct bytes set, struct bytes one)
{
	struct reader r = reader_of(set);

	while (reader_left(&r)) {
		struct reader look = r;
		struct bytes member = read_until(&look, '|');

		if (!reader_ok(&look))
			return same(read_rest(&r), one);
		if (same(member, one))
			return true;
		r = look;
	}
	return false;
}

static bool set_covers(struct bytes wide, struct bytes narrow)
{
	struct reader r = reader_of(narrow);

	while (reader_left(&r)) {
		struct reader look = r;
		struct bytes member = read_until(&look, '|');

		if (!reader_ok(&look))
			return set_has(wide, read_rest(&r));
		if (!set_has(wide, member))
			return false;
		r = look;
	}
	return true;
}

static struct bytes pcr_of(const struct rule *r)
{
	static const uint8_t ten[] = "10"; /* CONFIG_IMA_MEASURE_PCR_IDX */
	const struct condition *pcr = find(r, CONDITION_PCR);

	return pcr ? pcr->value : (struct bytes){ ten, sizeof(ten) - 1 };
}

/* Does every event of `narrow` fit `wide`? The PCR is no condition here. */
static bool events_cover(const struct rule *wide, const struct rule *narrow)
{
	for (size_t i = 0; i < wide->n; i++) {
		const struct condition *c = &wide->conditions[i], *other = find_key(narrow, c->key);

		switch (c->kind) {
		case CONDITION_PCR:
			continue;
		case CONDITION_MASK:
			if (!mask_covers(c->value, mask_of(narrow)))
				return false;
			continue;
		case CONDITION_SET:
			if (!other || !set_covers(c->value, other->value))
				return false;
			continue;
		case CONDITION_FUNC:
		case CONDITION_OTHER:
			if (!other || !same(c->value, other->value))
				return false;
			continue;
		}
	}
	return true;
}

static bool sets_meet(struct bytes a, struct bytes b)
{
	struct reader r = reader_of(a);

	while (reader_left(&r)) {
		struct reader look = r;
		struct bytes member = read_until(&look, '|');

		if (!reader_ok(&look))
			return set_has(b, read_rest(&r));
		if (set_has(b, member))
			return true;
		r = look;
	}
	return false;
}

/* Can no event fit both? Only what surely excludes each other counts. */
static bool disjoint(const struct rule *a, const struct rule *b)
{
	struct bytes mask_a = mask_of(a), mask_b = mask_of(b);

	if (mask_a.n && mask_b.n && !same(mask_bits(mask_a), mask_bits(mask_b)) && mask_a.p[0] != '^' && mask_b.p[0] != '^')
		return true;
	for (size_t i = 0; i < a->n; i++) {
		const struct condition *c = &a->conditions[i], *other = find_key(b, c->key);

		if (!other)
			continue;
		if (c->kind == CONDITION_FUNC && !same(c->value, other->value))
			return true;
		if (c->kind == CONDITION_SET && !sets_meet(c->value, other->value))
			return true;
		/* a file is on one file system, a process has one uid; other conditions may fit the same event */
		if ((is(c->key, "fsmagic=") || is(c->key, "fsname=") || is(c->key, "fsuuid=") || is(c->key, "uid=") ||
		     is(c->key, "fowner=")) &&
		    !same(c->value, other->value))
			return true;
	}
	return false;
}

/* The requirement itself leaves out, before its rule i, all that `exclusion` leaves out. */
static bool is_allowed(const struct imapolicy *required, size_t i, const struct rule *exclusion)
{
	for (size_t k = 0; k < i; k++)
		if (!required->rules[k].measure && events_cover(&required->rules[k], exclusion))
			return true;
	return false;
}

/* The kernel takes the first rule that fits an event, of those that measure and those that do not: ima_match_policy(). */
static bool keeps(const struct imapolicy *p, const struct imapolicy *required, size_t i)
{
	const struct rule *wanted = &required->rules[i];

	for (size_t k = 0; k < p->n; k++) {
		const struct rule *r = &p->rules[k];

		if (disjoint(r, wanted))
			continue;
		if (!r->measure && !is_allowed(required, i, r))
			return false;
		if (r->measure && !same(pcr_of(r), pcr_of(wanted)))
			return false; /* what it takes goes to another PCR */
		if (r->measure && events_cover(r, wanted))
			return true;
	}
	return false;
}

bool imapolicy_covers(const struct imapolicy *p, const struct imapolicy *required, size_t *missing)
{
	for (size_t i = 0; i < required->n; i++) {
		if (required->rules[i].measure && !keeps(p, required, i)) {
			*missing = i;
			return false;
		}
	}
	return true;
}

/* Programs, libraries, modules, firmware and further policies, on every file system from which one can execute. What is left out
 * are file systems without files of anybody's making: the kernel's own list in ima_policy.c without tmpfs. */
static const char tcb_exec[] = "dont_measure fsmagic=0x9fa0\n"
			       "dont_measure fsmagic=0x62656572\n"
			       "dont_measure fsmagic=0x64626720\n"
			       "dont_measure fsmagic=0x1cd1\n"
			       "dont_measure fsmagic=0x42494e4d\n"
			       "dont_measure fsmagic=0x73636673\n"
			       "dont_measure fsmagic=0xf97cff8c\n"
			       "dont_measure fsmagic=0x43415d53\n"
			       "dont_measure fsmagic=0x27e0eb\n"
			       "dont_measure fsmagic=0x63677270\n"
			       "dont_measure fsmagic=0x6e736673\n"
			       "dont_measure fsmagic=0xde5e81e4\n"
			       "measure func=BPRM_CHECK mask=MAY_EXEC\n"
			       "measure func=MMAP_CHECK mask=MAY_EXEC\n"
			       "measure func=MODULE_CHECK\n"
			       "measure func=FIRMWARE_CHECK\n"
			       "measure func=POLICY_CHECK\n";

const char *imapolicy_builtin(const char *name)
{
	return strcmp(name, "tcb-exec") == 0 ? tcb_exec : NULL;
}
