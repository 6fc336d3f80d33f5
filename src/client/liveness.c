/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/liveness.h"

#include "conf/conf.h"
#include "event/timer.h"
#include "net/stream.h"

static bool
passed(const struct liveness_view *view, double due)
{
    return due != 0 && due <= view->now + 0.001;
}

static double
heartbeat_due(const struct liveness *liveness, const struct liveness_view *view)
{
    if (view->heartbeat == 0 || !view->open || !view->reading || stream_pending(view->stream) > 0)
        return 0;
    if (liveness->pinged != 0)
        return liveness->pinged + view->route->heartbeat_timeout;
    return liveness->heard + view->heartbeat;
}

static double
message_due(const struct liveness *liveness, const struct liveness_view *view)
{
    if (!view->in_message || !view->reading || view->route->message_timeout == 0)
        return 0;
    return liveness->message + view->route->message_timeout;
}

bool
liveness_heard(struct liveness *liveness, double now)
{
    bool pinged = liveness->pinged != 0;

    liveness->heard = now;
    liveness->pinged = 0;
    return pinged;
}

void
liveness_progress(struct liveness *liveness, double now)
{
    liveness->heard = now;
    if (liveness->pinged != 0)
        liveness->pinged = now;
}

void
liveness_pinged(struct liveness *liveness, const struct liveness_view *view)
{
    liveness->pinged = view->now;
    liveness->behind = stream_unacknowledged(view->stream);
}

double
liveness_ponged(struct liveness *liveness, double now)
{
    double asked = liveness->asked;

    liveness->asked = 0;
    return asked != 0 ? now - asked : -1;
}

double
liveness_due(const struct liveness *liveness, const struct liveness_view *view)
{
    double due = timer_sooner(heartbeat_due(liveness, view), message_due(liveness, view));

    due = timer_sooner(due, stream_write_due(view->stream, view->route->write_timeout));
    return timer_sooner(due, liveness->close_by);
}

static enum liveness_verdict
look_at_heartbeat(struct liveness *liveness, const struct liveness_view *view)
{
    if (liveness->pinged == 0)
        return LIVENESS_PING;
    /* Megabytes may lie in the kernel before the PING; who takes them is alive. */
    if (stream_unacknowledged(view->stream) >= liveness->behind)
        return LIVENESS_LOST;
    liveness_pinged(liveness, view);
    return LIVENESS_FINE;
}

enum liveness_verdict
liveness_look(struct liveness *liveness, const struct liveness_view *view)
{
    if (stream_takes_nothing(view->stream, view->route->write_timeout))
        return LIVENESS_STALLED;
    if (passed(view, liveness->close_by))
        return LIVENESS_NO_CLOSE;
    if (passed(view, message_due(liveness, view)))
        return LIVENESS_UNFINISHED;
    if (passed(view, heartbeat_due(liveness, view)))
        return look_at_heartbeat(liveness, view);
    return LIVENESS_FINE;
}
