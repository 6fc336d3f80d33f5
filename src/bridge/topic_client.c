/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/topic_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "bridge/conversation.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "bridge/topic_route.h"
#include "client/http.h"
#include "conf/conf.h"

/* ---- the set ---- */

void
topic_clients_init(struct topic_clients *clients)
{
    list_init(&clients->members);
    list_init(&clients->leaving);
    clients->n_members = clients->n_leaving = 0;
}

static void
tell_goodbye(struct topic_client *client, uint16_t code, const char *reason)
{
    struct topic_clients *clients = client->set;

    client->leaving = true;
    list_remove(&client->link);
    list_add(&clients->leaving, &client->link);
    clients->n_leaving++;
    if (client->kind == TOPIC_CLIENT_POLL)
        poll_leave(client->poll);
    else
        subscriber_leave(client->subscriber, code, reason);
}

size_t
topic_clients_drain_next(struct topic_clients *clients, uint16_t code, const char *reason)
{
    size_t left = clients->n_members - clients->n_leaving;

    if (left > 0)
        tell_goodbye(container_of(clients->members.next, struct topic_client, link), code, reason);
    return left;
}

void
topic_clients_drain_all(struct topic_clients *clients, uint16_t code, const char *reason)
{
    while (topic_clients_drain_next(clients, code, reason) > 0)
        continue;
}

/* ---- the end ---- */

static void
on_free(struct loop_deferred *deferred)
{
    struct topic_client *client = container_of(deferred, struct topic_client, free_later);

    snapshot_unref(client->snapshot);
    free(client);
}

static void
release(struct topic_client *client)
{
    if (client->kind != TOPIC_CLIENT_POST) { /* which may outlive the set */
        list_remove(&client->link);
        client->set->n_members--;
        client->set->n_leaving -= client->leaving;
    }
    limits_leave(&client->pass);
    loop_defer(client->loop, &client->free_later, on_free);
}

void
topic_client_discard(struct topic_client *client)
{
    release(client);
}

static enum metrics_transport
transport_of(const struct topic_client *client)
{
    return client->kind == TOPIC_CLIENT_WEBSOCKET ? METRICS_WEBSOCKET : METRICS_SSE;
}

static void
on_subscriber_gone(struct subscriber_owner *owner, const struct ending *ending, uint64_t in,
                   uint64_t out)
{
    struct topic_client *client = container_of(owner, struct topic_client, subscriber_owner);
    const struct conversation_end ended = {
        .loop = client->loop,
        .snapshot = client->snapshot,
        .route = client->route,
        .target = client->route->target.text,
        .transport = transport_of(client),
        .number = client->number,
        .peer = client->peer,
        .peer_len = client->peer_len,
        .ending = *ending,
        .in = in,
        .out = out,
        .began = client->began,
    };

    conversation_ended(&ended);
    release(client);
}

static void
on_poll_gone(struct poll_owner *owner)
{
    release(container_of(owner, struct topic_client, poll_owner));
}

static void
on_post_gone(struct post_owner *owner)
{
    release(container_of(owner, struct topic_client, post_owner));
}

void
topic_clients_close_all(struct topic_clients *clients)
{
    struct list *lists[] = {&clients->members, &clients->leaving};

    for (unsigned i = 0; i < 2; i++) {
        struct list *at = lists[i]->next;

        while (at != lists[i]) {
            struct topic_client *client = container_of(at, struct topic_client, link);

            at = at->next;
            if (client->kind == TOPIC_CLIENT_POLL)
                poll_close(client->poll);
            else
                subscriber_close(client->subscriber);
            release(client);
        }
    }
}

/* ---- the beginning ---- */

struct topic_client *
topic_client_new(const struct route_context *context, struct exchange *exchange,
                 const struct conf_route *route, enum topic_client_kind kind)
{
    const struct addr *peer = exchange_client(exchange);
    struct topic_client *client = calloc(1, sizeof *client + peer->len);

    if (client == NULL)
        return NULL;
    client->set = context->topic_clients;
    client->loop = context->loop;
    client->snapshot = snapshot_ref(context->snapshot);
    client->route = route;
    client->metrics = snapshot_metrics(context->snapshot, route, context->loop);
    client->number = exchange_number(exchange);
    client->began = loop_now(context->loop);
    client->kind = (uint8_t)kind;
    if (kind == TOPIC_CLIENT_POLL)
        client->poll_owner.gone = on_poll_gone;
    else if (kind == TOPIC_CLIENT_POST)
        client->post_owner.gone = on_post_gone;
    else
        client->subscriber_owner.gone = on_subscriber_gone;
    client->peer_len = (uint8_t)peer->len;
    memcpy(client->peer, &peer->storage, peer->len);
    if (kind != TOPIC_CLIENT_POST) {
        list_add(&client->set->members, &client->link);
        client->set->n_members++;
    }
    return client;
}
