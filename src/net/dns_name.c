/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/dns_name.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LABEL_MAX_BYTES = 63,
};

static bool
valid_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '-' || byte == '_';
}

bool
dns_name_valid(const char *name)
{
    size_t len = strlen(name);
    size_t label = 0;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.' && label > 0)
            label = 0;
        else if (!valid_byte(name[i]) || ++label > LABEL_MAX_BYTES)
            return false;
    }
    return label > 0;
}

bool
dns_name_is_localhost(const char *name)
{
    return strcmp(name, "localhost") == 0 || strcmp(name, "localhost.") == 0;
}

void
dns_name_key(char key[DNS_NAME_KEY], const char *name, int family)
{
    *key++ = family == AF_INET6 ? '6' : '4';
    while (*name != '\0')
        *key++ = (char)tolower((unsigned char)*name++);
    *key = '\0';
}
