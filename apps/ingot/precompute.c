/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a server's explanation cache from a table: its rows go to the deployment in batches, as
 * requests that are answered with counts only. */
#include "precompute.h"

#include "remote.h"

#include "base/file.h"
#include "formats/package.h"
#include "formats/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_ROWS = 64, BODY_MAX = 16 << 20 };

struct precompute {
    const struct ig_cli *cli;
    struct ig_remote remote;
    struct ig_package *package;
    struct ig_rows *rows;
    int input;
    double *values; /* BATCH_ROWS x features */
    struct ig_buf body;
    uint64_t total, cached;
    struct ig_err *err;
};

/* The package that the deployment serves. */
static enum ig_code fetch_package(struct precompute *p)
{
    struct ig_remote *remote = &p->remote;
    const char *name = ig_cli_text(p->cli, "precompute");
    if (ig_remote_call(remote, "GET", ig_remote_path(remote, "/api/v1/deployments/", name, ""),
                       IG_STR(""), p->err) != IG_OK)
        return p->err->code;
    struct ig_str digest = ig_json_view_text(ig_remote_body(remote), "digest", &remote->arena);
    char *blob = ig_arena_cstr(&remote->arena, digest);
    if (!blob) return ig_fail(p->err, IG_NO_MEMORY, "no memory for a digest");
    remote->reply.body.max_bytes = INT32_MAX;
    if (ig_remote_call(remote, "GET", ig_remote_path(remote, "/api/v1/blobs/", blob, ""),
                       IG_STR(""), p->err) != IG_OK)
        return p->err->code;
    return ig_package_open_bytes(&p->package, ig_remote_body(remote), NULL, p->err);
}

static enum ig_code open_rows(struct precompute *p)
{
    const char *path = ig_cli_text(p->cli, "input");
    const struct ig_rows_options options = {.ignore_others = true};
    const struct ig_schema *schema = &p->package->schema;
    size_t features = schema->features_count;
    if (!path) return ig_fail(p->err, IG_INVALID, "--input is required");
    for (size_t i = 0; i < features; i++)
        if (schema->features[i].hashed)
            return ig_fail(
                p->err, IG_UNSUPPORTED,
                "feature '%.*s': the model knows its categories by hash, so rows of them "
                "cannot be sent as text; explain such rows by requests",
                IG_STR_ARGS(schema->features[i].name));
    p->values = ig_arena_array(&p->remote.arena, BATCH_ROWS, features * sizeof(double) + 1);
    if (!p->values) return ig_fail(p->err, IG_NO_MEMORY, "no memory for %d rows", BATCH_ROWS);
    if (ig_file_open_read(&p->input, IG_FILE_CWD, path, p->err) != IG_OK) return p->err->code;
    return ig_rows_open_fd(&p->rows, p->input, schema, &options, p->err);
}

static void write_value(struct ig_json_out *out, const struct ig_feature *feature, double value)
{
    if (isnan(value))
        ig_json_out_null(out);
    else if (value >= 0 && value < feature->categories_count)
        ig_json_out_str(out, feature->categories[(uint32_t)value]);
    else if (ig_feature_takes_text(feature))
        ig_json_out_str(out, IG_STR("")); /* unseen in training */
    else
        ig_json_out_f64(out, value);
}

/* NAME=A,B of a repeated option as members of an object. */
static void write_pairs(struct ig_json_out *out, const struct ig_cli *cli, const char *option,
                        const char *member, bool lists)
{
    const char *item = ig_cli_item(cli, option, 0);
    if (!item) return;
    ig_json_out_key(out, ig_str_view(member));
    ig_json_out_object(out);
    for (size_t i = 0; (item = ig_cli_item(cli, option, i)); i++) {
        struct ig_str rest = ig_str_view(item), name = ig_str_cut(&rest, '=');
        ig_json_out_key(out, name);
        if (!lists) {
            ig_json_out_str(out, rest.ptr ? rest : IG_STR(""));
            continue;
        }
        ig_json_out_array(out);
        while (rest.len) ig_json_out_str(out, ig_str_cut(&rest, ','));
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

static void write_options(struct ig_json_out *out, const struct ig_cli *cli)
{
    static const struct {
        const char *option, *member;
        bool number;
    } PLAIN[] = {
        {"method", "method", false},
        {"background", "background", false},
        {"unit", "unit", false},
        {"interactions", "interactions", false},
        {"class", "class", false},
        {"wanted-class", "wanted_class", false},
        {"budget-us", "budget_us", true},
        {"samples", "samples", true},
        {"seed", "seed", true},
        {"target-se", "target_se", true},
        {"wanted-low", "wanted_low", true},
        {"wanted-high", "wanted_high", true},
        {"max-changes", "max_changes", true},
        {"alternatives", "alternatives", true},
        {"change-price", "change_price", true},
        {"surrogate-features", "surrogate_features", true},
    };
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
        struct ig_str value = ig_str_view(ig_cli_text(cli, PLAIN[i].option));
        if (!ig_cli_given(cli, PLAIN[i].option)) continue;
        ig_json_out_key(out, ig_str_view(PLAIN[i].member));
        if (PLAIN[i].number)
            ig_json_out_raw(out, value);
        else
            ig_json_out_str(out, value);
    }
    write_pairs(out, cli, "group", "groups", true);
    write_pairs(out, cli, "constraint", "constraints", false);
}

static enum ig_code send_batch(struct precompute *p, size_t count)
{
    const struct ig_schema *schema = &p->package->schema;
    struct ig_remote *remote = &p->remote;
    struct ig_json_out out;
    ig_buf_reset(&p->body);
    ig_json_out_init(&out, &p->body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", ig_str_view(ig_cli_text(p->cli, "precompute")));
    ig_json_out_kv_bool(&out, "precompute", true);
    write_options(&out, p->cli);
    ig_json_out_key(&out, IG_STR("instances"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < count; i++) {
        ig_json_out_array(&out);
        for (uint32_t f = 0; f < schema->features_count; f++)
            write_value(&out, &schema->features[f], p->values[i * schema->features_count + f]);
        ig_json_out_array_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    if (ig_remote_call(remote, "POST", "/predict-with-explanation", ig_buf_view(&p->body),
                       p->err) != IG_OK)
        return p->err->code;
    p->total += count;
    p->cached += (uint64_t)ig_json_view_number(ig_remote_body(remote), "cached", &remote->arena);
    return IG_OK;
}

static enum ig_code send_all(struct precompute *p)
{
    size_t count = 1;
    bool shows = isatty(STDERR_FILENO);
    while (count > 0 && p->err->code == IG_OK) {
        if (ig_rows_next(p->rows, p->values, BATCH_ROWS, &count, p->err) != IG_OK || count == 0)
            break;
        send_batch(p, count);
        if (shows) fprintf(stderr, "\r%llu rows", (unsigned long long)p->total);
    }
    if (shows) fputc('\n', stderr);
    if (p->err->code == IG_OK)
        printf("%llu rows: %llu computed, %llu were in the cache\n", (unsigned long long)p->total,
               (unsigned long long)(p->total - p->cached), (unsigned long long)p->cached);
    return p->err->code;
}

int ig_precompute(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct precompute p = {.cli = cli, .input = -1, .err = &err};
    ig_buf_init(&p.body, BODY_MAX);
    if (ig_remote_open(&p.remote, cli, &err) == IG_OK && fetch_package(&p) == IG_OK &&
        open_rows(&p) == IG_OK)
        send_all(&p);
    ig_rows_close(p.rows);
    ig_file_close(&p.input);
    ig_package_free(p.package);
    ig_remote_close(&p.remote);
    ig_buf_deinit(&p.body);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, ig_remote_hint(&err));
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
