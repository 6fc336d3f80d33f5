/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_address -- what `listen` and `target` take.
 *
 *     listen   8080  :8080  127.0.0.1:8080  localhost:8080  [::]:8443 tls  unix:/run/culvert.sock
 *     admin    the same without flags, or off
 *     target   tcp://HOST:PORT  tls://HOST:PORT  unix:PATH  map:FILE  echo:  files:DIR  topics:[BUS]
 *              mqtt://HOST[:PORT]  mqtts://HOST[:PORT]
 *     url      memory:  mqtt://HOST[:PORT]  mqtts://HOST[:PORT]
 *
 * Thread:    that of the loader.
 * Ownership: texts live in the snapshot's pool.
 * Errors:    false, reported.
 */
#ifndef CULVERT_CONF_ADDRESS_H
#define CULVERT_CONF_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/context.h"

struct conf_bus;
struct conf_key;
struct conf_listen;
struct conf_target;

bool conf_address_listen(struct conf_context *context, const struct conf_place *place,
                         const struct conf_key *key, const char *value, struct conf_listen *listen)
    __attribute__((warn_unused_result));

/* Port 0 is another one each time: never the same. */
bool conf_address_same(const struct conf_listen *a, const struct conf_listen *b);

/* off: listen->text is NULL. */
bool conf_address_admin(struct conf_context *context, const struct conf_place *place,
                        const struct conf_key *key, const char *value, struct conf_listen *listen)
    __attribute__((warn_unused_result));

bool conf_address_target(struct conf_context *context, const struct conf_place *place,
                         const struct conf_key *key, const char *value, struct conf_target *target)
    __attribute__((warn_unused_result));

/* Sets url, kind, host, port. */
bool conf_address_bus(struct conf_context *context, const struct conf_place *place,
                      const struct conf_key *key, const char *value, struct conf_bus *bus)
    __attribute__((warn_unused_result));

/* What stands behind topics: and in [bus NAME]: letters, digits, - and _, at most 32. */
bool conf_address_is_bus_name(const char *name);

/*
 * What a token in a map stands for: HOST:PORT or a target of streams, a unix socket by its absolute
 * path (unix_socket: is websockify's word for unix:). Without a context: 100,000 of them are read
 * in one go. room holds as much as text; the target's strings point into both. Returns NULL, or
 * what is wrong (static).
 */
const char *conf_address_stream(char *text, char *room, struct conf_target *target);

/* Whether a name is one of DNS: labels of letters, digits, - and _, as the request's Host is. */
bool conf_address_is_name(const char *name, size_t len);

#endif
