/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the explained decision of a record again: the request is decoded by the server's own
 * code, model and background come from the server by their digests, and the digests of input and
 * result must be the record's. */
#include "replay.h"

#include "remote.h"

#include "api/explain_ask.h"
#include "api/infer_record.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/background.h"
#include "services/deploy/routing.h"

#include <stdio.h>
#include <string.h>

enum { RECORD_MAX = 256 << 20, BLOB_MAX = INT32_MAX, ROWS_MAX = 10000000 };

struct replay {
    const struct ig_cli *cli;
    struct ig_remote remote;
    struct ig_arena arena;            /* of the record and the request */
    struct ig_str record;             /* its JSON */
    const struct ig_routing *routing; /* of a record from a graph, else NULL */
    struct ig_package *own;           /* of a record from one model */
    const struct ig_package *package; /* what answered */
    struct ig_background_table *background;
    struct ig_predict_request request;
    double *rows; /* as the package reads them */
    size_t rows_count;
    struct ig_explain_asked asked;
    struct ig_explain *explain;
    struct ig_err *err;
};

static struct ig_str text_of(struct replay *replay, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "content.%s", name);
    return ig_json_view_text(replay->record, path, &replay->arena);
}

static struct ig_str keep(struct replay *replay, struct ig_str text)
{
    return ig_arena_dup(&replay->arena, text);
}

/* A file of that name, else a record of the server. */
static enum ig_code find_record(struct replay *replay)
{
    const char *name = ig_cli_text(replay->cli, "replay");
    struct ig_remote *remote = &replay->remote;
    struct ig_buf bytes;
    struct ig_err none = IG_ERR_INIT;
    ig_buf_init(&bytes, RECORD_MAX);
    if (ig_file_read(&bytes, IG_FILE_CWD, name, &none) == IG_OK) {
        replay->record = keep(replay, ig_buf_view(&bytes));
    } else {
        remote->reply.body.max_bytes = RECORD_MAX;
        if (ig_remote_call(remote, "GET", ig_remote_path(remote, "/api/v1/records/", name, ""),
                           IG_STR(""), replay->err) == IG_OK)
            replay->record = keep(replay, ig_remote_body(remote));
    }
    ig_buf_deinit(&bytes);
    if (replay->err->code == IG_OK && !text_of(replay, "result_digest").len)
        ig_fail(replay->err, IG_PARSE, "'%s' is no record of an explained decision", name);
    return replay->err->code;
}

static enum ig_code fetch_blob(struct replay *replay, struct ig_str digest)
{
    struct ig_remote *remote = &replay->remote;
    char *name = ig_arena_cstr(&replay->arena, digest);
    if (!name) return ig_fail(replay->err, IG_NO_MEMORY, "no memory for a digest");
    remote->reply.body.max_bytes = BLOB_MAX;
    return ig_remote_call(remote, "GET", ig_remote_path(remote, "/api/v1/blobs/", name, ""),
                          IG_STR(""), replay->err);
}

static enum ig_code fetch_package(struct ig_package **out, struct replay *replay,
                                  struct ig_str digest)
{
    if (fetch_blob(replay, digest) != IG_OK) return replay->err->code;
    return ig_package_open_bytes(out, ig_remote_body(&replay->remote), NULL, replay->err);
}

/* The package of a node, by the digests in the record. */
static enum ig_code open_node(struct ig_package **out, void *context,
                              const struct ig_routing_node *node, struct ig_err *err)
{
    struct replay *replay = context;
    struct ig_json json;
    if (!ig_json_view_at(&json, replay->record, "content.packages", &replay->arena, err) ||
        !ig_json_expect(&json, IG_JSON_OBJECT, "packages"))
        return ig_fail(err, IG_PARSE, "the record has no packages");
    while (ig_json_member(&json)) {
        struct ig_str digest;
        bool found = ig_str_eq(json.text, node->name);
        if (!ig_json_string(&json, &digest, "packages")) return err->code;
        if (found) return fetch_package(out, replay, keep(replay, digest));
    }
    return ig_fail(err, IG_PARSE, "the record has no package of node '%.*s'",
                   IG_STR_ARGS(node->name));
}

/* The value there as it is written; empty when there is none. */
static struct ig_str raw_of(struct replay *replay, const char *path)
{
    struct ig_json json;
    struct ig_err none = IG_ERR_INIT;
    if (!ig_json_view_at(&json, replay->record, path, &replay->arena, &none)) return IG_STR("");
    const char *start = json.at;
    if (!ig_json_skip(&json)) return IG_STR("");
    struct ig_str text = ig_str_trim((struct ig_str){start, (size_t)(json.at - start)});
    if (text.len && *text.ptr == ':') text = (struct ig_str){text.ptr + 1, text.len - 1};
    return text;
}

static enum ig_code fetch_graph(struct replay *replay, struct ig_str graph)
{
    struct ig_routing_spec spec;
    const struct ig_servable_source servables = {0};
    const struct ig_routing_source source = {
        .servables = &servables, .open = open_node, .context = replay};
    if (ig_routing_spec_read(&spec, graph, &replay->arena, replay->err) != IG_OK ||
        ig_routing_new(&replay->routing, &source, IG_STR("replay"), 0, &spec, replay->err) != IG_OK)
        return replay->err->code;
    int32_t node = ig_routing_spec_find(&replay->routing->spec, text_of(replay, "node"));
    if (node < 0) return ig_fail(replay->err, IG_PARSE, "the record names no node of its graph");
    const struct ig_servable *servable = ig_routing_servable(replay->routing, (uint32_t)node);
    if (!servable) return ig_fail(replay->err, IG_PARSE, "the record's node answers nothing");
    replay->package = servable->package;
    return IG_OK;
}

static enum ig_code fetch_model(struct replay *replay)
{
    struct ig_str wanted = text_of(replay, "background_digest");
    struct ig_str graph = raw_of(replay, "content.graph");
    if (graph.len) {
        if (fetch_graph(replay, graph) != IG_OK) return replay->err->code;
    } else {
        if (fetch_package(&replay->own, replay, text_of(replay, "package_digest")) != IG_OK)
            return replay->err->code;
        replay->package = replay->own;
    }
    if (!wanted.len) return IG_OK;
    if (fetch_blob(replay, wanted) != IG_OK) return replay->err->code;
    return ig_background_table_read(&replay->background, ig_remote_body(&replay->remote),
                                    &replay->package->schema, replay->err);
}

static bool find_target(struct ig_predict_target *out, void *context, struct ig_str model,
                        struct ig_err *err)
{
    struct replay *replay = context;
    const struct ig_routing *routing = replay->routing;
    (void)model;
    (void)err;
    *out = (struct ig_predict_target){.schema = &replay->package->schema};
    if (routing)
        *out = (struct ig_predict_target){routing->schema, routing->attributes,
                                          routing->spec.attributes_count};
    return true;
}

static uint32_t node_of(struct replay *replay)
{
    return (uint32_t)ig_routing_spec_find(&replay->routing->spec, text_of(replay, "node"));
}

/* The rows of the request that went the record's way, as its model reads them. */
static enum ig_code gather(struct replay *replay)
{
    const struct ig_predict_request *request = &replay->request;
    size_t width = request->schema->features_count, count = 0;
    struct ig_json json;
    struct ig_err none = IG_ERR_INIT;
    uint64_t place;
    replay->rows = request->rows;
    replay->rows_count = request->rows_count;
    if (!replay->routing) return IG_OK;
    double *rows =
        ig_arena_array(&replay->arena, 2 * request->rows_count * width + 1, sizeof *rows);
    if (!rows) return ig_fail(replay->err, IG_NO_MEMORY, "no memory for the rows");
    memcpy(rows, request->rows, request->rows_count * width * sizeof *rows);
    if (ig_json_view_at(&json, replay->record, "content.places", &replay->arena, &none) &&
        ig_json_expect(&json, IG_JSON_ARRAY, "places")) {
        while (count < request->rows_count && ig_json_element(&json) &&
               ig_json_u64(&json, &place, "places") && place < request->rows_count)
            memcpy(rows + width * count++, request->rows + width * place, width * sizeof *rows);
        replay->rows_count = count;
    }
    replay->rows = rows + request->rows_count * width;
    ig_feature_map_rows(ig_routing_map(replay->routing, node_of(replay)), rows, replay->rows_count,
                        (uint32_t)width, replay->rows);
    return IG_OK;
}

static enum ig_code decode(struct replay *replay)
{
    struct ig_predict_source source = {.find = find_target,
                                       .context = replay,
                                       .rows_max = ROWS_MAX,
                                       .kserve = ig_str_is(text_of(replay, "front"), "kserve"),
                                       .explains = true};
    struct ig_json json;
    const char *field = NULL;
    ig_json_init(&json, text_of(replay, "request"), &replay->arena, replay->err);
    if (ig_predict_request_decode(&replay->request, &json, &source, &field) != IG_OK)
        return replay->err->code;
    if (gather(replay) != IG_OK) return replay->err->code;
    const struct ig_explain_subject subject = {
        replay->package, replay->routing ? ig_routing_map(replay->routing, node_of(replay)) : NULL};
    return ig_explain_ask_read(&replay->asked, &replay->request, &subject, &replay->arena, &field,
                               replay->err);
}

static enum ig_code prepare(struct replay *replay)
{
    const struct ig_schema *schema = &replay->package->schema;
    struct ig_explain_ask *ask = &replay->asked.ask;
    size_t features = schema->features_count + (size_t)1;
    bool *categorical = ig_arena_zalloc(&replay->arena, features);
    uint32_t *categories = ig_arena_zalloc(&replay->arena, features * sizeof *categories);
    struct ig_str method = text_of(replay, "method");
    struct ig_explain_spec spec = {.probability = ask->probability,
                                   .players = &ask->players,
                                   .categorical = categorical,
                                   .categories = categories};
    if (!categorical || !categories)
        return ig_fail(replay->err, IG_NO_MEMORY, "no memory for an explainer");
    for (uint32_t i = 0; i < schema->features_count; i++) {
        categorical[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL;
        categories[i] = schema->features[i].categories_count;
    }
    if (!ig_explainer_parse(method, &spec.method))
        return ig_fail(replay->err, IG_UNSUPPORTED, "this version knows no method '%.*s'",
                       IG_STR_ARGS(method));
    if (replay->background) spec.background = &replay->background->background;
    return ig_explain_new(&replay->explain, replay->package->engine, &spec, replay->err);
}

/* Where a budget cut sampling short: each row's number of samples; else NULL. */
static uint64_t *read_samples(struct replay *replay)
{
    struct ig_json json;
    struct ig_err none = IG_ERR_INIT;
    size_t rows = replay->rows_count;
    uint64_t *samples = ig_arena_zalloc(&replay->arena, (rows + 1) * sizeof *samples);
    if (!samples ||
        !ig_json_view_at(&json, replay->record, "content.samples", &replay->arena, &none) ||
        !ig_json_expect(&json, IG_JSON_ARRAY, "samples"))
        return NULL;
    for (size_t i = 0; i < rows && ig_json_element(&json); i++)
        ig_json_u64(&json, &samples[i], "samples");
    return samples;
}

static enum ig_code run_rows(struct replay *replay, struct ig_result_digest *digest)
{
    const struct ig_model *model = replay->package->model;
    uint64_t *samples = read_samples(replay);
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 20, (size_t)8 << 30);
    for (size_t i = 0; i < replay->rows_count && replay->err->code == IG_OK; i++) {
        const struct ig_explain_rows row = {replay->rows + i * model->features_count, 1};
        struct ig_explain_options options = replay->asked.ask.options;
        struct ig_explanations found;
        if (samples) {
            options.samples = samples[i];
            options.target_se = 0;
        }
        ig_arena_reset(&arena);
        if (ig_explain_run(&found, replay->explain, &row, &options, &arena, replay->err) == IG_OK)
            ig_result_digest_add(digest, &found, model, replay->err);
    }
    ig_arena_deinit(&arena);
    return replay->err->code;
}

static enum ig_code compare(struct replay *replay)
{
    size_t features = replay->package->model->features_count, rows = replay->rows_count;
    struct ig_str recorded = text_of(replay, "result_digest");
    char input[IG_SHA256_HEX], result[IG_SHA256_HEX];
    struct ig_result_digest digest;
    ig_sha256_hex(replay->rows, rows * features * sizeof(double), input);
    if (!ig_str_is(text_of(replay, "input_digest"), input))
        return ig_fail(replay->err, IG_CORRUPT, "the input differs from the record's: %s", input);
    if (ig_result_digest_begin(&digest, replay->err) == IG_OK) run_rows(replay, &digest);
    ig_result_digest_end(result, &digest);
    if (replay->err->code != IG_OK) return replay->err->code;
    if (!ig_str_is(recorded, result))
        return ig_fail(replay->err, IG_CORRUPT, "the result differs: %s, recorded %.*s", result,
                       IG_STR_ARGS(recorded));
    printf("reproduced bit for bit: %zu row%s by %s, result %s\n", rows, rows == 1 ? "" : "s",
           ig_explainer_name(ig_explain_method(replay->explain)), result);
    return IG_OK;
}

int ig_replay(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct replay replay = {.cli = cli, .err = &err};
    ig_arena_init(&replay.arena, 1 << 16, (size_t)4 << 30);
    if (ig_remote_open(&replay.remote, cli, &err) == IG_OK && find_record(&replay) == IG_OK &&
        fetch_model(&replay) == IG_OK && decode(&replay) == IG_OK && prepare(&replay) == IG_OK)
        compare(&replay);
    ig_explain_free(replay.explain);
    ig_background_table_free(replay.background);
    ig_routing_unref(replay.routing);
    ig_package_free(replay.own);
    ig_remote_close(&replay.remote);
    ig_arena_deinit(&replay.arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, ig_remote_hint(&err));
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
