/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/addr.h"
#include "net/tcp_options.h"

/* ---- what was passed ---- */

/* A whole decimal number from the environment, or -1. */
static long
number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long number;

    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    number = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : -1;
}

/* The descriptor behind the last one. LISTEN_PID keeps those of a parent, of which only the
 * variables came down here, from being taken for ours. */
static int
end_of_passed(void)
{
    long n;

    if (number_of("LISTEN_PID") != (long)getpid())
        return INHERITED_FIRST;
    n = number_of("LISTEN_FDS");
    return n < 0 || n > INHERITED_MAX ? INHERITED_FIRST : INHERITED_FIRST + (int)n;
}

/* With its address, if it is a socket that connections can be accepted from. */
static bool
accepts(int fd, struct addr *addr)
{
    int type = 0;
    int listening = 0;
    socklen_t len = sizeof(int);

    memset(addr, 0, sizeof *addr);
    addr->len = sizeof addr->storage;
    if (getsockname(fd, (struct sockaddr *)&addr->storage, &addr->len) != 0)
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* ---- whether it is the one ---- */

static bool
same_text(const struct addr *a, const struct addr *b)
{
    char text[ADDR_TEXT];
    char other[ADDR_TEXT];

    if (a->storage.ss_family != b->storage.ss_family)
        return false;
    addr_text(a, text);
    addr_text(b, other);
    return strcmp(text, other) == 0;
}

static bool
is_on(const struct addr *passed, const char *host, uint16_t port)
{
    struct addr wanted;

    return addr_from_ip(&wanted, host, port) == 0 && same_text(passed, &wanted);
}

static bool
stands_for(const struct conf_listen *listen, const struct addr *passed)
{
    struct addr wanted;

    if (listen->path != NULL)
        return addr_from_path(&wanted, listen->path) == 0 && same_text(passed, &wanted);
    if (listen->host != NULL)
        return is_on(passed, listen->host, listen->port);
    return is_on(passed, "::", listen->port) || is_on(passed, "0.0.0.0", listen->port);
}

/* ---- taking ---- */

static int
take(int fd, const struct addr *addr)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int flags = copy >= 0 ? fcntl(copy, F_GETFL) : -1;

    if (flags < 0 || fcntl(copy, F_SETFL, flags | O_NONBLOCK) != 0) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    if (addr->storage.ss_family != AF_UNIX)
        tcp_options_set(copy);
    return copy;
}

int
inherited_take(const struct conf_listen *listen, int *fds, unsigned max, struct addr *addr)
{
    int end = end_of_passed();
    unsigned n = 0;
    struct addr passed;
    int fd;

    for (fd = INHERITED_FIRST; fd < end && n < max; fd++) {
        if (!accepts(fd, &passed) || !stands_for(listen, &passed))
            continue;
        fds[n] = take(fd, &passed);
        if (fds[n] < 0)
            goto fail;
        n++;
        *addr = passed;
    }
    return (int)n;

fail:
    while (n > 0)
        close(fds[--n]);
    return -1;
}

bool
inherited_is(int fd)
{
    struct stat status;
    struct stat passed;
    int end = end_of_passed();
    int i;

    if (end == INHERITED_FIRST || fstat(fd, &status) != 0)
        return false;
    for (i = INHERITED_FIRST; i < end; i++)
        if (fstat(i, &passed) == 0 && passed.st_dev == status.st_dev &&
            passed.st_ino == status.st_ino)
            return true;
    return false;
}

static bool
is_configured(const struct conf *conf, const struct addr *passed)
{
    size_t i;

    if (conf->admin.text != NULL && stands_for(&conf->admin, passed))
        return true;
    for (i = 0; i < conf->n_listens; i++)
        if (stands_for(&conf->listens[i], passed))
            return true;
    return false;
}

/* Each worker accepts on one of them. */
static void
warn_of_rest(const struct conf *conf, const struct conf_listen *listen, struct log *log)
{
    int end = end_of_passed();
    struct addr passed;
    unsigned n = 0;
    int fd;

    for (fd = INHERITED_FIRST; fd < end; fd++)
        n += accepts(fd, &passed) && stands_for(listen, &passed);
    if (n > conf->workers)
        log_warn(log, "listener",
                 "%u sockets were passed for %s, and there are %u workers: nobody serves the rest",
                 n, listen->text, conf->workers);
}

void
inherited_warn(const struct conf *conf, struct log *log)
{
    int end = end_of_passed();
    char text[ADDR_TEXT];
    struct addr passed;
    int fd;

    for (fd = INHERITED_FIRST; fd < end; fd++) {
        if (!accepts(fd, &passed)) {
            log_warn(log, "listener", "descriptor %d was passed, but is no listening socket", fd);
        } else if (!is_configured(conf, &passed)) {
            addr_text(&passed, text);
            log_warn(log, "listener", "%s was passed, but no listen= has it: nobody serves it",
                     text);
        }
    }
    for (size_t i = 0; i < conf->n_listens; i++)
        warn_of_rest(conf, &conf->listens[i], log);
}
