/* SPDX-License-Identifier: BSD-2-Clause */
#include "traffic.h"

/* The C library's own tcp_info ends before the counters. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

void
traffic_add(struct traffic *traffic, int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return;
    traffic->up += info.tcpi_bytes_sent;
    traffic->down += info.tcpi_bytes_received;
    traffic->segments_up += info.tcpi_segs_out;
    traffic->segments_down += info.tcpi_segs_in;
}
