// SPDX-License-Identifier: Apache-2.0
/* Who may talk to whom over TLS. The certificates are made by openssl(1) for each run of this test. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "unit/net/net_helper.h"

static char dir[64];

static int make_certificates(void **state)
{
	static const char script[] =
		"set -e; cd '%s'; exec >/dev/null 2>&1\n"
		"key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
		"ca() { key $1; openssl req -x509 -new -key $1.key -subj \"/CN=test $1\" -days 2 -out $1.pem; }\n"
		"leaf() { key $1; openssl req -new -key $1.key -subj \"/CN=$1\" -out $1.csr;\n"
		"  printf '%%b' \"$3\" > $1.ext;\n"
		"  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
		"ca ca; ca other\n"
		"leaf server ca 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf named ca 'subjectAltName=DNS:localhost\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf elsewhere ca 'subjectAltName=DNS:verifier.example\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf localhost ca 'basicConstraints=CA:FALSE\\n'\n" /* the name in the subject only */
		"leaf client ca 'extendedKeyUsage=clientAuth\\n'\n"
		"leaf stranger other 'extendedKeyUsage=clientAuth\\n'\n"
		"echo rubbish > rubbish.pem\n";
	char command[2048];

	(void)state;
	temp_dir(dir);
	snprintf(command, sizeof(command), script, dir);
	return system(command) == 0 ? 0 : -1;
}

static int remove_certificates(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

/* Path of a certificate file; the texts live as long as the test. */
static const char *file(const char *name)
{
	static char ring[16][128];
	static unsigned int next;
	char *path = ring[next++ % ARRAY_SIZE(ring)];

	snprintf(path, sizeof(ring[0]), "%s/%s", dir, name);
	return path;
}

static struct net_tls server_tls(bool require)
{
	return (struct net_tls){ .cert = file("server.pem"),
				 .key = file("server.key"),
				 .ca = require ? file("ca.pem") : NULL,
				 .require_peer_cert = require };
}

static struct net_tls client_tls(const char *ca, const char *own, const char *name)
{
	struct net_tls tls = { .ca = file(ca), .server_name = name };
	char text_name[32];

	if (own) {
		snprintf(text_name, sizeof(text_name), "%s.pem", own);
		tls.cert = file(text_name);
		snprintf(text_name, sizeof(text_name), "%s.key", own);
		tls.key = file(text_name);
	}
	return tls;
}

/* "tls+tcp://localhost:PORT" */
static void named_url(const struct net_server *s, char url[80])
{
	snprintf(url, 80, "tls+tcp://localhost:%s", strrchr(net_server_url(s, 0), ':') + 1);
}

static void talks(struct net_server *s, const char *url, const struct net_tls *tls, bool verified)
{
	struct net_client *c = new_client(url, tls);
	struct net_request *r;
	struct net_completion done;
	char address[80];

	exchange(c, s, "question", "answer");
	assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("who"), PATIENCE_MS), 0);
	r = await_request_of(c, s);
	assert_int_equal(net_request_peer_verified(r), verified);
	net_request_address(r, address, sizeof(address));
	assert_memory_equal(address, "127.0.0.1:", 10);
	net_request_reply(s, &r, text("you"));
	done = await_completion(c);
	assert_int_equal(done.status, 0);
	net_client_free(&c);
}

/* Tries for a while, gets nothing, and nothing arrives. */
static void never_talks(struct net_server *s, const char *url, const struct net_tls *tls)
{
	struct net_client *c = new_client(url, tls);
	struct net_completion done;

	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("secret"), 700), 0);
	done = await_completion(c);
	assert_int_equal(done.slot, NET_SLOT_EVIDENCE);
	assert_int_equal(done.status, -ETIMEDOUT);
	assert_null(net_server_next(s));
	net_client_free(&c);
}

static void test_server_certificate(void **state)
{
	struct net_tls st = server_tls(false), good = client_tls("ca.pem", NULL, NULL);
	struct net_tls named = client_tls("ca.pem", NULL, "localhost"), with_cert = client_tls("ca.pem", "client", NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	char url[80];

	(void)state;
	named_url(s, url);
	talks(s, url, &good, false);
	talks(s, net_server_url(s, 0), &named, false);
	talks(s, url, &with_cert, false); /* nobody asked for it */
	net_server_free(&s);
}

static void test_wrong_ca(void **state)
{
	struct net_tls st = server_tls(false), wrong = client_tls("other.pem", NULL, NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	char url[80];

	(void)state;
	named_url(s, url);
	never_talks(s, url, &wrong);
	net_server_free(&s);
}

/* A good certificate of the right CA, for another name. The default is the URL's host. */
static void test_wrong_name(void **state)
{
	struct net_tls st = server_tls(false), wrong = client_tls("ca.pem", NULL, "verifier.example");
	struct net_tls self = { .ca = file("ca.pem"), .cert = file("client.pem"), .key = file("client.key") };
	struct net_tls subject = { .cert = file("localhost.pem"), .key = file("localhost.key") };
	struct net_tls impostor = { .cert = file("client.pem"), .key = file("client.key") };
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	char url[80];

	(void)state;
	named_url(s, url);
	never_talks(s, url, &wrong);
	net_server_free(&s);
	/* a client's certificate used as a server's: name and purpose differ */
	s = new_server("tls+tcp://127.0.0.1:0", &impostor);
	named_url(s, url);
	never_talks(s, url, &self);
	net_server_free(&s);
	/* the name in the subject alone */
	s = new_server("tls+tcp://127.0.0.1:0", &subject);
	named_url(s, url);
	never_talks(s, url, &self);
	net_server_free(&s);
}

/* Without server_name the URL's host must be in the certificate. */
static void test_default_name(void **state)
{
	struct net_tls elsewhere = { .cert = file("elsewhere.pem"), .key = file("elsewhere.key") };
	struct net_tls named = { .cert = file("named.pem"), .key = file("named.key") };
	struct net_tls by_url = client_tls("ca.pem", NULL, NULL), told = client_tls("ca.pem", NULL, "verifier.example");
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &elsewhere);
	char url[80];

	(void)state;
	named_url(s, url);
	never_talks(s, url, &by_url);
	talks(s, url, &told, false);
	net_server_free(&s);
	s = new_server("tls+tcp://127.0.0.1:0", &named);
	never_talks(s, net_server_url(s, 0), &by_url); /* an address is not a name of this certificate */
	net_server_free(&s);
}

static void test_client_certificate(void **state)
{
	struct net_tls st = server_tls(true), good = client_tls("ca.pem", "client", NULL);
	struct net_tls none = client_tls("ca.pem", NULL, NULL), foreign = client_tls("ca.pem", "stranger", NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	char url[80];

	(void)state;
	named_url(s, url);
	talks(s, url, &good, true);
	never_talks(s, url, &none);
	never_talks(s, url, &foreign);
	talks(s, url, &good, true); /* the others did no harm */
	net_server_free(&s);
}

/* Asked for, and not required: none is fine, a wrong one is not. */
static void test_optional_certificate(void **state)
{
	struct net_tls st = server_tls(false), good = client_tls("ca.pem", "client", NULL);
	struct net_tls none = client_tls("ca.pem", NULL, NULL), foreign = client_tls("ca.pem", "stranger", NULL);
	struct net_server *s;
	char url[80];

	(void)state;
	st.ca = file("ca.pem");
	s = new_server("tls+tcp://127.0.0.1:0", &st);
	named_url(s, url);
	talks(s, url, &good, true);
	talks(s, url, &none, false);
	never_talks(s, url, &foreign);
	net_server_free(&s);
}

/* No way down to plain text, on either side. */
static void test_no_downgrade(void **state)
{
	struct net_tls st = server_tls(false), ct = client_tls("ca.pem", NULL, NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st), *plain = new_server("tcp://127.0.0.1:0", NULL);
	char url[80];

	(void)state;
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%s", strrchr(net_server_url(s, 0), ':') + 1);
	never_talks(s, url, NULL);
	named_url(plain, url);
	never_talks(plain, url, &ct);
	net_server_free(&s);
	net_server_free(&plain);
}

static void test_configuration(void **state)
{
	const char *why = NULL;
	struct net_client *c = NULL;
	struct net_server *s = NULL;
	struct net_tls bad[] = {
		{ 0 },
		{ .cert = file("server.pem") },
		{ .cert = file("server.pem"), .key = file("server.key"), .require_peer_cert = true }, /* whose certificates? */
		{ .cert = file("missing.pem"), .key = file("server.key") },
		{ .cert = file("server.pem"), .key = file("missing.key") },
		{ .cert = file("rubbish.pem"), .key = file("server.key") },
		{ .cert = file("server.pem"), .key = file("rubbish.pem") },
		{ .cert = file("server.pem"), .key = file("server.key"), .ca = file("rubbish.pem") },
	};
	struct net_tls bad_client[] = {
		{ 0 },
		{ .cert = file("client.pem"), .key = file("client.key") }, /* no CA: would trust anybody */
		{ .ca = file("missing.pem") },
		{ .ca = file("rubbish.pem") },
		{ .ca = file("ca.pem"), .cert = file("client.pem") },
		{ .ca = file("ca.pem"), .key = file("client.key") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(net_server_new(&s, &bad[i]), 0);
		why = NULL;
		assert_true(net_server_listen(s, "tls+tcp://127.0.0.1:0", &why) < 0);
		assert_non_null(why);
		net_server_free(&s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_client); i++) {
		assert_true(net_client_new(&c, "tls+tcp://localhost:1", &bad_client[i]) < 0);
		assert_null(c);
	}
}

/* A peer that connects and stays silent, and one that talks rubbish, cost the others nothing. */
static void test_half_open(void **state)
{
	struct net_tls st = server_tls(false), good = client_tls("ca.pem", NULL, NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char url[80];
	int fds[20];

	(void)state;
	named_url(s, url);
	sa.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
		if (i % 2)
			assert_int_equal(send(fds[i], "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	}
	talks(s, url, &good, false);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	net_server_free(&s);
}

struct bully {
	struct sockaddr_in address;
	SSL_CTX *ctx;
	unsigned int id, greeted;
};

/* Ends in the middle of the handshake, or after a run of requests and perhaps one answer: by a reset. */
static void bully_once(struct bully *b, unsigned int round)
{
	static const uint8_t request[] = { 0, 0, 0, 0, 0, 0, 0, 6, 0x80, 0, 0, 1, 'h', 'i' };
	struct linger now = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl = SSL_new(b->ctx);
	uint8_t some[64];

	if (connect(fd, (struct sockaddr *)&b->address, sizeof(b->address)) == 0 && SSL_set_fd(ssl, fd) == 1) {
		if (round % 5 == 0) {
			/* the first bytes of a handshake record, and no more */
			if (send(fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL) != 6)
				b->greeted = 0;
		} else if (SSL_connect(ssl) == 1 && SSL_write(ssl, "\0SP\0\0\x30\0\0", 8) == 8) {
			b->greeted++;
			for (unsigned int i = 0; i < 1 + (round + b->id) % 50; i++)
				if (SSL_write(ssl, request, sizeof(request)) <= 0)
					break;
			if (round % 2)
				SSL_read(ssl, some, sizeof(some));
		}
	}
	SSL_free(ssl);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void *bully(void *arg)
{
	sigset_t pipe;

	/* OpenSSL's own writes, here only: what the server writes must not raise it */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	for (unsigned int round = 0; round < 60; round++)
		bully_once(arg, round);
	return NULL;
}

static void test_resetting_peers(void **state)
{
	struct net_tls st = server_tls(false), good = client_tls("ca.pem", NULL, NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct bully bullies[4];
	pthread_t threads[ARRAY_SIZE(bullies)];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	unsigned int served = 0;
	char url[80];

	(void)state;
	assert_non_null(ctx);
	named_url(s, url);
	for (unsigned int i = 0; i < ARRAY_SIZE(bullies); i++) {
		bullies[i] = (struct bully){ .ctx = ctx, .id = i };
		bullies[i].address = (struct sockaddr_in){ .sin_family = AF_INET };
		bullies[i].address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bullies[i].address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
		assert_int_equal(pthread_create(&threads[i], NULL, bully, &bullies[i]), 0);
	}
	for (int quiet = 0; quiet < 20;) {
		struct net_request *r = net_server_next(s);

		if (r) {
			net_request_reply(s, &r, text("an answer that nobody may be there to read"));
			served++;
		} else if (!is_readable(net_server_fd(s), 50)) {
			quiet = net_server_connections(s) == 0 ? quiet + 1 : 0;
		}
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(bullies); i++) {
		pthread_join(threads[i], NULL);
		assert_true(bullies[i].greeted > 0);
	}
	while (net_server_connections(s) > 0) {
		struct net_request *r = net_server_next(s);

		net_request_drop(&r);
		is_readable(net_server_fd(s), 10);
	}
	assert_true(served > 0);
	for (struct net_request *r; (r = net_server_next(s));)
		net_request_drop(&r);
	talks(s, url, &good, false);
	SSL_CTX_free(ctx);
	net_server_free(&s);
}

/* --- records without data, for ever ---- */

struct flood {
	SSL_CTX *ctx;
	struct sockaddr_in address; /* of whom to flood; or of nobody: */
	int listening;
	const char *hello;
	atomic_bool stop;
	atomic_uint sent;
};

static void flood_stream(struct flood *f, SSL *ssl, int fd)
{
	BIO *memory = BIO_new(BIO_s_mem());

	BIO_up_ref(memory);
	SSL_set0_wbio(ssl, memory);
	while (!atomic_load(&f->stop)) {
		char *p;
		long n;

		for (int i = 0; i < 500 && SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1; i++)
			if (SSL_do_handshake(ssl) != 1)
				break;
		n = BIO_get_mem_data(memory, &p);
		for (long at = 0; at < n && !atomic_load(&f->stop);) {
			ssize_t r = send(fd, p + at, (size_t)(n - at), MSG_NOSIGNAL | MSG_DONTWAIT);

			if (r > 0)
				at += r;
			else if (errno != EAGAIN)
				atomic_store(&f->stop, true);
			else
				poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 50);
		}
		(void)BIO_reset(memory);
		atomic_fetch_add(&f->sent, 1);
	}
	BIO_free(memory);
}

static void *flooder(void *arg)
{
	struct flood *f = arg;
	bool server = f->listening >= 0;
	SSL *ssl = SSL_new(f->ctx);
	int fd = server ? accept(f->listening, NULL, NULL) : socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && (server || connect(fd, (struct sockaddr *)&f->address, sizeof(f->address)) == 0) && SSL_set_fd(ssl, fd) == 1 &&
	    (server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 && SSL_write(ssl, f->hello, 8) == 8)
		flood_stream(f, ssl, fd);
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* A server goes on with the others. */
static void test_flooded_server(void **state)
{
	struct net_tls st = server_tls(false), ct = client_tls("ca.pem", NULL, NULL);
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct flood f = { .ctx = SSL_CTX_new(TLS_client_method()), .listening = -1, .hello = "\0SP\0\0\x30\0\0" };
	struct net_client *c;
	pthread_t thread;
	char url[80];

	(void)state;
	named_url(s, url);
	f.address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					  .sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1)) };
	assert_int_equal(pthread_create(&thread, NULL, flooder, &f), 0);
	while (atomic_load(&f.sent) < 2 && !atomic_load(&f.stop))
		usleep(1000);
	c = new_client(url, &ct);
	for (int i = 0; i < 20; i++)
		exchange(c, s, "question", "answer");
	assert_false(atomic_load(&f.stop));
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	net_client_free(&c);
	net_server_free(&s);
	SSL_CTX_free(f.ctx);
}

/* A client's calls end: its owner has others to talk to. */
static void test_flooded_client(void **state)
{
	struct net_tls ct = client_tls("ca.pem", NULL, NULL);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct flood f = { .ctx = SSL_CTX_new(TLS_server_method()), .hello = "\0SP\0\0\x31\0\0" };
	struct net_completion done;
	struct net_client *c;
	socklen_t n = sizeof(sa);
	pthread_t thread;
	char url[80];

	(void)state;
	assert_int_equal(SSL_CTX_use_certificate_chain_file(f.ctx, file("server.pem")), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(f.ctx, file("server.key"), SSL_FILETYPE_PEM), 1);
	f.listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f.listening, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(f.listening, 1), 0);
	assert_int_equal(getsockname(f.listening, (struct sockaddr *)&sa, &n), 0);
	snprintf(url, sizeof(url), "tls+tcp://localhost:%u", ntohs(sa.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, flooder, &f), 0);
	c = new_client(url, &ct);
	for (int calls = 0; calls < 50 || !net_client_connected(c); calls++) {
		assert_true(is_readable(net_client_fd(c), PATIENCE_MS));
		assert_false(net_client_next(c, &done));
	}
	assert_false(atomic_load(&f.stop));
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	net_client_free(&c);
	close(f.listening);
	SSL_CTX_free(f.ctx);
}

/* One file of the folder under another name, or over another one. */
static void copy_file(const char *from, const char *to)
{
	char command[300];

	snprintf(command, sizeof(command), "cp '%s/%s' '%s/%s'", dir, from, dir, to);
	assert_int_equal(system(command), 0);
}

/* Certificates that were renewed while nobody was connected. */
static void test_renewed_files(void **state)
{
	struct net_tls st = server_tls(false), ct = { .ca = file("renewed.pem") };
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct net_completion done;
	struct net_client *c;
	char url[80];

	(void)state;
	copy_file("other.pem", "renewed.pem"); /* the wrong one */
	named_url(s, url);
	c = new_client(url, &ct);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("x"), 700), 0);
	done = await_completion(c);
	assert_int_equal(done.status, -ETIMEDOUT);
	copy_file("rubbish.pem", "renewed.pem"); /* as if it was being written */
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("x"), 700), 0);
	done = await_completion(c);
	assert_int_equal(done.status, -ETIMEDOUT);
	copy_file("ca.pem", "renewed.pem");
	exchange(c, s, "question", "answer");
	net_client_free(&c);
	net_server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_certificate), cmocka_unit_test(test_wrong_ca),
		cmocka_unit_test(test_wrong_name),	   cmocka_unit_test(test_default_name),
		cmocka_unit_test(test_client_certificate), cmocka_unit_test(test_optional_certificate),
		cmocka_unit_test(test_no_downgrade),	   cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_half_open),	   cmocka_unit_test(test_resetting_peers),
		cmocka_unit_test(test_flooded_server),	   cmocka_unit_test(test_flooded_client),
		cmocka_unit_test(test_renewed_files),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
