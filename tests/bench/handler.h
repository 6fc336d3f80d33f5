/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handler -- who is told of the events of a descriptor; embedded, and what epoll gives back.
 */
#ifndef BENCH_HANDLER_H
#define BENCH_HANDLER_H

#include <stdint.h>

struct handler {
    void (*event)(struct handler *handler, uint32_t events);
};

#endif
