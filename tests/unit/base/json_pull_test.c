// SPDX-License-Identifier: Apache-2.0
/* The pull parser on its own, and against jansson: the same texts are taken, with the same content. */
#include "lib/test.h"

#include <jansson.h>
#include <stdio.h>

#include "base/json_pull.h"
#include "base/text.h"

#define DEPTH 16u

/* What a document says, in a form that both parsers can write. */
static void write_value(struct writer *w, struct jp *j);

static void write_container(struct writer *w, struct jp *j, enum jp_type end)
{
	write_u8(w, end == JP_OBJECT_END ? '{' : '[');
	while (jp_next(j) != end) {
		assert_int_not_equal(j->type, JP_BAD);
		if (end == JP_OBJECT_END) {
			struct bytes name;

			assert_int_equal(j->type, JP_NAME);
			name = jp_text(j);
			write_fmt(w, "%zu=", name.n);
			write_bytes(w, name.p, name.n);
			assert_int_not_equal(jp_next(j), JP_BAD);
		}
		write_value(w, j);
		write_u8(w, ',');
	}
	write_u8(w, end == JP_OBJECT_END ? '}' : ']');
}

static void write_value(struct writer *w, struct jp *j)
{
	struct bytes text;

	switch (j->type) {
	case JP_OBJECT: write_container(w, j, JP_OBJECT_END); break;
	case JP_ARRAY: write_container(w, j, JP_ARRAY_END); break;
	case JP_STRING:
		text = jp_text(j);
		write_fmt(w, "s%zu:", text.n);
		write_bytes(w, text.p, text.n);
		break;
	case JP_INTEGER: write_fmt(w, "i%lld", (long long)j->integer); break;
	case JP_REAL: write_fmt(w, "r"); break;
	case JP_TRUE: write_fmt(w, "t"); break;
	case JP_FALSE: write_fmt(w, "f"); break;
	case JP_NULL: write_fmt(w, "n"); break;
	default: fail_msg("type %d", (int)j->type);
	}
}

static void write_json(struct writer *w, json_t *v)
{
	const char *name;
	json_t *child;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		write_u8(w, '{');
		json_object_foreach(v, name, child) {
			write_fmt(w, "%zu=%s", strlen(name), name);
			write_json(w, child);
			write_u8(w, ',');
		}
		write_u8(w, '}');
		break;
	case JSON_ARRAY:
		write_u8(w, '[');
		json_array_foreach(v, i, child) {
			write_json(w, child);
			write_u8(w, ',');
		}
		write_u8(w, ']');
		break;
	case JSON_STRING:
		write_fmt(w, "s%zu:", json_string_length(v));
		write_bytes(w, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER: write_fmt(w, "i%lld", (long long)json_integer_value(v)); break;
	case JSON_REAL: write_fmt(w, "r"); break;
	case JSON_TRUE: write_fmt(w, "t"); break;
	case JSON_FALSE: write_fmt(w, "f"); break;
	case JSON_NULL: write_fmt(w, "n"); break;
	}
}

static bool whole(struct bytes text, unsigned int flags, struct jp *out)
{
	jp_begin(out, text, DEPTH, flags);
	return jp_next(out) != JP_BAD && jp_skip(out) && jp_next(out) == JP_END;
}

/* Both parsers say the same; returns whether the text is good. */
static bool same_as_jansson(struct bytes text)
{
	cleanup_writer_ struct writer ours = WRITER(64u << 20), theirs = WRITER(64u << 20);
	cleanup_free_ uint8_t *exact = alloc_bytes(text.n); /* ASan sees one byte too many */
	json_error_t e = { .line = 0 };
	json_t *tree = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &e);
	cleanup_jp_ struct jp j, again;
	bool good;

	assert_non_null(exact);
	bytes_copy(exact, text.p, text.n);
	good = whole((struct bytes){ exact, text.n }, JP_UNIQUE, &j);
	jp_begin(&again, (struct bytes){ exact, text.n }, DEPTH, 0);
	assert_int_equal(jp_failure(&j), 0);
	/* jansson passes over a NUL behind a number: not JSON */
	if (good != (tree != NULL) && !j.too_deep && !(tree && memchr(text.p, 0, text.n))) {
		print_message("%.*s\nours: %s, theirs: %s\n", (int)text.n, (const char *)text.p, good ? "good" : j.error,
			      tree ? "good" : e.text);
		fail();
	}
	if (good) {
		assert_int_not_equal(jp_next(&again), JP_BAD);
		write_value(&ours, &again);
		assert_int_equal(jp_next(&again), JP_END);
		assert_int_equal(jp_next(&again), JP_END); /* stays so */
		write_json(&theirs, tree);
		assert_int_equal(writer_status(&ours) | writer_status(&theirs), 0);
		assert_int_equal(ours.n, theirs.n);
		assert_memory_equal(ours.p, theirs.p, ours.n);
	} else {
		assert_true(j.error_at <= text.n && (j.error[0] || j.too_deep));
		assert_int_equal(jp_next(&j), JP_BAD); /* stays so */
	}
	json_decref(tree);
	return good;
}

static bool same_text(const char *text)
{
	return same_as_jansson((struct bytes){ (const uint8_t *)text, strlen(text) });
}

static void good_documents(void **state)
{
	static const char *const texts[] = {
		"{}", "[]", " \t\r\n[ ] \n", "[[],{}]", "{\"a\":{\"a\":{\"a\":1}}}", "[0,-0,1,-1,10,9223372036854775807]",
		"[-9223372036854775808]", "[0.5,-0.5,1e3,1E+3,1e-3,1.25e-400,0e0]", "[true,false,null]", "{\"\":\"\"}",
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]", "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
		"[\"\x7f\"]", "{\"a\\u0062\":1,\"a\":2,\"b\":3}", "[\"12345678\",\"1234567\\\"\",\"123456789abcdef\\\\\"]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_true(same_text(texts[i]));
}

static void bad_documents(void **state)
{
	static const char *const texts[] = {
		"", " ", "1", "\"a\"", "null", "{", "[", "}", "]", "[}", "{]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}", "{a:1}", "{'a':1}", "[01]", "[-]", "[+1]", "[.5]", "[1.]", "[1.e3]", "[1e]",
		"[1e+]", "[0x1]", "[1x]", "[9223372036854775808]", "[-9223372036854775809]", "[1e400]", "[-1e400]", "[NaN]",
		"[Infinity]", "[tru]", "[truex]", "[True]", "[nul]", "[\"a]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u12g4\"]", "[\"\\u0000\"]",
		"[\"\\ud83d\"]", "[\"\\ude00\"]", "[\"\\ud83dx\"]", "[\"\\ud83d\\n\"]", "[\"\\ud83d\\ud83d\"]", "[\"\n\"]", "[\"\t\"]", "[\"\x01\"]",
		"[\"\x80\"]", "[\"\xc0\x80\"]", "[\"\xc1\xbf\"]", "[\"\xc3\"]", "[\"\xe0\x80\x80\"]", "[\"\xed\xa0\x80\"]", "[\"\xf0\x80\x80\x80\"]",
		"[\"\xf4\x90\x80\x80\"]", "[\"\xf5\x80\x80\x80\"]", "[\"\xff\"]", "\xef\xbb\xbf[]", "[] x", "[][]", "[]]", "/**/[]", "[1]//",
		"{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"\\n\":1,\"\\u000a\":2}", "[{\"x\":{\"k\":0,\"k\":0}}]", "[\"\\", "[\"\\u", "[\v]", "[\f]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(same_text(texts[i]));
	assert_false(same_as_jansson(BYTES("[\"a\0b\"]")));
	assert_false(same_as_jansson(BYTES("[]\0")));
	assert_false(same_as_jansson(BYTES("\0")));
}

/* Any value at the top, when asked for. */
static void any_document(void **state)
{
	static const char *const good[] = { "1", "\"a\"", "null", " true ", "{}", "-0.5" };
	static const char *const bad[] = { "", "1 1", "\"a", "nul", ":", ",", "}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cleanup_jp_ struct jp j;

		assert_true(whole((struct bytes){ (const uint8_t *)good[i], strlen(good[i]) }, JP_ANY, &j));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_jp_ struct jp j;

		assert_false(whole((struct bytes){ (const uint8_t *)bad[i], strlen(bad[i]) }, JP_ANY, &j));
	}
}

/* At every byte of a document that has everything: cut, and each byte changed to what matters. */
static void mutated_documents(void **state)
{
	static const char text[] = "{\"meta\":{\"v\":1,\"r\":-0.5e+2},\"d\":{\"/\\u00e9\":[\"ab\",\"\"],\"/b\\\"\":[]},"
				   "\"\xc3\xa9\":[true,false,null,[[{}]]],\"n\":-12 }";
	static const char changes[] = "\"\\{}[]:,.-+eE019aunt \n\x01\x80\xc3\xff";
	size_t good = 0, bad = 0;

	(void)state;
	assert_true(same_text(text));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char copy[sizeof(text)];

		assert_false(same_as_jansson((struct bytes){ (const uint8_t *)text, i }));
		for (size_t c = 0; c < sizeof(changes); c++) { /* with the NUL */
			memcpy(copy, text, sizeof(text));
			copy[i] = changes[c];
			if (same_as_jansson((struct bytes){ (const uint8_t *)copy, sizeof(text) - 1 }))
				good++;
			else
				bad++;
		}
		memcpy(copy, text, i);
		memcpy(copy + i, text + i + 1, sizeof(text) - i - 1);
		(void)same_as_jansson((struct bytes){ (const uint8_t *)copy, sizeof(text) - 2 });
	}
	assert_true(good > 100 && bad > 100);
}

/* Policies of the vectors, and with bytes changed by a fixed sequence. */
static void policies(void **state)
{
	static const char *const names[] = { "policy-test.json", "policy-test-excludes.json", "policy-wrong-excludes.json",
					     "policy-verification-keys.json", "policy-empty.json" };
	uint32_t x = 12345;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_writer_ struct writer file = WRITER(1u << 20);
		cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/vectors/keylime-ima/%s", TESTS_DIR, names[i]) > 0);
		assert_int_equal(read_file(path, &file), 0);
		assert_true(same_as_jansson(writer_view(&file)));
		for (int n = 0; n < 400; n++) {
			size_t at;
			uint8_t kept;

			x = x * 1664525u + 1013904223u;
			at = (x >> 8) % file.n;
			kept = file.p[at];
			file.p[at] ^= (uint8_t)(1u << (x >> 5 & 7));
			(void)same_as_jansson(writer_view(&file));
			file.p[at] = kept;
		}
	}
}

/* Every name is there once: a name of before is found again at each size of the table, escaped or not. */
static void names_that_repeat(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 24);

	(void)state;
	for (unsigned int n = 1; n <= 5000; n = n < 40 ? n + 1 : n * 2) {
		cleanup_jp_ struct jp good, bad, other;

		writer_reset(&w);
		write_fmt(&w, "{\"o\":{");
		for (unsigned int i = 0; i < n; i++)
			write_fmt(&w, "\"/n%u\":{\"/n%u\":0},", i, i); /* inside, it is another object's */
		write_fmt(&w, "\"last\":0},\"/n0\":0}");
		assert_true(whole(writer_view(&w), JP_UNIQUE, &good));
		w.n -= strlen("},\"/n0\":0}");
		write_fmt(&w, ",\"\\u002fn%u\":0}}", n / 2);
		assert_false(whole(writer_view(&w), JP_UNIQUE, &bad));
		assert_string_equal(bad.error, "duplicate object key");
		assert_true(whole(writer_view(&w), 0, &other)); /* not asked for */
	}
}

static void depth_is_bounded(void **state)
{
	(void)state;
	for (unsigned int max = 1; max <= JP_DEPTH_MAX; max++) {
		cleanup_writer_ struct writer w = WRITER(1024);
		cleanup_jp_ struct jp at, over;
		struct jp *const each[] = { &at, &over };

		for (unsigned int more = 0; more <= 1; more++) {
			writer_reset(&w);
			for (unsigned int i = 0; i < max + more; i++)
				write_fmt(&w, i % 2 ? "{\"a\":" : "[");
			write_fmt(&w, "0");
			for (unsigned int i = max + more; i > 0; i--)
				write_fmt(&w, i % 2 ? "]" : "}");
			jp_begin(each[more], writer_view(&w), max, JP_UNIQUE);
			assert_int_not_equal(jp_next(each[more]), JP_BAD);
			assert_int_equal(jp_skip(each[more]), !more);
			assert_int_equal(each[more]->too_deep, more);
		}
	}
}

static void text_is_bounded(void **state)
{
	cleanup_jp_ struct jp j;

	(void)state;
	jp_begin(&j, (struct bytes){ (const uint8_t *)"[]", (size_t)JP_TEXT_MAX + 1 }, DEPTH, JP_UNIQUE);
	assert_int_equal(jp_next(&j), JP_BAD);
	assert_int_equal(jp_failure(&j), -EMSGSIZE);
}

static void errors_have_their_place(void **state)
{
	static const struct {
		const char *text;
		size_t line, column;
	} cases[] = {
		{ "", 1, 0 },		 { "{} x", 1, 4 },	 { "{\n{", 2, 1 },
		{ "[1,\n 2,\n  x]", 3, 3 }, { "[\"\xc3\xa9\xc3\xa9\", x", 1, 8 }, { "{\"a\":1,\n\"a\":2}", 2, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes text = { (const uint8_t *)cases[i].text, strlen(cases[i].text) };
		cleanup_jp_ struct jp j;
		size_t line, column;

		assert_false(whole(text, JP_UNIQUE, &j));
		jp_locate(text, j.error_at, &line, &column);
		assert_int_equal(line, cases[i].line);
		assert_int_equal(column, cases[i].column);
	}
}

static void going_back_and_skipping(void **state)
{
	cleanup_jp_ struct jp j;
	struct jp_mark mark;

	(void)state;
	jp_begin(&j, BYTES("{\"a\":[1,[2,{\"x\":[3]}],4],\"b\":5}"), DEPTH, 0);
	assert_int_equal(jp_next(&j), JP_OBJECT);
	assert_int_equal(jp_next(&j), JP_NAME);
	assert_int_equal(jp_next(&j), JP_ARRAY);
	mark = jp_mark(&j);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(jp_next(&j), JP_INTEGER);
		assert_int_equal(jp_next(&j), JP_ARRAY);
		assert_int_equal(jp_next(&j), JP_INTEGER);
		assert_int_equal(j.integer, 2);
		assert_int_equal(jp_next(&j), JP_OBJECT);
		assert_true(jp_skip(&j));
		assert_true(jp_close(&j, 1));
		assert_int_equal(jp_next(&j), JP_NAME);
		assert_true(jp_text_is(&j, "b"));
		jp_rewind(&j, &mark);
	}
	assert_true(jp_skip(&j));
	assert_int_equal(jp_next(&j), JP_NAME);
	assert_int_equal(jp_next(&j), JP_INTEGER);
	assert_true(jp_skip(&j)); /* nothing to pass over */
	assert_int_equal(j.integer, 5);
	assert_int_equal(jp_next(&j), JP_OBJECT_END);
	assert_int_equal(jp_next(&j), JP_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_documents),	  cmocka_unit_test(bad_documents),
		cmocka_unit_test(any_document),		  cmocka_unit_test(mutated_documents),
		cmocka_unit_test(policies),		  cmocka_unit_test(names_that_repeat),
		cmocka_unit_test(depth_is_bounded),	  cmocka_unit_test(text_is_bounded),
		cmocka_unit_test(errors_have_their_place), cmocka_unit_test(going_back_and_skipping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
