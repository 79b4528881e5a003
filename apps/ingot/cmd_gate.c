/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot model gate|gates|check|approve|report`: what has to hold before a version takes an alias,
 * and what was found of it. */
#include "remote.h"

#include "base/file.h"
#include "base/json.h"

#include <string.h>

enum { PATH_MAX_BYTES = 8192, BODY_MAX_BYTES = 64 << 10, REPORT_MAX_BYTES = 1 << 20 };

/* One call on /api/v1/models/NAME + the rest, its reply printed. */
static int call(const struct ig_cli *cli, const char *method, const struct ig_buf *rest,
                const struct ig_buf *body)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (rest->overflowed || (body && body->overflowed))
        return ig_cli_usage(cli, "the arguments are too long");
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, method,
                       ig_remote_path(&remote, "/api/v1/models/", cli->operands[0], rest->ptr),
                       body ? ig_buf_view(body) : IG_STR(""), &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

static void add_part(struct ig_buf *rest, const char *start, const char *name)
{
    ig_buf_add_cstr(rest, start);
    ig_client_escape(rest, ig_str_view(name));
}

/* "golden"; "METRIC>=X", "METRIC<=X"; any other name is of a check that is reported. */
static bool write_check(struct ig_json_out *out, const char *text)
{
    struct ig_str name = ig_str_view(text), bound = {0};
    const char *at = strstr(text, ">="), *most = strstr(text, "<=");
    double value = 0;
    if (most && (!at || most < at)) at = most;
    if (at) {
        bound = ig_str_trim(ig_str_view(at + 2));
        name = ig_str_trim((struct ig_str){text, (size_t)(at - text)});
        if (!ig_str_to_f64(bound, &value)) return false;
    }
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", name);
    if (!at) {
        bool golden = strcmp(text, "golden") == 0;
        ig_json_out_kv_str(out, "kind", golden ? IG_STR("golden") : IG_STR("reported"));
    } else {
        ig_json_out_kv_str(out, "kind", IG_STR("metric"));
        ig_json_out_kv_str(out, "metric", name);
        ig_json_out_kv_f64(out, at == most ? "max" : "min", value);
    }
    ig_json_out_object_end(out);
    return true;
}

static const char *write_gate(struct ig_buf *body, const struct ig_cli *cli)
{
    struct ig_json_out out;
    const char *item;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("checks"));
    ig_json_out_array(&out);
    for (size_t i = 0; (item = ig_cli_item(cli, "check", i)); i++)
        if (!write_check(&out, item)) return item;
    ig_json_out_array_end(&out);
    ig_json_out_key(&out, IG_STR("approvers"));
    ig_json_out_array(&out);
    for (size_t i = 0; (item = ig_cli_item(cli, "approver", i)); i++)
        ig_json_out_str(&out, ig_str_view(item));
    ig_json_out_array_end(&out);
    if (ig_cli_given(cli, "approvals"))
        ig_json_out_kv_i64(&out, "approvals", (int64_t)ig_cli_count(cli, "approvals"));
    ig_json_out_object_end(&out);
    return NULL;
}

int ig_cmd_model_gate(const struct ig_cli *cli)
{
    struct ig_buf rest, body;
    bool remove = ig_cli_flag(cli, "delete");
    if (remove && (ig_cli_given(cli, "check") || ig_cli_given(cli, "approver")))
        return ig_cli_usage(cli, "--delete takes no checks and no approvers");
    ig_buf_init(&rest, PATH_MAX_BYTES);
    ig_buf_init(&body, BODY_MAX_BYTES);
    add_part(&rest, "/gates/", cli->operands[1]);
    const char *bad = remove ? NULL : write_gate(&body, cli);
    int code = bad ? ig_cli_usage(cli,
                                  "--check '%s': expected golden, METRIC>=X, METRIC<=X or the "
                                  "name of a check that is reported",
                                  bad)
                   : call(cli, remove ? "DELETE" : "PUT", &rest, remove ? NULL : &body);
    ig_buf_deinit(&body);
    ig_buf_deinit(&rest);
    return code;
}

int ig_cmd_model_gates(const struct ig_cli *cli)
{
    struct ig_buf rest;
    ig_buf_init(&rest, PATH_MAX_BYTES);
    if (ig_cli_given(cli, "version"))
        ig_buf_printf(&rest, "/versions/%llu", (unsigned long long)ig_cli_count(cli, "version"));
    ig_buf_add_cstr(&rest, "/gates");
    int code = call(cli, "GET", &rest, NULL);
    ig_buf_deinit(&rest);
    return code;
}

static void write_report(struct ig_buf *body, const struct ig_cli *cli)
{
    struct ig_json_out out;
    const char *detail = ig_cli_text(cli, "detail");
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_bool(&out, "passed", ig_cli_given(cli, "passed"));
    if (detail) ig_json_out_kv_str(&out, "detail", ig_str_view(detail));
    ig_json_out_object_end(&out);
}

int ig_cmd_model_check(const struct ig_cli *cli)
{
    struct ig_buf rest, body;
    const char *passed = ig_cli_text(cli, "passed"), *failed = ig_cli_text(cli, "failed");
    if (passed && failed) return ig_cli_usage(cli, "give either --passed or --failed");
    if (!passed && !failed && ig_cli_given(cli, "detail"))
        return ig_cli_usage(cli, "--detail goes with --passed or --failed");
    ig_buf_init(&rest, PATH_MAX_BYTES);
    ig_buf_init(&body, BODY_MAX_BYTES);
    add_part(&rest, "/versions/", cli->operands[1]);
    ig_buf_add_cstr(&rest, "/checks");
    if (passed || failed) {
        add_part(&rest, "/", passed ? passed : failed);
        write_report(&body, cli);
    }
    int code = call(cli, passed || failed ? "PUT" : "POST", &rest, &body);
    ig_buf_deinit(&body);
    ig_buf_deinit(&rest);
    return code;
}

int ig_cmd_model_approve(const struct ig_cli *cli)
{
    struct ig_buf rest, body;
    struct ig_json_out out;
    bool withdraw = ig_cli_flag(cli, "withdraw");
    const char *why = ig_cli_text(cli, "why");
    ig_buf_init(&rest, PATH_MAX_BYTES);
    ig_buf_init(&body, BODY_MAX_BYTES);
    add_part(&rest, "/versions/", cli->operands[1]);
    add_part(&rest, "/approvals/", cli->operands[2]);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    if (why) ig_json_out_kv_str(&out, "reason", ig_str_view(why));
    ig_json_out_object_end(&out);
    int code = call(cli, withdraw ? "DELETE" : "PUT", &rest, withdraw ? NULL : &body);
    ig_buf_deinit(&body);
    ig_buf_deinit(&rest);
    return code;
}

int ig_cmd_model_report(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf rest, body;
    const char *file = ig_cli_text(cli, "file");
    bool remove = ig_cli_flag(cli, "delete");
    if (file && remove) return ig_cli_usage(cli, "give either --file or --delete");
    ig_buf_init(&rest, PATH_MAX_BYTES);
    ig_buf_init(&body, REPORT_MAX_BYTES);
    add_part(&rest, "/versions/", cli->operands[1]);
    add_part(&rest, "/reports/", cli->operands[2]);
    int code = file && ig_file_read(&body, IG_FILE_CWD, file, &err) != IG_OK
                   ? ig_cli_fail(cli, &err, NULL)
                   : call(cli,
                          remove ? "DELETE"
                          : file ? "PUT"
                                 : "GET",
                          &rest, file ? &body : NULL);
    ig_buf_deinit(&body);
    ig_buf_deinit(&rest);
    return code;
}
