// SPDX-License-Identifier: Apache-2.0
/* Reference sets on the wire: which one an attester is told of, and its bytes. docs/WIRE.md, "Reference sets". */
#include "verifier/pipeline_internal.h"

static struct reference_set *current(const struct pipeline *p, struct attester *a)
{
	const struct named_policy *named = pipeline_policy(p, a);

	return named ? references_newest(&p->references, named->name) : NULL;
}

static uint32_t number_of(const struct reference_set *set)
{
	return set ? wire_reference_number(reference_set_digest(set)) : 0;
}

bool pipeline_name_reference(const struct pipeline *p, struct session *s, uint8_t digest[WIRE_DIGEST_SIZE], uint32_t *size)
{
	const struct reference_set *set = current(p, s->attester);

	s->reference_told = number_of(set);
	if (!set)
		return false;
	bytes_copy(digest, reference_set_digest(set), WIRE_DIGEST_SIZE);
	*size = (uint32_t)reference_set_bytes(set).n;
	return true;
}

void pipeline_tell_reference(struct pipeline *p, struct session *s)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_REFERENCE } };

	if (!s->wait || s->reference_told == number_of(current(p, s->attester)))
		return;
	m.directive.has_reference = pipeline_name_reference(p, s, m.directive.reference, &m.directive.reference_size);
	pipeline_release_wait(p, s, &m);
}

size_t pipeline_known_sets(const struct pipeline *p, struct attester *a, struct wire_known out[REFERENCES_HELD])
{
	const struct named_policy *named = pipeline_policy(p, a);

	return named ? references_known(&p->references, named->name, out) : 0;
}

int pipeline_fetch(struct pipeline *p, struct exchange *ex, struct session *s, const struct wire_fetch *m)
{
	const struct named_policy *named = pipeline_policy(p, s->attester);
	const struct reference_set *set = named ? references_find(&p->references, named->name, m->reference) : NULL;
	struct wire_message answer = { .type = WIRE_CHUNK, .chunk = { .offset = m->offset } };
	struct reader r;

	if (s->pending) /* anybody could ask in the name of a host that is enrolled */
		return pipeline_reject(ex, REASON_SESSION_UNPROVEN, NULL, RETRY_SOON_MS);
	if (!set)
		return pipeline_reject(ex, REASON_REFERENCE_UNKNOWN, NULL, RETRY_LATER_MS);
	r = reader_of(reference_set_bytes(set));
	(void)read_bytes(&r, (size_t)m->offset);
	if (reader_left(&r) == 0)
		return pipeline_reject(ex, REASON_PROTOCOL_ERROR, "offset", RETRY_LATER_MS);
	answer.chunk.data = read_bytes(&r, MIN(reader_left(&r), (size_t)LIMIT_CHUNK));
	if (!references_give(&p->references, &s->attester->share, answer.chunk.data.n, reference_set_bytes(set).n,
			     p->now.mono))
		return pipeline_reject(ex, REASON_BUSY, "reference sets are given a part at a time", RETRY_LATER_MS);
	pipeline_reply(ex, &answer);
	return 0;
}

int pipeline_set_reference(struct pipeline *p, const char *name, const char *policy, struct reference_set **set,
			   const struct instant *now)
{
	int r = references_put(&p->references, name, policy, set);
	struct attester *a;
	size_t at = 0;

	if (r < 0)
		return r;
	p->now = *now;
	while ((a = idmap_next(&p->fleet.by_id, &at))) {
		if (a->session)
			pipeline_tell_reference(p, a->session);
		pipeline_arm(p, a);
	}
	return 0;
}
