/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with single members changed, and what the decoder says of them. */
#pragma once

#include "unit/wire/samples.h"
#include "wire/cbor.h"

static inline enum wire_decode_outcome decode(struct bytes b, struct wire_message *m, const char **where)
{
	*where = NULL;
	memset(m, 0xa5, sizeof(*m));
	return wire_decode(b, m, where);
}

static inline enum wire_decode_outcome outcome(struct bytes b)
{
	struct wire_message m;
	const char *where;

	return decode(b, &m, &where);
}

static inline void assert_encoder_refuses(const struct wire_message *m)
{
	cleanup_writer_ struct writer w = WRITER(2 * LIMIT_MESSAGE);

	wire_encode(&w, m);
	assert_int_equal(writer_status(&w), -EINVAL);
}

/* A message taken apart into its members, to change some and put it together again. */
struct parts {
	uint64_t type;
	size_t n;
	struct {
		uint64_t key;
		struct bytes value; /* encoded */
	} m[40];
};

static inline struct parts split(struct bytes message)
{
	struct reader r = reader_of(message);
	struct cbor_item array, type, map;
	struct parts p = { 0 };

	assert_true(cbor_next(&r, &array) && cbor_next(&r, &type) && cbor_next(&r, &map));
	p.type = type.value;
	for (p.n = 0; p.n < map.value; p.n++) {
		struct cbor_item key;
		struct reader start;

		assert_true(cbor_next(&r, &key));
		start = r;
		assert_true(cbor_skip(&r, 2));
		p.m[p.n].key = key.value;
		p.m[p.n].value = read_bytes(&start, reader_left(&start) - reader_left(&r));
	}
	assert_true(reader_done(&r));
	return p;
}

static inline struct bytes join(struct writer *w, const struct parts *p)
{
	writer_reset(w);
	cbor_write_array(w, 2);
	cbor_write_uint(w, p->type);
	cbor_write_map(w, p->n);
	for (size_t i = 0; i < p->n; i++) {
		cbor_write_uint(w, p->m[i].key);
		write_bytes(w, p->m[i].value.p, p->m[i].value.n);
	}
	assert_int_equal(writer_status(w), 0);
	return writer_view(w);
}

/* Replaces the value of one member of a golden message by hex text. */
static inline enum wire_decode_outcome with_value(const char *gold_hex, uint64_t key, const char *value_hex)
{
	cleanup_writer_ struct writer gold = WRITER(LIMIT_MESSAGE), value = WRITER(LIMIT_MESSAGE);
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	struct parts p = split(unhex(&gold, gold_hex));

	for (size_t i = 0; i < p.n; i++) {
		if (p.m[i].key != key)
			continue;
		p.m[i].value = unhex(&value, value_hex);
		return outcome(join(&w, &p));
	}
	fail_msg("no member %u", (unsigned int)key);
	return WIRE_DECODE_OK;
}
