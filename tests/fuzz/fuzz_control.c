// SPDX-License-Identifier: Apache-2.0
/* Requests on the verifier's control socket. Whatever is asked, the answer is one JSON document, and who may only ask changes
 * nothing. */
#include "lib/verifier_bench.h"
#include "verifier/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bench b;
static struct writer answer = WRITER(CONTROL_ANSWER_MAX);

/* One host with a finding; and one that waits, whose id is known to the corpus: 32 bytes of 0x11. */
static void open_verifier(void)
{
	struct attester_row row = { .how = "manual", .status = ENROL_PENDING, .label = BYTES("waits"), .enrolled_real = 1,
				    .changed_real = 1 };
	struct fake_tpm tpm;

	bench_open(&b, HASH_SHA256, "", &bench_rules);
	bench_greet(&b);
	bench_measure_as(&b, 10, "/tmp/\x1b\"x", true, true, false);
	bench_prove(&b);
	fake_tpm_init(&tpm, HASH_SHA256);
	memset(row.id, 0x11, sizeof(row.id));
	row.ak_public = writer_view(&tpm.ak_public);
	if (b.store->ops->begin(b.store) < 0 || b.store->ops->add_attester(b.store, &row) < 0 || b.store->ops->commit(b.store) < 0)
		abort();
	fake_tpm_clear(&tpm);
	bench_restart(&b, &bench_rules);
}

static void ask(struct bytes request, bool may_change)
{
	struct asker asker = { .who = "uid 0 (root)", .may_change = may_change };
	json_t *doc;

	writer_reset(&answer);
	control_answer(b.pipeline, request, &asker, &b.now, &answer);
	if (writer_status(&answer) < 0)
		abort();
	doc = json_loadb((const char *)answer.p, answer.n, JSON_REJECT_DUPLICATES, NULL);
	if (!doc || json_integer_value(json_object_get(doc, "schema")) != 1)
		abort();
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bytes request = { data, size };
	uint64_t events;

	if (!b.pipeline)
		open_verifier();
	events = b.pipeline->journal.last;
	ask(request, false);
	if (b.pipeline->journal.last != events || b.pipeline->fleet.by_id.count != 2)
		abort();
	ask(request, true);
	if (b.pipeline->journal.last != events) { /* a decision: the next input finds things as they were */
		ask((struct bytes)BYTES("{\"get\":\"enrolment-log\"}"), false);
		bench_close(&b);
		b.pipeline = NULL;
	}
	return 0;
}
