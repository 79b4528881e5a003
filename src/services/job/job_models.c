/* SPDX-License-Identifier: Apache-2.0 */
/* Models that jobs name. Thread rule: worker threads. */
#include "services/job/job_models.h"

#include "base/file.h"

#include <stdio.h>

enum { ARENA_CHUNK = 4096, ARENA_MAX = 1 << 20 };

struct named {
    const char *parameter;
    char *uri; /* in the parameters; empty: none */
};

static size_t models_of(struct named named[IG_JOB_MODELS_MAX], struct ig_job_params *params)
{
    size_t count = 0;
    if (params->engine != IG_JOB_EDGE) return 0;
    if (params->edge.teacher.text[0])
        named[count++] = (struct named){"teacher", params->edge.teacher.text};
    if (params->edge.source.text[0])
        named[count++] = (struct named){"source", params->edge.source.text};
    return count;
}

static enum ig_code find(struct ig_registry_version *out, struct ig_registry *registry,
                         const struct named *named, struct ig_arena *arena, struct ig_err *err)
{
    if (ig_registry_resolve(out, registry, ig_str_view(named->uri), arena, err) != IG_OK)
        ig_err_prefix(err, "parameter '%s'", named->parameter);
    return err->code;
}

enum ig_code ig_job_models_resolve(struct ig_job_params *params, struct ig_registry *registry,
                                   struct ig_err *err)
{
    struct named named[IG_JOB_MODELS_MAX];
    size_t count = models_of(named, params);
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ig_registry_version version;
        if (find(&version, registry, &named[i], &arena, err) != IG_OK) break;
        snprintf(named[i].uri, IG_PARAM_STRING_SIZE, "models:/%.*s/%lld",
                 IG_STR_ARGS(version.model), (long long)version.version);
    }
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code ig_job_models_open(int fds[IG_JOB_MODELS_MAX], size_t *count,
                                const struct ig_job_models *from,
                                const struct ig_job_params *params, struct ig_err *err)
{
    struct named named[IG_JOB_MODELS_MAX];
    size_t wanted = models_of(named, (struct ig_job_params *)(uintptr_t)params);
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    *count = 0;
    while (*count < wanted) {
        struct ig_registry_version version;
        uint64_t size;
        fds[*count] = -1;
        if (find(&version, from->registry, &named[*count], &arena, err) != IG_OK ||
            ig_blob_get(&fds[*count], &size, from->blobs, version.digest, err) != IG_OK)
            break;
        (*count)++;
    }
    while (err->code != IG_OK && *count > 0) ig_file_close(&fds[--*count]);
    ig_arena_deinit(&arena);
    return err->code;
}
