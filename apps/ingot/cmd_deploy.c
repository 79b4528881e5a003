/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot deploy NAME`. */
#include "remote.h"

#include <string.h>

static enum ig_code act(const struct ig_cli *cli, struct ig_remote *remote, struct ig_err *err)
{
    const char *name = cli->operands[0];
    if (ig_cli_flag(cli, "delete"))
        return ig_remote_call(remote, "DELETE",
                              ig_remote_path(remote, "/api/v1/deployments/", name, ""), IG_STR(""),
                              err);
    if (ig_cli_flag(cli, "rollback"))
        return ig_remote_call(remote, "POST",
                              ig_remote_path(remote, "/api/v1/deployments/", name, "/rollback"),
                              IG_STR(""), err);
    if (ig_cli_given(cli, "records")) {
        bool on = strcmp(ig_cli_text(cli, "records"), "on") == 0;
        return ig_remote_call(
            remote, "PUT", ig_remote_path(remote, "/api/v1/deployments/", name, "/records"),
            on ? IG_STR("{\"enabled\":true}") : IG_STR("{\"enabled\":false}"), err);
    }
    struct ig_buf body;
    struct ig_json_out out;
    ig_buf_init(&body, 4096);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", ig_str_view(ig_cli_text(cli, "model")));
    ig_json_out_object_end(&out);
    ig_remote_call(remote, "PUT", ig_remote_path(remote, "/api/v1/deployments/", name, ""),
                   ig_buf_view(&body), err);
    ig_buf_deinit(&body);
    return err->code;
}

int ig_cmd_deploy(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    int given = ig_cli_given(cli, "model") + ig_cli_flag(cli, "rollback") +
                ig_cli_flag(cli, "delete") + ig_cli_given(cli, "records");
    if (given != 1)
        return ig_cli_usage(
            cli, "give one of --model models:/NAME/ALIAS, --rollback, --delete, --records");
    if (ig_remote_open(&remote, cli, &err) == IG_OK && act(cli, &remote, &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
