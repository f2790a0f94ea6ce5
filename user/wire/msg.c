// SPDX-License-Identifier: Apache-2.0
/* Messages by their tables (msg_table.c): encoding, decoding, and the rules between members. */
#include "wire/msg.h"

#include "wire/cbor.h"
#include "wire/msg_table.h"

/* The struct of a message; all members of the union start at the same address. */
static const void *body_of(const struct wire_message *m)
{
	return &m->hello;
}

/* ---- access to a member by its table line ---- */

static const void *at(const void *body, size_t offset)
{
	return (const char *)body + offset;
}

static void *at_mutable(void *body, size_t offset)
{
	return (char *)body + offset;
}

static uint64_t get_uint(const struct member *f, const void *body)
{
	const void *p = at(body, f->offset);

	switch (f->size) {
	case sizeof(uint8_t):
		return *(const uint8_t *)p;
	case sizeof(uint16_t):
		return *(const uint16_t *)p;
	case sizeof(uint32_t):
		return *(const uint32_t *)p;
	default:
		return *(const uint64_t *)p;
	}
}

static void set_uint(const struct member *f, void *body, uint64_t v)
{
	void *p = at_mutable(body, f->offset);

	switch (f->size) {
	case sizeof(uint8_t):
		*(uint8_t *)p = (uint8_t)v;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)p = (uint16_t)v;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)p = (uint32_t)v;
		break;
	default:
		*(uint64_t *)p = v;
	}
}

static size_t get_count(const struct member *f, const void *body)
{
	return *(const size_t *)at(body, f->beside);
}

static bool in_range(const struct member *f, uint64_t v)
{
	return v >= f->min && v <= f->max;
}

/* ---- rules between members; NULL, or the name of the member at fault ---- */

static const char *check_hello(const struct wire_hello *h)
{
	uint32_t boot = h->pcr_mask & ~(UINT32_C(1) << WIRE_PCR);
	int last = -1;

	if (boot == h->pcr_mask)
		return "pcr_mask";
	for (size_t i = 0; i < h->n_boot_pcrs; i++) {
		const struct wire_pcr *p = &h->boot_pcrs[i];

		if (p->index >= LIMIT_ATTEST_PCRS || p->index <= last || !(boot >> p->index & 1) || p->value.n == 0 ||
		    p->value.n > LIMIT_NONCE)
			return "boot_pcrs";
		last = p->index;
	}
	return NULL;
}

static const char *check_rules(const struct wire_message *m)
{
	switch (m->type) {
	case WIRE_HELLO:
		return check_hello(&m->hello);
	case WIRE_ACTIVATE:
		return check_hello(&m->activate.hello);
	case WIRE_QUOTE:
		return m->quote.position < m->quote.n_commitments ? NULL : "position";
	case WIRE_ACK:
		return m->ack.proven <= m->ack.next ? NULL : "proven";
	case WIRE_WELCOME: /* a digest and a size, or neither */
		return m->welcome.has_reference == (m->welcome.reference_size != 0) ? NULL : "reference";
	case WIRE_DIRECTIVE:
		return m->directive.has_reference == (m->directive.reference_size != 0) ? NULL : "reference";
	case WIRE_ENTRIES:
	case WIRE_WAIT:
	case WIRE_CHALLENGE:
	case WIRE_REJECT:
	case WIRE_RESUME:
	case WIRE_FETCH:
	case WIRE_CHUNK:
		break;
	}
	return NULL;
}

/* ---- encoding ---- */

static bool is_present(const struct member *f, const void *body)
{
	if (f->required)
		return true;
	switch (f->kind) {
	case KIND_UINT:
		return get_uint(f, body) != 0;
	case KIND_BOOL:
		return *(const bool *)at(body, f->offset);
	case KIND_FIXED:
		return *(const bool *)at(body, f->beside);
	case KIND_BYTES:
		return ((const struct bytes *)at(body, f->offset))->n != 0;
	case KIND_COUNTERS:
	case KIND_DIGESTS:
	case KIND_PCRS:
		return get_count(f, body) != 0;
	case KIND_HELLO:
		break;
	}
	return true;
}

static bool is_valid(const struct member *f, const void *body)
{
	switch (f->kind) {
	case KIND_UINT:
		return in_range(f, get_uint(f, body));
	case KIND_BYTES:
		return in_range(f, ((const struct bytes *)at(body, f->offset))->n);
	case KIND_COUNTERS:
	case KIND_DIGESTS:
	case KIND_PCRS:
		return in_range(f, get_count(f, body));
	case KIND_BOOL:
	case KIND_FIXED:
	case KIND_HELLO:
		break;
	}
	return true;
}

static void encode_flat(struct writer *w, const struct table *t, const void *body);

static void encode_member(struct writer *w, const struct member *f, const void *body)
{
	const void *p = at(body, f->offset);
	size_t n;

	switch (f->kind) {
	case KIND_UINT:
		cbor_write_uint(w, get_uint(f, body));
		break;
	case KIND_BOOL:
		cbor_write_bool(w, true);
		break;
	case KIND_FIXED:
		cbor_write_bytes(w, (struct bytes){ p, (size_t)f->max });
		break;
	case KIND_BYTES:
		cbor_write_bytes(w, *(const struct bytes *)p);
		break;
	case KIND_COUNTERS:
		n = get_count(f, body);
		cbor_write_array(w, n);
		for (size_t i = 0; i < n; i++)
			cbor_write_uint(w, ((const uint64_t *)p)[i]);
		break;
	case KIND_DIGESTS:
		n = get_count(f, body);
		cbor_write_array(w, n);
		for (size_t i = 0; i < n; i++)
			cbor_write_bytes(w, (struct bytes){ ((const uint8_t(*)[WIRE_DIGEST_SIZE])p)[i], WIRE_DIGEST_SIZE });
		break;
	case KIND_PCRS:
		n = get_count(f, body);
		cbor_write_map(w, n);
		for (size_t i = 0; i < n; i++) {
			cbor_write_uint(w, ((const struct wire_pcr *)p)[i].index);
			cbor_write_bytes(w, ((const struct wire_pcr *)p)[i].value);
		}
		break;
	case KIND_HELLO:
		encode_flat(w, &wire_hello_table, p);
		break;
	}
}

/* At most two levels: HELLO inside ACTIVATE. */
static void encode_flat(struct writer *w, const struct table *t, const void *body)
{
	size_t present = 0;

	for (size_t i = 0; i < t->n; i++)
		present += is_present(&t->members[i], body);
	cbor_write_map(w, present);
	for (size_t i = 0; i < t->n; i++) {
		const struct member *f = &t->members[i];

		if (!is_present(f, body))
			continue;
		if (!is_valid(f, body)) {
			w->bad = w->bad ? w->bad : -EINVAL;
			return;
		}
		cbor_write_uint(w, f->key);
		encode_member(w, f, body);
	}
}

void wire_encode(struct writer *w, const struct wire_message *m)
{
	const struct table *t = wire_table_of(m->type);

	if (!t || check_rules(m)) {
		w->bad = w->bad ? w->bad : -EINVAL;
		return;
	}
	cbor_write_array(w, 2);
	cbor_write_uint(w, m->type);
	encode_flat(w, t, body_of(m));
}

/* ---- decoding ---- */

static enum wire_decode_outcome decode_list(struct reader *r, const struct member *f, void *body,
					    const struct cbor_item *head)
{
	enum cbor_major want = f->kind == KIND_PCRS ? CBOR_MAP : CBOR_ARRAY;
	void *p = at_mutable(body, f->offset);
	uint64_t key = 0;

	if (head->major != want || !in_range(f, head->value))
		return WIRE_DECODE_RANGE;
	for (size_t i = 0; i < head->value; i++) {
		struct cbor_item item;

		if (f->kind == KIND_PCRS && !cbor_next_key(r, &key, i == 0))
			return WIRE_DECODE_MALFORMED;
		if (!cbor_next(r, &item))
			return WIRE_DECODE_MALFORMED;
		if (f->kind == KIND_COUNTERS) {
			if (item.major != CBOR_UINT)
				return WIRE_DECODE_RANGE;
			((uint64_t *)p)[i] = item.value;
		} else if (f->kind == KIND_DIGESTS) {
			if (item.major != CBOR_BYTES || item.bytes.n != WIRE_DIGEST_SIZE)
				return WIRE_DECODE_RANGE;
			bytes_copy(((uint8_t(*)[WIRE_DIGEST_SIZE])p)[i], item.bytes.p, WIRE_DIGEST_SIZE);
		} else {
			if (key >= LIMIT_ATTEST_PCRS || item.major != CBOR_BYTES)
				return WIRE_DECODE_RANGE;
			((struct wire_pcr *)p)[i] = (struct wire_pcr){ (uint8_t)key, item.bytes };
		}
	}
	*(size_t *)at_mutable(body, f->beside) = (size_t)head->value;
	return WIRE_DECODE_OK;
}

static enum wire_decode_outcome decode_map(struct reader *r, const struct table *t, void *body, uint64_t count,
					   unsigned int depth, const char **where);

static enum wire_decode_outcome decode_member(struct reader *r, const struct member *f, void *body,
					      unsigned int depth, const char **where)
{
	struct cbor_item item;

	if (!cbor_next(r, &item))
		return WIRE_DECODE_MALFORMED;
	switch (f->kind) {
	case KIND_UINT:
		if (item.major != CBOR_UINT || !in_range(f, item.value))
			return WIRE_DECODE_RANGE;
		set_uint(f, body, item.value);
		break;
	case KIND_BOOL:
		if (item.major != CBOR_SIMPLE || item.value != CBOR_TRUE)
			return WIRE_DECODE_RANGE;
		*(bool *)at_mutable(body, f->offset) = true;
		break;
	case KIND_FIXED:
		if (item.major != CBOR_BYTES || item.bytes.n != f->max)
			return WIRE_DECODE_RANGE;
		bytes_copy(at_mutable(body, f->offset), item.bytes.p, item.bytes.n);
		if (f->beside)
			*(bool *)at_mutable(body, f->beside) = true;
		break;
	case KIND_BYTES:
		if (item.major != CBOR_BYTES || !in_range(f, item.bytes.n))
			return WIRE_DECODE_RANGE;
		*(struct bytes *)at_mutable(body, f->offset) = item.bytes;
		break;
	case KIND_COUNTERS:
	case KIND_DIGESTS:
	case KIND_PCRS:
		return decode_list(r, f, body, &item);
	case KIND_HELLO:
		if (item.major != CBOR_MAP)
			return WIRE_DECODE_RANGE;
		return decode_map(r, &wire_hello_table, at_mutable(body, f->offset), item.value, depth + 1, where);
	}
	/* An optional member with its default value has a shorter form: leaving it out. */
	return is_present(f, body) ? WIRE_DECODE_OK : WIRE_DECODE_RANGE;
}

static const struct member *member_by_key(const struct table *t, uint64_t key)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->members[i].key == key)
			return &t->members[i];
	return NULL;
}

/* The members of a map of `count` members at nesting depth `depth`. */
static enum wire_decode_outcome decode_map(struct reader *r, const struct table *t, void *body, uint64_t count,
					   unsigned int depth, const char **where)
{
	uint64_t key = 0;
	uint32_t seen = 0; /* bit per key of the table, all below 32 */

	for (uint64_t i = 0; i < count; i++) {
		const struct member *f;
		enum wire_decode_outcome o;

		*where = "";
		if (!cbor_next_key(r, &key, i == 0))
			return WIRE_DECODE_MALFORMED;
		f = member_by_key(t, key);
		if (!f) {
			if (!cbor_skip(r, depth))
				return WIRE_DECODE_MALFORMED;
			continue;
		}
		*where = f->name;
		o = decode_member(r, f, body, depth, where);
		if (o != WIRE_DECODE_OK)
			return o;
		seen |= UINT32_C(1) << f->key;
		if (t->members == wire_hello_table.members && f->key == WIRE_HELLO_KEY_VERSION &&
		    ((const struct wire_hello *)body)->version != WIRE_VERSION)
			return WIRE_DECODE_VERSION;
	}
	for (size_t i = 0; i < t->n; i++) {
		*where = t->members[i].name;
		if (t->members[i].required && !(seen >> t->members[i].key & 1))
			return WIRE_DECODE_MISSING;
	}
	*where = "";
	return WIRE_DECODE_OK;
}

enum wire_decode_outcome wire_decode(struct bytes b, struct wire_message *out, const char **where)
{
	struct reader r = reader_of(b);
	struct wire_message m = { 0 };
	struct cbor_item array, type, map;
	const struct table *t;
	enum wire_decode_outcome o;

	*where = "";
	if (b.n > LIMIT_MESSAGE)
		return WIRE_DECODE_TOO_LARGE;
	if (!cbor_next(&r, &array) || array.major != CBOR_ARRAY || array.value != 2 || !cbor_next(&r, &type) ||
	    type.major != CBOR_UINT)
		return WIRE_DECODE_MALFORMED;
	t = wire_table_of(type.value);
	if (!t)
		return WIRE_DECODE_UNKNOWN_TYPE;
	if (!cbor_next(&r, &map) || map.major != CBOR_MAP)
		return WIRE_DECODE_MALFORMED;
	m.type = (enum wire_type)type.value;
	o = decode_map(&r, t, &m.hello, map.value, 2, where);
	if (o == WIRE_DECODE_VERSION) {
		*out = m;
		return o;
	}
	if (o != WIRE_DECODE_OK)
		return o;
	if (!reader_done(&r)) {
		*where = "";
		return WIRE_DECODE_MALFORMED;
	}
	*where = check_rules(&m);
	if (*where)
		return WIRE_DECODE_RANGE;
	*where = "";
	*out = m;
	return WIRE_DECODE_OK;
}
