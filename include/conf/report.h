/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_report -- what conf.h says of it; this is the part that only conf/ needs.
 *
 * Thread:    that of the loader.
 */
#ifndef CULVERT_CONF_REPORT_H
#define CULVERT_CONF_REPORT_H

#include <stdbool.h>

/* A file of another kind altogether has a mistake on every line: nobody reads more than these, and
 * what they cost is bounded. */
#define CONF_MISTAKES_MAX 1000u

struct conf_report;

/* Whether further mistakes would be dropped: a loader may stop. */
bool conf_report_full(const struct conf_report *report);

#endif
