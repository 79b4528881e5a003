/* SPDX-License-Identifier: Apache-2.0 */
/* Models that jobs name. Thread rule: worker threads. */
#include "services/job/job_models.h"

#include "base/file.h"

#include <stdio.h>

enum { ARENA_CHUNK = 4096, ARENA_MAX = 1 << 20 };

enum ig_code ig_job_models_names(struct ig_job_model_names *out, const struct ig_job_params *params,
                                 struct ig_err *err)
{
    struct ig_str rest = IG_STR("");
    struct ig_str source = ig_str_view(ig_params_source(params));
    *out = (struct ig_job_model_names){0};
    if (params->engine == IG_JOB_EDGE) rest = ig_str_view(params->edge.teacher.text);
    while (rest.len) {
        struct ig_str uri = ig_str_trim(ig_str_cut(&rest, ','));
        if (out->teachers_count == IG_JOB_TEACHERS_MAX)
            return ig_fail(err, IG_INVALID, "parameter 'teacher': more than %d models",
                           IG_JOB_TEACHERS_MAX);
        out->uris[out->teachers_count++] = uri;
    }
    out->count = out->teachers_count;
    if (source.len) out->uris[out->count++] = source;
    return IG_OK;
}

static enum ig_code find(struct ig_registry_version *out, struct ig_registry *registry,
                         const struct ig_job_model_names *names, size_t index,
                         struct ig_arena *arena, struct ig_err *err)
{
    if (ig_registry_resolve(out, registry, names->uris[index], arena, err) != IG_OK)
        ig_err_prefix(err, "parameter '%s'", index < names->teachers_count ? "teacher" : "source");
    return err->code;
}

static enum ig_code set(struct ig_job_params *params, const char *name, const struct ig_buf *text,
                        struct ig_err *err)
{
    if (text->overflowed)
        return ig_fail(err, IG_INVALID, "parameter '%s': the names take more than %d bytes", name,
                       IG_PARAM_STRING_SIZE - 1);
    return ig_params_set(params, ig_str_view(name), ig_buf_view(text), err);
}

static enum ig_code number(struct ig_buf texts[2], struct ig_registry *registry,
                           const struct ig_job_model_names *names, struct ig_err *err)
{
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    for (size_t i = 0; i < names->count; i++) {
        struct ig_buf *text = &texts[i >= names->teachers_count];
        struct ig_registry_version version;
        if (find(&version, registry, names, i, &arena, err) != IG_OK) break;
        ig_buf_printf(text, "%smodels:/%.*s/%lld", text->len ? "," : "", IG_STR_ARGS(version.model),
                      (long long)version.version);
    }
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code ig_job_models_resolve(struct ig_job_params *params, struct ig_registry *registry,
                                   struct ig_err *err)
{
    struct ig_job_model_names names;
    struct ig_buf texts[2]; /* teachers, source */
    if (ig_job_models_names(&names, params, err) != IG_OK) return err->code;
    for (int i = 0; i < 2; i++) ig_buf_init(&texts[i], IG_PARAM_STRING_SIZE - 1);
    if (number(texts, registry, &names, err) == IG_OK &&
        (!texts[0].len || set(params, "teacher", &texts[0], err) == IG_OK) && texts[1].len)
        set(params, "source", &texts[1], err);
    for (int i = 0; i < 2; i++) ig_buf_deinit(&texts[i]);
    return err->code;
}

enum ig_code ig_job_models_open(int fds[IG_JOB_MODELS_MAX], size_t *count,
                                const struct ig_job_models *from,
                                const struct ig_job_params *params, struct ig_err *err)
{
    struct ig_job_model_names names;
    struct ig_arena arena;
    *count = 0;
    if (ig_job_models_names(&names, params, err) != IG_OK) return err->code;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    while (*count < names.count) {
        struct ig_registry_version version;
        uint64_t size;
        fds[*count] = -1;
        if (find(&version, from->registry, &names, *count, &arena, err) != IG_OK ||
            ig_blob_get(&fds[*count], &size, from->blobs, version.digest, err) != IG_OK)
            break;
        (*count)++;
    }
    while (err->code != IG_OK && *count > 0) ig_file_close(&fds[--*count]);
    ig_arena_deinit(&arena);
    return err->code;
}
