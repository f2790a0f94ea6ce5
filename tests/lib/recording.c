// SPDX-License-Identifier: Apache-2.0
#include "lib/recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"

#define KERNEL TESTS_DIR "/vectors/kernel"

void recording_file(const char *dir, const char *file, struct writer *w)
{
	cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, KERNEL "/%s/%s", dir, file) > 0);
	*w = WRITER(64u << 20);
	assert_int_equal(read_file(path, w), 0);
}

void evidence_clear(struct evidence *v)
{
	writer_free(&v->list);
	writer_free(&v->message);
	writer_free(&v->signature);
	writer_free(&v->nonce);
	free(v->pcrs);
	ak_clear(&v->ak);
	memset(v, 0, sizeof(*v));
}

const char *recording_text(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	assert_non_null(s);
	return s;
}

void recording_quote(const char *dir, json_t *quote, struct evidence *v)
{
	struct writer pem, pcrs;
	const char *nonce = recording_text(quote, "nonce");

	recording_file(dir, recording_text(quote, "message"), &v->message);
	recording_file(dir, recording_text(quote, "signature"), &v->signature);
	recording_file(dir, recording_text(quote, "ak"), &pem);
	recording_file(dir, recording_text(quote, "pcrs"), &pcrs);
	assert_int_equal(ak_from_pem(writer_view(&pem), &v->ak), 0);
	v->nonce = WRITER(64);
	assert_int_equal(hex_decode_to(&v->nonce, (struct bytes){ (const uint8_t *)nonce, strlen(nonce) }), 0);
	v->pcrs = calloc(1, sizeof(*v->pcrs));
	assert_non_null(v->pcrs);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&pcrs), v->pcrs), QUOTE_OK);
	v->at_entry = (uint64_t)json_integer_value(json_object_get(quote, "at_entry"));
	writer_free(&pem);
	writer_free(&pcrs);
}

json_t *recording_load(const char *dir)
{
	struct writer w;
	json_t *j;

	recording_file(dir, "recording.json", &w);
	j = json_loadb((const char *)w.p, w.n, 0, NULL);
	assert_non_null(j);
	writer_free(&w);
	return j;
}

void recording_evidence(const char *dir, const char *list, const char *message, struct evidence *v)
{
	json_t *recording = recording_load(dir), *quote;
	bool found = false;
	size_t i;

	recording_file(dir, list, &v->list);
	json_array_foreach(json_object_get(recording, "quotes"), i, quote) {
		if (strcmp(recording_text(quote, "message"), message) != 0)
			continue;
		recording_quote(dir, quote, v);
		found = true;
	}
	json_decref(recording);
	assert_true(found);
}
