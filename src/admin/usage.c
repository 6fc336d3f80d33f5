/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/usage.h"

#include "event/loop.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "proto/http1.h"

void
usage_help(FILE *out)
{
    fputs(
        "culvert bridges WebSocket clients to TCP, TLS and unix-socket services.\n"
        "\n"
        "usage: culvert [-c FILE]                    run with a configuration file\n"
        "       culvert LISTEN TARGET                one route for every path, without a file\n"
        "       culvert --web DIR LISTEN TARGET      the same, and files from DIR for what is no "
        "WebSocket\n"
        "       culvert --check [-c FILE]            check the configuration, tell all mistakes, "
        "exit\n"
        "       culvert --dump [-c FILE]             print the configuration with every default, "
        "exit\n"
        "       culvert --version | --help\n"
        "\n"
        "  -c, --config FILE   default " CULVERT_SYSCONFDIR "/culvert.ini; - is standard input\n"
        "  LISTEN              PORT, :PORT, ADDRESS:PORT, [IPV6]:PORT or unix:/PATH\n"
        "  TARGET              HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH,\n"
        "                      map:FILE or echo:\n"
        "\n"
        "Example: a VNC server in the browser\n"
        "  culvert --web /usr/share/novnc :6080 localhost:5900\n"
        "\n"
        "Signals: TERM and INT say goodbye to all clients, spread over drain_timeout, and stop; a\n"
        "second one stops at once. HUP reads the configuration again.\n"
        "Exit status: 0 done, 1 failed at run time, 2 bad usage, 78 bad configuration.\n"
        "See culvert(1) and culvert.ini(5).\n",
        out);
}

void
usage_version(FILE *out)
{
    unsigned ev = loop_libev_version();
    unsigned http = http1_parser_version();

    fprintf(out, "culvert %s\n", CULVERT_VERSION);
    fprintf(out, "libev %u.%u\n", ev >> 8, ev & 255);
    fprintf(out, "%s\n", tls_library_version());
    fprintf(out, "c-ares %s\n", resolver_library_version());
    fprintf(out, "http-parser %u.%u.%u\n", http >> 16, http >> 8 & 255, http & 255);
}
