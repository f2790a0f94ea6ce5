// SPDX-License-Identifier: Apache-2.0
/* What a TPM gives out of its NV memory as certificate of its EK: n (16 bits), n bytes of the certificate, the rest are those
 * above it. The EK and the CA are fixed; the first seeds are certificates that hold for them. Also the same bytes as a file of
 * certificates, and as NV indices of a chain. */
#include "fuzz/fuzz_certificate.h"
#include "tpm/attest.h"
#include "tpm/certificate.h"
#include "tpm/der.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static const struct tpm_cas *authorities(void)
{
	static struct tpm_cas *c;
	char path[] = "/tmp/imastream-fuzz-XXXXXX";
	struct writer why = WRITER(4096);
	int fd;

	if (c)
		return c;
	fd = mkstemp(path);
	must(fd >= 0 && write(fd, fuzz_ca, sizeof(fuzz_ca)) == (ssize_t)sizeof(fuzz_ca));
	close(fd);
	must(tpm_cas_new(&c) == 0 && tpm_cas_load(c, path, &why) == 0);
	unlink(path);
	writer_free(&why);
	return c;
}

static void printable(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	must(n < size);
	for (size_t i = 0; i < n; i++)
		must(text[i] >= ' ' && text[i] <= '~');
}

static void as_file(struct bytes in)
{
	cleanup_writer_ struct writer cert = WRITER(LIMIT_CERT), chain = WRITER(LIMIT_EK_CHAIN);
	int r = tpm_cert_from_file(in, &cert, &chain);

	must(r <= 1 && (r != 0 || der_length(writer_view(&cert)) == cert.n));
}

/* The same bytes as NV indices one behind the other, as nv_read_chain() reads them: lengths (16 bits), and what each holds. */
static void as_indices(struct reader r)
{
	cleanup_writer_ struct writer pending = WRITER(2 * LIMIT_EK_CHAIN);
	static uint8_t out[LIMIT_EK_CHAIN];
	size_t n = 0, certs = 0, seen = 0;

	while (reader_left(&r) && writer_status(&pending) == 0) {
		size_t want = read_u16be(&r), before = n;
		struct bytes piece = read_bytes(&r, MIN(want, reader_left(&r)));

		write_bytes(&pending, piece.p, piece.n);
		if (writer_status(&pending) < 0 || !pending.n)
			continue;
		der_take_certs(&pending, &certs, out, &n);
		must(n >= before && n <= LIMIT_EK_CHAIN && certs <= LIMIT_EK_CHAIN_CERTS);
		must(!pending.n || pending.p[0] == 0x30);
	}
	for (size_t at = 0; at < n; seen++) {
		size_t one = der_length((struct bytes){ out + at, n - at });

		must(one > 0 && one <= LIMIT_CERT);
		at += one;
	}
	must(seen == certs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	size_t n = read_u16be(&r);
	struct bytes cert = read_bytes(&r, MIN(n, reader_left(&r))), chain = read_rest(&r);
	const struct bytes ek = { fuzz_ek, sizeof(fuzz_ek) };
	struct tpm_cert_facts facts;
	const char *detail = NULL;
	int verdict = tpm_ek_cert_check(authorities(), ek, cert, chain, FUZZ_NOW, &facts, &detail);

	must(verdict == 0 || verdict == -ENOMEM ||
	     (verdict >= REASON_EK_CERT_MISSING && verdict <= REASON_EK_CERT_INVALID));
	must(detail && (verdict > 0) == (*detail != '\0'));
	must(verdict != 0 || tpm_cert_is_for(cert, ek));
	printable(facts.manufacturer, sizeof(facts.manufacturer));
	printable(facts.model, sizeof(facts.model));
	printable(facts.version, sizeof(facts.version));
	printable(facts.serial, sizeof(facts.serial));
	printable(facts.issuer, sizeof(facts.issuer));
	verdict = tpm_ak_cert_check(authorities(), ek, cert, chain, FUZZ_NOW, NULL, &detail);
	must(verdict == 0 || verdict == -ENOMEM || verdict == REASON_IAK_CERT_INVALID);
	must(der_length(cert) <= cert.n && (!der_strict(cert) || der_length(cert) == cert.n));
	as_file((struct bytes){ data, size });
	as_indices(reader_over(data, size));
	return 0;
}
