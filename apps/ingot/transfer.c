/* SPDX-License-Identifier: Apache-2.0 */
/* The copy itself. A run is made, given its values and files, ended, and then read back from where
 * it was copied to: the counts of both are what the caller compares. Logged models come before runs
 * end and registered versions last, since they name both, each behind the version it was made of.
 * Thread rule: one thread. */
#include "transfer.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_CHUNK = 64 << 10, NAMES_MAX = 10000000 };
static const size_t ARENA_MAX = (size_t)1 << 30;

/* Ids and places of what was copied, for the sources of registered versions. */
struct moved {
    struct ig_str id, uri, to_id, to_uri;
    bool is_model;
};

struct copy {
    struct ig_transfer_side *from, *to;
    struct ig_transfer_result *result;
    void (*note)(const struct ig_transfer_result *result);
    struct ig_arena names; /* lives as long as the copy */
    struct ig_arena arena; /* of one experiment's list */
    struct ig_arena run;   /* of one run or model */
    struct {
        struct moved *items;
        size_t count, cap;
    } moved;
};

void ig_transfer_close(struct ig_transfer_side *side)
{
    if (side) side->ops->close(side);
}

static bool remember(struct copy *copy, struct moved moved)
{
    moved.id = ig_arena_dup(&copy->names, moved.id);
    moved.uri = ig_arena_dup(&copy->names, moved.uri);
    moved.to_id = ig_arena_dup(&copy->names, moved.to_id);
    moved.to_uri = ig_arena_dup(&copy->names, moved.to_uri);
    return !copy->names.overflowed && IG_VEC_PUSH(&copy->moved, moved, NAMES_MAX);
}

static struct ig_str new_run(const struct copy *copy, struct ig_str run)
{
    for (size_t i = 0; run.len && i < copy->moved.count; i++)
        if (ig_str_eq(copy->moved.items[i].id, run)) return copy->moved.items[i].to_id;
    return run;
}

/* ---- files ---- */

static const struct ig_transfer_file *find_file(const struct ig_transfer_files *files,
                                                struct ig_str path)
{
    for (size_t i = 0; i < files->count; i++)
        if (ig_str_eq(files->items[i].path, path)) return &files->items[i];
    return NULL;
}

/* Through a file without a name: either side may be a server that takes its time. */
static enum ig_code copy_file(struct copy *copy, const struct ig_transfer_owner *from,
                              const struct ig_transfer_owner *to, struct ig_transfer_file *file,
                              struct ig_err *err)
{
    const char *dir = getenv("TMPDIR");
    uint64_t size = 0;
    int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return ig_fail(err, IG_IO, "no temporary file for '%.*s'", IG_STR_ARGS(file->path));
    if (copy->from->ops->fetch(fd, copy->from, from, file->path, err) == IG_OK &&
        ig_file_size(&size, fd, err) == IG_OK && lseek(fd, 0, SEEK_SET) != 0)
        ig_fail(err, IG_IO, "temporary file of '%.*s'", IG_STR_ARGS(file->path));
    file->size_bytes = (int64_t)size;
    if (err->code == IG_OK) copy->to->ops->put_file(copy->to, to, file, fd, err);
    ig_file_close(&fd);
    return err->code;
}

static void count_files(struct ig_transfer_counts *counts, const struct ig_transfer_files *files)
{
    counts->files += (int64_t)files->count;
    for (size_t i = 0; i < files->count; i++) counts->bytes += files->items[i].size_bytes;
}

static enum ig_code copy_files(struct copy *copy, const struct ig_transfer_owner *from,
                               const struct ig_transfer_owner *to, struct ig_err *err)
{
    struct ig_transfer_files files = {0}, there = {0};
    if (copy->from->ops->files(&files, copy->from, from, &copy->run, err) != IG_OK ||
        copy->to->ops->files(&there, copy->to, to, &copy->run, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < files.count; i++) {
        const struct ig_transfer_file *old = find_file(&there, files.items[i].path);
        if (old && old->size_bytes == files.items[i].size_bytes) continue;
        if (copy_file(copy, from, to, &files.items[i], err) != IG_OK) return err->code;
    }
    there = (struct ig_transfer_files){0};
    if (copy->to->ops->files(&there, copy->to, to, &copy->run, err) != IG_OK) return err->code;
    count_files(&copy->result->from, &files);
    count_files(&copy->result->to, &there);
    return IG_OK;
}

/* ---- runs ---- */

static struct ig_str tag_of(const struct ig_transfer_run *run, const char *key)
{
    for (size_t i = 0; i < run->tags.count; i++)
        if (ig_str_is(run->tags.items[i].key, key)) return run->tags.items[i].value;
    return IG_STR("");
}

/* Without those of an earlier copy, with this one's. */
static enum ig_code mark(struct ig_transfer_run *run, struct ig_arena *arena, struct ig_err *err)
{
    size_t count = 0;
    struct ig_tracking_pair *tags = ig_arena_array(arena, run->tags.count + 2, sizeof *tags);
    const char *done =
        ig_arena_printf(arena, "%.*s %lld", IG_STR_ARGS(run->status), (long long)run->end_ms);
    if (!tags || !done) return ig_fail(err, IG_NO_MEMORY, "tags of a run");
    for (size_t i = 0; i < run->tags.count; i++)
        if (!ig_str_is(run->tags.items[i].key, IG_TRANSFER_SOURCE_TAG) &&
            !ig_str_is(run->tags.items[i].key, IG_TRANSFER_DONE_TAG))
            tags[count++] = run->tags.items[i];
    tags[count++] = (struct ig_tracking_pair){IG_STR(IG_TRANSFER_SOURCE_TAG), run->id};
    tags[count++] = (struct ig_tracking_pair){IG_STR(IG_TRANSFER_DONE_TAG), ig_str_view(done)};
    run->tags = (struct ig_tracking_pairs){tags, count};
    return IG_OK;
}

static enum ig_code copy_values(struct copy *copy, const struct ig_transfer_run *run,
                                const struct ig_transfer_run *to, struct ig_err *err)
{
    for (size_t i = 0; i < run->metrics.count; i++) {
        struct ig_mlruns_points points = {0};
        struct ig_arena arena;
        ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
        if (copy->from->ops->history(&points, copy->from, run, run->metrics.items[i].key, &arena,
                                     err) == IG_OK &&
            copy->to->ops->log(copy->to, to, run->metrics.items[i].key, &points, err) == IG_OK)
            copy->result->from.metrics += (int64_t)points.count;
        ig_arena_deinit(&arena);
        if (err->code != IG_OK) return err->code;
    }
    return IG_OK;
}

/* What stands where it was copied to. */
static enum ig_code count_copy(struct copy *copy, const struct ig_transfer_run *run,
                               struct ig_str experiment, struct ig_err *err)
{
    struct ig_transfer_run to = {0};
    struct ig_transfer_counts *counts = &copy->result->to;
    if (copy->to->ops->find_run(&to, copy->to, experiment, run->id, &copy->run, err) != IG_OK)
        return err->code;
    if (!to.id.len) return IG_OK;
    counts->runs++;
    counts->params += (int64_t)to.params.count;
    for (size_t i = 0; i < to.tags.count; i++)
        counts->tags += ig_str_eq(tag_of(run, ig_arena_cstr(&copy->run, to.tags.items[i].key)),
                                  to.tags.items[i].value);
    for (size_t i = 0; i < to.metrics.count; i++) {
        struct ig_mlruns_points points = {0};
        struct ig_arena arena;
        ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
        copy->to->ops->history(&points, copy->to, &to, to.metrics.items[i].key, &arena, err);
        counts->metrics += (int64_t)points.count;
        ig_arena_deinit(&arena);
        if (err->code != IG_OK) return err->code;
    }
    return IG_OK;
}

static enum ig_code copy_run(struct copy *copy, struct ig_transfer_run *run,
                             struct ig_str experiment, struct ig_err *err)
{
    struct ig_transfer_run to = {0};
    struct ig_transfer_counts *counts = &copy->result->from;
    ig_arena_reset(&copy->run);
    if (mark(run, &copy->run, err) != IG_OK ||
        copy->to->ops->find_run(&to, copy->to, experiment, run->id, &copy->run, err) != IG_OK)
        return err->code;
    bool there = to.id.len && ig_str_eq(to.stage, run->stage) &&
                 ig_str_eq(tag_of(&to, IG_TRANSFER_DONE_TAG), tag_of(run, IG_TRANSFER_DONE_TAG));
    if (!there && copy->to->ops->make_run(&to, copy->to, experiment, run, &copy->run, err) != IG_OK)
        return err->code;
    const struct ig_transfer_owner source = {false, run->id, run->experiment, run->artifact_uri};
    const struct ig_transfer_owner target = {false, to.id, experiment, to.artifact_uri};
    const struct moved moved = {run->id, run->artifact_uri, to.id, to.artifact_uri, false};
    if (!remember(copy, moved)) return ig_fail(err, IG_NO_MEMORY, "ids of runs");
    if (there) {
        copy->result->skipped++;
        return IG_OK;
    }
    if (copy_values(copy, run, &to, err) != IG_OK ||
        copy_files(copy, &source, &target, err) != IG_OK ||
        copy->to->ops->end_run(copy->to, &to, run, err) != IG_OK)
        return err->code;
    counts->runs++;
    counts->params += (int64_t)run->params.count;
    counts->tags += (int64_t)run->tags.count;
    if (count_copy(copy, run, experiment, err) == IG_OK) copy->note(copy->result);
    return err->code;
}

static enum ig_code copy_logged(struct copy *copy, const struct ig_transfer_logged *logged,
                                struct ig_str experiment, struct ig_err *err)
{
    struct ig_transfer_logged to = {0};
    struct ig_transfer_logged mapped = *logged;
    ig_arena_reset(&copy->run);
    mapped.run = new_run(copy, logged->run);
    if (copy->to->ops->put_logged(&to, copy->to, experiment, &mapped, &copy->run, err) != IG_OK)
        return err->code;
    const struct ig_transfer_owner source = {true, logged->id, logged->experiment,
                                             logged->artifact_uri};
    const struct ig_transfer_owner target = {true, to.id, experiment, to.artifact_uri};
    const struct moved moved = {logged->id, logged->artifact_uri, to.id, to.artifact_uri, true};
    if (!remember(copy, moved)) return ig_fail(err, IG_NO_MEMORY, "ids of logged models");
    copy->result->from.loggeds++;
    if (copy_files(copy, &source, &target, err) == IG_OK) copy->result->to.loggeds++;
    return err->code;
}

static enum ig_code copy_experiment(struct copy *copy,
                                    const struct ig_transfer_experiment *experiment,
                                    struct ig_err *err)
{
    struct ig_str id = IG_STR("");
    struct ig_buf token;
    struct ig_transfer_loggeds loggeds = {0};
    const bool deleted = ig_str_is(experiment->stage, "deleted");
    copy->result->from.experiments++;
    ig_arena_reset(&copy->arena);
    if (copy->to->ops->put_experiment(&id, copy->to, experiment, &copy->names, err) != IG_OK)
        return err->code;
    copy->result->to.experiments++;
    ig_buf_init(&token, 64 << 10);
    do {
        struct ig_transfer_runs runs = {0};
        ig_arena_reset(&copy->arena);
        copy->from->ops->runs(&runs, copy->from, experiment->id, &token, &copy->arena, err);
        for (size_t i = 0; err->code == IG_OK && i < runs.count; i++) {
            if (deleted) runs.items[i].stage = IG_STR("active"); /* they go with it at the end */
            if (copy_run(copy, &runs.items[i], id, err) != IG_OK)
                ig_err_prefix(err, "run %.*s", IG_STR_ARGS(runs.items[i].id));
        }
    } while (err->code == IG_OK && token.len);
    ig_buf_deinit(&token);
    ig_arena_reset(&copy->arena);
    if (err->code == IG_OK)
        copy->from->ops->loggeds(&loggeds, copy->from, experiment->id, &copy->arena, err);
    for (size_t i = 0; err->code == IG_OK && i < loggeds.count; i++)
        if (copy_logged(copy, &loggeds.items[i], id, err) != IG_OK)
            ig_err_prefix(err, "logged model %.*s", IG_STR_ARGS(loggeds.items[i].id));
    if (err->code == IG_OK && deleted) copy->to->ops->delete_experiment(copy->to, id, err);
    return err->code;
}

/* ---- registered models ---- */

/* A run's or logged model's id of this side, as the other side has it; empty: it was not copied. */
static struct ig_str moved_id(const struct copy *copy, struct ig_str id)
{
    for (size_t i = 0; i < copy->moved.count; i++)
        if (ig_str_eq(copy->moved.items[i].id, id)) return copy->moved.items[i].to_id;
    return IG_STR("");
}

/* Of "runs:/ID/..." and "models:/m-..." what stands before and behind the id. */
static bool cut_id(struct ig_str *id, struct ig_str *rest, struct ig_str source)
{
    static const char *const schemes[] = {"runs:/", "models:/"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (!ig_str_starts(source, ig_str_view(schemes[i]))) continue;
        *rest = (struct ig_str){source.ptr + length, source.len - length};
        const char *end = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;
        *id = (struct ig_str){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
        *rest = (struct ig_str){rest->ptr + id->len, rest->len - id->len};
        return true;
    }
    return false;
}

/* Where a copied version lies: by the id of a run or logged model, or behind the place of one. */
static void new_source(struct copy *copy, struct ig_transfer_version *version)
{
    struct ig_str source = version->source, id, rest, to;
    const char *text = NULL;
    if (cut_id(&id, &rest, source) && (to = moved_id(copy, id)).len)
        text = ig_arena_printf(&copy->run, "%.*s%.*s%.*s", (int)(id.ptr - source.ptr), source.ptr,
                               IG_STR_ARGS(to), IG_STR_ARGS(rest));
    for (size_t i = 0; !text && i < copy->moved.count; i++) {
        const struct moved *moved = &copy->moved.items[i];
        if (!moved->uri.len || !ig_str_starts(source, moved->uri) ||
            (source.len > moved->uri.len && source.ptr[moved->uri.len] != '/'))
            continue;
        text = ig_arena_printf(&copy->run, "%.*s%.*s", IG_STR_ARGS(moved->to_uri),
                               (int)(source.len - moved->uri.len), source.ptr + moved->uri.len);
        if (moved->is_model) version->model_id = moved->to_id;
    }
    if (text) version->source = ig_str_view(text);
}

struct model_copy {
    const struct ig_transfer_model *model;
    struct ig_transfer_versions versions, there; /* by number */
    size_t done;                                 /* versions that are there now */
};
struct models_copy {
    struct copy *copy;
    struct model_copy *items;
    size_t count;
};

static const struct ig_transfer_version *find_version(const struct ig_transfer_versions *versions,
                                                      int64_t number)
{
    for (size_t i = 0; i < versions->count; i++)
        if (versions->items[i].version == number) return &versions->items[i];
    return NULL;
}

/* A version that was made of another one, "models:/NAME/NUMBER", comes behind that. */
static bool is_due(const struct models_copy *models, const struct ig_transfer_version *version)
{
    struct ig_str name, rest;
    int64_t number;
    if (!ig_str_starts(version->source, IG_STR("models:/")) ||
        !cut_id(&name, &rest, version->source) || !rest.len ||
        !ig_str_to_i64((struct ig_str){rest.ptr + 1, rest.len - 1}, &number))
        return true;
    for (size_t i = 0; i < models->count; i++) {
        const struct model_copy *of = &models->items[i];
        if (!ig_str_eq(of->model->name, name)) continue;
        const struct ig_transfer_version *made_of = find_version(&of->versions, number);
        return made_of && (size_t)(made_of - of->versions.items) < of->done;
    }
    return false;
}

static enum ig_code begin_model(struct copy *copy, struct model_copy *model, struct ig_err *err)
{
    copy->result->from.models++;
    if (copy->from->ops->versions(&model->versions, copy->from, model->model->name, &copy->names,
                                  err) != IG_OK ||
        copy->to->ops->put_model(copy->to, model->model, err) != IG_OK ||
        copy->to->ops->versions(&model->there, copy->to, model->model->name, &copy->names, err) !=
            IG_OK)
        return err->code;
    copy->result->to.models++;
    copy->result->from.versions += (int64_t)model->versions.count;
    return IG_OK;
}

static enum ig_code copy_version(struct copy *copy, struct model_copy *model, struct ig_err *err)
{
    struct ig_transfer_version version = model->versions.items[model->done];
    if (!find_version(&model->there, version.version)) {
        ig_arena_reset(&copy->run);
        new_source(copy, &version);
        version.run = new_run(copy, version.run);
        if (copy->to->ops->put_version(copy->to, model->model->name, &version, err) != IG_OK)
            return err->code;
    }
    model->done++;
    return IG_OK;
}

/* Copies what is due; *next is a model that waits for a version which is not there, or NULL. */
static enum ig_code copy_due(struct model_copy **next, struct models_copy *models,
                             struct ig_err *err)
{
    bool moved;
    do {
        moved = false;
        *next = NULL;
        for (size_t i = 0; i < models->count; i++) {
            struct model_copy *model = &models->items[i];
            while (model->done < model->versions.count &&
                   is_due(models, &model->versions.items[model->done])) {
                if (copy_version(models->copy, model, err) != IG_OK) {
                    *next = model;
                    return err->code;
                }
                moved = true;
            }
            if (model->done < model->versions.count) *next = model;
        }
    } while (moved && *next);
    return IG_OK;
}

/* What it was made of was deleted, so it is told where its files lie. */
static enum ig_code locate(struct copy *copy, struct model_copy *model, struct ig_err *err)
{
    struct ig_transfer_version *version = &model->versions.items[model->done];
    return copy->from->ops->location(&version->source, copy->from, model->model->name,
                                     version->version, &copy->names, err);
}

static enum ig_code copy_versions(struct models_copy *models, struct ig_err *err)
{
    struct model_copy *next = NULL;
    do {
        if (copy_due(&next, models, err) == IG_OK && next &&
            locate(models->copy, next, err) == IG_OK)
            copy_version(models->copy, next, err);
    } while (next && err->code == IG_OK);
    if (err->code != IG_OK && next)
        ig_err_prefix(err, "registered model '%.*s'", IG_STR_ARGS(next->model->name));
    return err->code;
}

static enum ig_code end_model(struct copy *copy, const struct model_copy *model, struct ig_err *err)
{
    struct ig_transfer_versions there = {0};
    const struct ig_tracking_pairs *aliases = &model->model->aliases;
    for (size_t i = 0; i < aliases->count; i++)
        if (copy->to->ops->put_alias(copy->to, model->model->name, aliases->items[i], err) != IG_OK)
            return err->code;
    ig_arena_reset(&copy->run);
    if (copy->to->ops->versions(&there, copy->to, model->model->name, &copy->run, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < model->versions.count; i++)
        copy->result->to.versions += find_version(&there, model->versions.items[i].version) != NULL;
    return IG_OK;
}

static enum ig_code copy_models(struct copy *copy, struct ig_err *err)
{
    struct ig_transfer_models list = {0};
    struct models_copy models = {.copy = copy};
    if (copy->from->ops->models(&list, copy->from, &copy->names, err) != IG_OK) return err->code;
    models.items = ig_arena_zalloc(&copy->names, (list.count + 1) * sizeof *models.items);
    if (!models.items) return ig_fail(err, IG_NO_MEMORY, "registered models");
    for (; models.count < list.count; models.count++) {
        struct model_copy *model = &models.items[models.count];
        model->model = &list.items[models.count];
        if (begin_model(copy, model, err) == IG_OK) continue;
        ig_err_prefix(err, "registered model '%.*s'", IG_STR_ARGS(model->model->name));
        return err->code;
    }
    if (copy_versions(&models, err) != IG_OK) return err->code;
    for (size_t i = 0; i < models.count; i++) {
        if (end_model(copy, &models.items[i], err) == IG_OK) continue;
        ig_err_prefix(err, "registered model '%.*s'", IG_STR_ARGS(models.items[i].model->name));
        return err->code;
    }
    return IG_OK;
}

static enum ig_code copy_all(struct copy *copy, struct ig_err *err)
{
    struct ig_transfer_experiments experiments = {0};
    if (copy->from->ops->experiments(&experiments, copy->from, &copy->names, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < experiments.count; i++) {
        if (copy_experiment(copy, &experiments.items[i], err) == IG_OK) continue;
        ig_err_prefix(err, "experiment '%.*s'", IG_STR_ARGS(experiments.items[i].name));
        return err->code;
    }
    return copy_models(copy, err);
}

enum ig_code ig_transfer_copy(struct ig_transfer_result *result, struct ig_transfer_side *from,
                              struct ig_transfer_side *to,
                              void (*note)(const struct ig_transfer_result *result),
                              struct ig_err *err)
{
    struct copy copy = {.from = from, .to = to, .result = result, .note = note};
    *result = (struct ig_transfer_result){0};
    ig_arena_init(&copy.names, ARENA_CHUNK, ARENA_MAX);
    ig_arena_init(&copy.arena, ARENA_CHUNK, ARENA_MAX);
    ig_arena_init(&copy.run, ARENA_CHUNK, ARENA_MAX);
    copy_all(&copy, err);
    IG_VEC_FREE(&copy.moved);
    ig_arena_deinit(&copy.run);
    ig_arena_deinit(&copy.arena);
    ig_arena_deinit(&copy.names);
    return err->code;
}
