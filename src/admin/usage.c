/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/usage.h"

#include "bridge/session_post_open.h"
#include "event/loop.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "proto/http1.h"
#include "topic/bus_mqtt_link.h"

static const char *const help[] = {
    "culvert bridges WebSocket clients to TCP, TLS and unix-socket services.",
    "",
    "usage: culvert [-c FILE]                  run with a configuration file",
    "       culvert LISTEN TARGET              one route for every path, without a file",
    "       culvert --web DIR LISTEN TARGET    the same, and files from DIR for the rest",
    "       culvert --check [-c FILE]          check the configuration, tell all mistakes, exit",
    "       culvert --dump [-c FILE]           print the configuration with every default, exit",
    "       culvert --version | --help",
    "",
    "  -c, --config FILE   default " CULVERT_SYSCONFDIR "/culvert.ini; - is standard input",
    "  LISTEN              PORT, :PORT, ADDRESS:PORT, [IPV6]:PORT or unix:/PATH",
    "  TARGET              HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH, map:FILE,",
    "                      mqtt://HOST, mqtts://HOST, mqtt+unix:/PATH or echo:",
    "",
    "Example: a VNC server in the browser",
    "  culvert --web /usr/share/novnc :6080 localhost:5900",
    "",
    "Signals: TERM and INT say goodbye to all clients, spread over drain_timeout, and stop; a",
    "second one stops at once. HUP reads the configuration again, USR1 opens the log file again.",
    "Exit status: 0 done, 1 failed at run time, 2 bad usage, 78 bad configuration.",
    "See culvert(1) and culvert.ini(5).",
};

void
usage_help(FILE *out)
{
    for (size_t i = 0; i < sizeof help / sizeof *help; i++)
        fprintf(out, "%s\n", help[i]);
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
    fprintf(out, "paho-mqtt %s\n", bus_mqtt_link_library_version());
    fprintf(out, "jansson %s\n", session_post_open_json_version());
    fprintf(out, "http-parser %u.%u.%u\n", http >> 16, http >> 8 & 255, http & 255);
}
