/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/page.h"

/* The assembler reads the file: nothing is generated, and the page stays a page. */
__asm__(".section .rodata\n"
        "culvert_page_begin:\n"
        ".incbin \"src/admin/page.html\"\n"
        "culvert_page_end:\n"
        ".previous\n");

extern const char culvert_page_begin[] __attribute__((visibility("hidden")));
extern const char culvert_page_end[] __attribute__((visibility("hidden")));

const char *
page_html(size_t *len)
{
    *len = (size_t)(culvert_page_end - culvert_page_begin);
    return culvert_page_begin;
}
