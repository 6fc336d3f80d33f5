/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns_name -- what may be asked of name servers.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_NET_DNS_NAME_H
#define CULVERT_NET_DNS_NAME_H

#include <stdbool.h>

enum {
    DNS_NAME_MAX = 253, /* bytes, RFC 1035 section 3.1 as text, without the root's dot */
    DNS_NAME_KEY = 1 + DNS_NAME_MAX + 2, /* bytes of a key, with the root's dot and NUL */
};

/* Letters, digits, '-' and '_' (which is no host name's, but found in many) in labels of 1 to 63,
 * perhaps with a dot at the end. */
bool dns_name_valid(const char *name);

/* Name servers are not to be asked for it (RFC 6761 section 6.3); c-ares 1.18 knows that too, but
 * loses memory each time when /etc/hosts has it for the other family only. */
bool dns_name_is_localhost(const char *name);

/* What an answer is kept by: '4' or '6' for the family, then the valid name in lower case. */
void dns_name_key(char key[DNS_NAME_KEY], const char *name, int family);

#endif
