/* SPDX-License-Identifier: Apache-2.0 */
/* A server that speaks MLflow's REST, as one side of a copy. Calls that may be repeated are, after
 * pauses, while the server is away or busy; those that make something are found again first. Of the
 * server's words nothing is believed: sizes are capped, paths are the caller's to check. Thread
 * rule: one thread. */
#include "transfer_rest.h"

#include "base/file.h"
#include "base/num.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 200, PAGE = 200, HISTORY_PAGE = 25000 };
enum { DEPTH_MAX = 32, FILES_MAX = 1000000 };

/* ---- calls ---- */

bool rest_is_passing(enum ig_code code, int status)
{
    if (code == IG_UNAVAILABLE || code == IG_TIMEOUT || code == IG_IO) return true;
    return code == IG_OK && (status == 429 || status == 502 || status == 503 || status == 504);
}

static enum ig_code judge(struct rest *rest, struct ig_err *err)
{
    int status = rest->reply.status;
    struct ig_str body = ig_buf_view(&rest->reply.body);
    if (status >= 200 && status < 300) return IG_OK;
    enum ig_code code = status == 404   ? IG_NOT_FOUND
                        : status == 401 ? IG_UNAUTHENTICATED
                        : status == 403 ? IG_DENIED
                                        : IG_INVALID;
    if (body.len && strstr(body.ptr, "RESOURCE_ALREADY_EXISTS")) code = IG_EXISTS;
    return ig_fail(err, code, "%s: the server answered %d %.*s", rest->path.ptr, status,
                   body.len > 300 ? 300 : (int)body.len, body.len ? body.ptr : "");
}

static enum ig_code call_once(struct rest *rest, struct ig_client_call *call, struct ig_err *err)
{
    if (rest->path.overflowed || rest->body.overflowed)
        return ig_fail(err, IG_NO_MEMORY, "a request to the server");
    call->path = rest->path.ptr;
    ig_buf_reset(&rest->reply.body);
    return ig_client_call(rest->client, call, &rest->reply, err);
}

/* `again`: may be repeated. */
enum ig_code rest_call(struct rest *rest, struct ig_client_call *call, bool again,
                       struct ig_err *err)
{
    for (unsigned i = 0;; i++) {
        struct ig_err local = IG_ERR_INIT;
        const long pause_ms = (long)PAUSE_MS << i;
        enum ig_code code = call_once(rest, call, &local);
        if (again && i + 1 < TRIES && rest_is_passing(code, rest->reply.status)) {
            nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000}, NULL);
            if (call->has_body_fd && lseek(call->body_fd, 0, SEEK_SET) != 0) again = false;
            if (call->has_reply_fd &&
                (lseek(call->reply_fd, 0, SEEK_SET) != 0 || ftruncate(call->reply_fd, 0) != 0))
                again = false;
            continue;
        }
        if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
        return judge(rest, err);
    }
}

void rest_path(struct rest *rest, const char *path)
{
    ig_buf_reset(&rest->path);
    ig_buf_add_cstr(&rest->path, path);
}

void rest_query(struct rest *rest, const char *name, struct ig_str value)
{
    ig_buf_add_char(&rest->path, memchr(rest->path.ptr, '?', rest->path.len) ? '&' : '?');
    ig_buf_add_cstr(&rest->path, name);
    ig_buf_add_char(&rest->path, '=');
    ig_client_escape(&rest->path, value);
}

enum ig_code rest_get(struct rest *rest, struct ig_err *err)
{
    struct ig_client_call call = {.method = "GET"};
    return rest_call(rest, &call, true, err);
}

struct ig_json_out *rest_body(struct rest *rest)
{
    ig_buf_reset(&rest->body);
    ig_json_out_init(&rest->out, &rest->body);
    ig_json_out_object(&rest->out);
    return &rest->out;
}

enum ig_code rest_send(struct rest *rest, const char *method, const char *path, bool again,
                       struct ig_err *err)
{
    ig_json_out_object_end(&rest->out);
    struct ig_client_call call = {
        .method = method, .content_type = "application/json", .body = ig_buf_view(&rest->body)};
    rest_path(rest, path);
    return rest_call(rest, &call, again, err);
}

void rest_add_pairs(struct ig_json_out *out, const char *name, struct ig_tracking_pairs pairs)
{
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_array(out);
    for (size_t i = 0; i < pairs.count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "key", pairs.items[i].key);
        ig_json_out_kv_str(out, "value", pairs.items[i].value);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

/* ---- replies ---- */

void rest_reply(struct ig_json *json, struct rest *rest, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str text = ig_arena_dup(arena, ig_buf_view(&rest->reply.body));
    if (!text.ptr) ig_fail(err, IG_NO_MEMORY, "an answer of %zu bytes", rest->reply.body.len);
    ig_json_init(json, text, arena, err);
    json->allow_nan = true;
}

/* Texts, and numbers as texts; anything else is passed over. */
static struct ig_str read_text(struct ig_json *json)
{
    struct ig_json ahead = *json;
    enum ig_json_event event = ig_json_next(&ahead);
    if (event == IG_JSON_STRING || event == IG_JSON_NUMBER) {
        ig_json_next(json);
        return json->text;
    }
    ig_json_skip(json);
    return IG_STR("");
}

static int64_t read_i64(struct ig_json *json, int64_t absent)
{
    double real;
    int64_t value = absent;
    struct ig_str text = read_text(json);
    if (!ig_str_to_i64(text, &value) && ig_num_parse_f64(text, &real) && real > -9e15 &&
        real < 9e15)
        value = (int64_t)real;
    return value;
}

static bool enter_array(struct ig_json *json)
{
    struct ig_json ahead = *json;
    if (json->err->code == IG_OK && ig_json_next(&ahead) == IG_JSON_ARRAY) {
        ig_json_next(json);
        return true;
    }
    if (json->err->code == IG_OK) ig_json_skip(json);
    return false;
}

bool rest_enter(struct ig_json *json)
{
    struct ig_json ahead = *json;
    if (json->err->code == IG_OK && ig_json_next(&ahead) == IG_JSON_OBJECT) {
        ig_json_next(json);
        return true;
    }
    if (json->err->code == IG_OK) ig_json_skip(json);
    return false;
}

/* [{"key", "value"}], or with another name of both. */
static struct ig_tracking_pairs read_pairs(struct ig_json *json, const char *key, const char *value)
{
    struct ig_tracking_pair *items = NULL;
    size_t count = 0, cap = 0;
    if (!enter_array(json)) return (struct ig_tracking_pairs){0};
    while (ig_json_element(json)) {
        struct ig_tracking_pair pair = {IG_STR(""), IG_STR("")};
        if (!rest_enter(json)) continue;
        while (ig_json_member(json)) {
            if (ig_str_is(json->text, key))
                pair.key = read_text(json);
            else if (ig_str_is(json->text, value))
                pair.value = read_text(json);
            else
                ig_json_skip(json);
        }
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = pair;
    }
    return (struct ig_tracking_pairs){items, count};
}

static struct ig_str read_raw(struct ig_json *json)
{
    size_t from = ig_json_position(json);
    if (!ig_json_skip(json)) return IG_STR("");
    struct ig_str raw = {json->start + from, ig_json_position(json) - from};
    while (raw.len && strchr(": \t\r\n,", raw.ptr[0]))
        raw = (struct ig_str){raw.ptr + 1, raw.len - 1};
    return raw;
}

/* A list of the reply: `element` reads one; *token gets next_page_token. */
typedef bool read_element(void *list, struct ig_json *json);
struct list_kind {
    const char *name;
    read_element *element;
};
static enum ig_code read_list(struct rest *rest, struct list_kind kind, void *list,
                              struct ig_str *token, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    rest_reply(&json, rest, arena, err);
    if (token) *token = IG_STR("");
    if (err->code != IG_OK || !rest_enter(&json)) return err->code;
    while (ig_json_member(&json)) {
        bool wanted = ig_str_is(json.text, kind.name);
        if (token && ig_str_is(json.text, "next_page_token")) {
            *token = read_text(&json);
            continue;
        }
        if (!wanted) {
            ig_json_skip(&json);
            continue;
        }
        if (!enter_array(&json)) continue;
        while (ig_json_element(&json))
            if (!kind.element(list, &json)) break;
        if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "a list of %s", kind.name);
    }
    return err->code;
}

#define GROW(list, arena)                                                                          \
    ((list)->items =                                                                               \
         ig_arena_grow(arena, (list)->items, (list)->count, &(list)->cap, sizeof *(list)->items))

/* ---- reading ---- */

bool rest_read_experiment(void *list, struct ig_json *json)
{
    struct ig_transfer_experiments *out = list;
    struct ig_transfer_experiment item = {.stage = IG_STR("active")};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "experiment_id"))
            item.id = read_text(json);
        else if (ig_str_is(json->text, "name"))
            item.name = read_text(json);
        else if (ig_str_is(json->text, "lifecycle_stage"))
            item.stage = read_text(json);
        else if (ig_str_is(json->text, "tags"))
            item.tags = read_pairs(json, "key", "value");
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || !GROW(out, json->arena)) return false;
    out->items[out->count++] = item;
    return true;
}

enum ig_code rest_experiments(struct ig_transfer_experiments *out, struct ig_transfer_side *side,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_str token = IG_STR("");
    do {
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_i64(body, "max_results", PAGE);
        ig_json_out_kv_str(body, "view_type", IG_STR("ALL"));
        if (token.len) ig_json_out_kv_str(body, "page_token", token);
        if (rest_send(rest, "POST", API "experiments/search", true, err) != IG_OK ||
            read_list(rest, (struct list_kind){"experiments", rest_read_experiment}, out, &token,
                      arena, err) != IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

static void read_info(struct ig_transfer_run *run, struct ig_json *json)
{
    const struct {
        const char *name;
        struct ig_str *out;
    } texts[] = {{"run_id", &run->id},
                 {"experiment_id", &run->experiment},
                 {"run_name", &run->name},
                 {"user_id", &run->user},
                 {"status", &run->status},
                 {"lifecycle_stage", &run->stage},
                 {"artifact_uri", &run->artifact_uri}};
    if (!rest_enter(json)) return;
    while (ig_json_member(json)) {
        size_t i = 0;
        while (i < sizeof texts / sizeof *texts && !ig_str_is(json->text, texts[i].name)) i++;
        if (i < sizeof texts / sizeof *texts)
            *texts[i].out = read_text(json);
        else if (ig_str_is(json->text, "start_time"))
            run->start_ms = read_i64(json, 0);
        else if (ig_str_is(json->text, "end_time"))
            run->end_ms = read_i64(json, -1);
        else
            ig_json_skip(json);
    }
}

static void read_data(struct ig_transfer_run *run, struct ig_json *json)
{
    if (!rest_enter(json)) return;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "metrics"))
            run->metrics = read_pairs(json, "key", "value");
        else if (ig_str_is(json->text, "params"))
            run->params = read_pairs(json, "key", "value");
        else if (ig_str_is(json->text, "tags"))
            run->tags = read_pairs(json, "key", "value");
        else
            ig_json_skip(json);
    }
}

static void read_run_members(struct ig_transfer_run *run, struct ig_json *json)
{
    *run = (struct ig_transfer_run){
        .end_ms = -1, .stage = IG_STR("active"), .status = IG_STR("RUNNING"), .inputs = IG_STR("")};
    if (!rest_enter(json)) return;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "info")) {
            read_info(run, json);
        } else if (ig_str_is(json->text, "data")) {
            read_data(run, json);
        } else if (ig_str_is(json->text, "inputs") && rest_enter(json)) {
            while (ig_json_member(json)) {
                bool datasets = ig_str_is(json->text, "dataset_inputs");
                struct ig_str raw = read_raw(json);
                if (datasets && raw.len > 2) run->inputs = raw;
            }
        } else if (!ig_str_is(json->text, "inputs")) {
            ig_json_skip(json);
        }
    }
}

static bool read_run(void *list, struct ig_json *json)
{
    struct ig_transfer_runs *out = list;
    struct ig_transfer_run run;
    read_run_members(&run, json);
    if (json->err->code != IG_OK || !GROW(out, json->arena)) return false;
    out->items[out->count++] = run;
    return true;
}

enum ig_code rest_search_runs(struct ig_transfer_runs *out, struct rest *rest,
                              const struct rest_query *query, struct ig_arena *arena,
                              struct ig_err *err)
{
    struct ig_json_out *body = rest_body(rest);
    struct ig_str next;
    ig_json_out_key(body, IG_STR("experiment_ids"));
    ig_json_out_array(body);
    ig_json_out_str(body, query->experiment);
    ig_json_out_array_end(body);
    ig_json_out_kv_i64(body, "max_results", PAGE);
    ig_json_out_kv_str(body, "run_view_type", IG_STR("ALL"));
    if (query->filter.len) ig_json_out_kv_str(body, "filter", query->filter);
    if (query->token && query->token->len)
        ig_json_out_kv_str(body, "page_token", ig_buf_view(query->token));
    if (rest_send(rest, "POST", API "runs/search", true, err) != IG_OK ||
        read_list(rest, (struct list_kind){"runs", read_run}, out, &next, arena, err) != IG_OK)
        return err->code;
    if (query->token) {
        ig_buf_reset(query->token);
        ig_buf_add_str(query->token, next);
    }
    return IG_OK;
}

enum ig_code rest_runs(struct ig_transfer_runs *out, struct ig_transfer_side *side,
                       struct ig_str experiment, struct ig_buf *token, struct ig_arena *arena,
                       struct ig_err *err)
{
    const struct rest_query query = {experiment, IG_STR(""), token};
    return rest_search_runs(out, (struct rest *)side, &query, arena, err);
}

static bool read_point(void *list, struct ig_json *json)
{
    struct ig_mlruns_points *out = list;
    struct ig_mlruns_point point = {0};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "value"))
            ig_num_parse_f64(read_text(json), &point.value);
        else if (ig_str_is(json->text, "timestamp"))
            point.at_ms = read_i64(json, 0);
        else if (ig_str_is(json->text, "step"))
            point.step = read_i64(json, 0);
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || out->count == IG_MLRUNS_POINTS_MAX || !GROW(out, json->arena))
        return false;
    out->items[out->count++] = point;
    return true;
}

enum ig_code rest_history(struct ig_mlruns_points *out, struct ig_transfer_side *side,
                          const struct ig_transfer_run *run, struct ig_str key,
                          struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_str token = IG_STR("");
    char size[16];
    snprintf(size, sizeof size, "%d", HISTORY_PAGE);
    do {
        rest_path(rest, API "metrics/get-history");
        rest_query(rest, "run_id", run->id);
        rest_query(rest, "metric_key", key);
        rest_query(rest, "max_results", ig_str_view(size));
        if (token.len) rest_query(rest, "page_token", token);
        if (rest_get(rest, err) != IG_OK ||
            read_list(rest, (struct list_kind){"metrics", read_point}, out, &token, arena, err) !=
                IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

static void read_logged_members(struct ig_transfer_logged *logged, struct ig_json *json)
{
    const struct {
        const char *name;
        struct ig_str *out;
    } texts[] = {{"model_id", &logged->id},
                 {"experiment_id", &logged->experiment},
                 {"name", &logged->name},
                 {"model_type", &logged->type},
                 {"status", &logged->status},
                 {"source_run_id", &logged->run},
                 {"artifact_uri", &logged->artifact_uri}};
    enum { TEXTS = sizeof texts / sizeof *texts };
    if (!rest_enter(json)) return;
    while (ig_json_member(json)) {
        size_t i = 0;
        while (i < TEXTS && !ig_str_is(json->text, texts[i].name)) i++;
        if (i < TEXTS)
            *texts[i].out = read_text(json);
        else if (ig_str_is(json->text, "tags"))
            logged->tags = read_pairs(json, "key", "value");
        else if (ig_str_is(json->text, "params"))
            logged->params = read_pairs(json, "key", "value");
        else
            ig_json_skip(json);
    }
}

static bool read_logged(void *list, struct ig_json *json)
{
    struct ig_transfer_loggeds *out = list;
    struct ig_transfer_logged logged = {.status = IG_STR("")};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "info") || ig_str_is(json->text, "data"))
            read_logged_members(&logged, json);
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || !GROW(out, json->arena)) return false;
    out->items[out->count++] = logged;
    return true;
}

enum ig_code rest_search_loggeds(struct ig_transfer_loggeds *out, struct rest *rest,
                                 struct ig_str experiment, struct ig_str filter,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str token = IG_STR("");
    do {
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_key(body, IG_STR("experiment_ids"));
        ig_json_out_array(body);
        ig_json_out_str(body, experiment);
        ig_json_out_array_end(body);
        ig_json_out_kv_i64(body, "max_results", 50);
        if (filter.len) ig_json_out_kv_str(body, "filter", filter);
        if (token.len) ig_json_out_kv_str(body, "page_token", token);
        if (rest_send(rest, "POST", API "logged-models/search", true, err) != IG_OK ||
            read_list(rest, (struct list_kind){"models", read_logged}, out, &token, arena, err) !=
                IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

/* MLflow 2.x knows of none. */
enum ig_code rest_loggeds(struct ig_transfer_loggeds *out, struct ig_transfer_side *side,
                          struct ig_str experiment, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    enum ig_code code =
        rest_search_loggeds(out, (struct rest *)side, experiment, IG_STR(""), arena, &local);
    if (code == IG_OK || code == IG_NOT_FOUND) return IG_OK;
    return ig_fail(err, code, "%s", local.message);
}

/* ---- files ---- */

struct entry {
    struct ig_str path;
    bool is_dir;
    int64_t size_bytes;
};
IG_TRANSFER_LIST(entries, struct entry);

static bool read_entry(void *list, struct ig_json *json)
{
    struct entries *out = list;
    struct entry entry = {.path = IG_STR("")};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "path"))
            entry.path = read_text(json);
        else if (ig_str_is(json->text, "is_dir"))
            ig_json_bool(json, &entry.is_dir, "is_dir");
        else if (ig_str_is(json->text, "file_size"))
            entry.size_bytes = read_i64(json, 0);
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || out->count == FILES_MAX || !GROW(out, json->arena))
        return false;
    out->items[out->count++] = entry;
    return true;
}

static enum ig_code list_directory(struct entries *out, struct rest *rest,
                                   const struct ig_transfer_owner *owner, struct ig_str path,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str token = IG_STR("");
    do {
        rest_path(rest, API);
        if (owner->is_model) {
            ig_buf_add_cstr(&rest->path, "logged-models/");
            ig_client_escape(&rest->path, owner->id);
            ig_buf_add_cstr(&rest->path, "/artifacts/directories");
            if (path.len) rest_query(rest, "artifact_directory_path", path);
        } else {
            ig_buf_add_cstr(&rest->path, "artifacts/list");
            rest_query(rest, "run_id", owner->id);
            if (path.len) rest_query(rest, "path", path);
        }
        if (token.len) rest_query(rest, "page_token", token);
        if (rest_get(rest, err) != IG_OK || read_list(rest, (struct list_kind){"files", read_entry},
                                                      out, &token, arena, err) != IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

static unsigned depth_of(struct ig_str path)
{
    unsigned depth = 0;
    for (size_t i = 0; i < path.len; i++) depth += path.ptr[i] == '/';
    return depth;
}

/* Directory after directory: those met stand in the list that is walked. */
enum ig_code rest_files(struct ig_transfer_files *out, struct ig_transfer_side *side,
                        const struct ig_transfer_owner *owner, struct ig_arena *arena,
                        struct ig_err *err)
{
    struct entries entries = {0};
    if (list_directory(&entries, (struct rest *)side, owner, IG_STR(""), arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < entries.count; i++) {
        const struct entry entry = entries.items[i];
        if (!entry.is_dir) {
            if (!GROW(out, arena)) return ig_fail(err, IG_NO_MEMORY, "a list of files");
            out->items[out->count++] = (struct ig_transfer_file){entry.path, entry.size_bytes};
            continue;
        }
        if (depth_of(entry.path) >= DEPTH_MAX)
            return ig_fail(err, IG_INVALID, "artifacts: '%.*s' lies too deep",
                           IG_STR_ARGS(entry.path));
        if (list_directory(&entries, (struct rest *)side, owner, entry.path, arena, err) != IG_OK)
            return err->code;
    }
    return IG_OK;
}

enum ig_code rest_fetch(int fd, struct ig_transfer_side *side,
                        const struct ig_transfer_owner *owner, struct ig_str path,
                        struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_client_call call = {.method = "GET", .has_reply_fd = true, .reply_fd = fd};
    if (owner->is_model) {
        rest_path(rest, "/ajax-api/2.0/mlflow/logged-models/");
        ig_client_escape(&rest->path, owner->id);
        ig_buf_add_cstr(&rest->path, "/artifacts/files");
        rest_query(rest, "artifact_file_path", path);
    } else {
        rest_path(rest, "/get-artifact");
        rest_query(rest, "run_uuid", owner->id);
        rest_query(rest, "path", path);
    }
    return rest_call(rest, &call, true, err);
}

enum ig_code rest_put_file(struct ig_transfer_side *side, const struct ig_transfer_owner *owner,
                           const struct ig_transfer_file *file, int fd, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_str scheme = IG_STR("mlflow-artifacts:/"), place = owner->artifact_uri, segment;
    struct ig_client_call call = {.method = "PUT",
                                  .content_type = "application/octet-stream",
                                  .has_body_fd = true,
                                  .body_fd = fd,
                                  .body_fd_bytes = (uint64_t)file->size_bytes};
    if (!ig_str_starts(place, scheme))
        return ig_fail(err, IG_UNSUPPORTED,
                       "artifacts: the server keeps them at '%.*s', which it does not take itself",
                       IG_STR_ARGS(place));
    place = (struct ig_str){place.ptr + scheme.len, place.len - scheme.len};
    if (ig_str_starts(place, IG_STR("/"))) { /* "//host/path" */
        place = (struct ig_str){place.ptr + 1, place.len - 1};
        ig_str_cut(&place, '/');
    }
    rest_path(rest, "/api/2.0/mlflow-artifacts/artifacts");
    while (place.ptr) {
        segment = ig_str_cut(&place, '/');
        if (!segment.len) continue;
        ig_buf_add_char(&rest->path, '/');
        ig_client_escape(&rest->path, segment);
    }
    for (struct ig_str rest_of = file->path; rest_of.ptr;) {
        ig_buf_add_char(&rest->path, '/');
        ig_client_escape(&rest->path, ig_str_cut(&rest_of, '/'));
    }
    return rest_call(rest, &call, true, err);
}

/* ---- registered models ---- */

static bool read_model(void *list, struct ig_json *json)
{
    struct ig_transfer_models *out = list;
    struct ig_transfer_model model = {.description = IG_STR("")};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "name"))
            model.name = read_text(json);
        else if (ig_str_is(json->text, "description"))
            model.description = read_text(json);
        else if (ig_str_is(json->text, "tags"))
            model.tags = read_pairs(json, "key", "value");
        else if (ig_str_is(json->text, "aliases"))
            model.aliases = read_pairs(json, "alias", "version");
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || !GROW(out, json->arena)) return false;
    out->items[out->count++] = model;
    return true;
}

enum ig_code rest_models(struct ig_transfer_models *out, struct ig_transfer_side *side,
                         struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_str token = IG_STR("");
    do {
        rest_path(rest, API "registered-models/search?max_results=100");
        if (token.len) rest_query(rest, "page_token", token);
        if (rest_get(rest, err) != IG_OK ||
            read_list(rest, (struct list_kind){"registered_models", read_model}, out, &token, arena,
                      err) != IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

bool rest_read_version(void *list, struct ig_json *json)
{
    struct ig_transfer_versions *out = list;
    struct ig_transfer_version version = {.stage = IG_STR("None")};
    if (!rest_enter(json)) return json->err->code == IG_OK;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "version"))
            version.version = read_i64(json, 0);
        else if (ig_str_is(json->text, "source"))
            version.source = read_text(json);
        else if (ig_str_is(json->text, "run_id"))
            version.run = read_text(json);
        else if (ig_str_is(json->text, "description"))
            version.description = read_text(json);
        else if (ig_str_is(json->text, "current_stage"))
            version.stage = read_text(json);
        else if (ig_str_is(json->text, "tags"))
            version.tags = read_pairs(json, "key", "value");
        else
            ig_json_skip(json);
    }
    if (json->err->code != IG_OK || !GROW(out, json->arena)) return false;
    size_t at = out->count++;
    while (at && out->items[at - 1].version > version.version) {
        out->items[at] = out->items[at - 1];
        at--;
    }
    out->items[at] = version;
    return true;
}

enum ig_code rest_versions(struct ig_transfer_versions *out, struct ig_transfer_side *side,
                           struct ig_str model, struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_str token = IG_STR("");
    char quote = model.len && memchr(model.ptr, '\'', model.len) ? '"' : '\'';
    const char *filter =
        ig_arena_printf(arena, "name = %c%.*s%c", quote, IG_STR_ARGS(model), quote);
    if (!filter) return ig_fail(err, IG_NO_MEMORY, "a list of versions");
    do {
        rest_path(rest, API "model-versions/search?max_results=200");
        rest_query(rest, "filter", ig_str_view(filter));
        if (token.len) rest_query(rest, "page_token", token);
        if (rest_get(rest, err) != IG_OK ||
            read_list(rest, (struct list_kind){"model_versions", rest_read_version}, out, &token,
                      arena, err) != IG_OK)
            return err->code;
    } while (token.len);
    return IG_OK;
}

enum ig_code rest_location(struct ig_str *out, struct ig_transfer_side *side, struct ig_str model,
                           int64_t version, struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_json json;
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)version);
    rest_path(rest, API "model-versions/get-download-uri");
    rest_query(rest, "name", model);
    rest_query(rest, "version", ig_str_view(number));
    if (rest_get(rest, err) != IG_OK) return err->code;
    rest_reply(&json, rest, arena, err);
    if (err->code == IG_OK && rest_enter(&json))
        while (ig_json_member(&json)) {
            if (ig_str_is(json.text, "artifact_uri"))
                *out = read_text(&json);
            else
                ig_json_skip(&json);
        }
    return err->code;
}
