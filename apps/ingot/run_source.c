/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for the files of a logged model where clients put them: MLflow 2 in the run's directory,
 * MLflow 3 in a logged model of that name. */
#include "run_source.h"

#include "formats/mlmodel.h"

#include <string.h>

#define API "/api/2.0/mlflow/"
enum { VERSIONS_MAX = 100, FILE_MAX = INT32_MAX };

struct place {
    const char *run, *path;     /* of runs:/RUN/PATH; NULL of models:/m-ID */
    const char *model_id;       /* of a logged model, or NULL */
    const char *before, *after; /* a file's path stands between them in its URL */
};

static bool is_logged(const char *uri)
{
    return strncmp(uri, "models:/m-", 10) == 0 && !strpbrk(uri + 10, "/@");
}

bool ig_run_source_is(const char *uri)
{
    return strncmp(uri, "runs:/", 6) == 0 || is_logged(uri);
}

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "no memory for the request");
}

/* The URI's parts. Quotes would end the text of a filter. */
static enum ig_code cut(struct place *out, struct ig_remote *remote, const char *uri,
                        struct ig_err *err)
{
    *out = (struct place){.after = ""};
    if (is_logged(uri)) {
        out->model_id = uri + strlen("models:/");
        return IG_OK;
    }
    struct ig_str rest = ig_str_view(uri + strlen("runs:/")), run = ig_str_cut(&rest, '/');
    if (!run.len || !rest.ptr || !rest.len || strchr(uri, '\''))
        return ig_fail(err, IG_INVALID, "'%s' is not runs:/RUN/PATH", uri);
    out->run = ig_arena_cstr(&remote->arena, run);
    out->path = ig_arena_cstr(&remote->arena, rest);
    return out->run && out->path ? IG_OK : no_memory(err);
}

/* The logged model of the run that has this name: place->model_id, or NULL. */
static enum ig_code find_logged(struct place *place, struct ig_remote *remote, struct ig_err *err)
{
    struct ig_buf body;
    struct ig_json_out out;
    if (ig_remote_call(remote, "GET",
                       ig_remote_path(remote, API "runs/get?run_id=", place->run, ""), IG_STR(""),
                       err) != IG_OK)
        return err->code;
    struct ig_str experiment =
        ig_json_view_text(ig_remote_body(remote), "run.info.experiment_id", &remote->arena);
    const char *filter = ig_arena_printf(&remote->arena, "name = '%s' AND source_run_id = '%s'",
                                         place->path, place->run);
    if (!filter) return no_memory(err);
    ig_buf_init(&body, 64 << 10);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("experiment_ids"));
    ig_json_out_array(&out);
    ig_json_out_str(&out, experiment);
    ig_json_out_array_end(&out);
    ig_json_out_kv_str(&out, "filter", ig_str_view(filter));
    ig_json_out_kv_i64(&out, "max_results", 1);
    ig_json_out_object_end(&out);
    if (body.overflowed)
        no_memory(err);
    else
        ig_remote_call(remote, "POST", API "logged-models/search", ig_buf_view(&body), err);
    ig_buf_deinit(&body);
    if (err->code != IG_OK) return err->code;
    struct ig_str id =
        ig_json_view_text(ig_remote_body(remote), "models.0.info.model_id", &remote->arena);
    place->model_id = id.len ? ig_arena_cstr(&remote->arena, id) : NULL;
    return IG_OK;
}

static enum ig_code fetch(struct ig_remote *remote, const struct place *place, const char *file,
                          struct ig_err *err)
{
    if (!place->before) return no_memory(err);
    return ig_remote_call(remote, "GET", ig_remote_path(remote, place->before, file, place->after),
                          IG_STR(""), err);
}

static void be_in_run(struct place *place, struct ig_remote *remote)
{
    const char *start = ig_remote_path(remote, "/get-artifact?run_id=", place->run, "&path=");
    place->before = start ? ig_remote_path(remote, start, place->path, "%2F") : NULL;
}

static void be_logged(struct place *place, struct ig_remote *remote)
{
    place->before = ig_remote_path(remote, API "logged-models/", place->model_id,
                                   "/artifacts/files?artifact_file_path=");
}

/* The MLmodel is the last reply's body. */
static enum ig_code fetch_mlmodel(struct place *place, struct ig_remote *remote, struct ig_err *err)
{
    if (place->run) {
        be_in_run(place, remote);
        if (fetch(remote, place, "MLmodel", err) != IG_NOT_FOUND) return err->code;
        ig_err_clear(err);
        if (find_logged(place, remote, err) != IG_OK) return err->code;
        if (!place->model_id)
            return ig_fail(err, IG_NOT_FOUND, "run %s has no model '%s'", place->run, place->path);
    }
    be_logged(place, remote);
    return fetch(remote, place, "MLmodel", err);
}

struct files {
    struct ig_remote *remote;
    const struct place *place;
};

static enum ig_code read_of(struct ig_str *out, void *context, struct ig_str name,
                            struct ig_err *err)
{
    const struct files *files = context;
    const char *file = ig_arena_cstr(&files->remote->arena, name);
    if (!file) return no_memory(err);
    if (fetch(files->remote, files->place, file, err) == IG_OK)
        *out = ig_remote_body(files->remote);
    return err->code;
}

enum ig_code ig_run_source_open(struct ig_package **out, struct ig_remote *remote, const char *uri,
                                struct ig_err *err)
{
    struct place place;
    struct ig_mlmodel mlmodel;
    struct ig_buf zip;
    struct files files = {remote, &place};
    const struct ig_mlmodel_files source = {read_of, &files};
    ig_buf_init(&zip, FILE_MAX);
    if (cut(&place, remote, uri, err) != IG_OK || fetch_mlmodel(&place, remote, err) != IG_OK ||
        ig_mlmodel_read(&mlmodel, ig_remote_body(remote), &remote->arena, err) != IG_OK)
        goto out;
    remote->reply.body.max_bytes = FILE_MAX;
    if (ig_mlmodel_package(&zip, &mlmodel, &source, IG_STR(""), &remote->arena, err) == IG_OK)
        ig_package_open_bytes(out, ig_buf_view(&zip), NULL, err);
out:
    ig_buf_deinit(&zip);
    return err->code;
}

/* Of version `i` in the last reply. */
static struct ig_str member(struct ig_remote *remote, int i, const char *name)
{
    const char *path = ig_arena_printf(&remote->arena, "model_versions.%d.%s", i, name);
    return path ? ig_json_view_text(ig_remote_body(remote), path, &remote->arena) : IG_STR("");
}

static struct ig_str servable(struct ig_remote *remote, int i)
{
    for (int tag = 0;; tag++) {
        const char *key = ig_arena_printf(&remote->arena, "tags.%d.key", tag);
        const char *value = ig_arena_printf(&remote->arena, "tags.%d.value", tag);
        struct ig_str name = key && value ? member(remote, i, key) : IG_STR("");
        if (!name.len) return IG_STR("no: no MLmodel lies there");
        if (ig_str_is(name, "ingot.servable")) return member(remote, i, value);
    }
}

static bool is_of(struct ig_remote *remote, int i, const struct place *place)
{
    struct ig_str source = member(remote, i, "source");
    const char *logged =
        place->model_id ? ig_arena_printf(&remote->arena, "models:/%s", place->model_id) : NULL;
    const char *below = place->path ? ig_arena_printf(&remote->arena, "/%s", place->path) : NULL;
    return (logged && ig_str_is(source, logged)) ||
           (below && ig_str_ends(source, ig_str_view(below)));
}

enum ig_code ig_run_source_version(const char **out, struct ig_remote *remote, const char *uri,
                                   struct ig_err *err)
{
    struct place place;
    struct ig_str why = IG_STR(""), name;
    if (cut(&place, remote, uri, err) != IG_OK ||
        (place.run && find_logged(&place, remote, err) != IG_OK))
        return err->code;
    const char *filter = place.run ? ig_arena_printf(&remote->arena, "run_id = '%s'", place.run)
                                   : ig_arena_printf(&remote->arena, "source_path = '%s'", uri);
    if (!filter) return no_memory(err);
    const char *path =
        ig_remote_path(remote, API "model-versions/search?max_results=100&filter=", filter, "");
    if (ig_remote_call(remote, "GET", path, IG_STR(""), err) != IG_OK) return err->code;
    for (int i = 0; i < VERSIONS_MAX && (name = member(remote, i, "name")).len; i++) {
        if (!is_of(remote, i, &place)) continue;
        struct ig_str says = servable(remote, i);
        if (!ig_str_is(says, "yes")) {
            why = says;
            continue;
        }
        *out = ig_arena_printf(&remote->arena, "models:/%.*s/%.*s", IG_STR_ARGS(name),
                               IG_STR_ARGS(member(remote, i, "version")));
        return *out ? IG_OK : no_memory(err);
    }
    if (why.len)
        return ig_fail(err, IG_UNSUPPORTED, "%s cannot be served: %.*s", uri, IG_STR_ARGS(why));
    return ig_fail(err, IG_NOT_FOUND,
                   "%s is not registered; do it with mlflow.register_model('%s', NAME)", uri, uri);
}
