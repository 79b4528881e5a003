/* SPDX-License-Identifier: Apache-2.0 */
/* An mlruns folder, MLflow's file store, as one side of a copy:
 *
 *   ID/meta.yaml, ID/tags/KEY                     an experiment (.trash/ID: deleted)
 *   ID/RUN/meta.yaml, params/, tags/, metrics/    a run, a file a key; artifacts/
 *   ID/RUN/inputs/N/meta.yaml, ID/datasets/D/     what it read
 *   ID/models/MODEL/                              a logged model, as a run
 *   models/NAME/meta.yaml, tags/, aliases/        a registered model; version-N/
 *
 * A run's meta.yaml is written last: without it there is no run. Names of the folder are resolved
 * beneath it, links included, so no file elsewhere is read or written; artifacts that a meta.yaml
 * says are elsewhere are not taken. Thread rule: one thread. */
#include "transfer_folder.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 1000000, PAGE = 200 };

/* ---- files ---- */

const char *folder_path(struct ig_arena *arena, struct ig_str a, const char *rest)
{
    return ig_arena_printf(arena, "%.*s%s", IG_STR_ARGS(a), rest);
}

bool folder_has(const struct folder *folder, const char *path)
{
    struct ig_err ignored = IG_ERR_INIT;
    int fd = -1;
    bool there = path && ig_file_open_read(&fd, folder->root, path, &ignored) == IG_OK;
    ig_file_close(&fd);
    return there;
}

/* Of what a client of MLflow calls things: one segment of a path. */
enum ig_code folder_check_name(struct ig_str name, const char *what, struct ig_err *err)
{
    if (name.len && name.len < 256 && !memchr(name.ptr, '/', name.len) &&
        !memchr(name.ptr, 0, name.len) && !ig_str_is(name, ".") && !ig_str_is(name, ".."))
        return IG_OK;
    return ig_fail(err, IG_INVALID, "%s '%.*s' cannot be a folder's name", what,
                   name.len > 100 ? 100 : (int)name.len, name.ptr);
}

enum ig_code folder_read(struct ig_str *out, const struct folder *folder, const char *path,
                         size_t max, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_buf text;
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a path");
    ig_buf_init(&text, max);
    if (ig_file_read(&text, folder->root, path, err) == IG_OK) {
        *out = ig_arena_dup(arena, ig_buf_view(&text));
        if (!out->ptr) ig_fail(err, IG_NO_MEMORY, "%s", path);
    }
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code folder_read_meta(const struct ig_yaml **out, const struct folder *folder,
                              const char *path, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str text = IG_STR("");
    if (folder_read(&text, folder, path, VALUE_MAX, arena, err) != IG_OK) return err->code;
    if (ig_mlruns_meta_read(out, text, arena, err) != IG_OK) ig_err_prefix(err, "%s", path);
    return err->code;
}

/* Makes its folders. Not synced: a copy that a crash of the machine cuts is made again. */
enum ig_code folder_create(int *out, const struct folder *folder, const char *path,
                           struct ig_err *err)
{
    char parent[PATH_MAX];
    int dir = -1;
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash || (size_t)(slash - path) >= sizeof parent)
        return ig_fail(err, IG_INVALID, "path '%.200s'", path ? path : "");
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    if (ig_dir_make(&dir, folder->root, parent, err) != IG_OK) return err->code;
    *out = openat(dir, slash + 1, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (*out < 0) ig_fail(err, IG_IO, "cannot write %s: %s", path, strerror(errno));
    ig_file_close(&dir);
    return err->code;
}

enum ig_code folder_write(const struct folder *folder, const char *path, struct ig_str bytes,
                          struct ig_err *err)
{
    int fd = -1;
    if (folder_create(&fd, folder, path, err) == IG_OK)
        ig_file_write_all(fd, bytes.ptr, bytes.len, err);
    ig_file_close(&fd);
    return err->code;
}

static int by_bytes(const void *a, const void *b)
{
    const struct ig_str *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* What lies in a folder, sorted; a folder that is not there is empty. `kind`: DT_DIR or DT_REG. */
enum ig_code folder_list(struct names *out, const struct folder *folder, const char *path,
                         unsigned char kind, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    int fd = -1;
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a path");
    if (ig_dir_open(&fd, folder->root, path, &local) != IG_OK)
        return local.code == IG_NOT_FOUND ? IG_OK : ig_fail(err, local.code, "%s", local.message);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return ig_fail(err, IG_IO, "%s: %s", path, strerror(errno));
    }
    for (struct dirent *entry; err->code == IG_OK && (entry = readdir(dir));) {
        struct stat info;
        if (entry->d_name[0] == '.' && (!entry->d_name[1] || strcmp(entry->d_name, "..") == 0 ||
                                        strcmp(entry->d_name, ".trash") == 0))
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (kind == DT_DIR ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode)) continue;
        out->items = ig_arena_grow(arena, out->items, out->count, &out->cap, sizeof *out->items);
        struct ig_str name = ig_arena_dup(arena, ig_str_view(entry->d_name));
        if (!out->items || !name.ptr || out->count == NAMES_MAX)
            ig_fail(err, IG_NO_MEMORY, "%s: too many files", path);
        else
            out->items[out->count++] = name;
    }
    closedir(dir);
    if (err->code == IG_OK && out->items)
        qsort(out->items, out->count, sizeof *out->items, by_bytes);
    return err->code;
}

/* All files beneath a folder, by their paths within it: folders met stand in a list of their own.
 */
enum ig_code folder_walk(struct names *files, const struct folder *folder, const char *base,
                         struct ig_arena *arena, struct ig_err *err)
{
    struct names dirs = {0};
    struct ig_str first = IG_STR("");
    dirs.items = ig_arena_grow(arena, NULL, 0, &dirs.cap, sizeof *dirs.items);
    if (!dirs.items || !base) return ig_fail(err, IG_NO_MEMORY, "a list of files");
    dirs.items[dirs.count++] = first;
    for (size_t i = 0; i < dirs.count; i++) {
        struct ig_str above = dirs.items[i];
        for (unsigned kind = 0; kind < 2; kind++) {
            struct names found = {0}, *to = kind ? files : &dirs;
            const char *path =
                ig_arena_printf(arena, "%s%s%.*s", base, above.len ? "/" : "", IG_STR_ARGS(above));
            if (folder_list(&found, folder, path, kind ? DT_REG : DT_DIR, arena, err) != IG_OK)
                return err->code;
            for (size_t j = 0; j < found.count; j++) {
                const char *name =
                    ig_arena_printf(arena, "%.*s%s%.*s", IG_STR_ARGS(above), above.len ? "/" : "",
                                    IG_STR_ARGS(found.items[j]));
                to->items = ig_arena_grow(arena, to->items, to->count, &to->cap, sizeof *to->items);
                if (!name || !to->items || to->count == NAMES_MAX)
                    return ig_fail(err, IG_NO_MEMORY, "%s: too many files", base);
                to->items[to->count++] = ig_str_view(name);
            }
        }
    }
    return IG_OK;
}

/* A file a key. `values` false: keys alone. */
enum ig_code folder_read_pairs(struct ig_tracking_pairs *out, const struct folder *folder,
                               const char *base, bool values, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct names files = {0};
    if (folder_walk(&files, folder, base, arena, err) != IG_OK) return err->code;
    struct ig_tracking_pair *items = ig_arena_array(arena, files.count + 1, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "%s", base);
    for (size_t i = 0; i < files.count; i++) {
        items[i] = (struct ig_tracking_pair){files.items[i], IG_STR("")};
        const char *path = ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(files.items[i]));
        if (values && folder_read(&items[i].value, folder, path, VALUE_MAX, arena, err) != IG_OK)
            return err->code;
    }
    *out = (struct ig_tracking_pairs){items, files.count};
    return IG_OK;
}

enum ig_code folder_write_pairs(const struct folder *folder, const char *base,
                                struct ig_tracking_pairs pairs, struct ig_arena *arena,
                                struct ig_err *err)
{
    for (size_t i = 0; i < pairs.count; i++) {
        const char *path = ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(pairs.items[i].key));
        if (folder_write(folder, path, pairs.items[i].value, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

enum ig_code folder_write_meta(const struct folder *folder, const char *base,
                               const struct ig_buf *meta, struct ig_arena *arena,
                               struct ig_err *err)
{
    int dir = -1;
    const char *path = folder_path(arena, ig_str_view(base), "/meta.yaml");
    if (!path || meta->overflowed) return ig_fail(err, IG_NO_MEMORY, "%s", base);
    if (ig_dir_make(&dir, folder->root, base, err) == IG_OK)
        ig_file_replace(folder->root, path, ig_buf_view(meta), err);
    ig_file_close(&dir);
    return err->code;
}

/* ---- experiments ---- */

/* "ID" or ".trash/ID". */
const char *folder_experiment(const struct folder *folder, struct ig_str id, struct ig_arena *arena)
{
    const char *plain = ig_arena_printf(arena, "%.*s", IG_STR_ARGS(id));
    if (!plain || folder_has(folder, folder_path(arena, id, "/meta.yaml"))) return plain;
    const char *trash = ig_arena_printf(arena, ".trash/%.*s", IG_STR_ARGS(id));
    return trash && folder_has(folder, folder_path(arena, ig_str_view(trash), "/meta.yaml"))
               ? trash
               : plain;
}

static enum ig_code read_experiments(struct ig_transfer_experiments *out,
                                     const struct folder *folder, const char *base,
                                     struct ig_arena *arena, struct ig_err *err)
{
    struct names names = {0};
    if (folder_list(&names, folder, base, DT_DIR, arena, err) != IG_OK) return err->code;
    for (size_t i = 0; i < names.count; i++) {
        const struct ig_yaml *meta = NULL;
        const char *path = ig_arena_printf(arena, "%s/%.*s", base, IG_STR_ARGS(names.items[i]));
        const char *file = path ? folder_path(arena, ig_str_view(path), "/meta.yaml") : NULL;
        struct ig_transfer_experiment item = {.id = names.items[i]};
        if (ig_str_is(names.items[i], "models") || !folder_has(folder, file)) continue;
        if (folder_read_meta(&meta, folder, file, arena, err) != IG_OK ||
            folder_read_pairs(&item.tags, folder, folder_path(arena, ig_str_view(path), "/tags"),
                              true, arena, err) != IG_OK)
            return err->code;
        item.name = ig_mlruns_text(meta, "name");
        item.stage = ig_mlruns_text(meta, "lifecycle_stage");
        if (!item.name.len) return ig_fail(err, IG_PARSE, "%s: name: missing", file);
        out->items = ig_arena_grow(arena, out->items, out->count, &out->cap, sizeof *out->items);
        if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of experiments");
        out->items[out->count++] = item;
    }
    return IG_OK;
}

static enum ig_code folder_experiments(struct ig_transfer_experiments *out,
                                       struct ig_transfer_side *side, struct ig_arena *arena,
                                       struct ig_err *err)
{
    if (read_experiments(out, (struct folder *)side, ".", arena, err) != IG_OK) return err->code;
    return read_experiments(out, (struct folder *)side, ".trash", arena, err);
}

static enum ig_code write_experiment(const struct folder *folder, const char *base,
                                     const struct ig_transfer_experiment *experiment,
                                     struct ig_arena *arena, struct ig_err *err)
{
    struct ig_buf meta;
    const char *place =
        ig_arena_printf(arena, "file://%s/%.*s", folder->place, IG_STR_ARGS(experiment->id));
    int64_t now = ig_clock_unix_ms();
    ig_buf_init(&meta, VALUE_MAX);
    ig_mlruns_add_text(&meta, "artifact_location", ig_str_view(place));
    ig_mlruns_add_i64(&meta, "creation_time", now);
    ig_mlruns_add_text(&meta, "experiment_id", experiment->id);
    ig_mlruns_add_i64(&meta, "last_update_time", now);
    ig_mlruns_add_text(&meta, "lifecycle_stage", experiment->stage);
    ig_mlruns_add_text(&meta, "name", experiment->name);
    folder_write_meta(folder, base, &meta, arena, err);
    ig_buf_deinit(&meta);
    return err->code;
}

/* Its own id where that is free, else the next number. */
static enum ig_code free_id(struct ig_str *id, const struct ig_transfer_experiments *all,
                            struct ig_arena *arena, struct ig_err *err)
{
    int64_t number, greatest = 0;
    bool taken = folder_check_name(*id, "experiment id", err) != IG_OK;
    ig_err_clear(err);
    for (size_t i = 0; i < all->count; i++) {
        taken = taken || ig_str_eq(all->items[i].id, *id);
        if (ig_str_to_i64(all->items[i].id, &number) && number > greatest) greatest = number;
    }
    if (!taken) return IG_OK;
    const char *text = ig_arena_printf(arena, "%lld", (long long)greatest + 1);
    if (!text) return ig_fail(err, IG_NO_MEMORY, "an experiment");
    *id = ig_str_view(text);
    return IG_OK;
}

static enum ig_code move_experiment(const struct folder *folder, struct ig_str id, bool deleted,
                                    struct ig_err *err)
{
    struct ig_arena arena;
    int trash = -1;
    struct ig_transfer_experiments all = {0};
    ig_arena_init(&arena, 16 << 10, 256 << 20);
    const char *plain = ig_arena_printf(&arena, "%.*s", IG_STR_ARGS(id));
    const char *hidden = ig_arena_printf(&arena, ".trash/%.*s", IG_STR_ARGS(id));
    const char *from = deleted ? plain : hidden, *to = deleted ? hidden : plain;
    if (!plain || !hidden)
        ig_fail(err, IG_NO_MEMORY, "an experiment");
    else if (ig_dir_make(&trash, folder->root, ".trash", err) == IG_OK &&
             read_experiments(&all, folder, deleted ? "." : ".trash", &arena, err) == IG_OK &&
             renameat(folder->root, from, folder->root, to) != 0)
        ig_fail(err, IG_IO, "%s: cannot be moved to %s: %s", from, to, strerror(errno));
    for (size_t i = 0; err->code == IG_OK && i < all.count; i++) {
        if (!ig_str_eq(all.items[i].id, id)) continue;
        all.items[i].stage = deleted ? IG_STR("deleted") : IG_STR("active");
        write_experiment(folder, to, &all.items[i], &arena, err);
    }
    ig_file_close(&trash);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code folder_put_experiment(struct ig_str *id, struct ig_transfer_side *side,
                                          const struct ig_transfer_experiment *experiment,
                                          struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_transfer_experiments all = {0};
    struct ig_transfer_experiment made = *experiment;
    bool there = false;
    if (folder_experiments(&all, side, arena, err) != IG_OK) return err->code;
    for (size_t i = 0; i < all.count && !there; i++) {
        if (!ig_str_eq(all.items[i].name, experiment->name)) continue;
        there = true;
        made.id = all.items[i].id;
        if (ig_str_is(all.items[i].stage, "deleted") &&
            move_experiment(folder, made.id, false, err) != IG_OK)
            return err->code;
    }
    made.stage = IG_STR("active");
    if (!there && free_id(&made.id, &all, arena, err) != IG_OK) return err->code;
    const char *base = ig_arena_printf(arena, "%.*s", IG_STR_ARGS(made.id));
    if (!base) return ig_fail(err, IG_NO_MEMORY, "an experiment");
    if (!there && write_experiment(folder, base, &made, arena, err) != IG_OK) return err->code;
    *id = ig_str_view(base);
    return folder_write_pairs(folder, folder_path(arena, *id, "/tags"), experiment->tags, arena,
                              err);
}

static enum ig_code folder_delete_experiment(struct ig_transfer_side *side, struct ig_str id,
                                             struct ig_err *err)
{
    return move_experiment((struct folder *)side, id, true, err);
}

/* ---- runs ---- */

static void write_json_pair(struct ig_json_out *out, const char *name, struct ig_str value)
{
    if (value.len) ig_json_out_kv_str(out, name, value);
}

/* One input as MLflow's JSON; what is of no dataset is passed over. */
static enum ig_code add_input(struct ig_json_out *out, const struct folder *folder,
                              const char *experiment, const char *input, struct ig_arena *arena,
                              struct ig_err *err)
{
    static const char *const members[] = {"name",   "digest", "source_type",
                                          "source", "schema", "profile"};
    const struct ig_yaml *meta = NULL, *dataset = NULL;
    if (folder_read_meta(&meta, folder, input, arena, err) != IG_OK) return err->code;
    struct ig_str id = ig_mlruns_text(meta, "source_id");
    if (!ig_str_is(ig_mlruns_text(meta, "source_type"), "DATASET")) return IG_OK;
    if (folder_check_name(id, "dataset", err) != IG_OK) return err->code;
    const char *path =
        ig_arena_printf(arena, "%s/datasets/%.*s/meta.yaml", experiment, IG_STR_ARGS(id));
    if (folder_read_meta(&dataset, folder, path, arena, err) != IG_OK) return err->code;
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("dataset"));
    ig_json_out_object(out);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        write_json_pair(out, members[i], ig_mlruns_text(dataset, members[i]));
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("tags"));
    ig_json_out_array(out);
    const struct ig_yaml *tags = ig_yaml_get(meta, "tags");
    for (const struct ig_yaml *tag = tags ? tags->first : NULL; tag; tag = tag->next) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "key", tag->key);
        ig_json_out_kv_str(out, "value", tag->text);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

static enum ig_code read_inputs(struct ig_str *out, const struct folder *folder,
                                const char *experiment, const char *run, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct names names = {0};
    struct ig_buf text;
    struct ig_json_out json;
    const char *base = folder_path(arena, ig_str_view(run), "/inputs");
    *out = IG_STR("");
    if (folder_list(&names, folder, base, DT_DIR, arena, err) != IG_OK || !names.count)
        return err->code;
    ig_buf_init(&text, FILE_MAX);
    ig_json_out_init(&json, &text);
    ig_json_out_array(&json);
    for (size_t i = 0; err->code == IG_OK && i < names.count; i++)
        add_input(&json, folder, experiment,
                  ig_arena_printf(arena, "%s/%.*s/meta.yaml", base, IG_STR_ARGS(names.items[i])),
                  arena, err);
    ig_json_out_array_end(&json);
    if (err->code == IG_OK && text.len > 2) *out = ig_arena_dup(arena, ig_buf_view(&text));
    if (!out->ptr || text.overflowed) ig_fail(err, IG_NO_MEMORY, "inputs of a run");
    ig_buf_deinit(&text);
    return err->code;
}

static struct ig_str status_name(const struct ig_yaml *meta)
{
    struct ig_str text = ig_mlruns_text(meta, "status");
    int64_t number = IG_TRACKING_RUNNING;
    if (!ig_str_to_i64(text, &number) && text.len) return text;
    if (number < IG_TRACKING_RUNNING || number > IG_TRACKING_KILLED) number = IG_TRACKING_RUNNING;
    return ig_str_view(ig_tracking_status_name(number));
}

static enum ig_code read_run(struct ig_transfer_run *out, const struct folder *folder,
                             struct ig_str experiment, struct ig_str id, struct ig_arena *arena,
                             struct ig_err *err)
{
    const struct ig_yaml *meta = NULL;
    const char *above = folder_experiment(folder, experiment, arena);
    const char *base = above ? ig_arena_printf(arena, "%s/%.*s", above, IG_STR_ARGS(id)) : NULL;
    struct ig_str view = ig_str_view(base);
    if (!base) return ig_fail(err, IG_NO_MEMORY, "a run");
    if (folder_read_meta(&meta, folder, folder_path(arena, view, "/meta.yaml"), arena, err) !=
        IG_OK)
        return err->code;
    *out = (struct ig_transfer_run){.id = id,
                                    .experiment = experiment,
                                    .name = ig_mlruns_text(meta, "run_name"),
                                    .user = ig_mlruns_text(meta, "user_id"),
                                    .status = status_name(meta),
                                    .stage = ig_mlruns_text(meta, "lifecycle_stage"),
                                    .artifact_uri = ig_mlruns_text(meta, "artifact_uri"),
                                    .start_ms = ig_mlruns_i64(meta, "start_time", 0),
                                    .end_ms = ig_mlruns_i64(meta, "end_time", -1)};
    if (!out->stage.len) out->stage = IG_STR("active");
    if (folder_read_pairs(&out->params, folder, folder_path(arena, view, "/params"), true, arena,
                          err) != IG_OK ||
        folder_read_pairs(&out->tags, folder, folder_path(arena, view, "/tags"), true, arena,
                          err) != IG_OK ||
        folder_read_pairs(&out->metrics, folder, folder_path(arena, view, "/metrics"), false, arena,
                          err) != IG_OK)
        return err->code;
    return read_inputs(&out->inputs, folder, above, base, arena, err);
}

/* Pages of the sorted names; the token is the last name. */
static enum ig_code folder_runs(struct ig_transfer_runs *out, struct ig_transfer_side *side,
                                struct ig_str experiment, struct ig_buf *token,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct names names = {0};
    const char *base = folder_experiment(folder, experiment, arena);
    struct ig_str last = IG_STR(""), after = ig_buf_view(token);
    if (folder_list(&names, folder, base, DT_DIR, arena, err) != IG_OK) return err->code;
    out->items = ig_arena_array(arena, PAGE, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "a list of runs");
    for (size_t i = 0; i < names.count && out->count < PAGE; i++) {
        if (after.len && by_bytes(&names.items[i], &after) <= 0) continue;
        last = names.items[i];
        const char *meta = ig_arena_printf(arena, "%s/%.*s/meta.yaml", base, IG_STR_ARGS(last));
        if (!folder_has(folder, meta)) continue;
        if (read_run(&out->items[out->count], folder, experiment, last, arena, err) != IG_OK)
            return err->code;
        out->count++;
    }
    ig_buf_reset(token);
    if (out->count == PAGE) ig_buf_add_str(token, last);
    return IG_OK;
}

static enum ig_code folder_history(struct ig_mlruns_points *out, struct ig_transfer_side *side,
                                   const struct ig_transfer_run *run, struct ig_str key,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_buf text;
    const char *path = ig_arena_printf(arena, "%s/%.*s/metrics/%.*s",
                                       folder_experiment(folder, run->experiment, arena),
                                       IG_STR_ARGS(run->id), IG_STR_ARGS(key));
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a history");
    ig_buf_init(&text, FILE_MAX);
    if (ig_file_read(&text, folder->root, path, err) == IG_OK &&
        ig_mlruns_points_read(out, ig_buf_view(&text), arena, err) != IG_OK)
        ig_err_prefix(err, "%s", path);
    ig_buf_deinit(&text);
    return err->code;
}

static enum ig_code folder_find_run(struct ig_transfer_run *out, struct ig_transfer_side *side,
                                    struct ig_str experiment, struct ig_str source,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    *out = (struct ig_transfer_run){.id = IG_STR("")};
    if (folder_check_name(source, "run", err) != IG_OK) return err->code;
    const char *meta =
        ig_arena_printf(arena, "%.*s/%.*s/meta.yaml", IG_STR_ARGS(experiment), IG_STR_ARGS(source));
    if (!meta) return ig_fail(err, IG_NO_MEMORY, "a run");
    return folder_has(folder, meta) ? read_run(out, folder, experiment, source, arena, err) : IG_OK;
}

static enum ig_code folder_make_run(struct ig_transfer_run *out, struct ig_transfer_side *side,
                                    struct ig_str experiment, const struct ig_transfer_run *run,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    const char *uri = ig_arena_printf(arena, "file://%s/%.*s/%.*s/artifacts", folder->place,
                                      IG_STR_ARGS(experiment), IG_STR_ARGS(run->id));
    if (!uri) return ig_fail(err, IG_NO_MEMORY, "a run");
    *out = *run;
    out->experiment = experiment;
    out->artifact_uri = ig_str_view(uri);
    return IG_OK;
}

static enum ig_code folder_log(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                               struct ig_str key, const struct ig_mlruns_points *points,
                               struct ig_err *err)
{
    struct ig_buf text;
    struct ig_arena arena;
    ig_buf_init(&text, FILE_MAX);
    ig_arena_init(&arena, 4096, 64 << 10);
    for (size_t i = 0; i < points->count; i++) ig_mlruns_point_write(&text, points->items[i]);
    if (text.overflowed)
        ig_fail(err, IG_NO_MEMORY, "a history of %zu values", points->count);
    else
        folder_write((struct folder *)side,
                     ig_arena_printf(&arena, "%.*s/%.*s/metrics/%.*s", IG_STR_ARGS(to->experiment),
                                     IG_STR_ARGS(to->id), IG_STR_ARGS(key)),
                     ig_buf_view(&text), err);
    ig_arena_deinit(&arena);
    ig_buf_deinit(&text);
    return err->code;
}

struct dataset {
    struct ig_str members[6];
    struct ig_tracking_pair tags[16];
    size_t tags_count;
};
static const char *const DATASET_MEMBERS[] = {"name",   "digest", "source_type",
                                              "source", "schema", "profile"};

static void read_dataset_tags(struct dataset *out, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "tags")) return;
    while (ig_json_element(json)) {
        struct ig_tracking_pair pair = {IG_STR(""), IG_STR("")};
        if (!ig_json_expect(json, IG_JSON_OBJECT, "tags")) return;
        while (ig_json_member(json)) {
            if (ig_str_is(json->text, "key"))
                ig_json_string(json, &pair.key, "key");
            else if (ig_str_is(json->text, "value"))
                ig_json_string(json, &pair.value, "value");
            else
                ig_json_skip(json);
        }
        if (out->tags_count < 16) out->tags[out->tags_count++] = pair;
    }
}

static void read_dataset(struct dataset *out, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "datasets")) return;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "tags")) {
            read_dataset_tags(out, json);
            continue;
        }
        if (!ig_str_is(json->text, "dataset")) {
            ig_json_skip(json);
            continue;
        }
        if (!ig_json_expect(json, IG_JSON_OBJECT, "dataset")) return;
        while (ig_json_member(json)) {
            size_t i = 0;
            while (i < 6 && !ig_str_is(json->text, DATASET_MEMBERS[i])) i++;
            if (i < 6)
                ig_json_string(json, &out->members[i], DATASET_MEMBERS[i]);
            else
                ig_json_skip(json);
        }
    }
}

static enum ig_code write_dataset(const struct folder *folder, const struct ig_transfer_run *to,
                                  const struct dataset *dataset, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct ig_buf meta, name;
    char id[IG_SHA256_HEX];
    ig_buf_init(&meta, FILE_MAX);
    ig_buf_init(&name, VALUE_MAX);
    ig_buf_add_str(&name, dataset->members[0]);
    ig_buf_add_char(&name, 0);
    ig_buf_add_str(&name, dataset->members[1]);
    ig_sha256_hex(name.ptr, name.len, id);
    id[32] = '\0';
    for (size_t i = 0; i < 6; i++)
        if (i < 4 || dataset->members[i].len)
            ig_mlruns_add_text(&meta, DATASET_MEMBERS[i], dataset->members[i]);
    const char *base = ig_arena_printf(arena, "%.*s/datasets/%s", IG_STR_ARGS(to->experiment), id);
    if (base) folder_write_meta(folder, base, &meta, arena, err);
    ig_buf_reset(&meta);
    ig_mlruns_add_text(&meta, "source_type", IG_STR("DATASET"));
    ig_mlruns_add_text(&meta, "source_id", ig_str_view(id));
    ig_mlruns_add_text(&meta, "destination_type", IG_STR("RUN"));
    ig_mlruns_add_text(&meta, "destination_id", to->id);
    ig_buf_add_cstr(&meta, dataset->tags_count ? "tags:\n" : "tags: {}\n");
    for (size_t i = 0; i < dataset->tags_count; i++) {
        ig_buf_add_cstr(&meta, "  ");
        ig_yaml_add_quoted(&meta, dataset->tags[i].key);
        ig_buf_add_cstr(&meta, ": ");
        ig_yaml_add_quoted(&meta, dataset->tags[i].value);
        ig_buf_add_char(&meta, '\n');
    }
    base = ig_arena_printf(arena, "%.*s/%.*s/inputs/%s", IG_STR_ARGS(to->experiment),
                           IG_STR_ARGS(to->id), id);
    if (base && err->code == IG_OK) folder_write_meta(folder, base, &meta, arena, err);
    ig_buf_deinit(&name);
    ig_buf_deinit(&meta);
    return err->code;
}

static enum ig_code write_inputs(const struct folder *folder, const struct ig_transfer_run *to,
                                 struct ig_str inputs, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    if (!inputs.len) return IG_OK;
    ig_json_init(&json, inputs, arena, err);
    if (!ig_json_expect(&json, IG_JSON_ARRAY, "datasets")) return err->code;
    while (ig_json_element(&json)) {
        struct dataset dataset = {.tags_count = 0};
        read_dataset(&dataset, &json);
        if (err->code != IG_OK || write_dataset(folder, to, &dataset, arena, err) != IG_OK) break;
    }
    return err->code;
}

static enum ig_code write_run_meta(const struct folder *folder, const char *base,
                                   const struct ig_transfer_run *to,
                                   const struct ig_transfer_run *run, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct ig_buf meta;
    int64_t status = IG_TRACKING_RUNNING;
    ig_tracking_status_parse(&status, run->status);
    ig_buf_init(&meta, VALUE_MAX);
    ig_mlruns_add_text(&meta, "artifact_uri", to->artifact_uri);
    if (run->end_ms >= 0)
        ig_mlruns_add_i64(&meta, "end_time", run->end_ms);
    else
        ig_buf_add_cstr(&meta, "end_time: null\n");
    ig_mlruns_add_text(&meta, "entry_point_name", IG_STR(""));
    ig_mlruns_add_text(&meta, "experiment_id", to->experiment);
    ig_mlruns_add_text(&meta, "lifecycle_stage", run->stage);
    ig_mlruns_add_text(&meta, "run_id", to->id);
    ig_mlruns_add_text(&meta, "run_name", run->name);
    ig_mlruns_add_text(&meta, "run_uuid", to->id);
    ig_mlruns_add_text(&meta, "source_name", IG_STR(""));
    ig_mlruns_add_i64(&meta, "source_type", 4); /* LOCAL */
    ig_mlruns_add_text(&meta, "source_version", IG_STR(""));
    ig_mlruns_add_i64(&meta, "start_time", run->start_ms);
    ig_mlruns_add_i64(&meta, "status", status);
    ig_buf_add_cstr(&meta, "tags: []\n");
    ig_mlruns_add_text(&meta, "user_id", run->user);
    folder_write_meta(folder, base, &meta, arena, err);
    ig_buf_deinit(&meta);
    return err->code;
}

/* Folders that MLflow wants to be there, even empty. */
enum ig_code folder_make(const struct folder *folder, const char *base, struct ig_arena *arena,
                         struct ig_err *err)
{
    static const char *const names[] = {"/params", "/tags", "/metrics", "/artifacts"};
    for (size_t i = 0; i < 4 && err->code == IG_OK; i++) {
        int fd = -1;
        const char *path = folder_path(arena, ig_str_view(base), names[i]);
        if (path) ig_dir_make(&fd, folder->root, path, err);
        ig_file_close(&fd);
    }
    return err->code;
}

static enum ig_code folder_end_run(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                                   const struct ig_transfer_run *run, struct ig_err *err)
{
    struct folder *folder = (struct folder *)side;
    struct ig_arena arena;
    ig_arena_init(&arena, 16 << 10, 256 << 20);
    const char *base =
        ig_arena_printf(&arena, "%.*s/%.*s", IG_STR_ARGS(to->experiment), IG_STR_ARGS(to->id));
    struct ig_str view = ig_str_view(base);
    if (!base)
        ig_fail(err, IG_NO_MEMORY, "a run");
    else if (folder_make(folder, base, &arena, err) == IG_OK &&
             folder_write_pairs(folder, folder_path(&arena, view, "/params"), run->params, &arena,
                                err) == IG_OK &&
             folder_write_pairs(folder, folder_path(&arena, view, "/tags"), run->tags, &arena,
                                err) == IG_OK &&
             write_inputs(folder, to, run->inputs, &arena, err) == IG_OK)
        write_run_meta(folder, base, to, run, &arena, err);
    ig_arena_deinit(&arena);
    return err->code;
}

static void folder_close(struct ig_transfer_side *side)
{
    struct folder *folder = (struct folder *)side;
    ig_file_close(&folder->root);
    ig_free(folder);
}

enum ig_code ig_transfer_folder_open(struct ig_transfer_side **out, const char *path, bool write,
                                     struct ig_err *err)
{
    static const struct ig_transfer_ops ops = {.close = folder_close,
                                               .experiments = folder_experiments,
                                               .runs = folder_runs,
                                               .history = folder_history,
                                               .loggeds = folder_loggeds,
                                               .files = folder_files,
                                               .fetch = folder_fetch,
                                               .models = folder_models,
                                               .versions = folder_versions,
                                               .location = folder_location,
                                               .put_experiment = folder_put_experiment,
                                               .delete_experiment = folder_delete_experiment,
                                               .find_run = folder_find_run,
                                               .make_run = folder_make_run,
                                               .log = folder_log,
                                               .end_run = folder_end_run,
                                               .put_logged = folder_put_logged,
                                               .put_file = folder_put_file,
                                               .put_model = folder_put_model,
                                               .put_version = folder_put_version,
                                               .put_alias = folder_put_alias};
    struct folder *folder = ig_zalloc(sizeof *folder);
    if (!folder) return ig_fail(err, IG_NO_MEMORY, "a copy");
    folder->side.ops = &ops;
    folder->root = -1;
    if (write)
        ig_dir_make(&folder->root, IG_FILE_CWD, path, err);
    else
        ig_dir_open(&folder->root, IG_FILE_CWD, path, err);
    if (err->code == IG_OK && !realpath(path, folder->place))
        ig_fail(err, IG_IO, "%s: %s", path, strerror(errno));
    if (err->code != IG_OK) {
        folder_close(&folder->side);
        return err->code;
    }
    *out = &folder->side;
    return IG_OK;
}
