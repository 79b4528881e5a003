/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of MLflow 2.x tell of a model that they logged: its MLmodel as JSON, kept shortened
 * in a list in the run's tag, as MLflow keeps it.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/tracking_priv.h"

#include "base/json.h"

#define NOTES_TAG "mlflow.log-model.history"

static const struct {
    const char *name;
    bool required;
} MEMBERS[] = {{"artifact_path", true},
               {"flavors", true},
               {"utc_time_created", true},
               {"run_id", true},
               {"model_uuid", false}};
enum { MEMBERS_COUNT = sizeof MEMBERS / sizeof MEMBERS[0] };

/* The bytes of the value that comes next, as they stand. */
static struct ig_str take_raw(struct ig_json *json)
{
    size_t from = ig_json_position(json);
    if (!ig_json_skip(json)) return IG_STR("");
    struct ig_str raw = {json->start + from, ig_json_position(json) - from};
    while (raw.len && (raw.ptr[0] == ':' || raw.ptr[0] == ' ' || raw.ptr[0] == '\n' ||
                       raw.ptr[0] == '\t' || raw.ptr[0] == '\r'))
        raw = (struct ig_str){raw.ptr + 1, raw.len - 1};
    return raw;
}

/* A flavor without its "config", which may be long. */
static void copy_flavor(struct ig_json_out *out, struct ig_json *json)
{
    struct ig_json ahead = *json;
    if (ig_json_next(&ahead) != IG_JSON_OBJECT) {
        ig_json_out_raw(out, take_raw(json));
        return;
    }
    ig_json_next(json);
    ig_json_out_object(out);
    while (ig_json_member(json)) {
        struct ig_str key = json->text, raw = take_raw(json);
        if (ig_str_is(key, "config") || json->err->code != IG_OK) continue;
        ig_json_out_key(out, key);
        ig_json_out_raw(out, raw);
    }
    ig_json_out_object_end(out);
}

static void copy_flavors(struct ig_json_out *out, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "flavors")) return;
    ig_json_out_object(out);
    while (ig_json_member(json)) {
        ig_json_out_key(out, json->text);
        copy_flavor(out, json);
        if (json->err->code != IG_OK) return;
    }
    ig_json_out_object_end(out);
}

static enum ig_code shorten(struct ig_buf *text, struct ig_str model_json, struct ig_arena *arena,
                            struct ig_err *err)
{
    struct ig_json json;
    struct ig_json_out out;
    struct ig_err local = IG_ERR_INIT;
    bool given[MEMBERS_COUNT] = {false};
    ig_json_init(&json, model_json, arena, &local);
    ig_json_out_init(&out, text);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "model_json")) goto malformed;
    ig_json_out_object(&out);
    while (ig_json_member(&json)) {
        size_t i = 0;
        while (i < MEMBERS_COUNT && !ig_str_is(json.text, MEMBERS[i].name)) i++;
        if (i == MEMBERS_COUNT || given[i]) {
            ig_json_skip(&json);
            continue;
        }
        given[i] = true;
        ig_json_out_key(&out, json.text);
        if (ig_str_is(json.text, "flavors"))
            copy_flavors(&out, &json);
        else
            ig_json_out_raw(&out, take_raw(&json));
        if (local.code != IG_OK) goto malformed;
    }
    if (local.code != IG_OK || ig_json_next(&json) != IG_JSON_END) goto malformed;
    ig_json_out_object_end(&out);
    for (size_t i = 0; i < MEMBERS_COUNT; i++)
        if (MEMBERS[i].required && !given[i])
            return ig_fail(err, IG_INVALID, "Model json is missing mandatory fields: {'%s'}",
                           MEMBERS[i].name);
    return text->overflowed ? ig_fail(err, IG_NO_MEMORY, "model_json") : IG_OK;
malformed:
    return ig_fail(err, IG_INVALID, "Malformed model info. \n %.*s \n is not a valid JSON.",
                   IG_STR_ARGS(ig_tracking_cut(model_json, 300)));
}

struct note_call {
    struct ig_str run, note;
};

static enum ig_code add_note(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct note_call *call = context;
    struct ig_buf text;
    struct ig_db_rows *rows = NULL;
    if (ig_tracking_run_must_be_active(tx, call->run, NULL, err) != IG_OK ||
        ig_db_query(&rows, tx, "select value from run_tags where run = $1 and key = $2",
                    IG_DB_VALUES(IG_DB_T(call->run), IG_DB_T(IG_STR(NOTES_TAG))), err) != IG_OK)
        return err->code;
    ig_buf_init(&text, 1 << 20);
    struct ig_str old = ig_db_next(rows, err) ? ig_str_trim(ig_db_text(rows, 0)) : IG_STR("");
    bool list = old.len > 2 && old.ptr[0] == '[' && old.ptr[old.len - 1] == ']';
    if (list) ig_buf_add_str(&text, (struct ig_str){old.ptr, old.len - 1});
    ig_buf_add_cstr(&text, list ? ", " : "[");
    ig_db_finish(rows);
    ig_buf_add_str(&text, call->note);
    ig_buf_add_char(&text, ']');
    if (err->code == IG_OK && text.overflowed) ig_fail(err, IG_NO_MEMORY, "models of a run");
    /* Cut, as other tags are, it would be no list. */
    if (err->code == IG_OK)
        ig_tracking_check_length(ig_buf_view(&text), IG_TRACKING_TAG_MAX, NOTES_TAG, err);
    const struct ig_tracking_pair tag = {IG_STR(NOTES_TAG), ig_buf_view(&text)};
    if (err->code == IG_OK) ig_tracking_run_tag_put(tx, call->run, tag, err);
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code ig_tracking_model_note(struct ig_tracking *tracking, struct ig_str run,
                                    struct ig_str model_json, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_buf note;
    ig_arena_init(&arena, 16 << 10, 4 << 20);
    ig_buf_init(&note, 1 << 20);
    struct note_call call = {.run = run};
    if (shorten(&note, model_json, &arena, err) == IG_OK) {
        call.note = ig_buf_view(&note);
        ig_tracking_write(tracking, run, add_note, &call, err);
    }
    ig_buf_deinit(&note);
    ig_arena_deinit(&arena);
    return err->code;
}
