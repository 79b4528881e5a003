/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot key create|list|revoke`: on a data directory while no server holds it (--data), else
 * through the server. */
#include "remote.h"
#include "services.h"

#include "base/clock.h"
#include "services/audit/audit.h"

#include <string.h>

static enum ig_code parse_scopes(unsigned *scopes, const struct ig_cli *cli, struct ig_err *err)
{
    const char *item;
    *scopes = 0;
    for (size_t i = 0; (item = ig_cli_item(cli, "scope", i)); i++) {
        unsigned some;
        if (ig_scopes_parse(&some, ig_str_view(item), err) != IG_OK) {
            ig_err_prefix(err, "--scope");
            return err->code;
        }
        *scopes |= some;
    }
    if (!*scopes) *scopes = IG_SCOPE_INFER;
    return IG_OK;
}

static void print_created(const char *id, const char *token)
{
    printf("%s\n", token);
    fprintf(stderr, "key %s created; the line above is shown this once\n", id);
}

static enum ig_code open_offline(struct ig_services *services, const struct ig_cli *cli,
                                 struct ig_err *err)
{
    struct ig_services_options options = {.dir = ig_cli_text(cli, "data"),
                                          .depth = IG_SERVICES_KEYS};
    return ig_services_open(services, &options, err);
}

static enum ig_code create_offline(const struct ig_cli *cli, unsigned scopes, struct ig_err *err)
{
    struct ig_services services;
    struct ig_key_spec spec = {.name = ig_str_view(cli->operands[0]), .scopes = scopes};
    struct ig_key_created created;
    if (open_offline(&services, cli, err) == IG_OK &&
        ig_auth_key_create(&created, services.app.auth, &spec, err) == IG_OK &&
        ig_audit_record(services.app.db, &IG_PRINCIPAL_LOCAL, "key.create", ig_str_view(created.id),
                        err) == IG_OK)
        print_created(created.id, created.token);
    ig_services_close(&services);
    return err->code;
}

static void write_request(struct ig_buf *body, const struct ig_cli *cli, unsigned scopes)
{
    struct ig_json_out out;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "name", ig_str_view(cli->operands[0]));
    ig_json_out_key(&out, IG_STR("scopes"));
    ig_json_out_array(&out);
    for (unsigned bit = 0; bit < IG_SCOPES_COUNT; bit++)
        if (scopes & (1u << bit))
            ig_json_out_str(&out, ig_str_view(ig_scope_name((enum ig_scope_bit)bit)));
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
}

static enum ig_code create_remote(const struct ig_cli *cli, unsigned scopes, struct ig_err *err)
{
    struct ig_remote remote;
    struct ig_buf body;
    ig_buf_init(&body, 4096);
    write_request(&body, cli, scopes);
    if (ig_remote_open(&remote, cli, err) == IG_OK &&
        ig_remote_call(&remote, "POST", "/api/v1/keys", ig_buf_view(&body), err) == IG_OK) {
        struct ig_str reply = ig_remote_body(&remote);
        char *id = ig_arena_cstr(&remote.arena, ig_json_view_text(reply, "id", &remote.arena));
        char *key = ig_arena_cstr(&remote.arena, ig_json_view_text(reply, "key", &remote.arena));
        if (id && key) print_created(id, key);
    }
    ig_remote_close(&remote);
    ig_buf_deinit(&body);
    return err->code;
}

static int report(const struct ig_cli *cli, const struct ig_err *err)
{
    if (err->code == IG_OK) return IG_EXIT_OK;
    const char *hint = ig_remote_hint(err);
    if (ig_cli_text(cli, "data"))
        hint = err->code == IG_CONFLICT
                   ? "a running server holds the directory: leave --data out to go through it"
                   : NULL;
    return ig_cli_fail(cli, err, hint);
}

int ig_cmd_key_create(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    unsigned scopes;
    if (parse_scopes(&scopes, cli, &err) != IG_OK) {
        ig_cli_fail(cli, &err, NULL);
        return IG_EXIT_USAGE;
    }
    if (ig_cli_text(cli, "data"))
        create_offline(cli, scopes, &err);
    else
        create_remote(cli, scopes, &err);
    return report(cli, &err);
}

static void print_key(const struct ig_key *key)
{
    struct ig_buf scopes;
    char created[IG_CLOCK_ISO_SIZE];
    ig_buf_init(&scopes, 256);
    ig_scopes_format(&scopes, key->scopes);
    ig_clock_iso(created, key->created_ms);
    printf("%-26.*s  %-20.*s  %-24.*s  %.10s%s\n", IG_STR_ARGS(key->id), IG_STR_ARGS(key->name),
           IG_STR_ARGS(ig_buf_view(&scopes)), created, key->revoked_ms ? "  revoked" : "");
    ig_buf_deinit(&scopes);
}

int ig_cmd_key_list(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_services services;
    struct ig_arena arena;
    struct ig_key_list list;
    if (!ig_cli_text(cli, "data")) return ig_remote_show(cli, "GET", "/api/v1/keys");
    ig_arena_init(&arena, 4096, 64 << 20);
    if (open_offline(&services, cli, &err) == IG_OK &&
        ig_auth_key_list(&list, services.app.auth, &arena, &err) == IG_OK)
        for (size_t i = 0; i < list.count; i++) print_key(&list.items[i]);
    ig_services_close(&services);
    ig_arena_deinit(&arena);
    return report(cli, &err);
}

int ig_cmd_key_revoke(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_str id = ig_str_view(cli->operands[0]);
    if (ig_cli_text(cli, "data")) {
        struct ig_services services;
        if (open_offline(&services, cli, &err) == IG_OK &&
            ig_auth_key_revoke(services.app.auth, id, &err) == IG_OK)
            ig_audit_record(services.app.db, &IG_PRINCIPAL_LOCAL, "key.revoke", id, &err);
        ig_services_close(&services);
        return report(cli, &err);
    }
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK)
        ig_remote_call(&remote, "DELETE",
                       ig_remote_path(&remote, "/api/v1/keys/", cli->operands[0], ""), IG_STR(""),
                       &err);
    ig_remote_close(&remote);
    return report(cli, &err);
}
