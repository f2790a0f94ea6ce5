/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: a process that alone holds the private key of TLS (docs/adr/0012-keeper.md). Forked before the first thread
 * and before the network opens, it reads the key file, is confined to one socket, and from then on only signs: a digest by RSA PKCS#1
 * v1.5 or ECDSA, or a block in the form of RSA-PSS. It ends with its parent.
 *
 * Messages over a SOCK_SEQPACKET pair, one question at a time, all numbers in this machine's order:
 *   question  u32 id, u8 scheme, u8 digest (enum keeper_digest), then at most KEEPER_DATA_MAX bytes
 *   answer    u32 id, u8 status (0: signed), then the signature
 * The keeper's first message is an answer with id 0: the public key (DER SubjectPublicKeyInfo), or text of what is wrong. */
#pragma once

#include "base/sandbox.h"

#define KEEPER_DATA_MAX 1024u /* RSA-8192 */
#define KEEPER_MESSAGE_MAX (KEEPER_DATA_MAX + 64u)

enum keeper_scheme {
	KEEPER_RSA_PKCS1 = 1, /* data: the digest */
	KEEPER_RSA_PSS = 2,   /* data: the encoded message (RFC 8017, 9.1.1) with a salt as long as the digest */
	KEEPER_ECDSA = 3,     /* data: the digest */
};

enum keeper_digest { KEEPER_SHA256 = 1, KEEPER_SHA384 = 2, KEEPER_SHA512 = 3 };

struct keeper;

/* Starts it. process: user and mode of its sandbox, as of the caller's own later one. There must be one thread. -EINVAL and others when the
 * key file cannot be used: *why is text of ours, valid until the next call. */
must_use_ int keeper_start(struct keeper **out, const char *key_file, const struct sandbox *process, const char **why);
/* Ends it and waits for its end. */
void keeper_free(struct keeper **k);
pid_t keeper_pid(const struct keeper *k);
/* Hangs up when the keeper is gone (EPOLLHUP, EPOLLRDHUP); never read from it. */
int keeper_fd(const struct keeper *k);

/* Any thread: a signature of at most *n bytes; *n is its size. -EIO: refused, or the keeper is gone. */
must_use_ int keeper_sign(struct keeper *k, enum keeper_scheme scheme, enum keeper_digest digest, struct bytes data,
			  uint8_t *signature, size_t *n);

/* An EVP_PKEY for OpenSSL's TLS whose private half is the keeper; k must outlive it. Released with EVP_PKEY_free(). */
struct evp_pkey_st;
must_use_ int keeper_key(struct keeper *k, struct evp_pkey_st **out);
/* DER of the public key; valid as long as k. */
struct bytes keeper_public(const struct keeper *k);

/* What the keeper's process does for one question, as bytes to bytes; for it and for tests. */
must_use_ int keeper_answer(struct evp_pkey_st *key, struct bytes question, uint8_t answer[KEEPER_MESSAGE_MAX], size_t *n);
