/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/rules.h"

#include <string.h>

#include "base/topic_filter.h"
#include "conf/conf.h"
#include "topic/hub.h"

const char *
rules_subscribe(const struct conf_route *route, struct span filter)
{
    for (char *const *allowed = route->subscribe; *allowed != NULL; allowed++) {
        if (topic_filter_covers(*allowed, strlen(*allowed), filter.at, filter.len))
            return NULL;
    }
    return "this route does not let clients subscribe to that filter";
}

const char *
rules_publish(const struct conf_route *route, const struct hub *hub, struct span topic,
              size_t payload_len, bool retain)
{
    char *const *allowed = route->publish;

    while (*allowed != NULL &&
           !topic_filter_matches(*allowed, strlen(*allowed), topic.at, topic.len))
        allowed++;
    if (*allowed == NULL)
        return "this route does not let clients publish to that topic";
    if (retain && !route->retain)
        return "this route keeps no retained values";
    if (retain && payload_len > 0 && !hub_retains(hub, topic.at, topic.len, payload_len))
        return "there are too many retained values already";
    return NULL;
}
