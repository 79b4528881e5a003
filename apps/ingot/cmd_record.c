/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot record list|get|verify`. */
#include "remote.h"

int ig_cmd_record_list(const struct ig_cli *cli)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/records?limit=%llu",
             (unsigned long long)ig_cli_count(cli, "limit"));
    return ig_remote_show(cli, "GET", path);
}

int ig_cmd_record_get(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, "GET",
                       ig_remote_path(&remote, "/api/v1/records/", cli->operands[0], ""),
                       IG_STR(""), &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

int ig_cmd_record_verify(const struct ig_cli *cli)
{
    return ig_remote_show(cli, "POST", "/api/v1/records:verify");
}
