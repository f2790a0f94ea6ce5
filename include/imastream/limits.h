/* SPDX-License-Identifier: Apache-2.0 */
/* Every hard maximum of the project. Each has a test at the maximum and one past it.
 * Sizes are bytes unless the name says otherwise. */
#pragma once

/* Measurement list (security/integrity/ima/ima_fs.c, ima_template.c) */
#define LIMIT_TEMPLATE_NAME 255u	     /* name, or the format string of a custom template */
#define LIMIT_TEMPLATE_FIELDS 15u	     /* TEMPLATE_NUM_FIELDS_MAX in security/integrity/ima/ima.h */
#define LIMIT_ENTRY_DATA (1u << 20)	     /* template data of one entry; ima-buf and modsig can be large */
#define LIMIT_PCR 23u			     /* highest PCR index that an entry may name */
#define LIMIT_LIST_FILE (1ull << 32)	     /* a measurement list given as a file */
#define LIMIT_ASCII_LINE (2u * LIMIT_ENTRY_DATA + 8192u)
#define LIMIT_LIST_PENDING (64u << 20)	     /* bytes fed to the list decoder and not yet decoded */
#define LIMIT_DIAGNOSE_WINDOW 2048u	     /* last entries among which a single fault is looked for; work is its square */
#define LIMIT_TEMPLATES 64u		     /* template names counted one by one in a report */

/* TPM structures (TPM 2.0 Library part 2) */
#define LIMIT_ATTEST 2048u
#define LIMIT_SIGNATURE 1024u
#define LIMIT_PUBLIC 1024u
#define LIMIT_NONCE 64u
#define LIMIT_PCR_SELECTIONS 16u	     /* TPML_PCR_SELECTION: HASH_COUNT of the reference code */
#define LIMIT_CERT 8192u
#define LIMIT_EK_CHAIN 16384u		     /* certificates between an EK certificate and its CA, DER, one behind the other */
#define LIMIT_EK_CHAIN_CERTS 8u
#define LIMIT_EK_CAS 1024u		     /* certificates in the --ek-ca folders */
#define LIMIT_TPM_NAME 66u		     /* TPM2B_NAME: algorithm and the largest digest */
#define LIMIT_TPM_DATA 66u		     /* TPM2B_DATA: extraData of a quote */
#define LIMIT_RSA_BITS 4096u		     /* of a key that we verify with */
#define LIMIT_PCR_FILE_LISTS 32u	     /* TPML_DIGESTs in a tpm2-tools PCR file: TPM2_MAX_PCRS */
#define LIMIT_PCR_FILE (136u + LIMIT_PCR_FILE_LISTS * 532u)

/* Wire */
#define LIMIT_MESSAGE (1280u << 10)	     /* one nng message, either way: a packed block and all members around it */
#define LIMIT_BLOCK_ENTRIES 4096u	     /* entries in one block */
#define LIMIT_BLOCK_SHAPES 255u		     /* different shapes (template, PCR, flags, digest form) in one block */
#define LIMIT_BLOCK_PLAIN (4u << 20)	     /* a block after decompression; also its entries' data put together */
#define LIMIT_BLOCK_PACKED (1088u << 10)     /* a block before decompression: one incompressible LIMIT_ENTRY_DATA fits */
#define LIMIT_BLOCK_KNOWN (512u << 10)	     /* data put together of a block with a reference set, unless it is one entry: it
					      * can then be packed again without the set */
#define LIMIT_ZSTD_WINDOW_LOG 22u
#define LIMIT_REFERENCE_RECORDS (1u << 20)   /* in one reference set; of a larger policy some entries are never short */
#define LIMIT_REFERENCE (12u + 16u * LIMIT_REFERENCE_RECORDS)
#define LIMIT_CHUNK (64u << 10)		     /* of a reference set, in one answer */
#define LIMIT_REFERENCE_PER_S (16u << 20)    /* of reference sets, to all collectors together */
#define LIMIT_INDEX (1ull << 48)	     /* entries since boot, and other running numbers: sums never overflow */
#define LIMIT_CBOR_DEPTH 4u
#define LIMIT_CBOR_ITEMS 128u		     /* members of one map or array */
#define LIMIT_LABEL 128u		     /* host label, kernel release, policy id, reject detail */
#define LIMIT_COMMITMENTS 16u		     /* verifiers that share one quote */
#define LIMIT_CREDENTIAL 1024u		     /* each half of TPM2_MakeCredential's result */
#define LIMIT_CREDENTIAL_SECRET 64u	     /* what TPM2_ActivateCredential gives back: a TPM2B_DIGEST */

/* Verifier, per attester */
#define LIMIT_UNPROVEN_WINDOW 65536u	     /* running PCR values kept while a quote is outstanding */
#define LIMIT_UNPROVEN_BYTES (512u << 20)    /* entry blocks stored since the newest proof: what nobody vouches for is bounded */
#define LIMIT_FINDINGS_KEPT 4096u	     /* findings waiting for proof, in memory */
#define LIMIT_FINDINGS 8192u		     /* of each severity told one by one, since start or a proven reboot */
#define LIMIT_SESSIONS 131072u
#define LIMIT_PENDING_SESSIONS 16u	     /* of one attester that have not shown its key yet, one of a connection */
#define LIMIT_PENDING_SPARE 16384u	     /* of all attesters, beyond the first of each */
#define LIMIT_ATTEST_PCRS 24u

/* Policy */
#define LIMIT_POLICY_FILE (512u << 20)
#define LIMIT_POLICY_EXCLUDES 4096u
#define LIMIT_EXCLUDE_PATH 8192u	     /* bytes; no longer path is excluded: twice PATH_MAX of the kernel */
#define LIMIT_REGEX 4096u
#define LIMIT_REGEX_STEPS 100000u	     /* PCRE2 match limit and backtracking depth of one exclude on one path */
#define LIMIT_REGEX_HEAP 1024u		     /* KiB that one match may take */
#define LIMIT_POLICY_DEPTH 16u		     /* nesting of the policy's JSON */
#define LIMIT_POLICY_RECORDS (1u << 30)	     /* a policy in memory, without its index */
#define LIMIT_POLICY_PROBES 512u	     /* slots of the index that one look-up sees */
#define LIMIT_POLICY_COMPILED (1536u << 20)  /* a compiled policy's file */
#define LIMIT_POLICY_TEXT (64u << 20)	     /* of it, what is not in the table, as JSON */
#define LIMIT_POLICY_REPORT 65536u	     /* text about a policy; errors and notes are counted beyond it */
#define LIMIT_TREE_DEPTH 256u		     /* directories open, one in the other, while a tree is read */
#define LIMIT_TAR_NAME 4096u		     /* a name in a package */
#define LIMIT_PACKAGE_LIST (64u << 20)	     /* files of one package, or their checksums; dpkg's status file: four times that */
#define LIMIT_KEYS 256u
#define LIMIT_BOOT_PCR_VALUES 4096u	     /* values of boot PCRs that a policy knows, in all banks together */
#define LIMIT_POLICIES 256u		     /* named policies of one verifier */
#define LIMIT_POLICY_NAME 64u
#define LIMIT_GROUP_LINES 65536u	     /* attesters and label patterns with a policy of their own */
#define LIMIT_GROUPS_FILE (16u << 20)
#define LIMIT_POLICY_KEPT (256u << 20)	     /* a policy file in the store, compressed: larger ones are not rolled back to */
#define LIMIT_POLICY_HISTORY 1000u	     /* generations of a name that are remembered, with or without their bytes */
#define LIMIT_PEM 65536u
#define LIMIT_LEARNED_KEYS 16u		     /* keys of .ima learned from one boot's list, and their DER together: kept with the boot */
#define LIMIT_LEARNED_BYTES 32768u
#define LIMIT_SIGNATURE_CACHE (1u << 20)     /* verified signatures remembered, 32 bytes each */
#define LIMIT_IMA_POLICY 262144u	     /* the text of a host's IMA policy */
#define LIMIT_IMA_POLICY_RULES 2048u
#define LIMIT_IMA_RULE_CONDITIONS 24u
#define LIMIT_IMA_POLICIES 64u		     /* texts given with --ima-policy */

/* Signed policies */
#define LIMIT_KEY_NAME 72u		     /* "sha256:", hex, NUL */
#define LIMIT_SIGNER_IDENTITY 512u	     /* subject alternative name or issuer of a certificate */
#define LIMIT_PAYLOAD_TYPE 128u		     /* of a DSSE envelope */
#define LIMIT_DSSE_SIGNATURES 32u	     /* in one envelope */
#define LIMIT_BLOB_SIGNATURE 1024u	     /* a signature file: base64 of a DER ECDSA signature */
#define LIMIT_BUNDLE (4u << 20)		     /* a Sigstore bundle beside its file */
#define LIMIT_TRUSTED_ROOT (1u << 20)
#define LIMIT_TRUST_ITEMS 256u		     /* keys; identities; authorities, logs, certificate logs of trusted roots */
#define LIMIT_TRUST_CHAIN 8u		     /* certificates of one authority */
#define LIMIT_LOG_ENTRIES 8u		     /* transparency log entries in one bundle */
#define LIMIT_LOG_BODY (64u << 10)	     /* canonicalised body of one */
#define LIMIT_LOG_PROOF 64u		     /* hashes of an inclusion proof: trees have fewer than 2^63 leaves */
#define LIMIT_CHECKPOINT 8192u
#define LIMIT_SCT_LIST 4096u

/* Programs */
#define LIMIT_CONFIG_FILE 65536u		     /* an INI file */

/* Collector */
#define LIMIT_VERIFIERS 8u
#define LIMIT_WINDOW_BYTES (16u << 20)	     /* entries kept in memory for sending; past it the list is read again */

/* Sockets (user/net) */
#define LIMIT_LISTENERS 8u		     /* addresses of one server */
#define LIMIT_SERVER_QUEUE 1024u	     /* requests received and not yet looked at; then receiving stops */
#define LIMIT_SERVER_QUEUE_BYTES (32u << 20)
#define LIMIT_SERVER_CONNECTIONS 16384u	     /* of one server; a process may have 20,000 files open on common systems */
#define LIMIT_SERVER_OUTSTANDING 32u	     /* requests of one connection without an answer; then receiving from it stops */
#define LIMIT_SERVER_PARTIAL_BYTES (64u << 20) /* behind all unfinished messages of a server; then the slowest goes */
#define LIMIT_SERVER_PATIENCE_MS 10000u	     /* for a peer in the middle of a hello, a message or an answer */
#define LIMIT_SP_HOPS 8u		     /* ids in a return address: NNG_OPT_MAXTTL's default */

/* Enrolment */
#define LIMIT_ENROL_WHY 1024u		     /* bytes of the reason that a person gives for a decision */
#define LIMIT_ENROL_LOG 1000u		     /* decisions in one answer, the newest */
#define LIMIT_USER_NAMES 1024u		     /* users of this machine whose names are known */
#define LIMIT_REFUSALS 32u		     /* hosts that nobody knows and that were refused, in the status; the newest */
#define LIMIT_ENROL_PENDING 4096u	     /* hosts that wait for somebody to approve them; then the next are told to come later */
#define LIMIT_STRANGERS_PER_S 250u	     /* identities checked of hosts that nobody knows: about a tenth of a core */
#define LIMIT_STRANGER_PER_S 2u		     /* of one connection; four seconds' worth at once */
