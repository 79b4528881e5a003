/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot deploy NAME`. */
#include "remote.h"
#include "run_source.h"

#include "base/file.h"
#include "base/yaml.h"

#include <string.h>

static const size_t GRAPH_MAX_BYTES = 1 << 20;

static const char *path_of(const struct ig_cli *cli, struct ig_remote *remote, const char *rest)
{
    return ig_remote_path(remote, "/api/v1/deployments/", cli->operands[0], rest);
}

/* A file as JSON: YAML holds JSON, so one reader takes both. */
static enum ig_code write_file(struct ig_json_out *out, const char *file, struct ig_arena *arena,
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

static enum ig_code write_model(struct ig_json_out *out, const struct ig_cli *cli,
                                struct ig_remote *remote, struct ig_err *err)
{
    const char *model = ig_cli_text(cli, "model");
    if (!ig_cli_given(cli, "model")) return IG_OK;
    if (ig_run_source_is(model) && ig_run_source_version(&model, remote, model, err) != IG_OK) {
        ig_err_prefix(err, "--model");
        return err->code;
    }
    ig_json_out_kv_str(out, "model", ig_str_view(model));
    return IG_OK;
}

/* "all", "latest=2" or "1,3" as the API has it; the server judges it. */
static void write_versions(struct ig_json_out *out, const char *text)
{
    struct ig_str rest = ig_str_view(text), latest = IG_STR("latest=");
    int64_t number = 0;
    ig_json_out_key(out, IG_STR("versions"));
    if (ig_str_is(rest, "all")) {
        ig_json_out_str(out, rest);
    } else if (ig_str_starts(rest, latest)) {
        ig_str_to_i64((struct ig_str){rest.ptr + latest.len, rest.len - latest.len}, &number);
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "latest", number);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_array(out);
        while (rest.ptr && rest.len) {
            number = 0;
            ig_str_to_i64(ig_str_trim(ig_str_cut(&rest, ',')), &number);
            ig_json_out_i64(out, number);
        }
        ig_json_out_array_end(out);
    }
}

/* Options whose file becomes the member of that name. */
static const char *const FILES[] = {"graph", "rollout"};

/* The body of a change; one member a given option. */
static enum ig_code write_body(struct ig_buf *body, const struct ig_cli *cli,
                               struct ig_remote *remote, struct ig_err *err)
{
    struct ig_json_out out;
    double percent;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    if (write_model(&out, cli, remote, err) != IG_OK) return err->code;
    if (ig_cli_given(cli, "canary")) {
        if (!ig_str_to_f64(ig_str_view(ig_cli_text(cli, "canary")), &percent))
            return ig_fail(err, IG_INVALID, "--canary: '%s' is no percentage",
                           ig_cli_text(cli, "canary"));
        ig_json_out_kv_f64(&out, "canary_percent", percent);
    }
    if (ig_cli_given(cli, "versions")) write_versions(&out, ig_cli_text(cli, "versions"));
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        if (!ig_cli_given(cli, FILES[i])) continue;
        ig_json_out_key(&out, ig_str_view(FILES[i]));
        if (write_file(&out, ig_cli_text(cli, FILES[i]), &remote->arena, err) != IG_OK)
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

static enum ig_code act_on_rollout(const struct ig_cli *cli, struct ig_remote *remote,
                                   struct ig_err *err)
{
    struct ig_buf body;
    struct ig_json_out out;
    const char *action = ig_cli_text(cli, "rollout-do"), *path = path_of(cli, remote, "/rollout");
    if (strcmp(action, "show") == 0) return ig_remote_call(remote, "GET", path, IG_STR(""), err);
    ig_buf_init(&body, 64 << 10);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "action", ig_str_view(action));
    write_text(&out, cli, "why", "why");
    ig_json_out_object_end(&out);
    ig_remote_call(remote, "POST", path, ig_buf_view(&body), err);
    ig_buf_deinit(&body);
    return err->code;
}

static enum ig_code act(const struct ig_cli *cli, struct ig_remote *remote, struct ig_err *err)
{
    if (ig_cli_flag(cli, "delete"))
        return ig_remote_call(remote, "DELETE", path_of(cli, remote, ""), IG_STR(""), err);
    if (ig_cli_flag(cli, "history"))
        return ig_remote_call(remote, "GET", path_of(cli, remote, "/history"), IG_STR(""), err);
    if (ig_cli_flag(cli, "experiments"))
        return ig_remote_call(remote, "GET", path_of(cli, remote, "/experiments"), IG_STR(""), err);
    if (ig_cli_given(cli, "rollout-do")) return act_on_rollout(cli, remote, err);
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
               ig_cli_flag(cli, "delete") + ig_cli_given(cli, "records") +
               ig_cli_given(cli, "rollout-do") + ig_cli_flag(cli, "experiments");
    if (acts > 1)
        return "give one of --model (with --canary or --rollout), --graph, --promote, --rollback, "
               "--pause, --resume, --history, --experiments, --rollout-do, --delete, --records";
    if (ig_cli_given(cli, "rollout") && !ig_cli_given(cli, "model"))
        return "--rollout needs the --model that is to take over";
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
