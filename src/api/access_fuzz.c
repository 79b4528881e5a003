/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an Authorization header: what is taken for a name and a password is within it. */
#include "api/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_credentials_given given = {{NULL, 0}, {NULL, 0}};
    ig_arena_init(&arena, 4096, 1 << 20);
    enum ig_code code =
        ig_access_parse_basic(&given, (struct ig_str){(const char *)data, size}, &arena, &err);
    IG_ASSERT(code == err.code);
    if (code == IG_OK) {
        IG_ASSERT(size <= IG_ACCESS_BASIC_MAX);
        IG_ASSERT(given.name.len + given.password.len < size);
        IG_ASSERT(!given.name.len || !memchr(given.name.ptr, ':', given.name.len));
    } else {
        IG_ASSERT(!given.name.ptr && !given.password.ptr);
    }
    ig_arena_deinit(&arena);
    return 0;
}
