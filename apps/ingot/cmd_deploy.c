/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot deploy NAME`. */
#include "remote.h"

#include "base/file.h"
#include "base/yaml.h"

#include <string.h>

static const size_t GRAPH_MAX_BYTES = 1 << 20;

static const char *path_of(const struct ig_cli *cli, struct ig_remote *remote, const char *rest)
{
    return ig_remote_path(remote, "/api/v1/deployments/", cli->operands[0], rest);
}

/* A file's graph as JSON: YAML holds JSON, so one reader takes both. */
static enum ig_code write_graph(struct ig_json_out *out, const char *file, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_buf text;
    const struct ig_yaml *root;
    ig_buf_init(&text, GRAPH_MAX_BYTES);
    bool from_input = strcmp(file, "-") == 0;
    if (ig_file_read(&text, IG_FILE_CWD, from_input ? "/dev/stdin" : file, err) == IG_OK &&
        ig_yaml_parse(&root, ig_buf_view(&text), arena, err) == IG_OK)
        ig_yaml_write_json(out, root);
    if (err->code != IG_OK) ig_err_prefix(err, "%s", file);
    ig_buf_deinit(&text);
    return err->code;
}

static void write_text(struct ig_json_out *out, const struct ig_cli *cli, const char *option,
                       const char *member)
{
    if (ig_cli_given(cli, option))
        ig_json_out_kv_str(out, member, ig_str_view(ig_cli_text(cli, option)));
}

/* The body of a change; one member a given option. */
static enum ig_code write_body(struct ig_buf *body, const struct ig_cli *cli,
                               struct ig_remote *remote, struct ig_err *err)
{
    struct ig_json_out out;
    double percent;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    write_text(&out, cli, "model", "model");
    if (ig_cli_given(cli, "canary")) {
        if (!ig_str_to_f64(ig_str_view(ig_cli_text(cli, "canary")), &percent))
            return ig_fail(err, IG_INVALID, "--canary: '%s' is no percentage",
                           ig_cli_text(cli, "canary"));
        ig_json_out_kv_f64(&out, "canary_percent", percent);
    }
    if (ig_cli_given(cli, "graph")) {
        ig_json_out_key(&out, IG_STR("graph"));
        if (write_graph(&out, ig_cli_text(cli, "graph"), &remote->arena, err) != IG_OK)
            return err->code;
    }
    write_text(&out, cli, "node", "node");
    write_text(&out, cli, "arm", "arm");
    if (ig_cli_given(cli, "revision"))
        ig_json_out_kv_i64(&out, "revision", (int64_t)ig_cli_count(cli, "revision"));
    write_text(&out, cli, "why", "why");
    ig_json_out_object_end(&out);
    return body->overflowed ? ig_fail(err, IG_TOO_LARGE, "the graph is too large") : IG_OK;
}

static enum ig_code change(const struct ig_cli *cli, struct ig_remote *remote, const char *method,
                           const char *rest, struct ig_err *err)
{
    struct ig_buf body;
    ig_buf_init(&body, 2 * GRAPH_MAX_BYTES);
    if (write_body(&body, cli, remote, err) == IG_OK)
        ig_remote_call(remote, method, path_of(cli, remote, rest), ig_buf_view(&body), err);
    ig_buf_deinit(&body);
    return err->code;
}

static enum ig_code act(const struct ig_cli *cli, struct ig_remote *remote, struct ig_err *err)
{
    if (ig_cli_flag(cli, "delete"))
        return ig_remote_call(remote, "DELETE", path_of(cli, remote, ""), IG_STR(""), err);
    if (ig_cli_flag(cli, "history"))
        return ig_remote_call(remote, "GET", path_of(cli, remote, "/history"), IG_STR(""), err);
    if (ig_cli_given(cli, "records")) {
        bool on = strcmp(ig_cli_text(cli, "records"), "on") == 0;
        return ig_remote_call(remote, "PUT", path_of(cli, remote, "/records"),
                              on ? IG_STR("{\"enabled\":true}") : IG_STR("{\"enabled\":false}"),
                              err);
    }
    if (ig_cli_flag(cli, "rollback")) return change(cli, remote, "POST", "/rollback", err);
    if (ig_cli_flag(cli, "promote")) return change(cli, remote, "POST", "/promote", err);
    if (ig_cli_flag(cli, "pause")) return change(cli, remote, "POST", "/pause", err);
    if (ig_cli_flag(cli, "resume")) return change(cli, remote, "POST", "/resume", err);
    if (ig_cli_given(cli, "model") || ig_cli_given(cli, "canary") || ig_cli_given(cli, "graph"))
        return change(cli, remote, "PUT", "", err);
    return ig_remote_call(remote, "GET", path_of(cli, remote, ""), IG_STR(""), err);
}

/* NULL, or what is wrong with the options given. */
static const char *misuse(const struct ig_cli *cli)
{
    bool sets = ig_cli_given(cli, "model") || ig_cli_given(cli, "canary");
    bool rollback = ig_cli_flag(cli, "rollback"), promote = ig_cli_flag(cli, "promote");
    int acts = sets + ig_cli_given(cli, "graph") + rollback + promote + ig_cli_flag(cli, "pause") +
               ig_cli_flag(cli, "resume") + ig_cli_flag(cli, "history") +
               ig_cli_flag(cli, "delete") + ig_cli_given(cli, "records");
    if (acts > 1)
        return "give one of --model (with --canary), --graph, --promote, --rollback, --pause, "
               "--resume, --history, --delete, --records";
    if (ig_cli_given(cli, "revision") && !rollback) return "--revision belongs to --rollback";
    if ((ig_cli_given(cli, "arm") || ig_cli_given(cli, "node")) && !promote)
        return "--arm and --node belong to --promote";
    return NULL;
}

int ig_cmd_deploy(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    const char *wrong = misuse(cli);
    if (wrong) return ig_cli_usage(cli, "%s", wrong);
    if (ig_remote_open(&remote, cli, &err) == IG_OK && act(cli, &remote, &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
