/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_options -- what every TCP socket of ours is set to: TCP_NODELAY, and keep-alive for who has
 * turned the heartbeat off.
 */
#ifndef CULVERT_NET_TCP_OPTIONS_H
#define CULVERT_NET_TCP_OPTIONS_H

/* Who vanished without a FIN is noticed within two minutes of silence. */
enum {
    TCP_OPTIONS_KEEPIDLE = 60, /* seconds without data before the first probe */
    TCP_OPTIONS_KEEPINTVL = 15,
    TCP_OPTIONS_KEEPCNT = 4,
};

/* On a listening socket it saves the calls for each accepted one, which inherits them. A failure
 * would only make the connection less good. */
void tcp_options_set(int fd);

#endif
