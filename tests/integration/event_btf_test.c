// SPDX-License-Identifier: Apache-2.0
/* include/imastream/event.h as gcc sees it, against the BTF that clang wrote into the BPF object: each struct's size and
 * member count, each member's offset and size, each enum value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/common.h"
#include "imastream/event.h"

static struct btf *btf;

struct member {
	const char *name;
	size_t offset, size;
};
#define MEMBER(s, m) { #m, offsetof(struct s, m), sizeof(((struct s *)0)->m) }

struct value {
	const char *name;
	int value;
};
#define VALUE(v) { #v, v }

static const struct btf_type *type_named(const char *name, uint32_t kind)
{
	int id = btf__find_by_name_kind(btf, name, kind);

	if (id <= 0)
		fail_msg("%s is not in the object's BTF", name);
	return btf__type_by_id(btf, (uint32_t)id);
}

static void check_struct(const char *name, size_t size, const struct member *members, size_t count)
{
	const struct btf_type *t = type_named(name, BTF_KIND_STRUCT);
	const struct btf_member *m = btf_members(t);

	assert_int_equal(t->size, size);
	if (btf_vlen(t) != count)
		fail_msg("struct %s: %u members in BTF, %zu in this test", name, btf_vlen(t), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(btf__name_by_offset(btf, m[i].name_off), members[i].name);
		assert_int_equal(btf_member_bit_offset(t, (uint32_t)i), members[i].offset * 8);
		assert_int_equal(btf__resolve_size(btf, m[i].type), members[i].size);
	}
}

static void check_enum(const char *name, const struct value *values, size_t count)
{
	const struct btf_type *t = type_named(name, BTF_KIND_ENUM);
	const struct btf_enum *e = btf_enum(t);

	if (btf_vlen(t) != count)
		fail_msg("enum %s: %u values in BTF, %zu in this test", name, btf_vlen(t), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(btf__name_by_offset(btf, e[i].name_off), values[i].name);
		assert_int_equal(e[i].val, values[i].value);
	}
}

#define CHECK_STRUCT(s, members) check_struct(#s, sizeof(struct s), members, ARRAY_SIZE(members))

static void test_structs(void **state unused_)
{
	static const struct member header[] = { MEMBER(event_header, type), MEMBER(event_header, size),
						MEMBER(event_header, seq) };
	static const struct member entry[] = {
		MEMBER(event_entry, header),	  MEMBER(event_entry, position), MEMBER(event_entry, ktime_ns),
		MEMBER(event_entry, cgroup_id),	  MEMBER(event_entry, pid),	 MEMBER(event_entry, tgid),
		MEMBER(event_entry, uid),	  MEMBER(event_entry, mnt_ns),	 MEMBER(event_entry, pcr),
		MEMBER(event_entry, flags),	  MEMBER(event_entry, drop),	 MEMBER(event_entry, data_len),
		MEMBER(event_entry, field_count), MEMBER(event_entry, name_len), MEMBER(event_entry, comm),
		MEMBER(event_entry, total),
	};
	static const struct member wake[] = { MEMBER(event_wake, header), MEMBER(event_wake, extended_seq) };
	static const struct member shared[] = {
		MEMBER(event_state, seq),
		MEMBER(event_state, extended_seq),
		MEMBER(event_state, position),
		MEMBER(event_state, signals),
		MEMBER(event_state, wakes),
		MEMBER(event_state, extend_failures),
		MEMBER(event_state, extend_failed_first),
		MEMBER(event_state, extend_failed_last),
		MEMBER(event_state, extend_error),
		MEMBER(event_state, reserved),
		MEMBER(event_state, drops),	  MEMBER(event_state, live),	 MEMBER(event_state, staged),
		MEMBER(event_state, total),
	};

	CHECK_STRUCT(event_header, header);
	CHECK_STRUCT(event_entry, entry);
	CHECK_STRUCT(event_wake, wake);
	CHECK_STRUCT(event_state, shared);
}

static void test_enums(void **state unused_)
{
	static const struct value types[] = { VALUE(EVENT_ENTRY), VALUE(EVENT_BARE), VALUE(EVENT_WAKE) };
	static const struct value drops[] = {
		VALUE(EVENT_DROP_NONE),	       VALUE(EVENT_DROP_RING_FULL),  VALUE(EVENT_DROP_OVERSIZED),
		VALUE(EVENT_DROP_READ_FAILED), VALUE(EVENT_DROP_NO_SCRATCH), VALUE(EVENT_DROP_BAD_FIELDS),
		VALUE(EVENT_DROP_NAME_TOO_LONG), VALUE(EVENT_DROP_MALFORMED), VALUE(EVENT_DROP_MISSED_RUN),
		VALUE(EVENT_DROP_COUNT),       VALUE(EVENT_DROP_ROOM),
	};
	static const struct value flags[] = { VALUE(EVENT_FLAG_VIOLATION), VALUE(EVENT_FLAG_POSITION),
					      VALUE(EVENT_FLAG_TOTAL) };

	check_enum("event_type", types, ARRAY_SIZE(types));
	check_enum("event_drop", drops, ARRAY_SIZE(drops));
	check_enum("event_flag", flags, ARRAY_SIZE(flags));
}

/* Numbers are never reused: these may be added to, not changed. */
static void test_numbers_are_frozen(void **state unused_)
{
	assert_int_equal(EVENT_ENTRY, 1);
	assert_int_equal(EVENT_BARE, 2);
	assert_int_equal(EVENT_WAKE, 3);
	assert_int_equal(EVENT_DROP_RING_FULL, 1);
	assert_int_equal(EVENT_DROP_OVERSIZED, 2);
	assert_int_equal(EVENT_DROP_READ_FAILED, 3);
	assert_int_equal(EVENT_DROP_NO_SCRATCH, 4);
	assert_int_equal(EVENT_DROP_BAD_FIELDS, 5);
	assert_int_equal(EVENT_DROP_NAME_TOO_LONG, 6);
	assert_int_equal(EVENT_DROP_MALFORMED, 7);
	assert_int_equal(EVENT_DROP_MISSED_RUN, 8);
	assert_int_equal(EVENT_SUPPORT_POLL, 1);
	assert_int_equal(EVENT_SUPPORT_SIGNAL, 2);
	assert_int_equal(EVENT_SUPPORT_ORDERED, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structs),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_numbers_are_frozen),
	};
	int failed;

	btf = btf__parse_elf(BUILD_DIR "/bpf/imastream.bpf.o", NULL);
	if (!btf) {
		print_error("no BTF in %s\n", BUILD_DIR "/bpf/imastream.bpf.o");
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	btf__free(btf);
	return failed;
}
