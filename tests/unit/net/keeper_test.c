// SPDX-License-Identifier: Apache-2.0
/* The keeper signs for TLS and for nothing else, and nobody but it has the key in memory. */
#include "lib/test.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/sandbox_private.h"
#include "net/keeper.h"

static char folder[] = "/tmp/imastream-keeper-XXXXXX";
static const struct sandbox plain = { .mode = SANDBOX_ON };

static int make_keys(void **state unused_)
{
	char command[2048];

	if (!mkdtemp(folder))
		return -1;
	snprintf(command, sizeof(command),
		 "set -e; cd %s; exec >/dev/null 2>&1\n"
		 "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key\n"
		 "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2049 -out odd.key\n"
		 "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key\n"
		 "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key\n"
		 "openssl genpkey -algorithm ED25519 -out ed.key\n"
		 "for k in rsa odd p256 p384; do openssl req -x509 -new -key $k.key -subj /CN=$k -days 2 -out $k.pem; done\n"
		 "openssl pkey -in rsa.key -aes128 -passout pass:x -out locked.key\n"
		 "openssl pkey -in rsa.key -pubout -out public.key\n"
		 "echo rubbish >rubbish.key\n",
		 folder);
	return system(command) == 0 ? 0 : -1;
}

static int remove_keys(void **state unused_)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static const char *file(const char *name)
{
	static char path[4][96];
	static unsigned int at;

	at = (at + 1) % 4;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder, name);
	return path[at];
}

static struct keeper *start(const char *name)
{
	struct keeper *k = NULL;
	const char *why = "";

	if (keeper_start(&k, file(name), &plain, &why) < 0)
		fail_msg("%s: %s", name, why);
	return k;
}

static void unusable(const char *name)
{
	struct keeper *k = NULL;
	const char *why = "";

	assert_true(keeper_start(&k, file(name), &plain, &why) < 0);
	assert_null(k);
	assert_true(*why != '\0');
}

static void bad_files(void **state unused_)
{
	unusable("missing.key");
	unusable("rubbish.key");
	unusable("locked.key");
	unusable("public.key");
	unusable("ed.key");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
}

/* --- TLS ---- */

static void shake_hands(const char *name, int version)
{
	cleanup_(keeper_free) struct keeper *k = start(name);
	SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
	char certificate[32];
	EVP_PKEY *key;
	BIO *a, *b;
	SSL *s, *c;
	int done = 0;

	snprintf(certificate, sizeof(certificate), "%.*s.pem", (int)strcspn(name, "."), name);
	assert_int_equal(keeper_key(k, &key), 0);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(server, file(certificate)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
	assert_int_equal(SSL_CTX_check_private_key(server), 1);
	assert_int_equal(SSL_CTX_load_verify_locations(client, file(certificate), NULL), 1);
	SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_set_min_proto_version(server, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(server, version), 1);
	s = SSL_new(server);
	c = SSL_new(client);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(s, a, a);
	SSL_set_bio(c, b, b);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	for (int i = 0; i < 20 && done != 2; i++)
		done = (SSL_do_handshake(c) == 1) + (SSL_do_handshake(s) == 1);
	assert_int_equal(done, 2);
	assert_int_equal(SSL_version(c), version);
	assert_int_equal(SSL_get_verify_result(c), X509_V_OK);
	SSL_free(s);
	SSL_free(c);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	EVP_PKEY_free(key);
}

static void tls(void **state unused_)
{
	static const char *const names[] = { "rsa.key", "odd.key", "p256.key", "p384.key" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		shake_hands(names[i], TLS1_2_VERSION);
		shake_hands(names[i], TLS1_3_VERSION);
	}
}

/* --- questions ---- */

static void refused(struct keeper *k, int scheme, int digest, const void *p, size_t n)
{
	uint8_t out[KEEPER_MESSAGE_MAX];
	size_t size = sizeof(out);

	assert_true(keeper_sign(k, (enum keeper_scheme)scheme, (enum keeper_digest)digest, (struct bytes){ p, n }, out, &size) < 0);
}

static void signs(struct keeper *k, int scheme, int digest, const void *p, size_t n)
{
	uint8_t out[KEEPER_MESSAGE_MAX];
	size_t size = sizeof(out);

	assert_int_equal(keeper_sign(k, (enum keeper_scheme)scheme, (enum keeper_digest)digest, (struct bytes){ p, n }, out, &size),
			 0);
	assert_true(size > 60);
}

static void only_signs(void **state unused_)
{
	cleanup_(keeper_free) struct keeper *k = start("rsa.key"), *ec = start("p256.key");
	static uint8_t digest[32] = { 1, 2, 3 }, big[KEEPER_DATA_MAX + 1];
	struct bytes der = keeper_public(k);
	const uint8_t *p = der.p;
	EVP_PKEY *public_key = d2i_PUBKEY(NULL, &p, (long)der.n);
	uint8_t secret[256];
	size_t n = sizeof(secret);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public_key, NULL);

	signs(k, KEEPER_RSA_PKCS1, KEEPER_SHA256, digest, 32);
	signs(ec, KEEPER_ECDSA, KEEPER_SHA256, digest, 32);
	/* what is encrypted to the key, as TLS 1.2's RSA key exchange is, is not decrypted */
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, secret, &n, digest, 32), 1);
	for (int d = KEEPER_SHA256; d <= KEEPER_SHA512; d++)
		refused(k, KEEPER_RSA_PSS, d, secret, n);
	/* not the size of the digest, no such digest or scheme, not this key's */
	refused(k, KEEPER_RSA_PKCS1, KEEPER_SHA256, digest, 31);
	refused(k, KEEPER_RSA_PKCS1, KEEPER_SHA384, digest, 32);
	refused(k, KEEPER_RSA_PKCS1, 0, digest, 32);
	refused(k, KEEPER_RSA_PKCS1, 4, digest, 32);
	refused(k, 0, KEEPER_SHA256, digest, 32);
	refused(k, 4, KEEPER_SHA256, digest, 32);
	refused(k, KEEPER_ECDSA, KEEPER_SHA256, digest, 32);
	refused(ec, KEEPER_RSA_PKCS1, KEEPER_SHA256, digest, 32);
	refused(ec, KEEPER_RSA_PSS, KEEPER_SHA256, secret, n);
	refused(k, KEEPER_RSA_PSS, KEEPER_SHA256, NULL, 0);
	refused(k, KEEPER_RSA_PSS, KEEPER_SHA256, big, KEEPER_DATA_MAX);
	refused(k, KEEPER_RSA_PSS, KEEPER_SHA256, big, sizeof(big));
	signs(k, KEEPER_RSA_PKCS1, KEEPER_SHA256, digest, 32); /* it still answers */
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(public_key);
}

/* A block of the PSS form is signed; with any byte of its padding, trailer or salt's length changed it is not. */
static void pss_form(void **state unused_)
{
	cleanup_(keeper_free) struct keeper *k = start("rsa.key");
	struct bytes der = keeper_public(k);
	const uint8_t *p = der.p;
	EVP_PKEY *public_key = d2i_PUBKEY(NULL, &p, (long)der.n), *key;
	EVP_PKEY_CTX *recover = EVP_PKEY_CTX_new(public_key, NULL), *pctx;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t signature[256], block[256];
	size_t n = sizeof(signature), size = sizeof(block);

	assert_int_equal(keeper_key(k, &key), 0);
	assert_int_equal(EVP_DigestSignInit(md, &pctx, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
	assert_int_equal(EVP_DigestSign(md, signature, &n, (const uint8_t *)"text", 4), 1);
	/* the block is what the public operation gives back */
	assert_int_equal(EVP_PKEY_verify_recover_init(recover), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(recover, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_verify_recover(recover, block, &size, signature, n), 1);
	assert_int_equal(size, 256);
	signs(k, KEEPER_RSA_PSS, KEEPER_SHA256, block, size);
	refused(k, KEEPER_RSA_PSS, KEEPER_SHA384, block, size);
	refused(k, KEEPER_RSA_PSS, KEEPER_SHA256, block, size - 1);
	for (size_t i = 0; i < size; i++) {
		if (i >= 256 - 1 - 32 - 32 && i < 256 - 1 - 32) /* the salt: any will do */
			continue;
		block[i] ^= 1;
		refused(k, KEEPER_RSA_PSS, KEEPER_SHA256, block, size);
		block[i] ^= 1;
	}
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(recover);
	EVP_PKEY_free(public_key);
	EVP_PKEY_free(key);
}

/* --- memory ---- */

/* true: the bytes are somewhere in the memory that the process can write. */
static bool holds(pid_t pid, struct bytes needle)
{
	char path[64], line[512];
	FILE *maps;
	int mem;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_non_null(maps);
	assert_true(mem >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char rights[5];
		uint8_t *copy;
		ssize_t n;

		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[1] != 'w' || to - from > 1ul << 28)
			continue;
		copy = alloc_bytes(to - from);
		n = pread(mem, copy, to - from, (off_t)from);
		found = n > 0 && memmem(copy, (size_t)n, needle.p, needle.n);
		OPENSSL_cleanse(copy, to - from);
		free(copy);
	}
	fclose(maps);
	close(mem);
	return found;
}

/* The private exponent as the numbers lie in memory (little-endian words) and as they are written in DER. A child of this
 * test tells them, so that the test itself never has them... until then. */
static void read_exponent(const char *name, const char *parameter, uint8_t *little, uint8_t *big, size_t n)
{
	FILE *f = fopen(file(name), "re");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	BIGNUM *d = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &d), 1);
	assert_int_equal(BN_bn2lebinpad(d, little, (int)n), (int)n);
	assert_int_equal(BN_bn2binpad(d, big, (int)n), (int)n);
	BN_clear_free(d);
	EVP_PKEY_free(key);
	fclose(f);
}

static void memory_of(const char *name, const char *parameter, size_t n)
{
	cleanup_(keeper_free) struct keeper *k = start(name);
	static uint8_t little[256], big[256];
	uint8_t signature[KEEPER_MESSAGE_MAX], digest[32] = { 7 };
	size_t size = sizeof(signature);
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork(); /* the part that serves TLS: has the key of OpenSSL, and uses it */
	assert_true(pid >= 0);
	if (pid == 0) {
		EVP_PKEY *key;
		EVP_MD_CTX *md = EVP_MD_CTX_new();

		close(ready[0]);
		if (keeper_key(k, &key) < 0 || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
		    EVP_DigestSign(md, signature, &size, digest, sizeof(digest)) != 1 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	read_exponent(name, parameter, little, big, n);
	assert_true(holds(keeper_pid(k), (struct bytes){ little, n })); /* the search finds what is there */
	assert_false(holds(pid, (struct bytes){ little, n }));
	assert_false(holds(pid, (struct bytes){ big, n }));
	OPENSSL_cleanse(little, sizeof(little));
	OPENSSL_cleanse(big, sizeof(big));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
}

static void memory(void **state unused_)
{
	if (geteuid() != 0)
		skip(); /* the keeper's memory is closed to its own user */
	memory_of("rsa.key", OSSL_PKEY_PARAM_RSA_D, 256);
	memory_of("p256.key", OSSL_PKEY_PARAM_PRIV_KEY, 32);
}

/* --- life ---- */

#ifdef __SANITIZE_THREAD__
#define THREADS "Threads:\t2\n" /* ThreadSanitizer has one of its own */
#else
#define THREADS "Threads:\t1\n"
#endif

static void is_confined(void **state unused_)
{
	cleanup_(keeper_free) struct keeper *k = start("p256.key");
	char path[64], line[256];
	unsigned int good = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)keeper_pid(k));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		good += strcmp(line, "NoNewPrivs:\t1\n") == 0 || strcmp(line, "Seccomp:\t2\n") == 0 ||
			strcmp(line, "CapEff:\t0000000000000000\n") == 0 || strcmp(line, THREADS) == 0;
	fclose(f);
	assert_int_equal(good, 4);
}

static void ends(void **state unused_)
{
	static const uint8_t digest[32];
	struct keeper *k = start("p256.key");
	pid_t pid = keeper_pid(k);
	uint8_t out[KEEPER_MESSAGE_MAX];
	size_t n = sizeof(out);

	assert_int_equal(kill(pid, SIGTERM), 0); /* not its business */
	signs(k, KEEPER_ECDSA, KEEPER_SHA256, digest, 32);
	kill(pid, SIGKILL);
	assert_int_equal(keeper_sign(k, KEEPER_ECDSA, KEEPER_SHA256, (struct bytes){ digest, 32 }, out, &n), -EIO);
	keeper_free(&k);
	k = start("p256.key");
	pid = keeper_pid(k);
	keeper_free(&k);
	assert_int_equal(kill(pid, 0), -1);
	keeper_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files), cmocka_unit_test(memory), cmocka_unit_test(tls), cmocka_unit_test(only_signs),
		cmocka_unit_test(pss_form), cmocka_unit_test(is_confined), cmocka_unit_test(ends),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
