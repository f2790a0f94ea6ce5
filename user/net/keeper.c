// SPDX-License-Identifier: Apache-2.0
/* Both ends of the socket: starting the keeper's process, asking it. What it answers is in keeper_sign.c. */
#include "net/keeper.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PATIENCE_S 10
#define KEEPER_FD 3

struct keeper {
	pid_t pid;
	int fd;
	pthread_mutex_t lock; /* one question at a time */
	uint32_t last;
	uint8_t public_key[KEEPER_MESSAGE_MAX];
	size_t public_n;
};

/* --- the keeper's process --------------------------------------------------------------------------------------------- */

static void say(uint8_t status, struct bytes text)
{
	uint8_t message[KEEPER_MESSAGE_MAX] = { 0 };

	message[4] = status;
	bytes_copy(message + 5, text.p, MIN(text.n, sizeof(message) - 5));
	if (send(KEEPER_FD, message, 5 + MIN(text.n, sizeof(message) - 5), MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void refuse(const char *text)
{
	say(1, (struct bytes){ (const uint8_t *)text, strlen(text) });
	_exit(1);
}

static EVP_PKEY *read_key(const char *file)
{
	FILE *f = fopen(file, "re");
	EVP_PKEY *key;

	if (!f)
		refuse(strerrordesc_np(errno));
	setvbuf(f, NULL, _IONBF, 0); /* no copy of the text stays in a buffer that is freed */
	key = PEM_read_PrivateKey(f, NULL, NULL, (void *)"");
	fclose(f);
	if (!key)
		refuse("it holds no private key in PEM form without a pass phrase");
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC"))
		refuse("it is neither an RSA nor an elliptic-curve key");
	return key;
}

static void confine_keeper(const struct sandbox *process, pid_t parent)
{
	struct sandbox_report report;
	struct sandbox s = { .mode = process->mode, .calls = SANDBOX_CALLS_KEEPER, .change_user = process->change_user,
			     .user_missing = process->user_missing, .uid = process->uid, .gid = process->gid };
	const struct rlimit no_core = { 0, 0 };
	const char *why;

	(void)!setrlimit(RLIMIT_CORE, &no_core);
	if (sandbox_apply(&s, &report, &why) < 0 && s.mode != SANDBOX_STRICT)
		refuse(why);
	/* in strict mode the parent finds the same missing, and says so */
	(void)prctl(PR_SET_DUMPABLE, 0); /* both after a change of user, which resets them */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* Signs until the other end is closed. */
static void serve(EVP_PKEY *key)
{
	uint8_t question[KEEPER_MESSAGE_MAX], answer[KEEPER_MESSAGE_MAX];

	for (;;) {
		ssize_t got = recv(KEEPER_FD, question, sizeof(question), 0);
		size_t n;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(0);
		if (keeper_answer(key, (struct bytes){ question, (size_t)got }, answer, &n) < 0 ||
		    send(KEEPER_FD, answer, n, MSG_NOSIGNAL) != (ssize_t)n)
			_exit(1);
	}
}

static void warm_up(EVP_PKEY *key)
{
	static const uint8_t digest[32];
	uint8_t question[6 + sizeof(digest)] = { 0, 0, 0, 0, EVP_PKEY_is_a(key, "RSA") ? KEEPER_RSA_PKCS1 : KEEPER_ECDSA,
						 KEEPER_SHA256 };
	uint8_t answer[KEEPER_MESSAGE_MAX];
	size_t n;

	bytes_copy(question + 6, digest, sizeof(digest));
	/* what OpenSSL opens and seeds at first use must be done before there are no files */
	if (keeper_answer(key, (struct bytes){ question, sizeof(question) }, answer, &n) < 0 || answer[4] != 0)
		refuse("it cannot sign");
}

static void keep(int fd, const char *file, const struct sandbox *process, pid_t parent)
{
	uint8_t *der = NULL;
	EVP_PKEY *key;
	int n;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* a service manager ends all processes at once; this one ends with its parent */
	signal(SIGHUP, SIG_IGN);
	if (fd != KEEPER_FD && dup2(fd, KEEPER_FD) < 0)
		_exit(1);
	(void)prctl(PR_SET_NAME, "imastream-keeper");
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (close_range(KEEPER_FD + 1, ~0u, 0) < 0)
		refuse(strerrordesc_np(errno));
	key = read_key(file);
	warm_up(key);
	n = i2d_PUBKEY(key, &der);
	if (n <= 0 || (size_t)n > KEEPER_MESSAGE_MAX - 5)
		refuse("its public half is too large");
	confine_keeper(process, parent);
	say(0, (struct bytes){ der, (size_t)n });
	serve(key);
}

/* --- the parent's side ------------------------------------------------------------------------------------------------ */

/* An answer to question `id`; older ones (the asker gave up) are passed over. */
static int receive(struct keeper *k, uint32_t id, uint8_t *status, uint8_t *out, size_t *n)
{
	uint8_t message[KEEPER_MESSAGE_MAX];

	for (;;) {
		ssize_t got = recv(k->fd, message, sizeof(message), 0);
		struct reader r = reader_over(message, got > 0 ? (size_t)got : 0);
		struct bytes rest;
		uint32_t seen;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		seen = read_u32le(&r);
		*status = read_u8(&r);
		rest = read_bytes(&r, reader_left(&r));
		if (!reader_ok(&r))
			return -EIO;
		if (seen != id)
			continue;
		if (rest.n > *n)
			return -EIO;
		bytes_copy(out, rest.p, rest.n);
		*n = rest.n;
		return 0;
	}
}

static int first_words(struct keeper *k, const char **why)
{
	static char text[256];
	uint8_t status = 1;
	int r;

	k->public_n = sizeof(k->public_key);
	r = receive(k, 0, &status, k->public_key, &k->public_n);
	if (r == 0 && status == 0)
		return 0;
	snprintf(text, sizeof(text), "%.*s", r < 0 ? 0 : (int)MIN(k->public_n, (size_t)200), (const char *)k->public_key);
	*why = r < 0 ? "the process that should hold it ended" : text;
	return r < 0 ? r : -EINVAL;
}

int keeper_start(struct keeper **out, const char *key_file, const struct sandbox *process, const char **why)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	cleanup_(keeper_free) struct keeper *k = calloc(1, sizeof(*k));
	pid_t self = getpid();
	int pair[2], r;

	*why = "out of memory";
	if (!k)
		return -ENOMEM;
	k->fd = -1;
	pthread_mutex_init(&k->lock, NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	k->pid = fork();
	if (k->pid == 0)
		keep(pair[1], key_file, process, self);
	k->fd = pair[0];
	close(pair[1]);
	if (k->pid < 0)
		return -errno;
	if (setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	r = first_words(k, why);
	if (r < 0)
		return r;
	*out = TAKE_PTR(k);
	return 0;
}

void keeper_free(struct keeper **keeper)
{
	struct keeper *k = TAKE_PTR(*keeper);

	if (!k)
		return;
	fd_cleanup(&k->fd); /* the end of file ends it */
	if (k->pid > 0)
		while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	pthread_mutex_destroy(&k->lock);
	free(k);
}

pid_t keeper_pid(const struct keeper *k)
{
	return k->pid;
}

int keeper_fd(const struct keeper *k)
{
	return k->fd;
}

struct bytes keeper_public(const struct keeper *k)
{
	return (struct bytes){ k->public_key, k->public_n };
}

int keeper_sign(struct keeper *k, enum keeper_scheme scheme, enum keeper_digest digest, struct bytes data,
		uint8_t *signature, size_t *n)
{
	cleanup_writer_ struct writer question = WRITER(KEEPER_MESSAGE_MAX);
	uint8_t status = 1;
	int r;

	if (data.n > KEEPER_DATA_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&k->lock);
	write_u32le(&question, ++k->last);
	write_u8(&question, (uint8_t)scheme);
	write_u8(&question, (uint8_t)digest);
	write_bytes(&question, data.p, data.n);
	r = writer_status(&question);
	if (r == 0 && send(k->fd, question.p, question.n, MSG_NOSIGNAL) != (ssize_t)question.n)
		r = -EIO;
	if (r == 0)
		r = receive(k, k->last, &status, signature, n);
	pthread_mutex_unlock(&k->lock);
	if (r < 0)
		return r == -ENOMEM ? r : -EIO;
	return status == 0 ? 0 : -EIO;
}
