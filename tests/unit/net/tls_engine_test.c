// SPDX-License-Identifier: Apache-2.0
/* OpenSSL as nng's TLS: versions, names and addresses, dates, keys in a keeper. Certificates are made for each run. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "imastream/limits.h"
#include <stdatomic.h>

#include "net/keeper.h"
#include "unit/net/net_helper.h"

static char dir[64];
static struct keeper *server_keeper, *client_keeper;

static const char *file(const char *name)
{
	static char ring[16][128];
	static unsigned int next;
	char *path = ring[next++ % ARRAY_SIZE(ring)];

	snprintf(path, sizeof(ring[0]), "%s/%s", dir, name);
	return path;
}

static int set_up(void **state)
{
	static const char script[] =
		"set -e; cd '%s'; exec >/dev/null 2>&1\n"
		"key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
		"ca() { key $1; openssl req -x509 -new -key $1.key -subj \"/CN=test $1\" -days 2 -out $1.pem; }\n"
		"leaf() { key $1; openssl req -new -key $1.key -subj \"/CN=$1\" -out $1.csr;\n"
		"  printf '%%b' \"$4\" > $1.ext;\n"
		"  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days $3 -extfile $1.ext -out $1.pem; }\n"
		"ca ca\n"
		"leaf server ca 2 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf other-address ca 2 'subjectAltName=DNS:127.0.0.1,IP:127.0.0.2\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf expired ca -1 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n'\n"
		"leaf client ca 2 'extendedKeyUsage=clientAuth\\n'\n";
	static const struct sandbox plain = { .mode = SANDBOX_ON };
	const char *why = "";
	char command[2048];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "/tmp/imastream-engine-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(command, sizeof(command), script, dir);
	if (system(command) != 0)
		return -1;
	/* before nng has threads */
	if (keeper_start(&server_keeper, file("server.key"), &plain, &why) < 0 ||
	    keeper_start(&client_keeper, file("client.key"), &plain, &why) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	keeper_free(&server_keeper);
	keeper_free(&client_keeper);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static struct net_tls server_of(const char *name)
{
	char pem[32], key[32];

	snprintf(pem, sizeof(pem), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	return (struct net_tls){ .cert = file(pem), .key = file(key) };
}

static void tries(const char *certificate, const char *url_name, bool works)
{
	struct net_tls st = server_of(certificate), ct = { .ca = file("ca.pem") };
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct net_completion done;
	struct net_client *c;
	char url[80];

	snprintf(url, sizeof(url), "tls+tcp://%s:%s", url_name, strrchr(net_server_url(s, 0), ':') + 1);
	c = new_client(url, &ct);
	if (works) {
		exchange(c, s, "question", "answer");
	} else {
		assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("secret"), 700), 0);
		done = await_completion(c);
		assert_int_equal(done.status, -ETIMEDOUT);
		assert_null(net_server_next(s));
	}
	net_client_free(&c);
	net_server_free(&s);
}

static void test_addresses(void **state)
{
	(void)state;
	tries("server", "127.0.0.1", true);
	tries("server", "localhost", true);
	tries("other-address", "127.0.0.1", false); /* another address; and as a DNS name it does not count */
}

static void test_expired(void **state)
{
	(void)state;
	tries("expired", "127.0.0.1", false);
}

/* --- versions: the other end is OpenSSL without nng, and takes one version only ---- */

static int listen_plain(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

struct going {
	struct net_client *client;
	atomic_bool *stop;
};

/* A client does what it does in the thread that owns it: this one, while the test is busy with the other end. */
static void *keep_going(void *arg)
{
	struct going g = *(struct going *)arg;
	struct net_completion done;

	while (!atomic_load(g.stop))
		if (is_readable(net_client_fd(g.client), 20) && net_client_next(g.client, &done))
			return NULL;
	return NULL;
}

static void client_speaks(int version)
{
	atomic_bool stop = false;
	pthread_t thread;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct net_tls ct = { .ca = file("ca.pem"), .cert = file("client.pem"), .key = file("client.key"),
			      .keeper = client_keeper };
	struct net_client *c;
	char url[80], hello[8];
	uint16_t port;
	int listener = listen_plain(&port), fd;
	SSL *ssl;

	assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, file("server.pem")), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, file("server.key"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_load_verify_locations(ctx, file("ca.pem"), NULL), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	snprintf(url, sizeof(url), "tls+tcp://localhost:%u", port);
	c = new_client(url, &ct);
	assert_int_equal(pthread_create(&thread, NULL, keep_going, &(struct going){ .client = c, .stop = &stop }), 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	ssl = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	assert_int_equal(SSL_accept(ssl), 1);
	assert_int_equal(SSL_version(ssl), version);
	assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "localhost");
	assert_int_equal(SSL_read(ssl, hello, sizeof(hello)), 8); /* the hello comes through it */
	assert_memory_equal(hello, "\0SP\0", 4);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	SSL_free(ssl);
	close(fd);
	close(listener);
	net_client_free(&c);
	SSL_CTX_free(ctx);
}

static int server_speaks(const char *url, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), seen = 0;
	SSL *ssl = SSL_new(ctx);

	assert_int_equal(SSL_CTX_load_verify_locations(ctx, file("ca.pem"), NULL), 1);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_set_min_proto_version(ssl, version), 1);
	assert_int_equal(SSL_set_max_proto_version(ssl, version), 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	if (SSL_connect(ssl) == 1)
		seen = SSL_version(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return seen;
}

static void test_versions(void **state)
{
	struct net_tls st = server_of("server");
	struct net_pub *p = NULL;
	const char *why = "";

	(void)state;
	client_speaks(TLS1_3_VERSION);
	client_speaks(TLS1_2_VERSION);
	st.keeper = server_keeper;
	assert_int_equal(net_pub_new(&p, "tls+tcp://127.0.0.1:0", &st, &why), 0);
	assert_int_equal(server_speaks(net_pub_url(p), TLS1_3_VERSION), TLS1_3_VERSION);
	assert_int_equal(server_speaks(net_pub_url(p), TLS1_2_VERSION), TLS1_2_VERSION);
	assert_int_equal(server_speaks(net_pub_url(p), TLS1_1_VERSION), 0);
	net_pub_free(&p);
}

/* Both keys in keepers, and key files that cannot be read: a certificate that was asked for, a message of the largest size. */
static void test_keepers(void **state)
{
	struct net_tls st = { .cert = file("server.pem"), .key = file("missing"), .ca = file("ca.pem"), .require_peer_cert = true,
			      .keeper = server_keeper };
	struct net_tls ct = { .ca = file("ca.pem"), .cert = file("client.pem"), .key = file("missing"), .keeper = client_keeper };
	struct net_server *s = new_server("tls+tcp://127.0.0.1:0", &st);
	struct net_client *c = new_client(net_server_url(s, 0), &ct);
	char *large = malloc(LIMIT_MESSAGE);
	struct net_completion done;
	struct net_request *r;

	(void)state;
	assert_non_null(large);
	for (size_t i = 0; i < LIMIT_MESSAGE; i++)
		large[i] = (char)(i * 7 + i / 251);
	for (int i = 0; i < 20; i++)
		exchange(c, s, "question", "answer");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, (struct bytes){ (uint8_t *)large, LIMIT_MESSAGE }, PATIENCE_MS),
				 0);
		r = await_request_of(c, s);
		assert_true(net_request_peer_verified(r));
		assert_int_equal(net_request_message(r).n, LIMIT_MESSAGE);
		assert_memory_equal(net_request_message(r).p, large, LIMIT_MESSAGE);
		net_request_reply(s, &r, (struct bytes){ (uint8_t *)large, LIMIT_MESSAGE });
		done = await_completion(c);
		assert_int_equal(done.status, 0);
		assert_int_equal(done.message.n, LIMIT_MESSAGE);
		assert_memory_equal(done.message.p, large, LIMIT_MESSAGE);
	}
	free(large);
	net_client_free(&c);
	net_server_free(&s);
}

/* A certificate that is not the keeper's key's is refused at once. */
static void test_mismatch(void **state)
{
	struct net_tls st = { .cert = file("client.pem"), .key = file("client.key"), .keeper = server_keeper };
	struct net_server *s = NULL;
	struct net_pub *p = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(net_server_new(&s, &st), 0);
	assert_true(net_server_listen(s, "tls+tcp://127.0.0.1:0", &why) < 0);
	assert_true(net_pub_new(&p, "tls+tcp://127.0.0.1:0", &st, &why) < 0);
	net_server_free(&s);
}

static void test_publish(void **state)
{
	struct net_tls st = server_of("server"), ct = { .ca = file("ca.pem") };
	struct net_sub *sub = NULL;
	struct net_pub *pub = NULL;
	struct bytes message;
	const char *why = "";

	(void)state;
	st.keeper = server_keeper;
	assert_int_equal(net_pub_new(&pub, "tls+tcp://127.0.0.1:0", &st, &why), 0);
	assert_int_equal(net_sub_new(&sub, net_pub_url(pub), &ct), 0);
	while (!net_sub_connected(sub)) {
		assert_true(is_readable(net_sub_fd(sub), PATIENCE_MS));
		assert_false(net_sub_next(sub, &message));
	}
	for (unsigned int i = 0;; i++) { /* the subscription itself is under way when the connection is there */
		net_pub_send(pub, text("event"));
		if (is_readable(net_sub_fd(sub), 50) && net_sub_next(sub, &message))
			break;
		assert_true(i < 200);
	}
	assert_bytes(message, "event");
	net_sub_free(&sub);
	net_pub_free(&pub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_expired), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_keepers),	  cmocka_unit_test(test_mismatch), cmocka_unit_test(test_publish),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
