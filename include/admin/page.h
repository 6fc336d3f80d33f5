/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page -- src/admin/page.html, as it was when culvert was built.
 */
#ifndef CULVERT_ADMIN_PAGE_H
#define CULVERT_ADMIN_PAGE_H

#include <stddef.h>

/* Where the page names the nonce of its style and script: this many bytes to put one in place of.
 */
#define PAGE_NONCE "0123456789abcdef0123456789abcdef"

const char *page_html(size_t *len);

#endif
