/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot gc`: on a data directory while no server holds it (--data), else through the server, call
 * after call until it says that it is done. */
#include "remote.h"
#include "services.h"

#include "base/clock.h"

#include <string.h>

enum { REQUEST_MAX = 128 << 10, UNUSED_MIN_S = 600 };

/* "1d12h30m5s", each unit at most once and in this order. */
static enum ig_code parse_age(int64_t *seconds, const char *option, const char *text,
                              struct ig_err *err)
{
    static const struct {
        char unit;
        int64_t seconds;
    } UNITS[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    struct ig_str rest = ig_str_view(text);
    int64_t sum = 0;
    size_t unit = 0;
    bool good = rest.len > 0;
    while (good && rest.len) {
        size_t digits = 0;
        uint64_t count = 0;
        while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9') digits++;
        good = digits > 0 && digits < 9 && digits < rest.len &&
               ig_str_to_u64((struct ig_str){rest.ptr, digits}, &count);
        while (good && unit < 4 && UNITS[unit].unit != rest.ptr[digits]) unit++;
        good = good && unit < 4;
        if (!good) break;
        sum += (int64_t)count * UNITS[unit++].seconds;
        rest = (struct ig_str){rest.ptr + digits + 1, rest.len - digits - 1};
    }
    if (good && sum <= INT32_MAX) {
        *seconds = sum;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "--%s: '%.40s' is not a time as 7d, 12h, 30m or 1d12h", option,
                   text);
}

struct request {
    int64_t older_s, unused_s;
    struct ig_str runs[IG_GC_IDS_MAX];
    size_t runs_count;
    int64_t experiments[IG_GC_IDS_MAX];
    size_t experiments_count;
};

static enum ig_code too_many(const char *option, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "--%s: more than %d", option, IG_GC_IDS_MAX);
}

static enum ig_code read_runs(struct request *request, const struct ig_cli *cli, struct ig_err *err)
{
    const char *item;
    for (size_t i = 0; (item = ig_cli_item(cli, "run-ids", i)); i++) {
        struct ig_str rest = ig_str_view(item);
        while (rest.ptr) {
            struct ig_str id = ig_str_trim(ig_str_cut(&rest, ','));
            if (!id.len) continue;
            if (request->runs_count == IG_GC_IDS_MAX) return too_many("run-ids", err);
            request->runs[request->runs_count++] = id;
        }
    }
    return IG_OK;
}

static enum ig_code read_experiments(struct request *request, const struct ig_cli *cli,
                                     struct ig_err *err)
{
    const char *item;
    for (size_t i = 0; (item = ig_cli_item(cli, "experiment-ids", i)); i++) {
        struct ig_str rest = ig_str_view(item);
        while (rest.ptr) {
            struct ig_str id = ig_str_trim(ig_str_cut(&rest, ','));
            if (!id.len) continue;
            if (request->experiments_count == IG_GC_IDS_MAX) return too_many("experiment-ids", err);
            if (ig_tracking_experiment_id(&request->experiments[request->experiments_count++], id,
                                          err) != IG_OK) {
                ig_err_prefix(err, "--experiment-ids");
                return err->code;
            }
        }
    }
    return IG_OK;
}

static enum ig_code read_request(struct request *request, const struct ig_cli *cli,
                                 struct ig_err *err)
{
    const char *older = ig_cli_text(cli, "older-than");
    const char *unused = ig_cli_text(cli, "unused-older-than");
    *request = (struct request){0};
    if ((older && parse_age(&request->older_s, "older-than", older, err) != IG_OK) ||
        parse_age(&request->unused_s, "unused-older-than", unused, err) != IG_OK)
        return err->code;
    if (request->unused_s < UNUSED_MIN_S)
        return ig_fail(err, IG_INVALID, "--unused-older-than: '%s' is less than 10m", unused);
    if (read_runs(request, cli, err) != IG_OK) return err->code;
    return read_experiments(request, cli, err);
}

/* ---- without a server ---- */

static enum ig_code collect_offline(struct ig_gc_report *report, const struct ig_cli *cli,
                                    const struct request *request, struct ig_err *err)
{
    struct ig_services services;
    const struct ig_services_options options = {
        .dir = ig_cli_text(cli, "data"), .depth = IG_SERVICES_GC, .must_exist = true};
    int64_t now = ig_clock_unix_ms();
    const struct ig_gc_ask ask = {.deleted_before_ms =
                                      now - request->older_s * 1000 + (request->older_s ? 0 : 1),
                                  .unused_before_ms = now - request->unused_s * 1000,
                                  .runs = request->runs,
                                  .runs_count = request->runs_count,
                                  .experiments = request->experiments,
                                  .experiments_count = request->experiments_count,
                                  .dry_run = ig_cli_flag(cli, "dry-run")};
    if (ig_services_open(&services, &options, err) == IG_OK)
        ig_gc_run(report, services.app.gc, &IG_PRINCIPAL_LOCAL, &ask, err);
    ig_services_close(&services);
    return err->code;
}

/* ---- through the server ---- */

static void write_request(struct ig_buf *body, const struct ig_cli *cli,
                          const struct request *request, int64_t next)
{
    struct ig_json_out out;
    char text[24];
    ig_buf_reset(body);
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "older_than_s", request->older_s);
    ig_json_out_kv_i64(&out, "unused_older_than_s", request->unused_s);
    ig_json_out_kv_bool(&out, "dry_run", ig_cli_flag(cli, "dry-run"));
    if (next >= 0) ig_json_out_kv_i64(&out, "next", next);
    ig_json_out_key(&out, IG_STR("run_ids"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < request->runs_count; i++) ig_json_out_str(&out, request->runs[i]);
    ig_json_out_array_end(&out);
    ig_json_out_key(&out, IG_STR("experiment_ids"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < request->experiments_count; i++) {
        snprintf(text, sizeof text, "%lld", (long long)request->experiments[i]);
        ig_json_out_str(&out, ig_str_view(text));
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
}

static int64_t member(struct ig_remote *remote, const char *name)
{
    int64_t value = 0;
    ig_str_to_i64(ig_json_view_text(ig_remote_body(remote), name, &remote->arena), &value);
    return value;
}

static void add_reply(struct ig_gc_report *report, int64_t *faces, struct ig_remote *remote)
{
    bool rows = !report->rows_done;
    report->runs += member(remote, "runs");
    report->experiments += member(remote, "experiments");
    report->logged_models += member(remote, "logged_models");
    report->traces += member(remote, "traces");
    report->metrics += member(remote, "metrics");
    report->artifacts += member(remote, "artifacts");
    report->objects += member(remote, "objects");
    *faces += member(remote, "faces");
    if (rows) report->kept = member(remote, "kept"); /* each call meets them again */
    struct ig_str done = ig_json_view_text(ig_remote_body(remote), "done", &remote->arena);
    struct ig_str next = ig_json_view_text(ig_remote_body(remote), "next", &remote->arena);
    int64_t slice;
    report->done = ig_str_is(done, "true");
    if (ig_str_to_i64(next, &slice)) {
        report->rows_done = true;
        report->slice = (unsigned)slice;
    }
}

static enum ig_code collect_remote(struct ig_gc_report *report, int64_t *faces,
                                   const struct ig_cli *cli, const struct request *request,
                                   struct ig_err *err)
{
    struct ig_remote remote;
    struct ig_buf body;
    ig_buf_init(&body, REQUEST_MAX);
    ig_remote_open(&remote, cli, err);
    while (err->code == IG_OK && !report->done) {
        write_request(&body, cli, request, report->rows_done ? (int64_t)report->slice : -1);
        if (ig_remote_call(&remote, "POST", "/api/v1/gc", ig_buf_view(&body), err) == IG_OK)
            add_reply(report, faces, &remote);
        ig_arena_reset(&remote.arena);
    }
    ig_remote_close(&remote);
    ig_buf_deinit(&body);
    return err->code;
}

/* ---- printing ---- */

/* `faces`: of models; without a server none are looked at. */
static void print(const struct ig_cli *cli, const struct ig_gc_report *report, int64_t faces)
{
    const struct {
        const char *name, *words;
        int64_t count;
    } lines[] = {{"runs", "runs", report->runs},
                 {"experiments", "experiments", report->experiments},
                 {"logged_models", "logged models", report->logged_models},
                 {"traces", "traces", report->traces},
                 {"metrics", "metric values", report->metrics},
                 {"artifacts", "artifacts", report->artifacts},
                 {"objects", "stored objects that nothing refers to", report->objects},
                 {"faces", "descriptions of models that nothing needs", faces},
                 {"kept", "kept: a registered model's version lies there", report->kept}};
    bool json = strcmp(ig_cli_text(cli, "format"), "json") == 0;
    if (json)
        printf("{");
    else
        printf("%s\n", ig_cli_flag(cli, "dry-run") ? "would remove" : "removed");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (json)
            printf("%s\"%s\": %lld", i ? ", " : "", lines[i].name, (long long)lines[i].count);
        else
            printf("%10lld  %s\n", (long long)lines[i].count, lines[i].words);
    }
    if (json) printf("}\n");
}

int ig_cmd_gc(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    static struct request request;
    struct ig_gc_report report = {0};
    int64_t faces = 0;
    bool offline = ig_cli_text(cli, "data") != NULL;
    if (read_request(&request, cli, &err) != IG_OK) {
        ig_cli_fail(cli, &err, NULL);
        return IG_EXIT_USAGE;
    }
    if (offline)
        collect_offline(&report, cli, &request, &err);
    else
        collect_remote(&report, &faces, cli, &request, &err);
    if (err.code == IG_OK) {
        print(cli, &report, faces);
        return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
    }
    const char *hint = ig_remote_hint(&err);
    if (offline)
        hint = err.code == IG_CONFLICT
                   ? "a running server holds the directory: leave --data out to go through it"
                   : NULL;
    return ig_cli_fail(cli, &err, hint);
}
