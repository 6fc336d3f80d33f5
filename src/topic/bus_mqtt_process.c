/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Whether visit() says so of one of the entries: it is called with each. */
static bool
any(const char *folder, bool (*visit)(const char *name, unsigned port), unsigned port)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    bool found = false;

    for (int i = 0; i < n; i++) {
        found |= visit(entries[i]->d_name, port);
        free(entries[i]);
    }
    free(entries);
    return found;
}

/* ---- sockets ---- */

/* 0 for what is not the end of a connection. */
static unsigned
peer_port(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&address)->sin6_port)
                                         : 0;
}

/* Another thread may close it meanwhile, and open another one: that is hurried, too, and not harmed. */
static bool
hurry(const char *name, unsigned port)
{
    const int on = 1;
    char *end;
    int fd = (int)strtol(name, &end, 10);

    if (end != name && peer_port(fd) == port)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return false;
}

void
bus_mqtt_process_hurry(unsigned port)
{
    (void)any("/proc/self/fd", hurry, port);
}

/* ---- threads ---- */

static bool
is_of_paho(const char *name, unsigned port)
{
    char path[64], thread[16] = "";
    FILE *file;

    (void)port;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    (void)!fgets(thread, sizeof thread, file);
    fclose(file);
    return strncmp(thread, "MQTTAsync_", 10) == 0;
}

void
bus_mqtt_process_await_threads(void)
{
    const struct timespec moment = {.tv_nsec = 2000000};

    for (unsigned i = 0; i < 25 && any("/proc/self/task", is_of_paho, 0); i++)
        nanosleep(&moment, NULL);
}
