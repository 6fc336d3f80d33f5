/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/page.h"

#include <stdint.h>

/* The assembler reads the file, and tells its length: nothing is generated, and the page stays a
 * page. */
__asm__(".section .rodata\n"
        ".balign 8\n"
        "culvert_page_len:\n"
        ".quad culvert_page_end - culvert_page\n"
        "culvert_page:\n"
        ".incbin \"src/admin/page.html\"\n"
        "culvert_page_end:\n"
        ".previous\n");

extern const uint64_t culvert_page_len __attribute__((visibility("hidden")));
extern const char culvert_page[] __attribute__((visibility("hidden")));

const char *
page_html(size_t *len)
{
    *len = culvert_page_len;
    return culvert_page;
}
