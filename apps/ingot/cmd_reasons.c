/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot reasons set|get|delete`. */
#include "remote.h"

#include "base/file.h"

enum { SPEC_MAX = 8 << 20 };

/* One call on /api/v1/models/MODEL/reasons, its reply printed. */
static int call(const struct ig_cli *cli, const char *method, struct ig_str body)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, method,
                       ig_remote_path(&remote, "/api/v1/models/", cli->operands[0], "/reasons"),
                       body, &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

int ig_cmd_reasons_set(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf spec;
    ig_buf_init(&spec, SPEC_MAX);
    int code = ig_file_read(&spec, IG_FILE_CWD, cli->operands[1], &err) == IG_OK
                   ? call(cli, "PUT", ig_buf_view(&spec))
                   : ig_cli_fail(cli, &err, NULL);
    ig_buf_deinit(&spec);
    return code;
}

int ig_cmd_reasons_get(const struct ig_cli *cli)
{
    return call(cli, "GET", IG_STR(""));
}

int ig_cmd_reasons_delete(const struct ig_cli *cli)
{
    return call(cli, "DELETE", IG_STR(""));
}
