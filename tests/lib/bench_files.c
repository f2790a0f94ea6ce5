// SPDX-License-Identifier: Apache-2.0
#include "lib/bench_files.h"

#include <stdio.h>

#include "base/text.h"
#include "lib/bench.h"

uint32_t bench_mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

size_t bench_path(uint32_t i, char *out, size_t size)
{
	static const char *const parts[][3] = {
		{ "/usr/lib/x86_64-linux-gnu/perl/5.36/unit-", "/part-", ".so" },
		{ "/usr/lib/python3/dist-packages/unit_", "/module_", ".py" },
		{ "/usr/share/doc/unit-", "/examples/file-", "" },
		{ "/usr/lib/modules/6.1.0-", "-amd64/kernel/drivers/", ".ko" },
		{ "/usr/libexec/unit-", "/helper-", "" },
		{ "/opt/vendor/product-", "/lib/lib", ".so.1" },
		{ "/usr/bin/tool", "-", "" },
		{ "/usr/share/javascript/unit-", "/node_modules/part/", ".js" },
	};
	const char *const *p = parts[i % ARRAY_SIZE(parts)];

	return (size_t)snprintf(out, size, "%s%u%s%u%s", p[0], i / 64, p[1], i, p[2]);
}

void bench_digest(uint32_t i, uint8_t out[32])
{
	for (uint32_t w = 0; w < 8; w++) {
		uint32_t v = bench_mix(i * 8 + w + 1);

		memcpy(out + 4 * w, &v, sizeof(v));
	}
}

void bench_policy(struct writer *w, uint32_t n)
{
	char path[256];
	uint8_t digest[32];

	write_fmt(w, "{\"meta\":{\"version\":1,\"generator\":0},\"release\":0,\"excludes\":[\"/tmp/\",\"/var/lib/.*\\\\.pyc$\"],"
		     "\"keyrings\":{},\"ima\":{\"ignored_keyrings\":[],\"log_hash_alg\":\"sha256\",\"dm_policy\":null},"
		     "\"ima-buf\":{},\"verification-keys\":\"\",\n\"digests\":{");
	for (uint32_t i = 0; i < n; i++) {
		write_bytes(w, i ? ",\n  \"" : "\n  \"", i ? 5 : 4);
		write_bytes(w, path, bench_path(i, path, sizeof(path)));
		write_bytes(w, "\": [\"", 5);
		bench_digest(i, digest);
		write_hex(w, digest, sizeof(digest));
		write_bytes(w, "\"]", 2);
	}
	write_fmt(w, "}}\n");
	bench_need(writer_status(w) == 0, "making a policy");
}
