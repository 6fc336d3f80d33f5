/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mosquitto -- for tests: a real broker on a free port of 127.0.0.1, in a folder of its own, that can be
 * killed, started again and stopped for a while; and a relay in front of it, whose connections can be cut.
 */
#ifndef CULVERT_TESTS_MOSQUITTO_H
#define CULVERT_TESTS_MOSQUITTO_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct mosquitto {
    char folder[32];
    uint16_t port;
    pid_t pid; /* 0: does not run */
};

static inline double
mosquitto_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline int
mosquitto_connect(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline int
mosquitto_listen(uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

/* A path in its folder, in one of two buffers. */
static inline const char *
mosquitto_path(const struct mosquitto *broker, const char *name)
{
    static char paths[2][64];
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, sizeof paths[0], "%s/%s", broker->folder, name);
    return path;
}

static inline void
mosquitto_write(const struct mosquitto *broker, const char *name, const char *text)
{
    FILE *file = fopen(mosquitto_path(broker, name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Until it takes connections. */
static inline void
mosquitto_start(struct mosquitto *broker)
{
    double end = mosquitto_clock() + 20;
    pid_t parent = getpid();
    int fd = -1;

    broker->pid = fork();
    assert_true(broker->pid >= 0);
    if (broker->pid == 0) {
        int out = open(mosquitto_path(broker, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

        /* It goes with the test, however that ends. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        dup2(out, 1);
        dup2(out, 2);
        execlp("mosquitto", "mosquitto", "-c", mosquitto_path(broker, "conf"), (char *)NULL);
        execl("/usr/sbin/mosquitto", "mosquitto", "-c", mosquitto_path(broker, "conf"),
              (char *)NULL);
        _exit(127);
    }
    while (fd < 0 && mosquitto_clock() < end) {
        fd = mosquitto_connect(broker->port);
        usleep(5000);
    }
    assert_true(fd >= 0);
    close(fd);
}

static inline void
mosquitto_end(struct mosquitto *broker, int number)
{
    if (broker->pid == 0)
        return;
    kill(broker->pid, number);
    kill(broker->pid, SIGCONT);
    assert_int_equal(waitpid(broker->pid, NULL, 0), broker->pid);
    broker->pid = 0;
}

/* more: lines of its configuration, for the listener and for all. Does not start it. */
static inline void
mosquitto_init(struct mosquitto *broker, const char *more)
{
    char text[2048];
    uint16_t port = 0;
    int fd = mosquitto_listen(&port);

    close(fd);
    *broker = (struct mosquitto){.folder = "/tmp/test_mqtt_XXXXXX", .port = port};
    assert_non_null(mkdtemp(broker->folder));
    snprintf(text, sizeof text,
             "listener %u 127.0.0.1\n%s%s%s\n"
             "max_queued_messages 0\nlog_dest stderr\nlog_type all\n",
             port, geteuid() == 0 ? "user root\n" : "",
             strstr(more, "allow_anonymous") == NULL ? "allow_anonymous true\n" : "", more);
    mosquitto_write(broker, "conf", text);
}

static inline void
mosquitto_deinit(struct mosquitto *broker)
{
    static const char *const files[] = {"conf", "log",       "mosquitto.db",
                                        "acl",  "passwords", "culvert"};

    mosquitto_end(broker, SIGKILL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(mosquitto_path(broker, files[i]));
    assert_int_equal(rmdir(broker->folder), 0);
}

/* ---- the relay: one connection at a time ---- */

struct relay {
    pthread_t thread;
    int listener;
    uint16_t port; /* of the relay */
    uint16_t broker_port;
    bool stop; /* atomic */
    bool cut;  /* atomic: the connection is reset */
};

/* Returns false at the end of either side. */
static inline bool
relay_move(int from, int to)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);

    return n > 0 && send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

static inline void
relay_serve(struct relay *relay, int client, int broker)
{
    struct pollfd polls[2] = {{.fd = client, .events = POLLIN}, {.fd = broker, .events = POLLIN}};
    struct linger reset = {.l_onoff = 1};
    bool alive = true;

    while (alive && !__atomic_load_n(&relay->stop, __ATOMIC_ACQUIRE)) {
        if (__atomic_exchange_n(&relay->cut, false, __ATOMIC_ACQ_REL)) {
            setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            break;
        }
        poll(polls, 2, 1);
        alive = (polls[0].revents == 0 || relay_move(client, broker)) &&
                (polls[1].revents == 0 || relay_move(broker, client));
    }
}

static inline void *
relay_run(void *argument)
{
    struct relay *relay = argument;

    while (!__atomic_load_n(&relay->stop, __ATOMIC_ACQUIRE)) {
        struct pollfd listener = {.fd = relay->listener, .events = POLLIN};
        int client, broker;

        if (poll(&listener, 1, 10) <= 0)
            continue;
        client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
        broker = mosquitto_connect(relay->broker_port);
        if (client >= 0 && broker >= 0)
            relay_serve(relay, client, broker);
        close(client);
        close(broker);
    }
    return NULL;
}

static inline void
relay_start(struct relay *relay, uint16_t broker_port)
{
    *relay = (struct relay){.broker_port = broker_port};
    relay->listener = mosquitto_listen(&relay->port);
    assert_int_equal(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

static inline void
relay_cut(struct relay *relay)
{
    __atomic_store_n(&relay->cut, true, __ATOMIC_RELEASE);
}

static inline void
relay_stop(struct relay *relay)
{
    __atomic_store_n(&relay->stop, true, __ATOMIC_RELEASE);
    pthread_join(relay->thread, NULL);
    close(relay->listener);
}

#endif
