/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot background set|list|delete`. */
#include "remote.h"

/* One call on /api/v1/models/MODEL/backgrounds + rest (escaped here), its reply printed. */
static enum ig_code call(struct ig_remote *remote, const struct ig_cli *cli, const char *method,
                         const char *name, struct ig_str body, struct ig_err *err)
{
    const char *path = ig_remote_path(remote, "/api/v1/models/", cli->operands[0], "/backgrounds");
    if (path && name) {
        const char *start = ig_arena_printf(&remote->arena, "%s/", path);
        path = start ? ig_remote_path(remote, start, name, "") : NULL;
    }
    if (!path) return ig_fail(err, IG_NO_MEMORY, "no memory for a path");
    if (ig_remote_call(remote, method, path, body, err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(remote));
    return err->code;
}

static int finish(const struct ig_cli *cli, struct ig_remote *remote, struct ig_err *err)
{
    ig_remote_close(remote);
    return err->code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, err, ig_remote_hint(err));
}

int ig_cmd_background_set(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    struct ig_str digest;
    char body[128];
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_upload(&digest, &remote, cli->operands[2], &err) == IG_OK) {
        snprintf(body, sizeof body, "{\"data_digest\": \"%.*s\"}", IG_STR_ARGS(digest));
        call(&remote, cli, "PUT", cli->operands[1], ig_str_view(body), &err);
    }
    return finish(cli, &remote, &err);
}

int ig_cmd_background_list(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK)
        call(&remote, cli, "GET", NULL, IG_STR(""), &err);
    return finish(cli, &remote, &err);
}

int ig_cmd_background_delete(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK)
        call(&remote, cli, "DELETE", cli->operands[1], IG_STR(""), &err);
    return finish(cli, &remote, &err);
}
