/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dates of HTTP, by hand: strptime() and strftime() speak the language of the locale.
 */
#include <stdio.h>

#include "target/files_http.h"

static const char days[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void
files_http_date_format(time_t when, char out[FILES_HTTP_DATE])
{
    struct tm tm;

    if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
        memset(&tm, 0, sizeof tm);
    snprintf(out, FILES_HTTP_DATE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* ---- reading: each step takes its piece off the front, or says no ---- */

static bool
take_text(struct span *rest, const char *text)
{
    size_t len = strlen(text);

    if (rest->len < len || memcmp(rest->at, text, len) != 0)
        return false;
    rest->at += len;
    rest->len -= len;
    return true;
}

static bool
take_digits(struct span *rest, unsigned n, int *number)
{
    *number = 0;
    if (rest->len < n)
        return false;
    for (; n > 0; n--) {
        if (*rest->at < '0' || *rest->at > '9')
            return false;
        *number = *number * 10 + (*rest->at - '0');
        rest->at++;
        rest->len--;
    }
    return true;
}

/* The day's name, three letters of it or all; which day it is does not matter. */
static bool
take_day(struct span *rest, bool whole)
{
    for (unsigned i = 0; i < 7; i++) {
        char name[sizeof days[0]];

        snprintf(name, sizeof name, "%.*s", whole ? 9 : 3, days[i]);
        if (take_text(rest, name))
            return true;
    }
    return false;
}

static bool
take_month(struct span *rest, struct tm *tm)
{
    for (tm->tm_mon = 0; tm->tm_mon < 12; tm->tm_mon++) {
        if (take_text(rest, months[tm->tm_mon]))
            return true;
    }
    return false;
}

static bool
take_time(struct span *rest, struct tm *tm)
{
    return take_digits(rest, 2, &tm->tm_hour) && take_text(rest, ":") &&
           take_digits(rest, 2, &tm->tm_min) && take_text(rest, ":") &&
           take_digits(rest, 2, &tm->tm_sec);
}

static bool
take_year(struct span *rest, struct tm *tm)
{
    if (!take_digits(rest, 4, &tm->tm_year))
        return false;
    tm->tm_year -= 1900;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool
take_imf(struct span rest, struct tm *tm)
{
    return take_day(&rest, false) && take_text(&rest, ", ") &&
           take_digits(&rest, 2, &tm->tm_mday) && take_text(&rest, " ") && take_month(&rest, tm) &&
           take_text(&rest, " ") && take_year(&rest, tm) && take_text(&rest, " ") &&
           take_time(&rest, tm) && span_is(rest, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": years from 1970 to 2069 */
static bool
take_rfc850(struct span rest, struct tm *tm)
{
    bool taken = take_day(&rest, true) && take_text(&rest, ", ") &&
                 take_digits(&rest, 2, &tm->tm_mday) && take_text(&rest, "-") &&
                 take_month(&rest, tm) && take_text(&rest, "-") &&
                 take_digits(&rest, 2, &tm->tm_year) && take_text(&rest, " ") &&
                 take_time(&rest, tm) && span_is(rest, " GMT");

    if (taken && tm->tm_year < 70)
        tm->tm_year += 100;
    return taken;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool
take_asctime(struct span rest, struct tm *tm)
{
    if (!(take_day(&rest, false) && take_text(&rest, " ") && take_month(&rest, tm) &&
          take_text(&rest, " ")))
        return false;
    if (!take_digits(&rest, take_text(&rest, " ") ? 1 : 2, &tm->tm_mday))
        return false;
    return take_text(&rest, " ") && take_time(&rest, tm) && take_text(&rest, " ") &&
           take_year(&rest, tm) && rest.len == 0;
}

int
files_http_date_parse(struct span text, time_t *when)
{
    struct tm tm = {0};
    int day;

    if (!take_imf(text, &tm) && !take_rfc850(text, &tm) && !take_asctime(text, &tm))
        return -1;
    if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return -1;
    day = tm.tm_mday;
    *when = timegm(&tm);
    return tm.tm_mday == day ? 0 : -1; /* timegm() makes March 2 of February 30 */
}
