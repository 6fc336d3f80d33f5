/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/tcp_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

void
tcp_options_set(int fd)
{
    static const struct {
        int level;
        int option;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, TCP_OPTIONS_KEEPIDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL, TCP_OPTIONS_KEEPINTVL},
        {IPPROTO_TCP, TCP_KEEPCNT, TCP_OPTIONS_KEEPCNT},
    };
    size_t i;

    for (i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                   sizeof options[i].value);
}
