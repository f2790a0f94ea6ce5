// SPDX-License-Identifier: Apache-2.0
/* Certificates in files; those that are trusted. */
#include "tpm/certificate.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tpm/certificate_private.h"

#define CA_FILE_MAX (4u << 20) /* a bundle of LIMIT_EK_CAS certificates in PEM fits */

#define PEM_MARK "-----BEGIN "

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(DIR, closedir)

int tpm_cas_new(struct tpm_cas **out)
{
	struct tpm_cas *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->store = X509_STORE_new();
	if (!c->store) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void tpm_cas_free(struct tpm_cas **c)
{
	if (!*c)
		return;
	X509_STORE_free((*c)->store);
	free(*c);
	*c = NULL;
}

size_t tpm_cas_count(const struct tpm_cas *c)
{
	return (size_t)sk_X509_OBJECT_num(X509_STORE_get0_objects(c->store));
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

/* What is done with each certificate of a file: 0 to go on. */
typedef int (*cert_fn)(void *user, X509 *cert);

/* How a PEM file ends is an error for OpenSSL, too. */
static bool pem_ended(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* Never ask on the terminal. */
static int no_password(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static int each_pem(struct bytes text, cert_fn fn, void *user)
{
	cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	size_t found = 0;

	if (!bio)
		return -ENOMEM;
	for (;; found++) {
		cleanup_(X509_freep) X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
		int r;

		if (!cert)
			return found && pem_ended() ? 0 : -EBADMSG;
		r = fn(user, cert);
		if (r != 0)
			return r;
	}
}

static int each_der(struct bytes der, cert_fn fn, void *user)
{
	const unsigned char *at = der.p;
	cleanup_(X509_freep) X509 *cert = d2i_X509(NULL, &at, (long)der.n);

	return cert && at == der.p + der.n ? fn(user, cert) : -EBADMSG;
}

static bool holds(struct bytes file, const char *text)
{
	return file.n && memmem(file.p, file.n, text, strlen(text));
}

/* fn's answer when it is not 0; -EBADMSG: not certificates. */
static int each_cert(struct bytes file, cert_fn fn, void *user)
{
	int r;

	if (file.n > CA_FILE_MAX)
		return -EBADMSG;
	ERR_set_mark();
	r = holds(file, PEM_MARK) ? each_pem(file, fn, user) : each_der(file, fn, user);
	ERR_pop_to_mark();
	return r;
}

/* --- certificate authorities ---------------------------------------------------------------------------------------- */

struct adding {
	struct tpm_cas *cas;
	const char *path;
	struct writer *why;
};

static void say(struct writer *why, const char *path, const char *what)
{
	write_quoted(why, (struct bytes){ (const uint8_t *)path, strlen(path) }, 512);
	write_fmt(why, ": %s", what);
}

/* A certificate that is no CA's would, as an anchor, vouch for nothing but itself: a mistake, so it is said. */
static int add(void *user, X509 *cert)
{
	struct adding *a = user;

	if (tpm_cas_count(a->cas) >= LIMIT_EK_CAS) {
		say(a->why, a->path, "more certificates than a verifier takes");
		return 1;
	}
	if (X509_check_ca(cert) == 0) {
		say(a->why, a->path, "holds a certificate that is not a CA's (basicConstraints); list endorsement keys with "
				     "--preauth instead");
		return 1;
	}
	return X509_STORE_add_cert(a->cas->store, cert) == 1 ? 0 : -ENOMEM;
}

/* others_too: a PEM file without any certificate (a key beside its certificate) is passed over. */
static int add_file(struct tpm_cas *c, const char *path, bool others_too, struct writer *why)
{
	cleanup_writer_ struct writer w = WRITER(CA_FILE_MAX);
	struct adding a = { c, path, why };
	int r = read_file(path, &w);

	if (r == -EMSGSIZE) {
		say(why, path, "larger than any file of certificates");
		return 1;
	}
	if (r < 0) {
		say(why, path, strerror(-r));
		return r;
	}
	if (others_too && holds(writer_view(&w), PEM_MARK) && !holds(writer_view(&w), " CERTIFICATE-----"))
		return 0;
	r = each_cert(writer_view(&w), add, &a);
	if (r == -EBADMSG) {
		say(why, path, "not certificates (PEM, whole ones; or one in DER)");
		return 1;
	}
	return r;
}

static bool certificate_name(const char *name)
{
	static const char *const endings[] = { ".pem", ".crt", ".cer", ".der" };
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (n > 4 && name[0] != '.' && strcasecmp(name + n - 4, endings[i]) == 0)
			return true;
	return false;
}

static int add_folder(struct tpm_cas *c, const char *path, struct writer *why)
{
	cleanup_(DIR_freep) DIR *dir = opendir(path);
	size_t before = tpm_cas_count(c);
	struct dirent *e;
	int r = dir ? 0 : -errno;

	if (!dir)
		say(why, path, strerror(errno));
	while (r == 0 && (e = readdir(dir))) {
		cleanup_writer_ struct writer name = WRITER(8192);
		const char *full;

		if (!certificate_name(e->d_name))
			continue;
		write_fmt(&name, "%s/%s", path, e->d_name);
		full = writer_cstr(&name);
		r = full ? add_file(c, full, true, why) : -ENOMEM;
	}
	if (r == 0 && tpm_cas_count(c) == before) {
		say(why, path, "a folder without *.pem, *.crt, *.cer or *.der");
		return 1;
	}
	return r;
}

int tpm_cas_load(struct tpm_cas *c, const char *path, struct writer *why)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		int r = -errno;

		say(why, path, strerror(-r));
		return r;
	}
	return S_ISDIR(st.st_mode) ? add_folder(c, path, why) : add_file(c, path, false, why);
}

/* --- a key's own certificate ---------------------------------------------------------------------------------------- */

struct taking {
	struct writer *cert, *chain;
};

static int take(void *user, X509 *cert)
{
	struct taking *t = user;
	struct writer *w = t->cert->n ? t->chain : t->cert;
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);

	if (n <= 0)
		return -ENOMEM;
	write_bytes(w, der, (size_t)n);
	OPENSSL_free(der);
	return writer_status(w);
}

int tpm_cert_from_file(struct bytes file, struct writer *cert, struct writer *chain)
{
	struct taking t = { cert, chain };
	int r = each_cert(file, take, &t);

	return r == -EBADMSG ? 1 : r;
}
