/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/half_open.h"

#include <inttypes.h>

#include "base/log.h"
#include "client/http_connection.h"

#define TELL_AFTER 1.0 /* seconds in which evictions are collected for one line */

static struct http *
longest_waiting(const struct half_open *half_open)
{
    if (list_empty(&half_open->waiting))
        return NULL;
    return container_of(half_open->waiting.next, struct http, waiting);
}

static void
on_tell(struct timer *timer)
{
    struct half_open *half_open = container_of(timer, struct half_open, tell);

    log_info(loop_log(timer_loop(timer)), "http",
             "%" PRIu64 " half-open clients closed, the longest waiting first: %s",
             half_open->n_evicted - half_open->n_told, half_open->why);
    half_open->n_told = half_open->n_evicted;
}

static void
note_eviction(struct half_open *half_open, const char *why)
{
    if (half_open->n_evicted == half_open->n_told)
        timer_set(&half_open->tell, loop_now(timer_loop(&half_open->tell)) + TELL_AFTER);
    half_open->n_evicted++;
    half_open->why = why;
}

void
half_open_init(struct half_open *half_open, struct loop *loop)
{
    *half_open = (struct half_open){.max = SIZE_MAX};
    list_init(&half_open->waiting);
    timer_init(&half_open->tell, loop, on_tell);
}

void
half_open_deinit(struct half_open *half_open)
{
    timer_deinit(&half_open->tell);
}

void
half_open_begin(struct half_open *half_open, struct http *http)
{
    if (!list_empty(&http->waiting))
        return;
    list_add(&half_open->waiting, &http->waiting);
    half_open->n_waiting++;
}

void
half_open_end(struct half_open *half_open, struct http *http)
{
    if (list_empty(&http->waiting))
        return;
    list_remove(&http->waiting);
    half_open->n_waiting--;
}

/*
 * In a burst, requests may lie in the kernel that we have not come to read: a client is judged by
 * what it has sent, not by when its turn came. Who was served and waits again stands at the end.
 */
bool
half_open_evict(struct half_open *half_open, const char *why)
{
    struct http *http = longest_waiting(half_open);

    if (http == NULL)
        return false;
    http_read(http);
    if (longest_waiting(half_open) != http)
        return true;
    log_debug(loop_log(http->loop), http_name(http), "half-open client closed: %s", why);
    note_eviction(half_open, why);
    metrics_add(&loop_metrics(http->loop)->refusals[METRICS_REFUSED_HALF_OPEN], 1);
    http_drop(http);
    return true;
}

void
half_open_make_place(struct half_open *half_open)
{
    /* Who answers at once keeps its connection and waits again: each has one look, no more. */
    size_t looks = half_open->n_waiting;

    while (half_open->n_waiting >= half_open->max && looks-- > 0)
        half_open_evict(half_open, "half_open_max is reached");
}
