/* SPDX-License-Identifier: Apache-2.0 */
/* Drives one training job through the API. On a terminal the progress bar is drawn over itself;
 * elsewhere a line is printed each time a tenth of the work is done. */
#include "training.h"

#include <langinfo.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100, BAR = 30 };

static bool name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void ig_training_name(char name[129], const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    size_t length = 0;
    for (; *base && *base != '.' && length < 128; base++)
        if (name_char(*base) || length) name[length++] = name_char(*base) ? *base : '_';
    name[length] = '\0';
    if (!length) snprintf(name, 129, "model");
}

static void write_params(struct ig_json_out *out, const struct ig_training *training)
{
    const struct ig_cli *cli = training->cli;
    const char *item;
    ig_json_out_key(out, IG_STR("params"));
    ig_json_out_object(out);
    if (training->teacher) ig_json_out_kv_str(out, "teacher", ig_str_view(training->teacher));
    if (training->source) ig_json_out_kv_str(out, "source", ig_str_view(training->source));
    for (size_t i = 0; (item = ig_cli_item(cli, "param", i)); i++) {
        struct ig_str value = ig_str_view(item);
        ig_json_out_key(out, ig_str_cut(&value, '='));
        ig_json_out_str(out, value.ptr ? value : IG_STR(""));
    }
    ig_json_out_object_end(out);
}

static void write_drop(struct ig_json_out *out, const struct ig_cli *cli)
{
    const char *item;
    ig_json_out_key(out, IG_STR("drop"));
    ig_json_out_array(out);
    for (size_t i = 0; (item = ig_cli_item(cli, "drop", i)); i++)
        ig_json_out_str(out, ig_str_view(item));
    ig_json_out_array_end(out);
}

enum ig_code ig_training_submit(struct ig_training *training, struct ig_err *err)
{
    const struct ig_cli *cli = training->cli;
    struct ig_remote *remote = training->remote;
    const char *file = ig_cli_text(cli, "data"), *name = ig_cli_text(cli, "name");
    struct ig_str digest = {NULL, 0};
    struct ig_buf body;
    struct ig_json_out out;
    if (name)
        snprintf(training->model, sizeof training->model, "%s", name);
    else
        ig_training_name(training->model, file);
    ig_buf_init(&body, 1 << 20);
    if (ig_remote_upload(&digest, remote, file, err) != IG_OK) goto out;
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", ig_str_view(training->model));
    ig_json_out_kv_str(&out, "target", ig_str_view(ig_cli_text(cli, "target")));
    ig_json_out_kv_str(&out, "data_digest", digest);
    if (training->engine) ig_json_out_kv_str(&out, "engine", ig_str_view(training->engine));
    if (ig_cli_text(cli, "instance"))
        ig_json_out_kv_str(&out, "instance", ig_str_view(ig_cli_text(cli, "instance")));
    write_drop(&out, cli);
    write_params(&out, training);
    ig_json_out_object_end(&out);
    if (ig_remote_call(remote, "POST", "/api/v1/jobs", ig_buf_view(&body), err) != IG_OK) goto out;
    training->job_id = ig_arena_dup(
        &remote->arena, ig_json_view_text(ig_remote_body(remote), "id", &remote->arena));
out:
    ig_buf_deinit(&body);
    return err->code;
}

/* "validation_auc 0.912 validation_logloss 0.301": numbers of an object, as many as fit. */
static void metrics_line(char *text, size_t size, struct ig_str json, const char *path)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json reader;
    size_t length = 0;
    text[0] = '\0';
    ig_arena_init(&arena, 4096, 1 << 20);
    if (!ig_json_view_at(&reader, json, path, &arena, &err)) goto out;
    if (ig_json_next(&reader) != IG_JSON_OBJECT) goto out;
    while (ig_json_member(&reader)) {
        char one[96];
        double value;
        struct ig_str name = reader.text;
        enum ig_json_event event = ig_json_next(&reader);
        if (event == IG_JSON_ARRAY || event == IG_JSON_OBJECT) ig_json_skip_open(&reader);
        if (event != IG_JSON_NUMBER || !ig_str_to_f64(reader.text, &value)) continue;
        int wide = snprintf(one, sizeof one, "%s%.*s %.5g", length ? "  " : "",
                            (int)(name.len > 40 ? 40 : name.len), name.ptr, value);
        if (length + (size_t)wide >= size) break;
        memcpy(text + length, one, (size_t)wide + 1);
        length += (size_t)wide;
    }
out:
    ig_arena_deinit(&arena);
}

static void draw_bar(double progress, const char *metrics)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    int filled = (int)(progress * BAR + 0.5);
    fputs("\r  training ", stdout);
    for (int i = 0; i < BAR; i++)
        fputs(i < filled ? (utf8 ? "\u2588" : "#") : (utf8 ? "\u2591" : "."), stdout);
    printf(" %3.0f%%  %-30.30s", progress * 100, metrics);
    fflush(stdout);
}

static void show_progress(const struct ig_training *training, bool over, double *shown)
{
    struct ig_arena *arena = &training->remote->arena;
    struct ig_str body = ig_remote_body(training->remote);
    double progress = ig_json_view_number(body, "progress", arena);
    char metrics[64];
    if (!(progress >= 0)) progress = 0;
    if (over && ig_str_is(ig_json_view_text(body, "state", arena), "succeeded")) progress = 1;
    metrics_line(metrics, sizeof metrics, body, over ? "none" : "metrics");
    if (isatty(STDOUT_FILENO)) {
        draw_bar(progress, metrics);
        if (over) putchar('\n');
    } else if (progress >= *shown + 0.1 || (over && progress > *shown)) {
        printf("  training %3.0f%%  %s\n", progress * 100, metrics);
        fflush(stdout);
        *shown = floor(progress * 10) / 10;
    }
}

static bool is_over(struct ig_str state)
{
    return !ig_str_is(state, "queued") && !ig_str_is(state, "running");
}

enum ig_code ig_training_watch(struct ig_training *training, struct ig_err *err)
{
    struct ig_remote *remote = training->remote;
    char id[64];
    double shown = -0.1;
    snprintf(id, sizeof id, "%.*s", IG_STR_ARGS(training->job_id));
    const char *path = ig_remote_path(remote, "/api/v1/jobs/", id, "");
    for (;;) {
        if (ig_remote_call(remote, "GET", path, IG_STR(""), err) != IG_OK) return err->code;
        struct ig_str body = ig_remote_body(remote);
        struct ig_str state = ig_json_view_text(body, "state", &remote->arena);
        show_progress(training, is_over(state), &shown);
        if (is_over(state)) break;
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
    }
    struct ig_str body = ig_remote_body(remote);
    struct ig_str state = ig_json_view_text(body, "state", &remote->arena);
    struct ig_str reason = ig_json_view_text(body, "error", &remote->arena);
    if (!ig_str_is(state, "succeeded"))
        return ig_fail(err, IG_CONFLICT, "job %s %.*s%s%.*s", id, IG_STR_ARGS(state),
                       reason.len ? ": " : "", IG_STR_ARGS(reason));
    ig_str_to_i64(ig_json_view_text(body, "version", &remote->arena), &training->version);
    return IG_OK;
}

void ig_training_print_metrics(const struct ig_remote *remote, const char *path)
{
    char text[512];
    metrics_line(text, sizeof text, ig_remote_body(remote), path);
    if (*text) printf("  metrics  %s\n", text);
}
