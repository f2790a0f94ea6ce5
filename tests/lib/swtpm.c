// SPDX-License-Identifier: Apache-2.0
#include "lib/swtpm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/text.h"

#define PORT_FIRST 20000u /* below the ports that the kernel gives to outgoing connections */
#define PORT_SPAN 12000u
#define PORT_TRIES 50
#define READY_TRIES 2000 /* of 5 ms */

/* The program's path, looked up in PATH. */
static bool find_program(const char *name, char *out, size_t n)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(out, n, "%.*s/%s", (int)len, path, name);
		if (access(out, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

bool swtpm_available(void)
{
	char path[512];

	return find_program("swtpm", path, sizeof(path)) && find_program("swtpm_setup", path, sizeof(path)) &&
	       find_program("swtpm_localca", path, sizeof(path));
}

/* Starts argv with its output in DIR/LOG; it dies with us. */
static pid_t launch(const struct swtpm *s, const char *log, char *const argv[])
{
	char path[512];
	pid_t parent = getpid(), pid = fork();
	int fd;

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	snprintf(path, sizeof(path), "%s/%s", s->dir, log);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static int write_text(const struct swtpm *s, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return write_file_atomic(path, (struct bytes){ (const uint8_t *)text, strlen(text) }, 0600);
}

/* An own authority, so that nothing is written outside the directory and parallel tests do not wait for each other. */
static int write_configuration(const struct swtpm *s)
{
	char tool[512], text[4096];
	int r;

	if (!find_program("swtpm_localca", tool, sizeof(tool)))
		return -ENOENT;
	snprintf(text, sizeof(text), "%s/ca", s->dir);
	if (mkdir(text, 0700) < 0)
		return -errno;
	snprintf(text, sizeof(text), "statedir = %s/ca\nsigningkey = %s/ca/signkey.pem\nissuercert = %s/ca/issuercert.pem\n"
		 "certserial = %s/ca/certserial\n", s->dir, s->dir, s->dir, s->dir);
	r = write_text(s, "localca.conf", text);
	if (r < 0)
		return r;
	r = write_text(s, "localca.options", "--platform-manufacturer imastream\n--platform-version 1\n--platform-model test\n");
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "create_certs_tool = %s\ncreate_certs_tool_config = %s/localca.conf\n"
		 "create_certs_tool_options = %s/localca.options\n", tool, s->dir, s->dir);
	return write_text(s, "setup.conf", text);
}

static void show_log(const struct swtpm *s, const char *name)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	if (read_file(path, &w) == 0)
		fprintf(stderr, "%s: %.*s\n", name, (int)w.n, (const char *)w.p);
}

static int manufacture(const struct swtpm *s, const struct swtpm_options *options)
{
	const char *banks = options && options->pcr_banks ? options->pcr_banks : "sha1,sha256,sha384,sha512";
	bool cert = !(options && options->no_ek_cert);
	char config[512];
	const char *argv[] = { "swtpm_setup", "--tpm2", "--tpmstate", s->dir, "--config", config,
			       "--pcr-banks", banks, cert ? "--create-ek-cert" : NULL, NULL };
	int status = -1;
	pid_t pid;

	snprintf(config, sizeof(config), "%s/setup.conf", s->dir);
	pid = launch(s, "setup.log", (char *const *)argv);
	if (pid < 0)
		return (int)pid;
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		show_log(s, "setup.log");
		return -EIO;
	}
	return 0;
}

static int loopback_socket(unsigned int port, bool listener)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = listener ? bind(fd, (struct sockaddr *)&a, sizeof(a)) : connect(fd, (struct sockaddr *)&a, sizeof(a));
	return r < 0 ? -errno : 0;
}

static unsigned int pick_port(void)
{
	for (int i = 0; i < 1000; i++) {
		uint32_t random = 0;
		unsigned int port;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			break;
		port = PORT_FIRST + 2 * (random % (PORT_SPAN / 2));
		if (loopback_socket(port, true) == 0 && loopback_socket(port + 1, true) == 0)
			return port;
	}
	return 0;
}

/* The command port is opened last, so one that answers means that both are there. */
static int wait_ready(struct swtpm *s)
{
	for (int i = 0; i < READY_TRIES; i++) {
		int status;

		if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
			s->pid = 0;
			return -EADDRINUSE;
		}
		if (loopback_socket(s->port + 1, false) == 0 && loopback_socket(s->port, false) == 0)
			return 0;
		nap();
	}
	swtpm_kill(s);
	return -ETIMEDOUT;
}

int swtpm_run(struct swtpm *s)
{
	char state[300], server[64], control[64];
	const char *argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
			       "--flags", "not-need-init,startup-clear", NULL };
	pid_t pid;
	int r;

	snprintf(state, sizeof(state), "dir=%s", s->dir);
	snprintf(server, sizeof(server), "type=tcp,port=%u", s->port);
	snprintf(control, sizeof(control), "type=tcp,port=%u", s->port + 1);
	pid = launch(s, "swtpm.log", (char *const *)argv);
	if (pid < 0)
		return (int)pid;
	s->pid = pid;
	r = wait_ready(s);
	if (r < 0)
		show_log(s, "swtpm.log");
	return r;
}

static int run_somewhere(struct swtpm *s)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		int r;

		s->port = pick_port();
		if (s->port == 0)
			break;
		snprintf(s->tcti, sizeof(s->tcti), "swtpm:host=127.0.0.1,port=%u", s->port);
		r = swtpm_run(s);
		if (r != -EADDRINUSE)
			return r;
	}
	return -EADDRINUSE;
}

int swtpm_start(struct swtpm *s, const struct swtpm_options *options)
{
	const char *base = getenv("TMPDIR");
	int r;

	*s = (struct swtpm){ 0 };
	/* a relative path makes swtpm answer 0x101 to everything */
	snprintf(s->dir, sizeof(s->dir), "%s/imastream-swtpm-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (!mkdtemp(s->dir)) {
		s->dir[0] = 0;
		return -errno;
	}
	r = write_configuration(s);
	r = r < 0 ? r : manufacture(s, options);
	r = r < 0 ? r : run_somewhere(s);
	if (r < 0)
		swtpm_cleanup(s);
	return r;
}

static void end(struct swtpm *s, int how)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, how);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void swtpm_stop(struct swtpm *s)
{
	end(s, SIGTERM);
}

void swtpm_kill(struct swtpm *s)
{
	end(s, SIGKILL);
}

int swtpm_reset(struct swtpm *s)
{
	swtpm_stop(s);
	return swtpm_run(s);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

void swtpm_cleanup(struct swtpm *s)
{
	swtpm_kill(s);
	if (s->dir[0])
		nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*s = (struct swtpm){ 0 };
}
