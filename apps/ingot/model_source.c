/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a model by file name, or by models:/NAME/REF: with --data from the data directory (while no
 * server holds it), else through the server, which sends the package. What MLflow's clients logged
 * comes through the server alone. */
#include "model_source.h"

#include "remote.h"
#include "run_source.h"
#include "services.h"

#include "base/file.h"

#include <string.h>

enum { PACKAGE_MAX = INT32_MAX };

static enum ig_code open_offline(struct ig_package **out, const struct ig_cli *cli,
                                 const char *model, struct ig_err *err)
{
    struct ig_services services;
    struct ig_services_options options = {
        .dir = ig_cli_text(cli, "data"), .depth = IG_SERVICES_REGISTRY, .must_exist = true};
    struct ig_registry_version version;
    struct ig_arena arena;
    struct ig_buf bytes;
    ig_arena_init(&arena, 4096, 16 << 20);
    ig_buf_init(&bytes, PACKAGE_MAX);
    if (ig_services_open(&services, &options, err) == IG_OK &&
        ig_registry_resolve(&version, services.app.registry, ig_str_view(model), &arena, err) ==
            IG_OK &&
        ig_blob_read(&bytes, services.app.blobs, version.digest, err) == IG_OK)
        ig_package_open_bytes(out, ig_buf_view(&bytes), NULL, err);
    if (err->code == IG_CONFLICT)
        ig_err_prefix(err, "a running server holds the directory: leave --data out to ask it");
    ig_services_close(&services);
    ig_buf_deinit(&bytes);
    ig_arena_deinit(&arena);
    return err->code;
}

/* "models:/NAME/REF", "models:/NAME@ALIAS": NAME and REF, NUL-terminated in the arena. */
static enum ig_code cut_uri(struct ig_remote *remote, const char *model, const char **name,
                            const char **ref, struct ig_err *err)
{
    struct ig_str rest = ig_str_view(model + strlen("models:/"));
    struct ig_str whole = rest, first = ig_str_cut(&rest, '/');
    if (!rest.ptr) {
        rest = whole;
        first = ig_str_cut(&rest, '@');
    }
    if (!first.len || !rest.len)
        return ig_fail(err, IG_INVALID, "'%s' is not models:/NAME/VERSION or models:/NAME/ALIAS",
                       model);
    *name = ig_arena_cstr(&remote->arena, first);
    *ref = ig_arena_cstr(&remote->arena, rest);
    return *name && *ref ? IG_OK : ig_fail(err, IG_NO_MEMORY, "no memory for the model's name");
}

static enum ig_code fetch(struct ig_remote *remote, const char *model, struct ig_err *err)
{
    const char *name = NULL, *ref = NULL;
    if (cut_uri(remote, model, &name, &ref, err) != IG_OK) return err->code;
    const char *start = ig_remote_path(remote, "/api/v1/models/", name, "/versions/");
    if (!start) return ig_fail(err, IG_NO_MEMORY, "no memory for the request");
    const char *path = ig_remote_path(remote, start, ref, "");
    if (ig_remote_call(remote, "GET", path, IG_STR(""), err) != IG_OK) return err->code;
    char *digest = ig_arena_cstr(
        &remote->arena, ig_json_view_text(ig_remote_body(remote), "digest", &remote->arena));
    path = digest ? ig_remote_path(remote, "/api/v1/blobs/", digest, "") : NULL;
    remote->reply.body.max_bytes = PACKAGE_MAX;
    return ig_remote_call(remote, "GET", path, IG_STR(""), err);
}

static enum ig_code open_remote(struct ig_package **out, const struct ig_cli *cli,
                                const char *model, struct ig_err *err)
{
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, err) == IG_OK) {
        if (ig_run_source_is(model))
            ig_run_source_open(out, &remote, model, err);
        else if (fetch(&remote, model, err) == IG_OK)
            ig_package_open_bytes(out, ig_remote_body(&remote), NULL, err);
    }
    ig_remote_close(&remote);
    return err->code;
}

bool ig_model_source_is_uri(const char *model)
{
    return strncmp(model, "models:/", 8) == 0 || ig_run_source_is(model);
}

enum ig_code ig_model_source_open_uri(struct ig_package **out, const struct ig_cli *cli,
                                      const char *model, struct ig_err *err)
{
    bool logged = ig_run_source_is(model);
    if (!ig_model_source_is_uri(model)) return ig_package_open(out, IG_FILE_CWD, model, NULL, err);
    if (!ig_cli_text(cli, "data")) return open_remote(out, cli, model, err);
    if (!logged) return open_offline(out, cli, model, err);
    return ig_fail(err, IG_INVALID, "'%s' comes from a running server: leave --data out", model);
}

enum ig_code ig_model_source_open(struct ig_package **out, const struct ig_cli *cli,
                                  struct ig_err *err)
{
    ig_model_source_open_uri(out, cli, ig_cli_text(cli, "model"), err);
    if (err->code != IG_OK) ig_err_prefix(err, "--model");
    return err->code;
}
