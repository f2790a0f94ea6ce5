// SPDX-License-Identifier: Apache-2.0
#include "verifier/refusals.h"

void refusals_add(struct refusals *all, const uint8_t id[WIRE_DIGEST_SIZE], struct bytes label, enum reason reason,
		  uint64_t now_real)
{
	struct refusal new = { .reason = reason, .last_real = now_real };
	size_t at = 0;

	while (at < all->n && !bytes_equal(all->list[at].id, id, sizeof(new.id)))
		at++;
	if (at < all->n)
		new.times = all->list[at].times;
	else if (all->n < LIMIT_REFUSALS)
		at = all->n++;
	else
		at = 0;
	new.times++;
	bytes_copy(new.id, id, sizeof(new.id));
	bytes_copy(new.label, label.p, MIN(label.n, sizeof(new.label) - 1));
	for (; at + 1 < all->n; at++)
		all->list[at] = all->list[at + 1];
	all->list[at] = new;
}
