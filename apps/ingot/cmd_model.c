/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot model list|get|delete|alias|register`. */
#include "remote.h"

#include "base/json.h"

#include <string.h>

static void print_models(struct ig_remote *remote)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    if (!ig_json_view_at(&json, ig_remote_body(remote), "models", &remote->arena, &err)) return;
    if (ig_json_next(&json) != IG_JSON_ARRAY) return;
    printf("%-32s  %s\n", "model", "latest version");
    while (ig_json_element(&json)) {
        struct ig_str name = IG_STR(""), latest = IG_STR("");
        if (ig_json_next(&json) != IG_JSON_OBJECT) return;
        while (ig_json_member(&json)) {
            struct ig_str key = json.text;
            enum ig_json_event event = ig_json_next(&json);
            if (event == IG_JSON_ARRAY || event == IG_JSON_OBJECT) ig_json_skip_open(&json);
            if (ig_str_is(key, "name")) name = json.text;
            if (ig_str_is(key, "latest_version")) latest = json.text;
        }
        printf("%-32.*s  %.*s\n", IG_STR_ARGS(name), IG_STR_ARGS(latest));
    }
}

int ig_cmd_model_list(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (strcmp(ig_cli_text(cli, "format"), "json") == 0)
        return ig_remote_show(cli, "GET", "/api/v1/models");
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, "GET", "/api/v1/models", IG_STR(""), &err) == IG_OK)
        print_models(&remote);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

/* One call on /api/v1/models/NAME + rest, its reply printed. */
static int call_model(const struct ig_cli *cli, const char *method, const char *rest,
                      struct ig_str body)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, method,
                       ig_remote_path(&remote, "/api/v1/models/", cli->operands[0], rest), body,
                       &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

int ig_cmd_model_get(const struct ig_cli *cli)
{
    return call_model(cli, "GET", "", IG_STR(""));
}

int ig_cmd_model_delete(const struct ig_cli *cli)
{
    return call_model(cli, "DELETE", "", IG_STR(""));
}

int ig_cmd_model_alias(const struct ig_cli *cli)
{
    struct ig_buf rest;
    char body[64];
    bool remove = ig_cli_flag(cli, "delete");
    if (remove == ig_cli_given(cli, "version"))
        return ig_cli_usage(cli, "give either --version N or --delete");
    ig_buf_init(&rest, 4096);
    ig_buf_add_cstr(&rest, "/aliases/");
    ig_client_escape(&rest, ig_str_view(cli->operands[1]));
    int length = snprintf(body, sizeof body, "{\"version\":%llu}",
                          (unsigned long long)ig_cli_count(cli, "version"));
    int code = rest.overflowed ? ig_cli_usage(cli, "the alias is too long")
                               : call_model(cli, remove ? "DELETE" : "PUT", rest.ptr,
                                            (struct ig_str){body, remove ? 0 : (size_t)length});
    ig_buf_deinit(&rest);
    return code;
}

static enum ig_code register_file(struct ig_remote *remote, const struct ig_cli *cli,
                                  struct ig_err *err)
{
    struct ig_str digest = {NULL, 0};
    const char *source = ig_cli_text(cli, "source");
    struct ig_json_out out;
    struct ig_buf body;
    if (ig_remote_open(remote, cli, err) != IG_OK ||
        ig_remote_upload(&digest, remote, cli->operands[1], err) != IG_OK)
        return err->code;
    ig_buf_init(&body, 4096);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", digest);
    if (source) ig_json_out_kv_str(&out, "source", ig_str_view(source));
    ig_json_out_object_end(&out);
    const char *path = ig_remote_path(remote, "/api/v1/models/", cli->operands[0], "/versions");
    if (ig_remote_call(remote, "POST", path, ig_buf_view(&body), err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(remote));
    ig_buf_deinit(&body);
    return err->code;
}

int ig_cmd_model_register(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    register_file(&remote, cli, &err);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
