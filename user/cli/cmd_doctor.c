// SPDX-License-Identifier: Apache-2.0
/* imastream doctor: can this host run a collector? Numbered checks: OK, WARN or FAIL, each with a remedy. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "collector/list.h"
#include "collector/ring.h"
#include "ima/list.h"
#include "ima/replay.h"
#include "tpm/device.h"

struct check {
	const char *name;
	enum check_result result;
	char found[256];
	const char *remedy; /* NULL when nothing is to be done */
};

#define CHECKS_MAX 64
struct doctor {
	struct check checks[CHECKS_MAX];
	size_t n;
	const char *securityfs, *tcti;
	struct ima_replay replay;
	bool list_checked, have_list;
	bool trimmed; /* the list does not begin with this boot's first entry */
	unsigned int banks;
};

void doctor_report(struct doctor *d, const char *name, enum check_result result, const char *remedy, const char *fmt, ...)
{
	struct check *c;
	va_list ap;

	if (d->n == CHECKS_MAX)
		return;
	c = &d->checks[d->n++];
	*c = (struct check){ .name = name, .result = result, .remedy = result == CHECK_OK ? NULL : remedy };
	va_start(ap, fmt);
	vsnprintf(c->found, sizeof(c->found), fmt, ap);
	va_end(ap);
}

static void check_rights(struct doctor *d)
{
	if (geteuid() == 0)
		doctor_report(d, "rights", CHECK_OK, NULL, "running as root");
	else
		doctor_report(d, "rights", CHECK_WARN, "run it as root: the list, the TPM and BPF need it", "running as user %u",
		       (unsigned int)geteuid());
}

static void check_kernel(struct doctor *d)
{
	struct utsname u;

	if (uname(&u) < 0)
		doctor_report(d, "kernel", CHECK_FAIL, "nothing that imastream knows of", "uname: %s", strerror(errno));
	else
		doctor_report(d, "kernel", CHECK_OK, NULL, "%.64s on %.32s", u.release, u.machine);
}

static void check_bpf(struct doctor *d)
{
	cleanup_ring_ struct ring *ring = NULL;
	struct ring_options options = { 0 };
	struct ring_probe p = { 0 };
	int r = ring_open(&ring, &options, &p);

	if (p.btf)
		doctor_report(d, "kernel types (BTF)", CHECK_OK, NULL, "/sys/kernel/btf/vmlinux is there");
	else
		doctor_report(d, "kernel types (BTF)", CHECK_WARN, "use a kernel with CONFIG_DEBUG_INFO_BTF=y", "no /sys/kernel/btf/vmlinux");
	if (r < 0)
		doctor_report(d, "BPF hooks", CHECK_WARN, "run as root with a kernel from 5.8 on; without BPF the collector polls",
		       "cannot be opened: %s", strerror(-r));
	else if (p.support == EVENT_SUPPORT_ORDERED)
		doctor_report(d, "BPF hooks", CHECK_OK, NULL, "level ordered: all three hooks attach%s",
		       p.position_symbol ? "" : ", the kernel's position is not readable");
	else
		doctor_report(d, "BPF hooks", CHECK_WARN,
		       p.support == EVENT_SUPPORT_SIGNAL ?
			       "nothing: same results, entries are read from the list after a wake-up" :
			       "use a kernel with BTF and CONFIG_IMA=y, CONFIG_TCG_TPM=y, as root; until then the collector polls",
		       "level %s (entries %s, extends %s, wake-up %s%s%s)", ring_support_name(p.support),
		       p.hook_digest_entry ? "yes" : "no", p.hook_pcr_extend ? "yes" : "no",
		       p.hook_template_entry ? "yes" : "no", p.load_errno ? ": " : "",
		       p.load_errno ? strerror(p.load_errno < 0 ? -p.load_errno : p.load_errno) : "");
}

static int read_list(struct doctor *d, const char *path, char *template, size_t template_n)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t chunk[65536];
	int r;

	if (fd < 0)
		return -errno;
	r = ima_list_new(&list, IMA_LIST_BINARY, 0);
	if (r < 0)
		return r;
	for (;;) {
		enum ima_list_result result;
		struct ima_entry e;
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0)
			return -errno;
		if (n > 0) {
			r = ima_list_feed(list, chunk, (size_t)n);
			if (r < 0)
				return r;
		} else {
			ima_list_finish(list);
		}
		while ((result = ima_list_next(list, &e)) == IMA_LIST_ENTRY) {
			if (d->replay.entries == 0)
				d->trimmed = !memmem(e.data.p, e.data.n, "boot_aggregate", 14);
			ima_replay_entry(&d->replay, &e, d->banks ? d->banks : 1u << HASH_SHA1);
			snprintf(template, template_n, "%.*s", (int)MIN(e.name.n, (size_t)64), (const char *)e.name.p);
		}
		if (result == IMA_LIST_BAD)
			return -EBADMSG;
		if (n == 0)
			return 0;
	}
}

/* Fine either way; --trim-acknowledged of the collector needs it. */
static void check_trims(struct doctor *d)
{
	cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/ima/binary_runtime_measurements", d->securityfs) < 0) {
		path = NULL;
		return;
	}
	doctor_report(d, "list can be trimmed", CHECK_OK, NULL, "%s%s", list_can_be_trimmed(path) ? "yes" :
		      "no: it takes Linux 7.2", d->trimmed ? "; its first entries are gone already" : "");
}

static void check_list(struct doctor *d)
{
	cleanup_free_ char *path = NULL;
	char template[80] = "";
	int r;

	if (asprintf(&path, "%s/ima/binary_runtime_measurements", d->securityfs) < 0) {
		path = NULL;
		return;
	}
	d->list_checked = true;
	ima_replay_init(&d->replay);
	r = read_list(d, path, template, sizeof(template));
	if (r == -ENOENT || r == -ENOTDIR) {
		doctor_report(d, "IMA list", CHECK_FAIL,
		       "mount securityfs (mount -t securityfs none /sys/kernel/security) and use a kernel with CONFIG_IMA=y",
		       "no %s", path);
		return;
	}
	if (r < 0) {
		doctor_report(d, "IMA list", CHECK_FAIL, r == -EACCES ? "run as root" : "report this with the kernel's version",
		       "%s: %s", path, strerror(-r));
		return;
	}
	d->have_list = true;
	check_trims(d);
	doctor_report(d, "IMA list", CHECK_OK, NULL, "%llu entries, %llu violations", (unsigned long long)d->replay.entries,
	       (unsigned long long)d->replay.violations);
	if (d->replay.entries > 1)
		doctor_report(d, "IMA policy", CHECK_OK, NULL, "the kernel measures, template %s", template);
	else
		doctor_report(d, "IMA policy", CHECK_WARN,
		       "boot with ima_policy=tcb, or load rules: cat FILE > /sys/kernel/security/ima/policy",
		       "nothing but boot_aggregate is measured");
}

static void check_tpm(struct doctor *d)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *identity = calloc(1, sizeof(*identity));
	cleanup_free_ struct tpm_quote *quote = calloc(1, sizeof(*quote));
	static const uint8_t qualifying[32] = "imastream doctor";
	struct pcr_selection sel = { .mask = 1u << 10 };
	uint8_t values[24][HASH_MAX_SIZE];
	char text[160], why[256] = "";
	enum hash_alg bank = HASH_SHA256;
	int r;

	if (!identity || !quote)
		return;
	r = tpm_open(&t, d->tcti, why, sizeof(why));
	if (r < 0) {
		doctor_report(d, "TPM", CHECK_FAIL, "turn the TPM on in the firmware; a guest needs a virtual TPM; run as root",
		       "%s: %s", d->tcti, *why ? why : strerror(-r));
		return;
	}
	if (tpm_describe(t, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "answers");
	doctor_report(d, "TPM", CHECK_OK, NULL, "%.150s", text);
	r = tpm_banks(t, &d->banks);
	if (r < 0) {
		doctor_report(d, "PCR banks", CHECK_FAIL, "see the TPM's manual", "%s", tpm_error(t));
		return;
	}
	text[0] = 0;
	for (int a = HASH_COUNT - 1; a >= 0; a--) {
		if (d->banks & 1u << a) {
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", hash_name((enum hash_alg)a));
			if (!(d->banks & 1u << HASH_SHA256))
				bank = (enum hash_alg)a;
		}
	}
	if (d->banks & ~(1u << HASH_SHA1))
		doctor_report(d, "PCR banks", CHECK_OK, NULL, "allocated:%s", text);
	else
		doctor_report(d, "PCR banks", CHECK_WARN, "allocate a SHA-256 bank in the firmware or with tpm2_pcrallocate",
		       "allocated:%s; SHA-1 vouches for little", *text ? text : " none");
	sel.alg = hash_tpm_alg(bank);
	r = tpm_identify(t, AK_ECC_P256, identity);
	if (r == 0)
		r = tpm_quote(t, &sel, (struct bytes){ qualifying, sizeof(qualifying) }, quote);
	if (r < 0)
		doctor_report(d, "attestation key", CHECK_FAIL,
		       "the endorsement hierarchy needs an empty password; try --ak-alg rsa2048 with the collector", "%s",
		       tpm_error(t));
	else
		doctor_report(d, "attestation key", CHECK_OK, NULL, "ECC P-256 under the endorsement hierarchy; a quote works; %s",
		       identity->ek_cert_n ? "EK certificate present" :
		       identity->ek_public_n ? "EK present, no certificate" : "no EK");
	/* the list may be one ahead of the PCR only while an entry is being added: read the PCR first, then the list */
	if (tpm_pcr_read(t, &sel, values) < 0)
		return;
	check_list(d);
	if (!d->have_list)
		return;
	if (d->trimmed)
		doctor_report(d, "list against PCR 10", CHECK_OK, NULL, "not compared: the list was trimmed");
	else if (bytes_equal(values[10], d->replay.pcr[10][bank], hash_size(bank)))
		doctor_report(d, "list against PCR 10", CHECK_OK, NULL, "the %s replay gives the TPM's value", hash_name(bank));
	else
		doctor_report(d, "list against PCR 10", CHECK_WARN,
		       "run it again when nothing is being measured; if it stays, see imastream log verify with a quote",
		       "the %s replay and the TPM differ (entries may have been added meanwhile)", hash_name(bank));
}

static int print_json(const struct doctor *d, bool fit)
{
	static const char *const names[] = { "ok", "warn", "fail" };
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct json j;

	jw_begin(&j, &w, true);
	jw_object(&j, NULL);
	jw_u64(&j, "schema", 1);
	jw_bool(&j, "fit", fit);
	jw_array(&j, "checks");
	for (size_t i = 0; i < d->n; i++) {
		jw_object(&j, NULL);
		jw_u64(&j, "number", i + 1);
		jw_string(&j, "name", d->checks[i].name);
		jw_string(&j, "result", names[d->checks[i].result]);
		jw_string(&j, "found", d->checks[i].found);
		jw_string(&j, "remedy", d->checks[i].remedy);
		jw_object_end(&j);
	}
	jw_array_end(&j);
	jw_object_end(&j);
	write_u8(&w, '\n');
	return cli_print(&w);
}

static int print_text(const struct doctor *d, bool fit)
{
	static const char *const names[] = { "OK  ", "WARN", "FAIL" };
	static const enum cli_style styles[] = { STYLE_GOOD, STYLE_WARN, STYLE_BAD };
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->checks[i];

		write_fmt(&w, "%2zu  %s%s%s  %-20s  ", i + 1, style_on(styles[c->result]), names[c->result], style_off(), c->name);
		for (const char *p = c->found; *p; p++)
			write_u8(&w, *p >= 0x20 && *p < 0x7f ? (uint8_t)*p : '?');
		if (c->remedy)
			write_fmt(&w, "\n                                %s-> %s%s", style_on(STYLE_HEAD), c->remedy, style_off());
		write_u8(&w, '\n');
	}
	write_fmt(&w, "\n%s\n", fit ? "This host can run imastream-collector." : "This host cannot run imastream-collector yet.");
	return cli_print(&w);
}

int cmd_doctor(int argc, char **argv)
{
	cleanup_free_ struct doctor *d = calloc(1, sizeof(*d));
	bool as_json = false, fit = true;

	if (!d)
		return cli_fail(EXIT_CODE_ERROR, "doctor", "out of memory");
	d->securityfs = DEFAULT_SECURITYFS;
	d->tcti = DEFAULT_TCTI;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			printf("usage: imastream doctor [--tcti TCTI] [--securityfs DIR] [--json]\n\n"
			       "Exit codes: 0 fit (also with warnings), 77 not supported here.\n");
			return EXIT_CODE_TRUSTED;
		} else if (strcmp(argv[i], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[i], "--tcti") == 0 || strcmp(argv[i], "--securityfs") == 0) {
			const char **value = argv[i][2] == 't' ? &d->tcti : &d->securityfs;

			if (i + 1 == argc)
				return cli_fail(EXIT_CODE_USAGE, "doctor", "%s needs a value", argv[i]);
			*value = argv[++i];
		} else {
			return cli_fail(EXIT_CODE_USAGE, "doctor", "unexpected argument '%s'", argv[i]);
		}
	}
	check_rights(d);
	check_kernel(d);
	check_bpf(d);
	check_tpm(d);
	if (!d->list_checked)
		check_list(d);
	doctor_sandbox(d);
	for (size_t i = 0; i < d->n; i++)
		fit = fit && d->checks[i].result != CHECK_FAIL;
	if ((as_json ? print_json(d, fit) : print_text(d, fit)) < 0)
		return EXIT_CODE_ERROR;
	return fit ? EXIT_CODE_TRUSTED : EXIT_CODE_UNSUPPORTED;
}
