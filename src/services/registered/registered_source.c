/* SPDX-License-Identifier: Apache-2.0 */
/* Where a new version's files may lie, as MLflow's server checks it (mlflow/server/handlers.py,
 * 3.17.2): a source on the server's side of things, its disk or its artifact proxy, must lie where
 * the run that the version is of keeps its own; one that names another version is that one's. A
 * source elsewhere is the client's affair, as long as its path leads nowhere but down.
 *
 * Thread rule: none of its own; the database's. */
#include "services/registered/registered_priv.h"

#include "base/hash.h"
#include "services/tracking/logged.h"

#include <string.h>

struct uri {
    struct ig_str scheme, authority, path;
};

struct resolving {
    struct ig_db_tx *tx;
    const struct ig_registered_version_spec *spec;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* ---- text ---- */

static bool is_scheme(struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (!i || !((c >= '0' && c <= '9') || strchr("+-.", c) != NULL) || !c))
            return false;
    }
    return text.len > 0;
}

/* Scheme and authority may be empty; query and fragment are left out. */
static struct uri cut_uri(struct ig_str text)
{
    struct uri uri = {IG_STR(""), IG_STR(""), text};
    struct ig_str rest = text, head = ig_str_cut(&rest, ':');
    if (rest.ptr && is_scheme(head)) {
        uri.scheme = head;
        uri.path = rest;
    }
    for (size_t i = 0; i < uri.path.len; i++)
        if (uri.path.ptr[i] == '?' || uri.path.ptr[i] == '#') uri.path.len = i;
    if (ig_str_starts(uri.path, IG_STR("//"))) {
        struct ig_str after = {uri.path.ptr + 2, uri.path.len - 2};
        const char *slash = memchr(after.ptr, '/', after.len);
        uri.authority = after;
        if (slash) uri.authority.len = (size_t)(slash - after.ptr);
        uri.path = (struct ig_str){after.ptr + uri.authority.len, after.len - uri.authority.len};
    }
    return uri;
}

/* Percent escapes decoded until none is left; ptr NULL when the arena is full. */
static struct ig_str decode_all(struct ig_str text, struct ig_arena *arena)
{
    char *bytes = ig_arena_alloc(arena, text.len + 1);
    if (!bytes) return (struct ig_str){NULL, 0};
    if (text.len) memcpy(bytes, text.ptr, text.len);
    for (bool again = true; again;) {
        size_t length = 0;
        again = false;
        for (size_t i = 0; i < text.len; i++) {
            int high = i + 2 < text.len ? ig_hex_digit(bytes[i + 1]) : -1;
            int low = high >= 0 ? ig_hex_digit(bytes[i + 2]) : -1;
            bool escaped = bytes[i] == '%' && low >= 0;
            bytes[length] = bytes[i];
            if (escaped) {
                bytes[length] = (char)(high << 4 | low);
                i += 2;
            }
            length++;
            again = again || escaped;
        }
        text.len = length;
    }
    return (struct ig_str){bytes, text.len};
}

/* The next segment that is not empty; false at the end. */
static bool next_segment(struct ig_str *out, struct ig_str *rest)
{
    while (rest->ptr) {
        *out = ig_str_cut(rest, '/');
        if (out->len) return true;
    }
    return false;
}

static bool is_local(const struct uri *uri)
{
    return !uri->scheme.len || ig_str_eq_nocase(uri->scheme, IG_STR("file"));
}

bool ig_registered_source_within(struct ig_str uri, struct ig_str root, struct ig_arena *arena)
{
    struct uri inner = cut_uri(uri), outer = cut_uri(root);
    struct ig_str in = inner.path, out = outer.path, a, b;
    bool same = is_local(&inner) ? is_local(&outer) && ig_str_starts(in, IG_STR("/")) &&
                                       ig_str_starts(out, IG_STR("/"))
                                 : ig_str_eq_nocase(inner.scheme, outer.scheme);
    if (!same || !ig_str_eq_nocase(inner.authority, outer.authority)) return false;
    size_t segments = 0;
    for (; next_segment(&b, &out); segments++) {
        if (!next_segment(&a, &in)) return false;
        a = decode_all(a, arena);
        b = decode_all(b, arena);
        if (!a.ptr || !b.ptr || !ig_str_eq(a, b)) return false;
    }
    return segments > 0;
}

bool ig_registered_source_leads_down(struct ig_str source, struct ig_arena *arena)
{
    struct ig_str plain = decode_all(source, arena), segment;
    if (!plain.ptr || memchr(plain.ptr, '\0', plain.len)) return false;
    for (struct ig_str rest = plain; next_segment(&segment, &rest);)
        if (ig_str_is(segment, "..")) return false;
    struct uri uri = cut_uri(plain);
    size_t segments = 0;
    for (struct ig_str rest = uri.path; next_segment(&segment, &rest); segments++)
        if (ig_str_is(segment, ".")) return false;
    return segments > 0 && uri.path.ptr[0] == '/';
}

bool ig_registered_source_is_proxied(struct ig_str source, struct ig_arena *arena)
{
    struct uri uri = cut_uri(source);
    if (ig_str_eq_nocase(uri.scheme, IG_STR("mlflow-artifacts"))) return true;
    if (!ig_str_eq_nocase(uri.scheme, IG_STR("http")) &&
        !ig_str_eq_nocase(uri.scheme, IG_STR("https")))
        return false;
    static const char *const route[] = {"api", "2.0", "mlflow-artifacts", "artifacts"};
    size_t met = 0;
    struct ig_str segment;
    for (struct ig_str rest = uri.path; met < 4 && next_segment(&segment, &rest);) {
        segment = decode_all(segment, arena);
        bool goes_on = ig_str_is(segment, route[met]);
        met = goes_on ? met + 1 : ig_str_is(segment, route[0]);
    }
    return met == 4;
}

/* ---- verdicts ---- */

static enum ig_code invalid(const struct resolving *call, const char *why)
{
    return ig_fail(call->err, IG_INVALID, "Invalid model version source: '%.*s'. %s",
                   IG_STR_ARGS(ig_tracking_cut(call->spec->source, 300)), why);
}

static enum ig_code not_of(const struct resolving *call, const char *field)
{
    return invalid(call, field[0] == 'r' ? "The run_id request parameter must identify the resource"
                                           " that contains the source."
                                         : "The model_id request parameter must identify the "
                                           "resource that contains the source.");
}

/* The source lies where the run keeps its artifacts; false also with an error. */
static bool lies_in_run(const struct resolving *call)
{
    struct ig_db_rows *rows = NULL;
    bool within = false;
    if (!call->spec->run.len) return false;
    ig_db_query(&rows, call->tx, "select artifact_root from runs where id = $1",
                IG_DB_VALUES(IG_DB_T(call->spec->run)), call->err);
    if (call->err->code == IG_OK && ig_db_next(rows, call->err))
        within = ig_registered_source_within(call->spec->source, ig_db_text(rows, 0), call->arena);
    ig_db_finish(rows);
    return within;
}

/* The source lies where the logged model, which is told, or else the run keeps its artifacts; false
 * also with an error. */
static bool lies_in_owner(const struct resolving *call)
{
    struct ig_logged_place place;
    if (call->spec->model_id.len) {
        struct ig_err local = IG_ERR_INIT;
        enum ig_code code =
            ig_logged_place(&place, call->tx, call->spec->model_id, call->arena, &local);
        if (code != IG_OK && code != IG_NOT_FOUND) ig_fail(call->err, code, "%s", local.message);
        return code == IG_OK &&
               ig_registered_source_within(call->spec->source, place.artifact_root, call->arena);
    }
    return lies_in_run(call);
}

static enum ig_code check_source(const struct resolving *call)
{
    struct uri uri = cut_uri(call->spec->source);
    struct ig_str rest = uri.path, run = IG_STR("");
    const char *owner = call->spec->model_id.len ? "model_id" : "run_id";
    if (!ig_registered_source_leads_down(call->spec->source, call->arena))
        return invalid(call, "If supplying a source as an http, https, local file path, ftp, "
                             "objectstore, or mlflow-artifacts uri, an absolute path must be "
                             "provided without relative path references present. Please provide "
                             "an absolute path.");
    if (is_local(&uri)) {
        if (lies_in_owner(call) || call->err->code != IG_OK) return call->err->code;
        return invalid(call, "To use a local path as a model version source, the run_id request "
                             "parameter has to be specified and the local path has to be contained "
                             "within the artifact directory of the run specified by the run_id.");
    }
    if (ig_str_eq_nocase(uri.scheme, IG_STR("runs"))) {
        next_segment(&run, &rest);
        bool same = !uri.authority.len && run.len && ig_str_eq(run, call->spec->run);
        return same && !call->spec->model_id.len ? IG_OK : not_of(call, owner);
    }
    if (!ig_registered_source_is_proxied(call->spec->source, call->arena) || lies_in_owner(call))
        return call->err->code;
    return call->err->code == IG_OK ? not_of(call, owner) : call->err->code;
}

/* ---- versions as sources ---- */

/* The last version of a stage. */
static enum ig_code find_in_stage(int64_t *id, const struct resolving *call, struct ig_str name,
                                  struct ig_str word)
{
    int64_t stage, model;
    if (ig_registered_stage_parse(&stage, word, call->err) != IG_OK ||
        ig_registered_model_id(&model, call->tx, name, call->err) != IG_OK)
        return call->err->code;
    if (ig_registered_ask(id, call->tx,
                          "select id from model_versions where model = $1 and stage = $2"
                          " order by version desc limit 1",
                          IG_DB_VALUES(IG_DB_I(model), IG_DB_I(stage)), call->err) ||
        call->err->code != IG_OK)
        return call->err->code;
    return ig_fail(call->err, IG_NOT_FOUND,
                   "No versions of model with name '%.*s' and stage '%.*s' "
                   "found",
                   IG_STR_ARGS(name), IG_STR_ARGS(word));
}

/* "/NAME/VERSION", "/NAME/latest", "/NAME/STAGE" or "/NAME@ALIAS". */
static enum ig_code find_version(int64_t *id, const struct resolving *call, struct ig_str path)
{
    struct ig_str rest = {path.ptr + 1, path.len - 1}, name = ig_str_cut(&rest, '/');
    int64_t number;
    if (rest.ptr && (!rest.len || memchr(rest.ptr, '/', rest.len))) return not_of(call, "model_id");
    if (rest.ptr && rest.ptr[0] >= '0' && rest.ptr[0] <= '9' && ig_str_to_i64(rest, &number))
        return ig_registered_version_id(id, call->tx, name, number, call->err);
    if (rest.ptr && !ig_str_eq_nocase(rest, IG_STR("latest")))
        return find_in_stage(id, call, name, rest);
    if (rest.ptr) return ig_registered_alias_read(id, call->tx, name, rest, call->err);
    size_t at = name.len;
    while (at && name.ptr[at - 1] != '@') at--;
    if (at < 2 || at == name.len) return not_of(call, "model_id"); /* a logged model's id */
    struct ig_str alias = {name.ptr + at, name.len - at};
    name.len = at - 1;
    return ig_registered_alias_read(id, call->tx, name, alias, call->err);
}

/* The source is a version: the new one lies where that does, and is of its run. */
static enum ig_code resolve_version(struct ig_registered_source *out, const struct resolving *call,
                                    struct ig_str path)
{
    const struct ig_registered_version_spec *spec = call->spec;
    struct ig_registered_version found;
    int64_t id = 0, prompt;
    if (path.len < 2 || path.ptr[0] != '/') return not_of(call, "model_id");
    if (find_version(&id, call, path) != IG_OK ||
        ig_registered_version_read(&found, call->tx, id, call->arena, call->err) != IG_OK)
        return call->err->code;
    if (ig_registered_ask(&prompt, call->tx,
                          "select 1 from model_versions v join registered_tags t on t.model ="
                          " v.model where v.id = $1 and t.key = '" IG_REGISTERED_PROMPT_TAG "'"
                          " and lower(t.value) = 'true'",
                          IG_DB_VALUES(IG_DB_I(id)), call->err))
        return invalid(call, "Prompt versions cannot be used as model version sources.");
    if (call->err->code != IG_OK) return call->err->code;
    if ((spec->run.ptr && !ig_str_eq(spec->run, found.run)) ||
        (spec->model_id.ptr && !ig_str_eq(spec->model_id, found.model_id)))
        return invalid(call, "The run_id and model_id request parameters must match the "
                             "referenced model version.");
    const char *source = ig_arena_printf(call->arena, "models:/%.*s/%lld", IG_STR_ARGS(found.name),
                                         (long long)found.version);
    if (!source) return ig_fail(call->err, IG_NO_MEMORY, "source of a model version");
    *out = (struct ig_registered_source){ig_str_view(source), found.run, found.location,
                                         found.model_id};
    return IG_OK;
}

/* "/m-0123...": no version has such a source, since it names no version. */
static bool is_model_id(struct ig_str path)
{
    return ig_str_starts(path, IG_STR("/m-")) && !memchr(path.ptr + 1, '/', path.len - 1) &&
           !memchr(path.ptr, '@', path.len);
}

struct ig_str ig_registered_source_model(struct ig_str source)
{
    struct uri uri = cut_uri(source);
    if (!ig_str_eq_nocase(uri.scheme, IG_STR("models")) || uri.path.len < 2 ||
        uri.path.ptr[0] != '/' || is_model_id(uri.path))
        return IG_STR("");
    struct ig_str rest = {uri.path.ptr + 1, uri.path.len - 1}, name = ig_str_cut(&rest, '/');
    size_t at = rest.ptr ? 0 : name.len;
    while (at && name.ptr[at - 1] != '@') at--;
    return at ? (struct ig_str){name.ptr, at - 1} : name;
}

/* The source is the logged model that the request tells. */
static enum ig_code resolve_logged(struct ig_registered_source *out, const struct resolving *call,
                                   struct ig_str path)
{
    struct ig_logged_place place;
    struct ig_str id = {path.ptr + 1, path.len - 1};
    if (!ig_str_eq(id, call->spec->model_id)) return not_of(call, "model_id");
    if (ig_logged_place(&place, call->tx, id, call->arena, call->err) != IG_OK)
        return call->err->code;
    out->location = place.artifact_root;
    out->model_id = id;
    if (!call->spec->run.ptr) out->run = place.source_run;
    return IG_OK;
}

/* "/RUN/model" of runs:/RUN/model lies where the run keeps its artifacts, if that is told at all:
 * the run need not be there. */
static enum ig_code locate_in_run(struct ig_registered_source *out, const struct resolving *call,
                                  struct ig_str path)
{
    struct ig_str run, rest = path;
    struct ig_db_rows *rows = NULL;
    next_segment(&run, &rest);
    if (!rest.ptr || ig_db_query(&rows, call->tx,
                                 "select artifact_root from runs where id = $1"
                                 " and coalesce(deleted_ms, 0) <> -1",
                                 IG_DB_VALUES(IG_DB_T(run)), call->err) != IG_OK)
        return call->err->code;
    if (ig_db_next(rows, call->err)) {
        struct ig_str root = ig_db_text(rows, 0), query = root;
        root = ig_str_cut(&query, '?');
        const char *text =
            ig_arena_printf(call->arena, "%.*s/%.*s", IG_STR_ARGS(root), IG_STR_ARGS(rest));
        if (text) out->location = ig_str_view(text);
        if (!text) ig_fail(call->err, IG_NO_MEMORY, "source of a model version");
    }
    ig_db_finish(rows);
    return call->err->code;
}

enum ig_code ig_registered_source_resolve(struct ig_registered_source *out, struct ig_db_tx *tx,
                                          const struct ig_registered_version_spec *spec,
                                          struct ig_arena *arena, struct ig_err *err)
{
    const struct resolving call = {tx, spec, arena, err};
    struct uri uri = cut_uri(spec->source);
    struct ig_str run = spec->run.len ? spec->run : IG_STR("");
    struct ig_str model_id = spec->model_id.len ? spec->model_id : IG_STR("");
    *out = (struct ig_registered_source){spec->source, run, spec->source, model_id};
    if (ig_registered_is_prompt(spec->tags)) {
        if (ig_str_is(spec->source, "dummy-source") || ig_str_is(spec->source, "prompt-template"))
            return IG_OK;
        return ig_fail(err, IG_INVALID,
                       "Invalid prompt source: '%.*s'. Prompt sources must use "
                       "an MLflow placeholder.",
                       IG_STR_ARGS(ig_tracking_cut(spec->source, 300)));
    }
    if (ig_str_eq_nocase(uri.scheme, IG_STR("models"))) {
        if (uri.authority.len)
            return invalid(&call, "Registered model sources must use the active model registry.");
        if (is_model_id(uri.path)) return resolve_logged(out, &call, uri.path);
        return resolve_version(out, &call, uri.path);
    }
    struct ig_logged_place place;
    if (check_source(&call) != IG_OK ||
        (model_id.len && ig_logged_place(&place, tx, model_id, arena, err) != IG_OK))
        return err->code;
    return ig_str_eq_nocase(uri.scheme, IG_STR("runs")) ? locate_in_run(out, &call, uri.path)
                                                        : IG_OK;
}
