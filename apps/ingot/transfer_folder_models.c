/* SPDX-License-Identifier: Apache-2.0 */
/* Files, logged models and registered models of an mlruns folder. Thread rule: one thread. */
#include "transfer_folder.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 256 << 10 };

/* ---- files ---- */

static const char *artifacts_of(const struct folder *folder, const struct ig_transfer_owner *owner,
                                struct ig_arena *arena)
{
    const char *above = folder_experiment(folder, owner->experiment, arena);
    if (!above) return NULL;
    return ig_arena_printf(arena, "%s%s/%.*s/artifacts", above, owner->is_model ? "/models" : "",
                           IG_STR_ARGS(owner->id));
}

static enum ig_code size_of(int64_t *out, const struct folder *folder, const char *path,
                            struct ig_err *err)
{
    uint64_t size = 0;
    int fd = -1;
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a path");
    if (ig_file_open_read(&fd, folder->root, path, err) == IG_OK) ig_file_size(&size, fd, err);
    ig_file_close(&fd);
    *out = (int64_t)size;
    return err->code;
}

enum ig_code folder_files(struct ig_transfer_files *out, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_arena *arena,
                          struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct names names = {0};
    const char *base = artifacts_of(folder, owner, arena);
    if (folder_walk(&names, folder, base, arena, err) != IG_OK) return err->code;
    out->items = ig_arena_array(arena, names.count + 1, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of files");
    for (; out->count < names.count; out->count++) {
        struct ig_transfer_file *file = &out->items[out->count];
        file->path = names.items[out->count];
        if (size_of(&file->size_bytes, folder,
                    ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(file->path)), err) != IG_OK)
            break;
    }
    return err->code;
}

/* All of one descriptor to another. */
static enum ig_code pump(int to, int from, struct ig_err *err)
{
    char *piece = ig_alloc(COPY_BYTES);
    if (!piece) return ig_fail(err, IG_NO_MEMORY, "a copy");
    while (err->code == IG_OK) {
        ssize_t got = read(from, piece, COPY_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) ig_fail(err, IG_IO, "read: %s", strerror(errno));
        if (got <= 0) break;
        ig_file_write_all(to, piece, (size_t)got, err);
    }
    ig_free(piece);
    return err->code;
}

enum ig_code folder_fetch(int fd, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_str path,
                          struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_arena arena;
    int from = -1;
    ig_arena_init(&arena, 4096, 64 << 10);
    const char *base = artifacts_of(folder, owner, &arena);
    const char *name = base ? ig_arena_printf(&arena, "%s/%.*s", base, IG_STR_ARGS(path)) : NULL;
    if (!name)
        ig_fail(err, IG_NO_MEMORY, "a path");
    else if (ig_file_open_read(&from, folder->root, name, err) == IG_OK)
        pump(fd, from, err);
    ig_file_close(&from);
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code folder_put_file(struct ig_transfer_side *side, const struct ig_transfer_owner *owner,
                             const struct ig_transfer_file *file, int fd, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_arena arena;
    int to = -1;
    ig_arena_init(&arena, 4096, 64 << 10);
    const char *base = artifacts_of(folder, owner, &arena);
    const char *name =
        base ? ig_arena_printf(&arena, "%s/%.*s", base, IG_STR_ARGS(file->path)) : NULL;
    if (folder_create(&to, folder, name, err) == IG_OK) pump(to, fd, err);
    ig_file_close(&to);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- logged models ---- */

static struct ig_str status_name(const struct ig_yaml *meta)
{
    static const char *const names[] = {"", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY",
                                        "LOGGED_MODEL_UPLOAD_FAILED"};
    int64_t number = ig_mlruns_i64(meta, "status", 0);
    return ig_str_view(number > 0 && number < 4 ? names[number] : "");
}

static enum ig_code read_logged(struct ig_transfer_logged *out, const struct folder *folder,
                                struct ig_str experiment, const char *base, struct ig_arena *arena,
                                struct ig_err *err)
{
    const struct ig_yaml *meta = NULL;
    struct ig_str view = ig_str_view(base);
    if (folder_read_meta(&meta, folder, folder_path(arena, view, "/meta.yaml"), arena, err) !=
        IG_OK)
        return err->code;
    *out = (struct ig_transfer_logged){.id = ig_mlruns_text(meta, "model_id"),
                                       .experiment = experiment,
                                       .name = ig_mlruns_text(meta, "name"),
                                       .type = ig_mlruns_text(meta, "model_type"),
                                       .status = status_name(meta),
                                       .run = ig_mlruns_text(meta, "source_run_id"),
                                       .artifact_uri = ig_mlruns_text(meta, "artifact_location")};
    if (folder_check_name(out->id, "logged model", err) != IG_OK ||
        folder_read_pairs(&out->params, folder, folder_path(arena, view, "/params"), true, arena,
                          err) != IG_OK)
        return err->code;
    return folder_read_pairs(&out->tags, folder, folder_path(arena, view, "/tags"), true, arena,
                             err);
}

enum ig_code folder_loggeds(struct ig_transfer_loggeds *out, struct ig_transfer_side *side,
                            struct ig_str experiment, struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct names names = {0};
    const char *above = folder_experiment(folder, experiment, arena);
    const char *base = above ? ig_arena_printf(arena, "%s/models", above) : NULL;
    if (folder_list(&names, folder, base, DT_DIR, arena, err) != IG_OK) return err->code;
    out->items = ig_arena_array(arena, names.count + 1, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of logged models");
    for (size_t i = 0; i < names.count; i++) {
        const char *path = ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(names.items[i]));
        if (!path || !folder_has(folder, folder_path(arena, ig_str_view(path), "/meta.yaml")))
            continue;
        if (read_logged(&out->items[out->count++], folder, experiment, path, arena, err) != IG_OK)
            break;
    }
    return err->code;
}

enum ig_code folder_put_logged(struct ig_transfer_logged *out, struct ig_transfer_side *side,
                               struct ig_str experiment, const struct ig_transfer_logged *logged,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_buf meta;
    int64_t status = 2, now = ig_clock_unix_ms();
    if (folder_check_name(logged->id, "logged model", err) != IG_OK) return err->code;
    const char *base = ig_arena_printf(arena, "%.*s/models/%.*s", IG_STR_ARGS(experiment),
                                       IG_STR_ARGS(logged->id));
    const char *uri =
        base ? ig_arena_printf(arena, "file://%s/%s/artifacts", folder->place, base) : NULL;
    if (!uri) return ig_fail(err, IG_NO_MEMORY, "a logged model");
    struct ig_str view = ig_str_view(base);
    *out = *logged;
    out->experiment = experiment;
    out->artifact_uri = ig_str_view(uri);
    if (ig_str_is(logged->status, "LOGGED_MODEL_PENDING")) status = 1;
    if (ig_str_is(logged->status, "LOGGED_MODEL_UPLOAD_FAILED")) status = 3;
    ig_buf_init(&meta, VALUE_MAX);
    ig_mlruns_add_text(&meta, "artifact_location", out->artifact_uri);
    ig_mlruns_add_i64(&meta, "creation_timestamp", now);
    ig_mlruns_add_text(&meta, "experiment_id", experiment);
    ig_mlruns_add_i64(&meta, "last_updated_timestamp", now);
    ig_mlruns_add_text(&meta, "lifecycle_stage", IG_STR("active"));
    ig_mlruns_add_text(&meta, "model_id", logged->id);
    ig_mlruns_add_text(&meta, "model_type", logged->type);
    ig_mlruns_add_text(&meta, "name", logged->name);
    ig_mlruns_add_text(&meta, "source_run_id", logged->run);
    ig_mlruns_add_i64(&meta, "status", status);
    ig_buf_add_cstr(&meta, "status_message: null\n");
    if (folder_make(folder, base, arena, err) == IG_OK &&
        folder_write_pairs(folder, folder_path(arena, view, "/params"), logged->params, arena,
                           err) == IG_OK &&
        folder_write_pairs(folder, folder_path(arena, view, "/tags"), logged->tags, arena, err) ==
            IG_OK)
        folder_write_meta(folder, base, &meta, arena, err);
    ig_buf_deinit(&meta);
    return err->code;
}

/* ---- registered models ---- */

enum ig_code folder_models(struct ig_transfer_models *out, struct ig_transfer_side *side,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct names names = {0};
    if (folder_list(&names, folder, "models", DT_DIR, arena, err) != IG_OK) return err->code;
    out->items = ig_arena_array(arena, names.count + 1, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of registered models");
    for (size_t i = 0; i < names.count; i++) {
        struct ig_transfer_model *model = &out->items[out->count];
        const struct ig_yaml *meta = NULL;
        const char *base = ig_arena_printf(arena, "models/%.*s", IG_STR_ARGS(names.items[i]));
        struct ig_str view = ig_str_view(base);
        const char *file = folder_path(arena, view, "/meta.yaml");
        if (!folder_has(folder, file)) continue;
        if (folder_read_meta(&meta, folder, file, arena, err) != IG_OK ||
            folder_read_pairs(&model->tags, folder, folder_path(arena, view, "/tags"), true, arena,
                              err) != IG_OK ||
            folder_read_pairs(&model->aliases, folder, folder_path(arena, view, "/aliases"), true,
                              arena, err) != IG_OK)
            return err->code;
        model->name = names.items[i];
        model->description = ig_mlruns_text(meta, "description");
        out->count++;
    }
    return IG_OK;
}

static enum ig_code read_version(struct ig_transfer_version *out, const struct folder *folder,
                                 const char *base, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_yaml *meta = NULL;
    struct ig_str view = ig_str_view(base);
    if (folder_read_meta(&meta, folder, folder_path(arena, view, "/meta.yaml"), arena, err) !=
        IG_OK)
        return err->code;
    *out = (struct ig_transfer_version){.version = ig_mlruns_i64(meta, "version", 0),
                                        .source = ig_mlruns_text(meta, "source"),
                                        .run = ig_mlruns_text(meta, "run_id"),
                                        .description = ig_mlruns_text(meta, "description"),
                                        .stage = ig_mlruns_text(meta, "current_stage")};
    if (out->version < 1) return ig_fail(err, IG_PARSE, "%s/meta.yaml: version: missing", base);
    return folder_read_pairs(&out->tags, folder, folder_path(arena, view, "/tags"), true, arena,
                             err);
}

static int by_number(const void *a, const void *b)
{
    const struct ig_transfer_version *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

enum ig_code folder_versions(struct ig_transfer_versions *out, struct ig_transfer_side *side,
                             struct ig_str model, struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct names names = {0};
    const char *base = ig_arena_printf(arena, "models/%.*s", IG_STR_ARGS(model));
    if (folder_check_name(model, "registered model", err) != IG_OK ||
        folder_list(&names, folder, base, DT_DIR, arena, err) != IG_OK)
        return err->code;
    out->items = ig_arena_array(arena, names.count + 1, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of versions");
    for (size_t i = 0; i < names.count; i++) {
        const char *path = ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(names.items[i]));
        if (!ig_str_starts(names.items[i], IG_STR("version-")) || !path ||
            !folder_has(folder, folder_path(arena, ig_str_view(path), "/meta.yaml")))
            continue;
        struct ig_transfer_version *version = &out->items[out->count];
        if (read_version(version, folder, path, arena, err) != IG_OK) break;
        out->count += !ig_str_is(version->stage, "Deleted_Internal");
    }
    qsort(out->items, out->count, sizeof *out->items, by_number);
    return err->code;
}

enum ig_code folder_location(struct ig_str *out, struct ig_transfer_side *side, struct ig_str model,
                             int64_t version, struct ig_arena *arena, struct ig_err *err)
{
    const struct folder *folder = (const struct folder *)side;
    const struct ig_yaml *meta = NULL;
    const char *path = ig_arena_printf(arena, "models/%.*s/version-%lld/meta.yaml",
                                       IG_STR_ARGS(model), (long long)version);
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a version");
    if (folder_read_meta(&meta, folder, path, arena, err) != IG_OK) return err->code;
    struct ig_str location = ig_mlruns_text(meta, "storage_location");
    if (location.len) *out = location;
    return IG_OK;
}

enum ig_code folder_put_model(struct ig_transfer_side *side, const struct ig_transfer_model *model,
                              struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_buf meta;
    struct ig_arena arena;
    int64_t now = ig_clock_unix_ms();
    if (folder_check_name(model->name, "registered model", err) != IG_OK) return err->code;
    ig_arena_init(&arena, 4096, 64 << 20);
    ig_buf_init(&meta, VALUE_MAX);
    const char *base = ig_arena_printf(&arena, "models/%.*s", IG_STR_ARGS(model->name));
    ig_mlruns_add_i64(&meta, "creation_timestamp", now);
    ig_mlruns_add_text(&meta, "description", model->description);
    ig_mlruns_add_i64(&meta, "last_updated_timestamp", now);
    ig_mlruns_add_text(&meta, "name", model->name);
    if (!base)
        ig_fail(err, IG_NO_MEMORY, "a registered model");
    else if (folder_write_meta(folder, base, &meta, &arena, err) == IG_OK)
        folder_write_pairs(folder, folder_path(&arena, ig_str_view(base), "/tags"), model->tags,
                           &arena, err);
    ig_buf_deinit(&meta);
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code folder_put_version(struct ig_transfer_side *side, struct ig_str model,
                                const struct ig_transfer_version *version, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_buf meta;
    struct ig_arena arena;
    int64_t now = ig_clock_unix_ms();
    ig_arena_init(&arena, 4096, 64 << 20);
    ig_buf_init(&meta, VALUE_MAX);
    const char *base = ig_arena_printf(&arena, "models/%.*s/version-%lld", IG_STR_ARGS(model),
                                       (long long)version->version);
    ig_mlruns_add_i64(&meta, "creation_timestamp", now);
    ig_mlruns_add_text(&meta, "current_stage", version->stage);
    ig_mlruns_add_text(&meta, "description", version->description);
    ig_mlruns_add_i64(&meta, "last_updated_timestamp", now);
    ig_mlruns_add_text(&meta, "name", model);
    ig_mlruns_add_text(&meta, "run_id", version->run);
    ig_mlruns_add_text(&meta, "run_link", IG_STR(""));
    ig_mlruns_add_text(&meta, "source", version->source);
    ig_mlruns_add_text(&meta, "status", IG_STR("READY"));
    ig_buf_add_cstr(&meta, "status_message: null\n");
    if (!ig_str_starts(version->source, IG_STR("models:")))
        ig_mlruns_add_text(&meta, "storage_location", version->source);
    ig_buf_add_cstr(&meta, "user_id: null\n");
    ig_mlruns_add_i64(&meta, "version", version->version);
    if (!base)
        ig_fail(err, IG_NO_MEMORY, "a version");
    else if (folder_write_pairs(folder, folder_path(&arena, ig_str_view(base), "/tags"),
                                version->tags, &arena, err) == IG_OK)
        folder_write_meta(folder, base, &meta, &arena, err);
    ig_buf_deinit(&meta);
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code folder_put_alias(struct ig_transfer_side *side, struct ig_str model,
                              struct ig_tracking_pair alias, struct ig_err *err)
{
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 64 << 10);
    if (folder_check_name(alias.key, "alias", err) == IG_OK)
        folder_write((struct folder *)side,
                     ig_arena_printf(&arena, "models/%.*s/aliases/%.*s", IG_STR_ARGS(model),
                                     IG_STR_ARGS(alias.key)),
                     alias.value, err);
    ig_arena_deinit(&arena);
    return err->code;
}
