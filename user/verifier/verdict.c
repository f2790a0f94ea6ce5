// SPDX-License-Identifier: Apache-2.0
/* Stage [11], the judgement: from findings and proof to one state. There is no path from silence to trusted. */
#include "verifier/stages.h"

void verdict_count(struct boot *b, enum reason reason, enum severity severity)
{
	if (severity == SEVERITY_FAIL) {
		if (b->fails++ == 0)
			b->first_fail = reason;
	} else if (severity == SEVERITY_WARNING) {
		if (b->warnings++ == 0)
			b->first_warning = reason;
	}
	if ((unsigned int)reason < 128)
		b->reasons[reason / 64] |= 1ull << (reason % 64);
}

enum wire_state verdict_state(const struct attester *a, enum reason *why)
{
	const struct boot *proven = a->boot, *on = attester_boot(a);
	const struct boot *bad = on && on->fails ? on : proven && proven->fails ? proven : NULL;

	if (a->status != ENROL_ENROLLED) {
		*why = a->status == ENROL_REVOKED  ? REASON_ATTESTER_REVOKED :
		       a->status == ENROL_REJECTED ? REASON_ENROL_REJECTED : REASON_ENROL_PENDING;
		return a->status == ENROL_PENDING ? WIRE_STATE_ENROLLING : WIRE_STATE_UNTRUSTED;
	}
	*why = REASON_NONE;
	if (!on)
		return WIRE_STATE_ENROLLING;
	if (bad) { /* silence does not hide what is known */
		*why = bad->first_fail;
		return WIRE_STATE_UNTRUSTED;
	}
	if (a->stale) {
		*why = REASON_STALE;
		return WIRE_STATE_STALE;
	}
	if (!on->confirmed && proven) {
		*why = REASON_BOOT_UNPROVEN;
		return WIRE_STATE_REBOOTING;
	}
	if (!on->matched)
		return WIRE_STATE_UNPROVEN;
	if (on->warnings) {
		*why = on->first_warning;
		return WIRE_STATE_WARNING;
	}
	return WIRE_STATE_TRUSTED;
}

const char *verdict_state_name(enum wire_state s)
{
	switch (s) {
	case WIRE_STATE_ENROLLING:
		return "enrolling";
	case WIRE_STATE_TRUSTED:
		return "trusted";
	case WIRE_STATE_WARNING:
		return "warning";
	case WIRE_STATE_UNTRUSTED:
		return "untrusted";
	case WIRE_STATE_STALE:
		return "stale";
	case WIRE_STATE_REBOOTING:
		return "rebooting";
	case WIRE_STATE_UNPROVEN:
		return "unproven";
	}
	return "unproven";
}
