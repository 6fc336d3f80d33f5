/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "client/http.h"
#include "event/loop.h"
#include "event/timer.h"
#include "target/files.h"
#include "target/files_http.h"

enum {
    TURN = 4 * LOOP_SCRATCH, /* bytes of one file in one turn, however fast the client is */
    RACES = 16,              /* times that a lookup may lose against a rename */
};

/* A file on its way. */
struct sending {
    struct exchange_owner owner;
    struct exchange *exchange;
    struct timer next_turn;
    int fd;
    off_t at;
    uint64_t left;
};

/* ---- opening ---- */

/*
 * The kernel resolves the name, so nothing that is renamed or linked meanwhile leads out. O_PATH
 * with a second opening would keep clear of devices altogether, but needs /proc; O_NONBLOCK keeps
 * FIFOs and devices from making us wait, and the caller drops what is no regular file.
 */
static int
open_beneath(int directory, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    for (int i = 0; i < RACES; i++) {
        fd = syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return (int)fd;
}

/* Answers for a name that could not be opened. A name that leads out of the directory (EXDEV) is
 * not told from one that is not there. */
static void
refuse(struct exchange *exchange, const char *directory, const char *path, int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case ENODEV:
        exchange_error(exchange, 404, "", "no such file");
        return;
    case EACCES:
    case EPERM:
        exchange_error(exchange, 403, "", "this file may not be read");
        return;
    default:
        log_error(loop_log(exchange_loop(exchange)), exchange_name(exchange),
                  "cannot open %s%s: %s", directory, path, strerror(error));
        if (error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN)
            exchange_error(exchange, 503, "Retry-After: 1\r\n", "no resources to open the file");
        else
            exchange_error(exchange, 500, "", "the file cannot be opened");
    }
}

/* A directory, asked for without a slash. The client's own spelling of the path is used, which
 * leads through the route and needs no encoding. */
static void
redirect(struct exchange *exchange)
{
    const struct http1_request *request = exchange_request(exchange);
    bool query = request->query.len > 0;
    char header[HTTP1_TARGET_MAX + 64];

    /* "//host/" would be another server. */
    if (request->path.len == 0 || (request->path.len > 1 && request->path.at[1] == '/')) {
        exchange_error(exchange, 404, "", "no such file");
        return;
    }
    snprintf(header, sizeof header, "Location: %.*s/%s%.*s\r\n", (int)request->path.len,
             request->path.at, query ? "?" : "", (int)request->query.len, request->query.at);
    exchange_error(exchange, 301, header, "this is a directory");
}

/* Opens a regular file and looks at it, or answers and returns -1. */
static int
open_regular(struct exchange *exchange, const char *directory, const char *path, struct stat *st)
{
    int base = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;
    int error;

    if (base >= 0)
        fd = open_beneath(base, *path ? path + 1 : path);
    error = errno;
    if (base >= 0)
        close(base);
    if (fd >= 0 && fstat(fd, st) == 0) {
        if (S_ISREG(st->st_mode))
            return fd;
        if (S_ISDIR(st->st_mode))
            redirect(exchange);
        else
            exchange_error(exchange, 404, "", "no such file");
        close(fd);
        return -1;
    }
    if (fd >= 0) {
        error = errno;
        close(fd);
    }
    refuse(exchange, directory, path, error);
    return -1;
}

/* ---- sending ---- */

static void
sending_free(struct sending *sending)
{
    timer_deinit(&sending->next_turn);
    close(sending->fd);
    free(sending);
}

static void
sending_end(struct sending *sending)
{
    struct exchange *exchange = sending->exchange;

    sending_free(sending);
    exchange_end(exchange);
}

/* Reads a piece into the scratch buffer and sends it. Returns its length, or 0 if the file has
 * become shorter than was promised, or cannot be read. */
static size_t
send_piece(struct sending *sending)
{
    struct loop *loop = exchange_loop(sending->exchange);
    uint8_t *scratch = loop_scratch(loop);
    size_t want = sending->left < LOOP_SCRATCH ? (size_t)sending->left : LOOP_SCRATCH;
    ssize_t n;

    do
        n = pread(sending->fd, scratch, want, sending->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        log_warn(loop_log(loop), exchange_name(sending->exchange), "file broken off: %s",
                 n < 0 ? strerror(errno) : "it has become shorter");
        return 0;
    }
    exchange_write(sending->exchange, scratch, (size_t)n);
    sending->at += n;
    sending->left -= (uint64_t)n;
    return (size_t)n;
}

static void
sending_pump(struct sending *sending)
{
    size_t sent = 0;

    while (sending->left > 0 && sent < TURN && !exchange_is_lost(sending->exchange)) {
        size_t n;

        if (exchange_pending(sending->exchange) > HTTP_ANSWER_HIGH)
            return; /* until progress() */
        n = send_piece(sending);
        if (n == 0)
            break;
        sent += n;
    }
    if (sending->left > 0 && sent >= TURN && !exchange_is_lost(sending->exchange))
        timer_set(&sending->next_turn, loop_now(exchange_loop(sending->exchange)));
    else
        sending_end(sending);
}

static void
sending_next_turn(struct timer *timer)
{
    sending_pump(container_of(timer, struct sending, next_turn));
}

static void
sending_progress(struct exchange_owner *owner)
{
    sending_pump(container_of(owner, struct sending, owner));
}

static void
sending_gone(struct exchange_owner *owner)
{
    sending_free(container_of(owner, struct sending, owner));
}

static const struct exchange_events sending_events = {
    .progress = sending_progress,
    .gone = sending_gone,
};

/* Takes fd. */
static void
sending_start(struct exchange *exchange, int fd, uint64_t first, uint64_t len)
{
    struct sending *sending = calloc(1, sizeof *sending);

    if (!sending) {
        close(fd);
        exchange_end(exchange); /* breaks it off, as nothing was written */
        return;
    }
    sending->owner.events = &sending_events;
    sending->exchange = exchange;
    sending->fd = fd;
    sending->at = (off_t)first;
    sending->left = len;
    timer_init(&sending->next_turn, exchange_loop(exchange), sending_next_turn);
    exchange_set_owner(exchange, &sending->owner);
    sending_pump(sending);
}

/* ---- answering ---- */

/* Headers of 200, 206 and 304. */
static void
write_headers(char *out, size_t size, int status, const char *path, const struct stat *st,
              const char *etag, uint64_t first, uint64_t len)
{
    char modified[FILES_HTTP_DATE];
    char range[96] = "";

    files_http_date_format(st->st_mtim.tv_sec, modified);
    if (status == 206)
        snprintf(range, sizeof range,
                 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
                 first + len - 1, (uint64_t)st->st_size);
    snprintf(out, size,
             "Content-Type: %s\r\n%s"
             "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n"
             "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n",
             files_http_type(path), range, etag, modified);
}

/* Takes fd. */
static void
answer(struct exchange *exchange, const char *path, int fd, const struct stat *st)
{
    const struct http1_request *request = exchange_request(exchange);
    char etag[FILES_HTTP_ETAG];
    struct files_http_version version = {
        .etag = etag,
        .modified = st->st_mtim.tv_sec,
        .size = (uint64_t)st->st_size,
    };
    char headers[512];
    uint64_t first;
    uint64_t len;
    int status;

    files_http_etag_format(st->st_mtim, version.size, etag);
    status = files_http_decide(request, &version, &first, &len);
    if (status == 412 || status == 416) {
        close(fd);
        headers[0] = '\0';
        if (status == 416)
            snprintf(headers, sizeof headers, "Content-Range: bytes */%" PRIu64 "\r\n",
                     version.size);
        exchange_error(exchange, status, headers,
                       status == 416 ? "the range lies outside of the file"
                                     : "the file is not the version that was asked for");
        return;
    }
    write_headers(headers, sizeof headers, status, path, st, etag, first, len);
    exchange_begin(exchange, status, headers, status == 304 ? 0 : (int64_t)len);
    if (status == 304 || request->method == HTTP1_HEAD || len == 0) {
        close(fd);
        exchange_end(exchange);
        return;
    }
    sending_start(exchange, fd, first, len);
}

void
files_serve(struct exchange *exchange, const char *directory, const char *path)
{
    const struct http1_request *request = exchange_request(exchange);
    char name[PATH_MAX];
    size_t len = strlen(path);
    struct stat st;
    int fd;

    if (request->method != HTTP1_GET && request->method != HTTP1_HEAD) {
        exchange_error(exchange, 405, "Allow: GET, HEAD, OPTIONS\r\n", "files can only be read");
        return;
    }
    if (!files_http_path_ok(path) || len + sizeof "index.html" > sizeof name) {
        exchange_error(exchange, 404, "", "no such file");
        return;
    }
    snprintf(name, sizeof name, "%s%s", path, path[len - 1] == '/' ? "index.html" : "");
    fd = open_regular(exchange, directory, name, &st);
    if (fd >= 0)
        answer(exchange, name, fd, &st);
}
