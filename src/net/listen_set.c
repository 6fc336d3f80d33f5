/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/listen_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "net/listener.h"

struct shared {
    struct listen_socket socket;
    unsigned references; /* sets */
};

struct listen_set {
    struct conf *conf;
    size_t n;
    struct shared *sockets[]; /* as conf's listens */
};

static void
release(struct shared *shared)
{
    if (--shared->references > 0)
        return;
    listen_socket_close(&shared->socket);
    free(shared);
}

static struct shared *
open_one(const struct conf *conf, size_t index, unsigned n_workers, struct log *log)
{
    struct shared *shared = calloc(1, sizeof *shared);

    if (shared == NULL) {
        log_error(log, "listener", "out of memory");
        return NULL;
    }
    if (listen_socket_open(&shared->socket, &conf->listens[index], n_workers, conf->socket_mode,
                           log) != 0) {
        free(shared);
        return NULL;
    }
    shared->references = 1;
    return shared;
}

/* Port 0 is another one each time it is opened; but who reloads means the one that he has. */
static bool
is_same(const struct conf_listen *a, const struct conf_listen *b)
{
    return conf_address_same(a, b) || (a->path == NULL && strcmp(a->text, b->text) == 0);
}

static bool
holds(const struct listen_set *set, const struct shared *shared)
{
    size_t i;

    for (i = 0; i < set->n; i++)
        if (set->sockets[i] == shared)
            return true;
    return false;
}

/* The previous set's socket for an address, once. */
static struct shared *
find_kept(const struct listen_set *set, const struct listen_set *previous, size_t index)
{
    size_t i;

    for (i = 0; previous != NULL && i < previous->n; i++) {
        struct shared *shared = previous->sockets[i];

        if (!is_same(&set->conf->listens[index], &previous->conf->listens[i]) || holds(set, shared))
            continue;
        shared->references++;
        return shared;
    }
    return NULL;
}

struct listen_set *
listen_set_open(struct conf *conf, unsigned n_workers, const struct listen_set *previous,
                struct log *log)
{
    struct listen_set *set = calloc(1, sizeof *set + conf->n_listens * sizeof(set->sockets[0]));

    if (set == NULL) {
        log_error(log, "listener", "out of memory");
        return NULL;
    }
    set->conf = conf_ref(conf);
    while (set->n < conf->n_listens) {
        struct shared *shared = find_kept(set, previous, set->n);

        if (shared == NULL)
            shared = open_one(conf, set->n, n_workers, log);
        if (shared == NULL) {
            listen_set_close(set);
            return NULL;
        }
        set->sockets[set->n++] = shared;
    }
    return set;
}

void
listen_set_close(struct listen_set *set)
{
    if (set == NULL)
        return;
    while (set->n > 0)
        release(set->sockets[--set->n]);
    conf_unref(set->conf);
    free(set);
}

size_t
listen_set_count(const struct listen_set *set)
{
    return set->n;
}

const struct conf_listen *
listen_set_conf(const struct listen_set *set, size_t index)
{
    return &set->conf->listens[index];
}

const struct addr *
listen_set_addr(const struct listen_set *set, size_t index)
{
    return &set->sockets[index]->socket.addr;
}

int
listen_set_fd(const struct listen_set *set, size_t index, unsigned worker)
{
    const struct listen_socket *socket = &set->sockets[index]->socket;

    return socket->fds[worker % socket->n_fds];
}

bool
listen_set_shares(const struct listen_set *set, size_t index, const struct listen_set *other)
{
    return other != NULL && holds(other, set->sockets[index]);
}
