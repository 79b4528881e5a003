/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a path of an artifact: what is taken has none of what a path could do harm with. */
#include "base/mem.h"
#include "services/tracking/artifacts.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(struct ig_str segment)
{
    IG_ASSERT(segment.len > 0 && segment.len <= IG_ARTIFACT_NAME_MAX);
    IG_ASSERT(!ig_str_is(segment, ".") && !ig_str_is(segment, ".."));
    for (size_t i = 0; i < segment.len; i++)
        IG_ASSERT((unsigned char)segment.ptr[i] >= 0x20 && segment.ptr[i] != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_str path = {(const char *)data, size};
    enum ig_code code = ig_artifacts_check_path(path, &err);
    IG_ASSERT(code == err.code && (code == IG_OK || code == IG_INVALID));
    if (code != IG_OK) return 0;
    IG_ASSERT(size <= IG_ARTIFACT_PATH_MAX && path.ptr[0] != '/' && ig_str_utf8_valid(path));
    IG_ASSERT(!memmem(data, size, "%2e", 3) && !memmem(data, size, "%2F", 3));
    for (struct ig_str rest = path; rest.ptr;) check_segment(ig_str_cut(&rest, '/'));
    return 0;
}
