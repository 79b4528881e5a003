/* SPDX-License-Identifier: Apache-2.0 */
/* The copy itself. A run is made, given its values and files, ended, and then read back from where
 * it was copied to: the counts of both are what the caller compares. Logged models come before runs
 * end and registered versions last, since they name both. Thread rule: one thread. */
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
    const struct moved moved = {run->id, run->artifact_uri, to.id, to.artifact_uri};
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
    const struct moved moved = {logged->id, logged->artifact_uri, to.id, to.artifact_uri};
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

/* Where a copied version lies: behind a run's or logged model's place, or by a logged model's id.
 */
static struct ig_str new_source(struct copy *copy, struct ig_str source)
{
    static const struct ig_str models = {"models:/m-", 10};
    for (size_t i = 0; i < copy->moved.count; i++) {
        const struct moved *moved = &copy->moved.items[i];
        struct ig_str id = {source.ptr + 8, source.len < 8 ? 0 : source.len - 8};
        const char *text = NULL;
        if (ig_str_starts(source, models) && ig_str_eq(id, moved->id))
            text = ig_arena_printf(&copy->run, "models:/%.*s", IG_STR_ARGS(moved->to_id));
        else if (moved->uri.len && ig_str_starts(source, moved->uri) &&
                 (source.len == moved->uri.len || source.ptr[moved->uri.len] == '/'))
            text = ig_arena_printf(&copy->run, "%.*s%.*s", IG_STR_ARGS(moved->to_uri),
                                   (int)(source.len - moved->uri.len), source.ptr + moved->uri.len);
        if (text) return ig_str_view(text);
    }
    return source;
}

static enum ig_code copy_model(struct copy *copy, const struct ig_transfer_model *model,
                               struct ig_err *err)
{
    struct ig_transfer_versions versions = {0}, there = {0};
    ig_arena_reset(&copy->run);
    copy->result->from.models++;
    if (copy->from->ops->versions(&versions, copy->from, model->name, &copy->run, err) != IG_OK ||
        copy->to->ops->put_model(copy->to, model, err) != IG_OK ||
        copy->to->ops->versions(&there, copy->to, model->name, &copy->run, err) != IG_OK)
        return err->code;
    copy->result->to.models++;
    for (size_t i = 0, j = 0; i < versions.count; i++) {
        struct ig_transfer_version version = versions.items[i];
        while (j < there.count && there.items[j].version < version.version) j++;
        version.source = new_source(copy, version.source);
        version.run = new_run(copy, version.run);
        if ((j == there.count || there.items[j].version != version.version) &&
            copy->to->ops->put_version(copy->to, model->name, &version, err) != IG_OK)
            return err->code;
    }
    for (size_t i = 0; i < model->aliases.count; i++)
        if (copy->to->ops->put_alias(copy->to, model->name, model->aliases.items[i], err) != IG_OK)
            return err->code;
    there = (struct ig_transfer_versions){0};
    if (copy->to->ops->versions(&there, copy->to, model->name, &copy->run, err) != IG_OK)
        return err->code;
    copy->result->from.versions += (int64_t)versions.count;
    for (size_t i = 0, j = 0; i < versions.count; i++) {
        while (j < there.count && there.items[j].version < versions.items[i].version) j++;
        if (j < there.count && there.items[j].version == versions.items[i].version)
            copy->result->to.versions++;
    }
    return IG_OK;
}

static enum ig_code copy_all(struct copy *copy, struct ig_err *err)
{
    struct ig_transfer_experiments experiments = {0};
    struct ig_transfer_models models = {0};
    if (copy->from->ops->experiments(&experiments, copy->from, &copy->names, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < experiments.count; i++) {
        if (copy_experiment(copy, &experiments.items[i], err) == IG_OK) continue;
        ig_err_prefix(err, "experiment '%.*s'", IG_STR_ARGS(experiments.items[i].name));
        return err->code;
    }
    if (copy->from->ops->models(&models, copy->from, &copy->names, err) != IG_OK) return err->code;
    for (size_t i = 0; i < models.count; i++) {
        if (copy_model(copy, &models.items[i], err) == IG_OK) continue;
        ig_err_prefix(err, "registered model '%.*s'", IG_STR_ARGS(models.items[i].name));
        return err->code;
    }
    return IG_OK;
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
