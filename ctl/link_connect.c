/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "ctl/link_internal.h"

enum { PORT = 1883, PORT_TLS = 8883, REPEAT_MS = 100 };

enum ctl_exit link_refuse(
	char problem[LINK_PROBLEM_MAX], enum ctl_exit end, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(problem, LINK_PROBLEM_MAX, format, arguments); /* cut, at worst */
	va_end(arguments);
	return end;
}

bool link_is_tls(const struct settings *settings)
{
	return settings->cafile || settings->capath || settings->tls_os_certs;
}

static int port_of(const struct settings *settings)
{
	if (settings->port)
		return (int)settings->port;
	return link_is_tls(settings) ? PORT_TLS : PORT;
}

void link_place(const struct settings *settings, char *place, size_t size)
{
	if (settings->unix_path)
		(void)snprintf(place, size, "%s", settings->unix_path);
	else
		(void)snprintf(place, size, "%s:%d", settings->host ? settings->host : "localhost",
			port_of(settings));
}

static enum ctl_exit prepare_tls(struct mosquitto *mosquitto, const struct settings *settings,
	char problem[LINK_PROBLEM_MAX])
{
	int err = MOSQ_ERR_SUCCESS;
	if (settings->tls_os_certs)
		err = mosquitto_int_option(mosquitto, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
	if (!err && (settings->cafile || settings->capath))
		err = mosquitto_tls_set(mosquitto, settings->cafile, settings->capath,
			settings->cert, settings->key, NULL);
	if (!err && settings->tls_version)
		err = mosquitto_tls_opts_set(mosquitto, 1, settings->tls_version, NULL);
	if (!err && settings->insecure)
		err = mosquitto_tls_insecure_set(mosquitto, true);
	if (err)
		return link_refuse(problem, CTL_USAGE,
			"TLS: %s; check that the files of --cafile, --capath, --cert and --key "
			"can be read",
			mosquitto_strerror(err));
	return CTL_OK;
}

enum ctl_exit link_prepare(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	bool version5 = link->version5 || settings->version == 0;
	int err = mosquitto_int_option(link->mosquitto, MOSQ_OPT_PROTOCOL_VERSION,
		version5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	/* Otherwise each question but the first waits for an acknowledgement, 40 ms. */
	if (!err && !settings->unix_path)
		err = mosquitto_int_option(link->mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	if (!err && settings->username)
		err = mosquitto_username_pw_set(
			link->mosquitto, settings->username, settings->password);
	if (!err && link->will)
		err = mosquitto_will_set_v5(link->mosquitto, link->will->topic,
			(int)strlen(link->will->payload), link->will->payload, 1, true, NULL);
	if (err)
		return link_refuse(problem, err == MOSQ_ERR_NOMEM ? CTL_TROUBLE : CTL_USAGE,
			"the connection's options: %s", mosquitto_strerror(err));
	return link_is_tls(settings) ? prepare_tls(link->mosquitto, settings, problem) : CTL_OK;
}

static void ignore_signal(int number)
{
	(void)number; /* what it interrupts gives up: that is all it is for */
}

/* While on, system calls that wait are interrupted once timeout_ms is over, again and again: the
 * library tries one address after another, and each may take minutes. */
static void set_alarm(int64_t timeout_ms)
{
	struct sigaction action = { .sa_handler = timeout_ms ? ignore_signal : SIG_DFL };
	struct itimerval timer = { 0 };
	if (timeout_ms) {
		timer.it_value.tv_sec = timeout_ms / 1000;
		timer.it_value.tv_usec = timeout_ms % 1000 * 1000;
		timer.it_interval.tv_usec = REPEAT_MS * 1000;
		(void)sigaction(SIGALRM, &action, NULL);
	}
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	if (!timeout_ms)
		(void)sigaction(SIGALRM, &action, NULL);
}

enum ctl_exit link_refuse_tls(const char *place, int err, char problem[LINK_PROBLEM_MAX])
{
	/* The library tells no more than that, and on some versions not even that. */
	return link_refuse(problem, CTL_UNREACHABLE,
		"%s: TLS failed%s; is that a TLS port, does --cafile name the authority of the "
		"broker's certificate, and is the host's name in it?",
		place, err && err != MOSQ_ERR_TLS ? ", or the broker ended it" : "");
}

static enum ctl_exit explain(const struct settings *settings, const char *place, int err,
	int number, char problem[LINK_PROBLEM_MAX])
{
	if (err == MOSQ_ERR_NOMEM)
		return link_refuse(problem, CTL_TROUBLE, "out of memory");
	if (err == MOSQ_ERR_EAI)
		return link_refuse(problem, CTL_UNREACHABLE,
			"%s: no such host; check -h, or the name servers", place);
	if (err == MOSQ_ERR_ERRNO && number == EINTR)
		return link_refuse(problem, CTL_UNREACHABLE,
			"%s: no connection in %" PRId64 " ms; is a firewall in between?", place,
			settings->timeout_ms);
	if (err == MOSQ_ERR_ERRNO && number == ECONNREFUSED)
		return link_refuse(problem, CTL_UNREACHABLE,
			"%s: nobody listens there; does the broker run, and is this its port (-p)?",
			place);
	if (err == MOSQ_ERR_TLS)
		return link_refuse_tls(place, err, problem);
	return link_refuse(problem, CTL_UNREACHABLE, "%s: %s", place,
		err == MOSQ_ERR_ERRNO ? strerror(number) : mosquitto_strerror(err));
}

enum ctl_exit link_connect(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	const char *host = settings->host ? settings->host : "localhost";
	char place[256];
	link_place(settings, place, sizeof(place));
	set_alarm(settings->timeout_ms);
	errno = 0;
	/* Port 0 is how the library is told that the host is a socket's path. */
	int err = mosquitto_connect_bind_v5(link->mosquitto,
		settings->unix_path ? settings->unix_path : host,
		settings->unix_path ? 0 : port_of(settings), (int)settings->keepalive, NULL, NULL);
	int number = errno;
	set_alarm(0);
	return err ? explain(settings, place, err, number, problem) : CTL_OK;
}
