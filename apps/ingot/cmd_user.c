/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot user create|list|password|admin|delete`: on a data directory while no server holds it
 * (--data), else through the server. A password is the first line of a file or of standard input:
 * it never stands in the command line, which other users of the machine can see. */
#include "remote.h"
#include "services.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_MAX = 4096 };
#define USERS "/api/2.0/mlflow/users/"

static enum ig_code read_password(char out[PASSWORD_MAX], const struct ig_cli *cli,
                                  struct ig_err *err)
{
    const char *path = ig_cli_text(cli, "password-file");
    FILE *file = path ? fopen(path, "re") : stdin;
    if (!file) return ig_fail(err, IG_IO, "--password-file: '%s' cannot be read", path);
    if (!path && isatty(STDIN_FILENO)) fputs("password: ", stderr);
    if (!fgets(out, PASSWORD_MAX, file)) out[0] = '\0';
    if (path) fclose(file);
    out[strcspn(out, "\r\n")] = '\0';
    return *out ? IG_OK : ig_fail(err, IG_INVALID, "password: the first line is empty");
}

static enum ig_code open_offline(struct ig_services *services, const struct ig_cli *cli,
                                 struct ig_err *err)
{
    struct ig_services_options options = {.dir = ig_cli_text(cli, "data"),
                                          .depth = IG_SERVICES_KEYS};
    return ig_services_open(services, &options, err);
}

static int report(const struct ig_cli *cli, const struct ig_err *err)
{
    if (err->code == IG_OK) return IG_EXIT_OK;
    const char *hint = ig_remote_hint(err);
    if (ig_cli_text(cli, "data"))
        hint = err->code == IG_CONFLICT && strstr(err->message, "administrator") == NULL
                   ? "a running server holds the directory: leave --data out to go through it"
                   : NULL;
    return ig_cli_fail(cli, err, hint);
}

/* One call about the user, with a member more unless that is NULL. */
static enum ig_code call_server(struct ig_remote *remote, const char *method, const char *path,
                                const struct ig_cli *cli, const char *password, struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_buf body;
    ig_buf_init(&body, 2 * PASSWORD_MAX);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "username", ig_str_view(cli->operands[0]));
    if (password)
        ig_json_out_kv_str(&out, "password", ig_str_view(password));
    else
        ig_json_out_kv_bool(&out, "is_admin", ig_cli_flag(cli, "admin"));
    ig_json_out_object_end(&out);
    ig_remote_call(remote, method, path, ig_buf_view(&body), err);
    if (body.ptr) explicit_bzero(body.ptr, body.len);
    ig_buf_deinit(&body);
    return err->code;
}

static enum ig_code create_remote(const struct ig_cli *cli, const char *password,
                                  struct ig_err *err)
{
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, err) == IG_OK &&
        call_server(&remote, "POST", USERS "create", cli, password, err) == IG_OK &&
        ig_cli_flag(cli, "admin"))
        call_server(&remote, "PATCH", USERS "update-admin", cli, NULL, err);
    ig_remote_close(&remote);
    return err->code;
}

static enum ig_code create_offline(const struct ig_cli *cli, const char *password,
                                   struct ig_err *err)
{
    struct ig_services services;
    int64_t id;
    const struct ig_user_spec spec = {ig_str_view(cli->operands[0]), ig_str_view(password),
                                      ig_cli_flag(cli, "admin")};
    if (open_offline(&services, cli, err) == IG_OK)
        ig_user_create(&id, services.app.users, &IG_PRINCIPAL_LOCAL, &spec, err);
    ig_services_close(&services);
    return err->code;
}

int ig_cmd_user_create(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    char password[PASSWORD_MAX];
    if (read_password(password, cli, &err) == IG_OK) {
        if (ig_cli_text(cli, "data"))
            create_offline(cli, password, &err);
        else
            create_remote(cli, password, &err);
    }
    explicit_bzero(password, sizeof password);
    return report(cli, &err);
}

int ig_cmd_user_password(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_services services;
    struct ig_remote remote;
    char password[PASSWORD_MAX];
    if (read_password(password, cli, &err) != IG_OK) return report(cli, &err);
    if (ig_cli_text(cli, "data")) {
        if (open_offline(&services, cli, &err) == IG_OK)
            ig_user_set_password(services.app.users, &IG_PRINCIPAL_LOCAL,
                                 ig_str_view(cli->operands[0]), ig_str_view(password), &err);
        ig_services_close(&services);
    } else {
        if (ig_remote_open(&remote, cli, &err) == IG_OK)
            call_server(&remote, "PATCH", USERS "update-password", cli, password, &err);
        ig_remote_close(&remote);
    }
    explicit_bzero(password, sizeof password);
    return report(cli, &err);
}

int ig_cmd_user_list(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_services services;
    struct ig_arena arena;
    struct ig_user_list list;
    if (!ig_cli_text(cli, "data")) return ig_remote_show(cli, "GET", USERS "list");
    ig_arena_init(&arena, 4096, 64 << 20);
    if (open_offline(&services, cli, &err) == IG_OK &&
        ig_user_list(&list, services.app.users, &arena, &err) == IG_OK)
        for (size_t i = 0; i < list.count; i++)
            printf("%-6lld  %.*s%s\n", (long long)list.items[i].id, IG_STR_ARGS(list.items[i].name),
                   list.items[i].is_admin ? "  administrator" : "");
    ig_services_close(&services);
    ig_arena_deinit(&arena);
    return report(cli, &err);
}

int ig_cmd_user_delete(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_services services;
    struct ig_remote remote;
    if (ig_cli_text(cli, "data")) {
        if (open_offline(&services, cli, &err) == IG_OK)
            ig_user_delete(services.app.users, &IG_PRINCIPAL_LOCAL, ig_str_view(cli->operands[0]),
                           &err);
        ig_services_close(&services);
        return report(cli, &err);
    }
    if (ig_remote_open(&remote, cli, &err) == IG_OK)
        call_server(&remote, "DELETE", USERS "delete", cli, "", &err);
    ig_remote_close(&remote);
    return report(cli, &err);
}
