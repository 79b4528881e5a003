/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a user's text in a card: what comes out opens no tag, entity, link, code or table
 * cell of its own, and is one line. */
#include "services/lineage/card.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char MARKUP[] = "`*_{}[]()#+-.!|~^$:;'@\\?";
    struct ig_buf out;
    ig_buf_init(&out, 16 * size + 64);
    ig_card_escape(&out, (struct ig_str){(const char *)data, size}, size);
    for (size_t i = 0; i < out.len; i++) {
        char c = out.ptr[i];
        IG_ASSERT(c != '<' && c != '>' && c != '"' && (unsigned char)c >= ' ');
        if (c == '\\') {
            IG_ASSERT(i + 1 < out.len && strchr(MARKUP, out.ptr[i + 1]));
            i++;
        } else if (c == '&') {
            const char *end = memchr(out.ptr + i, ';', out.len - i);
            IG_ASSERT(end);
            i = (size_t)(end - out.ptr);
        } else {
            IG_ASSERT(!strchr(MARKUP, c));
        }
    }
    IG_ASSERT(ig_str_utf8_valid(ig_buf_view(&out)));
    ig_buf_deinit(&out);
    return 0;
}
