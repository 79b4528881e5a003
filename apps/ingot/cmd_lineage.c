/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot model card|lineage` and `ingot lineage`. */
#include "remote.h"

enum { PATH_MAX_BYTES = 8192 };

/* GET of a path, its reply printed: JSON indented, Markdown as it is. */
static int show(const struct ig_cli *cli, const struct ig_buf *path, bool plain)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (path->overflowed) return ig_cli_usage(cli, "the arguments are too long");
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, "GET", path->ptr, IG_STR(""), &err) == IG_OK) {
        struct ig_str body = ig_remote_body(&remote);
        if (plain)
            fwrite(body.ptr, 1, body.len, stdout);
        else
            ig_json_view_print(stdout, body);
    }
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

static int show_version(const struct ig_cli *cli, const char *what, bool plain)
{
    struct ig_buf path;
    ig_buf_init(&path, PATH_MAX_BYTES);
    ig_buf_add_cstr(&path, "/api/v1/models/");
    ig_client_escape(&path, ig_str_view(cli->operands[0]));
    ig_buf_add_cstr(&path, "/versions/");
    ig_client_escape(&path, ig_str_view(cli->operands[1]));
    ig_buf_add_cstr(&path, what);
    int code = show(cli, &path, plain);
    ig_buf_deinit(&path);
    return code;
}

int ig_cmd_model_card(const struct ig_cli *cli)
{
    return show_version(cli, "/card", true);
}

int ig_cmd_model_lineage(const struct ig_cli *cli)
{
    return show_version(cli, "/lineage", false);
}

int ig_cmd_lineage(const struct ig_cli *cli)
{
    static const char *const OPTIONS[][2] = {
        {"data-digest", "data"}, {"run", "run"}, {"job", "job"}, {"logged-model", "model_id"}};
    struct ig_buf path;
    int given = 0;
    ig_buf_init(&path, PATH_MAX_BYTES);
    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++) {
        const char *id = ig_cli_text(cli, OPTIONS[i][0]);
        if (!id) continue;
        given++;
        ig_buf_printf(&path, "/api/v1/lineage?%s=", OPTIONS[i][1]);
        ig_client_escape(&path, ig_str_view(id));
    }
    int code = given == 1 ? show(cli, &path, false)
                          : ig_cli_usage(cli, "give one of --data-digest, --run, --job and "
                                              "--logged-model");
    ig_buf_deinit(&path);
    return code;
}
