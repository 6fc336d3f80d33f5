/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files -- GET and HEAD of the files in one directory.
 *
 * Media types by extension, ETag and Last-Modified with If-None-Match and If-Modified-Since (304),
 * single byte ranges with If-Range (206, 416), index.html for a path that ends in '/', 301 to it
 * for a directory without. Nothing outside of the directory is reachable: the path is decoded
 * already, and the kernel resolves it beneath the directory (openat2 RESOLVE_BENEATH), so that
 * symbolic links may lead about inside but not out. No listings; names that begin with '.' are 404
 * (but .well-known).
 *
 * Thread:    on the loop's thread; files are read there, in pieces, as the client takes them.
 */
#ifndef CULVERT_TARGET_FILES_H
#define CULVERT_TARGET_FILES_H

struct exchange;

/*
 * Answers the exchange, now or in the course of the next turns. directory is absolute; path is the
 * decoded request path below the route, begins with '/'. Methods other than GET and HEAD: 405.
 */
void files_serve(struct exchange *exchange, const char *directory, const char *path);

#endif
