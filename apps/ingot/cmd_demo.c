/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot demo`: the main job through the public API of a running server. Everything it does can be
 * done with curl; it ends by printing how. */
#include "training.h"
#include "waterfall.h"

#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 10 };

struct demo {
    const struct ig_cli *cli;
    struct ig_remote remote;
    struct ig_training training;
    struct ig_str request; /* JSON of the prediction, in the remote's arena */
};

static void write_cell(struct ig_json_out *out, struct ig_str cell)
{
    double number;
    if (ig_table_is_missing(cell))
        ig_json_out_null(out);
    else if (ig_str_to_f64(cell, &number) && isfinite(number))
        ig_json_out_f64(out, number);
    else
        ig_json_out_str(out, cell);
}

static bool is_dropped(const struct ig_cli *cli, struct ig_str name)
{
    const char *item;
    for (size_t i = 0; (item = ig_cli_item(cli, "drop", i)); i++)
        if (ig_str_is(name, item)) return true;
    return false;
}

static void write_request(struct ig_json_out *out, const struct demo *demo,
                          const struct ig_str *names, const struct ig_str *cells, size_t count)
{
    const char *target = ig_cli_text(demo->cli, "target");
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model", ig_str_view(demo->training.model));
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_object(out);
    for (size_t i = 0; i < count; i++) {
        if (ig_str_is(names[i], target) || is_dropped(demo->cli, names[i])) continue;
        ig_json_out_key(out, names[i]);
        write_cell(out, cells[i]);
    }
    ig_json_out_object_end(out);
    ig_json_out_kv_i64(out, "top", TOP);
    ig_json_out_object_end(out);
}

/* Header, copied: its views end with the next record. */
static struct ig_str *copy_names(struct demo *demo, const struct ig_str *fields, size_t count)
{
    struct ig_str *names = ig_arena_array(&demo->remote.arena, count, sizeof *names);
    for (size_t i = 0; names && i < count; i++)
        names[i] = ig_arena_dup(&demo->remote.arena, fields[i]);
    return names;
}

/* The request for row --row of the table. */
static enum ig_code make_request(struct demo *demo, struct ig_err *err)
{
    const char *file = ig_cli_text(demo->cli, "data");
    uint64_t row = ig_cli_count(demo->cli, "row");
    const struct ig_str *fields = NULL;
    struct ig_str *names = NULL;
    struct ig_csv *csv = NULL;
    struct ig_buf body;
    struct ig_json_out out;
    size_t count = 0, columns = 0;
    int fd = -1;
    ig_buf_init(&body, 16 << 20);
    if (ig_file_open_read(&fd, IG_FILE_CWD, file, err) != IG_OK) goto out;
    if (ig_csv_open_fd(&csv, fd, NULL, err) != IG_OK) goto out;
    if (ig_csv_next(csv, &fields, &columns, err)) names = copy_names(demo, fields, columns);
    for (uint64_t i = 0; i < row && err->code == IG_OK; i++)
        if (!ig_csv_next(csv, &fields, &count, err)) break;
    if (err->code == IG_OK && (!names || count != columns || row == 0))
        ig_fail(err, IG_INVALID, "--row: '%s' has no row %llu", file, (unsigned long long)row);
    if (err->code != IG_OK) goto out;
    ig_json_out_init(&out, &body);
    write_request(&out, demo, names, fields, count);
    demo->request = ig_arena_dup(&demo->remote.arena, ig_buf_view(&body));
out:
    if (csv) ig_csv_close(csv);
    ig_file_close(&fd);
    ig_buf_deinit(&body);
    return err->code;
}

static enum ig_code deploy(struct demo *demo, struct ig_err *err)
{
    struct ig_remote *remote = &demo->remote;
    char body[256];
    const char *path = ig_remote_path(remote, "/api/v1/deployments/", demo->training.model, "");
    int length = snprintf(body, sizeof body, "{\"model\":\"%s\",\"version\":%lld}",
                          demo->training.model, (long long)demo->training.version);
    return ig_remote_call(remote, "PUT", path, (struct ig_str){body, (size_t)length}, err);
}

/* A number of the explanation: plain, or of the predicted class. */
static double of_class(struct ig_str explanation, const char *member, struct ig_str class,
                       struct ig_arena *arena)
{
    double value = ig_json_view_number(explanation, member, arena);
    struct ig_json json;
    struct ig_err err = IG_ERR_INIT;
    if (!isnan(value)) return value;
    if (!ig_json_view_at(&json, explanation, member, arena, &err)) return NAN;
    if (ig_json_next(&json) != IG_JSON_OBJECT) return NAN;
    while (ig_json_member(&json)) {
        bool found = ig_str_eq(json.text, class);
        if (ig_json_next(&json) != IG_JSON_NUMBER) return NAN;
        if (found) return ig_str_to_f64(json.text, &value) ? value : NAN;
    }
    return NAN;
}

static size_t count_features(struct ig_str request, struct ig_arena *arena)
{
    struct ig_json json;
    struct ig_err err = IG_ERR_INIT;
    size_t count = 0;
    if (!ig_json_view_at(&json, request, "features", arena, &err)) return 0;
    if (ig_json_next(&json) != IG_JSON_OBJECT) return 0;
    while (ig_json_member(&json) && ig_json_skip(&json)) count++;
    return count;
}

static void read_bar(struct ig_json *json, struct ig_waterfall_bar *bar)
{
    bar->value = IG_STR("missing");
    if (ig_json_next(json) != IG_JSON_OBJECT) return;
    while (ig_json_member(json)) {
        struct ig_str key = json->text;
        enum ig_json_event event = ig_json_next(json);
        if (ig_str_is(key, "feature")) bar->feature = json->text;
        if (ig_str_is(key, "value") && event != IG_JSON_NULL) bar->value = json->text;
        if (ig_str_is(key, "contribution")) ig_str_to_f64(json->text, &bar->contribution);
    }
}

static void print_waterfall(struct demo *demo, struct ig_str class)
{
    struct ig_arena *arena = &demo->remote.arena;
    struct ig_str reply = ig_remote_body(&demo->remote);
    struct ig_waterfall_bar bars[TOP] = {0};
    struct ig_json json;
    struct ig_err err = IG_ERR_INIT;
    struct ig_waterfall waterfall = {.bars = bars,
                                     .base_value =
                                         of_class(reply, "explanation.base_value", class, arena),
                                     .margin = of_class(reply, "explanation.margin", class, arena)};
    if (!ig_json_view_at(&json, reply, "explanation.top_features", arena, &err)) return;
    if (ig_json_next(&json) != IG_JSON_ARRAY) return;
    waterfall.others = waterfall.margin - waterfall.base_value;
    while (ig_json_element(&json) && waterfall.bars_count < TOP) {
        read_bar(&json, &bars[waterfall.bars_count]);
        waterfall.others -= bars[waterfall.bars_count++].contribution;
    }
    size_t features = count_features(demo->request, arena);
    waterfall.others_count = features > waterfall.bars_count ? features - waterfall.bars_count : 0;
    ig_waterfall_print(stdout, &waterfall);
}

static void print_prediction(struct demo *demo)
{
    struct ig_arena *arena = &demo->remote.arena;
    struct ig_str reply = ig_remote_body(&demo->remote);
    struct ig_str prediction = ig_json_view_text(reply, "prediction", arena);
    double probability = ig_json_view_number(reply, "probability", arena);
    printf("\nprediction for row %llu of the table: %.*s",
           (unsigned long long)ig_cli_count(demo->cli, "row"), IG_STR_ARGS(prediction));
    if (isnan(probability))
        probability = of_class(reply, "probability", prediction, arena);
    else
        probability = fmax(probability, 1 - probability); /* binary: of the predicted class */
    if (!isnan(probability))
        printf("   probability of %.*s %.*f", IG_STR_ARGS(prediction), probability < 0.1 ? 5 : 4,
               probability);
    printf("\n\n");
    print_waterfall(demo, prediction);
    printf("\n");
    ig_json_view_print(stdout, reply);
}

/* Single quotes for the shell; one inside ends, escapes and begins anew. */
static void print_quoted(struct ig_str text)
{
    putchar('\'');
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\'')
            fputs("'\\''", stdout);
        else
            putchar(text.ptr[i]);
    putchar('\'');
}

static void print_curl(const struct demo *demo)
{
    printf("\nto repeat it:\n\ncurl -s %s/predict-with-explanation -H 'Content-Type: "
           "application/json' -d ",
           demo->remote.url);
    print_quoted(demo->request);
    putchar('\n');
}

static enum ig_code is_deployed(bool *deployed, struct demo *demo, struct ig_err *err)
{
    const char *path =
        ig_remote_path(&demo->remote, "/api/v1/deployments/", demo->training.model, "");
    *deployed = false;
    if (!ig_cli_flag(demo->cli, "keep")) return IG_OK;
    *deployed = ig_remote_call(&demo->remote, "GET", path, IG_STR(""), err) == IG_OK;
    if (err->code == IG_NOT_FOUND) ig_err_clear(err);
    return err->code;
}

static enum ig_code train_and_deploy(struct demo *demo, struct ig_err *err)
{
    struct ig_training *training = &demo->training;
    if (ig_training_submit(training, err) != IG_OK) return err->code;
    printf("training on %s, target %s (job %.*s)\n", ig_cli_text(demo->cli, "data"),
           ig_cli_text(demo->cli, "target"), IG_STR_ARGS(training->job_id));
    if (ig_training_watch(training, err) != IG_OK) return err->code;
    printf("registered models:/%s/%lld\n", training->model, (long long)training->version);
    ig_training_print_metrics(&demo->remote, "metrics");
    if (deploy(demo, err) != IG_OK) return err->code;
    printf("deployed as %s\n", training->model);
    return IG_OK;
}

static enum ig_code run(struct demo *demo, struct ig_err *err)
{
    bool deployed;
    const char *name = ig_cli_text(demo->cli, "name");
    if (name)
        snprintf(demo->training.model, sizeof demo->training.model, "%s", name);
    else
        ig_training_name(demo->training.model, ig_cli_text(demo->cli, "data"));
    if (is_deployed(&deployed, demo, err) != IG_OK) return err->code;
    if (!deployed && train_and_deploy(demo, err) != IG_OK) return err->code;
    if (make_request(demo, err) != IG_OK) return err->code;
    if (ig_remote_call(&demo->remote, "POST", "/predict-with-explanation", demo->request, err) !=
        IG_OK)
        return err->code;
    print_prediction(demo);
    print_curl(demo);
    return IG_OK;
}

int ig_cmd_demo(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct demo demo = {.cli = cli};
    demo.training.cli = cli;
    demo.training.remote = &demo.remote;
    if (ig_remote_open(&demo.remote, cli, &err) == IG_OK) run(&demo, &err);
    ig_remote_close(&demo.remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
