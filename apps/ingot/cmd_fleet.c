/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot fleet ...`: groups, bundles, devices and rollouts of a running server. */
#include "remote.h"

#include "base/clock.h"
#include "base/ed25519.h"
#include "base/file.h"
#include "base/hash.h"
#include "formats/edge/edge_header.h"
#include "formats/edge/edge_telemetry.h"
#include "formats/edge/minisign.h"

#include <errno.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 1 << 20, FILE_MAX = 16 << 20, PATH_SIZE = 4096, DAY_S = 86400 };

static void add_part(struct ig_buf *path, const char *start, const char *name)
{
    ig_buf_add_cstr(path, start);
    ig_client_escape(path, ig_str_view(name));
}

static enum ig_code call(struct ig_remote *remote, const char *method, const struct ig_buf *path,
                         const struct ig_buf *body, struct ig_err *err)
{
    if (path->overflowed || (body && body->overflowed))
        return ig_fail(err, IG_INVALID, "the arguments are too long");
    return ig_remote_call(remote, method, path->ptr, body ? ig_buf_view(body) : IG_STR(""), err);
}

/* One call on /api/v1/fleet/ + path, its reply printed. */
static int show(const struct ig_cli *cli, const char *method, struct ig_buf *path,
                const struct ig_buf *body)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        call(&remote, method, path, body, &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    ig_buf_deinit(path);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

static struct ig_buf path_to(const char *start, const char *name, const char *rest)
{
    struct ig_buf path;
    ig_buf_init(&path, PATH_SIZE);
    ig_buf_add_cstr(&path, "/api/v1/fleet/");
    add_part(&path, start, name);
    ig_buf_add_cstr(&path, rest);
    return path;
}

static void add_query(struct ig_buf *path, const struct ig_cli *cli, const char *name, bool first)
{
    const char *value = ig_cli_text(cli, name);
    ig_buf_printf(path, "%c%s=", first ? '?' : '&', name);
    if (value) ig_client_escape(path, ig_str_view(value));
}

/* ---- groups ---- */

int ig_cmd_fleet_groups(const struct ig_cli *cli)
{
    struct ig_buf path = path_to("groups", "", "");
    add_query(&path, cli, "after", true);
    return show(cli, "GET", &path, NULL);
}

static enum ig_code write_group(struct ig_buf *body, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_buf key;
    double threshold = 0.2;
    const char *text = ig_cli_text(cli, "drift-threshold");
    if (text && !ig_str_to_f64(ig_str_view(text), &threshold))
        return ig_fail(err, IG_INVALID, "--drift-threshold '%s' is no number", text);
    ig_buf_init(&key, 4096);
    if (ig_file_read(&key, IG_FILE_CWD, ig_cli_text(cli, "public"), err) == IG_OK) {
        ig_json_out_init(&out, body);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", ig_str_view(cli->operands[0]));
        ig_json_out_kv_str(&out, "target", ig_str_view(ig_cli_text(cli, "target")));
        ig_json_out_kv_str(&out, "public_key", ig_buf_view(&key));
        ig_json_out_kv_f64(&out, "drift_threshold", threshold);
        ig_json_out_object_end(&out);
    }
    ig_buf_deinit(&key);
    return err->code;
}

int ig_cmd_fleet_group(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf body, path = path_to("groups/", cli->operands[0], "");
    bool make = ig_cli_given(cli, "public"), remove = ig_cli_flag(cli, "delete");
    if (make && remove) {
        ig_buf_deinit(&path);
        return ig_cli_usage(cli, "--public and --delete exclude each other");
    }
    if (!make) return show(cli, remove ? "DELETE" : "GET", &path, NULL);
    ig_buf_deinit(&path);
    ig_buf_init(&body, BODY_MAX);
    path = path_to("groups", "", "");
    int code = write_group(&body, cli, &err) == IG_OK ? show(cli, "POST", &path, &body)
                                                      : ig_cli_fail(cli, &err, NULL);
    ig_buf_deinit(&path);
    ig_buf_deinit(&body);
    return code;
}

/* ---- keys ---- */

static enum ig_code read_seed(unsigned char seed[IG_ED25519_BYTES], const struct ig_cli *cli,
                              struct ig_err *err)
{
    struct ig_buf pem;
    ig_buf_init(&pem, 1 << 16);
    if (ig_file_read(&pem, IG_FILE_CWD, ig_cli_text(cli, "secret"), err) == IG_OK)
        ig_ed25519_pem_read(seed, ig_buf_view(&pem), err);
    if (err->code != IG_OK) ig_err_prefix(err, "--secret");
    if (pem.ptr) OPENSSL_cleanse(pem.ptr, pem.len);
    ig_buf_deinit(&pem);
    return err->code;
}

/* Of the new key's file: by the old key, or as it lies beside it. */
static enum ig_code sign_key(struct ig_buf *signature, const struct ig_cli *cli, struct ig_str key,
                             struct ig_err *err)
{
    unsigned char seed[IG_ED25519_BYTES];
    char path[PATH_SIZE];
    if (!ig_cli_given(cli, "secret")) {
        snprintf(path, sizeof path, "%s.minisig", ig_cli_text(cli, "public"));
        return ig_file_read(signature, IG_FILE_CWD, path, err);
    }
    if (read_seed(seed, cli, err) == IG_OK)
        ig_minisign_sign(signature, seed, key, IG_STR("ingot fleet rotate"), err);
    OPENSSL_cleanse(seed, sizeof seed);
    return err->code;
}

static enum ig_code write_key(struct ig_buf *body, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_buf key, signature;
    ig_buf_init(&key, 4096);
    ig_buf_init(&signature, 4096);
    if (ig_file_read(&key, IG_FILE_CWD, ig_cli_text(cli, "public"), err) != IG_OK)
        ig_err_prefix(err, "--public");
    else if (sign_key(&signature, cli, ig_buf_view(&key), err) == IG_OK) {
        ig_json_out_init(&out, body);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "public_key", ig_buf_view(&key));
        ig_json_out_kv_str(&out, "signature", ig_buf_view(&signature));
        ig_json_out_object_end(&out);
    }
    ig_buf_deinit(&key);
    ig_buf_deinit(&signature);
    return err->code;
}

int ig_cmd_fleet_rotate(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf body, path = path_to("groups/", cli->operands[0], "/key");
    ig_buf_init(&body, BODY_MAX);
    int code = write_key(&body, cli, &err) == IG_OK ? show(cli, "PUT", &path, &body)
                                                    : ig_cli_fail(cli, &err, NULL);
    if (err.code != IG_OK) ig_buf_deinit(&path);
    ig_buf_deinit(&body);
    return code;
}

/* ---- bundles ---- */

int ig_cmd_fleet_bundles(const struct ig_cli *cli)
{
    struct ig_buf path = path_to("groups/", cli->operands[0], "/bundles");
    return show(cli, "GET", &path, NULL);
}

static void write_bundle(struct ig_buf *body, const struct ig_cli *cli, struct ig_str digest,
                         struct ig_str signature)
{
    struct ig_json_out out;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", digest);
    ig_json_out_kv_str(&out, "signature", signature);
    if (ig_cli_given(cli, "model")) {
        ig_json_out_kv_str(&out, "model", ig_str_view(ig_cli_text(cli, "model")));
        ig_json_out_kv_i64(&out, "version", (int64_t)ig_cli_count(cli, "version"));
    }
    ig_json_out_object_end(&out);
}

/* Before the bundle goes, which the group takes once. */
static enum ig_code read_baseline(struct ig_buf *bytes, const struct ig_cli *cli,
                                  struct ig_err *err)
{
    struct ig_edge_record record;
    struct ig_edge_sketch sketch;
    const char *file = ig_cli_text(cli, "baseline");
    if (!file) return IG_OK;
    if (ig_file_read(bytes, IG_FILE_CWD, file, err) == IG_OK) {
        struct ig_str rest = ig_buf_view(bytes);
        while (ig_edge_record_next(&record, &rest, err))
            if (record.kind == IG_EDGE_RECORD_SKETCH &&
                ig_edge_sketch_read(&sketch, record.payload, err) != IG_OK)
                break;
    }
    if (err->code == IG_OK && !bytes->len) ig_fail(err, IG_INVALID, "'%s' holds no sketch", file);
    if (err->code != IG_OK) ig_err_prefix(err, "--baseline");
    return err->code;
}

static enum ig_code put_baseline(struct ig_remote *remote, const struct ig_cli *cli,
                                 struct ig_str digest, const struct ig_buf *bytes,
                                 struct ig_err *err)
{
    struct ig_buf path;
    if (!bytes->len) return IG_OK;
    path = path_to("groups/", cli->operands[0], "/bundles/");
    ig_buf_add_str(&path, digest);
    ig_buf_add_cstr(&path, "/baseline");
    if (call(remote, "PUT", &path, bytes, err) != IG_OK) ig_err_prefix(err, "--baseline");
    ig_buf_deinit(&path);
    return err->code;
}

static enum ig_code add_bundle(struct ig_remote *remote, const struct ig_cli *cli,
                               struct ig_buf *body, struct ig_err *err)
{
    struct ig_buf signature, baseline, path = path_to("groups/", cli->operands[0], "/bundles");
    struct ig_str digest = IG_STR("");
    char file[PATH_SIZE];
    ig_buf_init(&signature, 4096);
    ig_buf_init(&baseline, BODY_MAX);
    snprintf(file, sizeof file, "%s.minisig", cli->operands[1]);
    if (ig_file_read(&signature, IG_FILE_CWD, file, err) == IG_OK &&
        read_baseline(&baseline, cli, err) == IG_OK && ig_remote_open(remote, cli, err) == IG_OK &&
        ig_remote_upload(&digest, remote, cli->operands[1], err) == IG_OK) {
        write_bundle(body, cli, digest, ig_buf_view(&signature));
        if (call(remote, "POST", &path, body, err) == IG_OK) {
            ig_json_view_print(stdout, ig_remote_body(remote));
            put_baseline(remote, cli, digest, &baseline, err);
        }
    }
    ig_buf_deinit(&signature);
    ig_buf_deinit(&baseline);
    ig_buf_deinit(&path);
    return err->code;
}

int ig_cmd_fleet_bundle(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote = {0};
    struct ig_buf body;
    if (ig_cli_given(cli, "model") != ig_cli_given(cli, "version"))
        return ig_cli_usage(cli, "--model and --version go together");
    ig_buf_init(&body, BODY_MAX);
    add_bundle(&remote, cli, &body, &err);
    ig_remote_close(&remote);
    ig_buf_deinit(&body);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

/* ---- devices ---- */

int ig_cmd_fleet_devices(const struct ig_cli *cli)
{
    static const char *const NAMES[] = {"group", "state", "label", "after"};
    struct ig_buf path = path_to("devices", "", "");
    for (int i = 0; i < 4; i++) add_query(&path, cli, NAMES[i], i == 0);
    if (ig_cli_flag(cli, "drifting")) ig_buf_add_cstr(&path, "&drifting=true");
    if (ig_cli_given(cli, "limit"))
        ig_buf_printf(&path, "&limit=%llu", (unsigned long long)ig_cli_count(cli, "limit"));
    return show(cli, "GET", &path, NULL);
}

int ig_cmd_fleet_device(const struct ig_cli *cli)
{
    static const struct {
        const char *flag, *method, *rest;
    } ACTS[] = {{"history", "GET", "/history"},
                {"drift", "GET", "/drift"},
                {"new-token", "POST", "/token"},
                {"revoke", "DELETE", "/token"},
                {"delete", "DELETE", ""}};
    int chosen = -1;
    for (int i = 0; i < 5; i++) {
        if (!ig_cli_flag(cli, ACTS[i].flag)) continue;
        if (chosen >= 0) return ig_cli_usage(cli, "give one thing to do at a time");
        chosen = i;
    }
    struct ig_buf path = path_to("devices/", cli->operands[0], chosen < 0 ? "" : ACTS[chosen].rest);
    return show(cli, chosen < 0 ? "GET" : ACTS[chosen].method, &path, NULL);
}

static enum ig_code write_device(struct ig_buf *body, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_json_out out;
    const char *item;
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "group", ig_str_view(cli->operands[0]));
    if (ig_cli_given(cli, "id"))
        ig_json_out_kv_str(&out, "id", ig_str_view(ig_cli_text(cli, "id")));
    ig_json_out_kv_str(&out, "target", ig_str_view(ig_cli_text(cli, "target")));
    ig_json_out_key(&out, IG_STR("labels"));
    ig_json_out_object(&out);
    for (size_t i = 0; (item = ig_cli_item(cli, "label", i)); i++) {
        struct ig_str value = ig_str_view(item), name = ig_str_cut(&value, '=');
        if (!value.ptr) return ig_fail(err, IG_INVALID, "--label '%s': expected NAME=VALUE", item);
        ig_json_out_key(&out, name);
        ig_json_out_str(&out, value);
    }
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

struct identity {
    struct ig_str target, public_key; /* the group's */
};

/* All that can fail before the device is registered, whose token is told once. */
static enum ig_code prepare_identity(struct identity *identity, struct ig_remote *remote,
                                     const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_arena *arena = &remote->arena;
    const char *output = ig_cli_text(cli, "output");
    char folder[PATH_SIZE];
    if (!output) return IG_OK;
    if (snprintf(folder, sizeof folder, "%s", output) >= (int)sizeof folder)
        return ig_fail(err, IG_INVALID, "--output: the path has more than %d bytes", PATH_SIZE - 1);
    if (access(dirname(folder), W_OK | X_OK) != 0)
        return ig_fail(err, IG_IO, "--output: cannot write '%s': %s", output, strerror(errno));
    struct ig_buf path = path_to("groups/", cli->operands[0], "");
    if (call(remote, "GET", &path, NULL, err) == IG_OK) {
        struct ig_str group = ig_remote_body(remote);
        identity->target = ig_arena_dup(arena, ig_json_view_text(group, "target", arena));
        identity->public_key = ig_arena_dup(arena, ig_json_view_text(group, "public_key", arena));
    }
    ig_buf_deinit(&path);
    return err->code;
}

/* What an agent needs, for it alone to read: its token is in it. */
static enum ig_code write_identity(const struct identity *identity, struct ig_remote *remote,
                                   const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_buf file;
    struct ig_str reply = ig_remote_body(remote);
    const char *target = ig_cli_text(cli, "target");
    ig_buf_init(&file, BODY_MAX);
    ig_json_out_init(&out, &file);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "server", ig_str_view(remote->url));
    ig_json_out_kv_str(&out, "id", ig_json_view_text(reply, "id", &remote->arena));
    ig_json_out_kv_str(&out, "token", ig_json_view_text(reply, "token", &remote->arena));
    ig_json_out_kv_str(&out, "group", ig_str_view(cli->operands[0]));
    ig_json_out_kv_str(&out, "target", *target ? ig_str_view(target) : identity->target);
    ig_json_out_kv_str(&out, "public_key", identity->public_key);
    ig_json_out_object_end(&out);
    ig_buf_add_char(&file, '\n');
    ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&file), err);
    if (file.ptr) OPENSSL_cleanse(file.ptr, file.len);
    ig_buf_deinit(&file);
    return err->code;
}

int ig_cmd_fleet_enrol(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote = {0};
    struct identity identity = {0};
    struct ig_buf body, path = path_to("devices", "", "");
    ig_buf_init(&body, BODY_MAX);
    if (write_device(&body, cli, &err) == IG_OK && ig_remote_open(&remote, cli, &err) == IG_OK &&
        prepare_identity(&identity, &remote, cli, &err) == IG_OK &&
        call(&remote, "POST", &path, &body, &err) == IG_OK) {
        if (ig_cli_text(cli, "output"))
            write_identity(&identity, &remote, cli, &err);
        else
            ig_json_view_print(stdout, ig_remote_body(&remote));
    }
    ig_remote_close(&remote);
    ig_buf_deinit(&body);
    ig_buf_deinit(&path);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

/* ---- rollouts ---- */

int ig_cmd_fleet_rollouts(const struct ig_cli *cli)
{
    struct ig_buf path = path_to("groups/", cli->operands[0], "/rollouts");
    return show(cli, "GET", &path, NULL);
}

/* "10" is a share, anything else ids between commas. */
static void write_wave(struct ig_json_out *out, const char *text)
{
    double percent;
    struct ig_str rest = ig_str_view(text);
    if (ig_str_to_f64(rest, &percent)) {
        ig_json_out_f64(out, percent);
        return;
    }
    ig_json_out_array(out);
    while (rest.len) ig_json_out_str(out, ig_str_cut(&rest, ','));
    ig_json_out_array_end(out);
}

static enum ig_code write_rollout(struct ig_buf *body, const struct ig_cli *cli,
                                  struct ig_str digest, struct ig_err *err)
{
    struct ig_json_out out;
    const char *item, *halt = ig_cli_text(cli, "halt-percent");
    double percent = 5;
    if (halt && !ig_str_to_f64(ig_str_view(halt), &percent))
        return ig_fail(err, IG_INVALID, "--halt-percent '%s' is no number", halt);
    ig_json_out_init(&out, body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", digest);
    if (ig_cli_item(cli, "wave", 0)) {
        ig_json_out_key(&out, IG_STR("waves"));
        ig_json_out_array(&out);
        for (size_t i = 0; (item = ig_cli_item(cli, "wave", i)); i++) write_wave(&out, item);
        ig_json_out_array_end(&out);
    }
    ig_json_out_kv_i64(&out, "soak_s", (int64_t)ig_cli_count(cli, "soak"));
    ig_json_out_kv_f64(&out, "halt_percent", percent);
    ig_json_out_kv_i64(&out, "halt_min", (int64_t)ig_cli_count(cli, "halt-min"));
    ig_json_out_object_end(&out);
    return IG_OK;
}

int ig_cmd_fleet_rollout(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf body, path = path_to("groups/", cli->operands[0], "/rollouts");
    ig_buf_init(&body, BODY_MAX);
    int code = write_rollout(&body, cli, ig_str_view(cli->operands[1]), &err) == IG_OK
                   ? show(cli, "POST", &path, &body)
                   : ig_cli_fail(cli, &err, NULL);
    ig_buf_deinit(&path);
    ig_buf_deinit(&body);
    return code;
}

int ig_cmd_fleet_steer(const struct ig_cli *cli)
{
    struct ig_buf body, path = path_to("rollouts/", cli->operands[0], "");
    struct ig_json_out out;
    const char *why = ig_cli_text(cli, "why"), *action = ig_cli_text(cli, "action");
    if (!action) {
        if (ig_cli_flag(cli, "devices")) {
            ig_buf_add_cstr(&path, "/devices");
            add_query(&path, cli, "after", true);
        }
        return show(cli, "GET", &path, NULL);
    }
    ig_buf_init(&body, BODY_MAX);
    ig_json_out_init(&out, &body);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "action", ig_str_view(action));
    if (why) ig_json_out_kv_str(&out, "why", ig_str_view(why));
    ig_json_out_object_end(&out);
    int code = show(cli, "POST", &path, &body);
    ig_buf_deinit(&body);
    return code;
}

/* ---- going back ---- */

/* The old bundle under a counter above the group's newest, signed anew. */
static enum ig_code renew(struct ig_buf *bundle, struct ig_buf *signature, struct ig_remote *remote,
                          const struct ig_cli *cli, struct ig_err *err)
{
    unsigned char seed[IG_ED25519_BYTES];
    struct ig_edge_header header;
    struct ig_buf path = path_to("groups/", cli->operands[0], "/bundles");
    uint64_t days = ig_cli_count(cli, "valid-days");
    double newest = 0;
    if (call(remote, "GET", &path, NULL, err) == IG_OK)
        newest = ig_json_view_number(ig_remote_body(remote), "bundles.0.counter", &remote->arena);
    ig_buf_reset(&path);
    add_part(&path, "/api/v1/blobs/", cli->operands[1]);
    if (err->code == IG_OK && call(remote, "GET", &path, NULL, err) == IG_OK &&
        ig_edge_header_read(&header, ig_remote_body(remote), err) == IG_OK) {
        ig_buf_add_str(bundle, ig_remote_body(remote));
        uint64_t now_s = (uint64_t)ig_clock_unix_ms() / 1000;
        ig_edge_header_renew(bundle, (uint64_t)newest + 1, days ? now_s + days * DAY_S : 0);
        if (read_seed(seed, cli, err) == IG_OK)
            ig_minisign_sign(signature, seed, ig_buf_view(bundle), IG_STR("ingot fleet rollback"),
                             err);
        OPENSSL_cleanse(seed, sizeof seed);
    }
    ig_buf_deinit(&path);
    return err->code;
}

static enum ig_code upload(struct ig_str *digest, struct ig_remote *remote,
                           const struct ig_buf *bundle, struct ig_err *err)
{
    if (ig_remote_call(remote, "POST", "/api/v1/blobs", ig_buf_view(bundle), err) == IG_OK)
        *digest = ig_arena_dup(&remote->arena,
                               ig_json_view_text(ig_remote_body(remote), "digest", &remote->arena));
    return err->code;
}

static enum ig_code go_back(struct ig_remote *remote, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_buf bundle, signature, body, path;
    struct ig_json_out out;
    struct ig_str digest = IG_STR("");
    ig_buf_init(&bundle, FILE_MAX);
    ig_buf_init(&signature, 4096);
    ig_buf_init(&body, BODY_MAX);
    path = path_to("groups/", cli->operands[0], "/bundles");
    if (renew(&bundle, &signature, remote, cli, err) == IG_OK &&
        upload(&digest, remote, &bundle, err) == IG_OK) {
        ig_json_out_init(&out, &body);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "digest", digest);
        ig_json_out_kv_str(&out, "signature", ig_buf_view(&signature));
        ig_json_out_object_end(&out);
        if (call(remote, "POST", &path, &body, err) == IG_OK) {
            ig_buf_reset(&body);
            ig_buf_deinit(&path);
            path = path_to("groups/", cli->operands[0], "/rollouts");
            if (write_rollout(&body, cli, digest, err) == IG_OK &&
                call(remote, "POST", &path, &body, err) == IG_OK)
                ig_json_view_print(stdout, ig_remote_body(remote));
        }
    }
    ig_buf_deinit(&bundle);
    ig_buf_deinit(&signature);
    ig_buf_deinit(&body);
    ig_buf_deinit(&path);
    return err->code;
}

int ig_cmd_fleet_rollback(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote = {0};
    if (ig_cli_given(cli, "valid-days") && !ig_cli_count(cli, "valid-days"))
        return ig_cli_usage(cli, "--valid-days is 0, expected at least 1");
    if (ig_remote_open(&remote, cli, &err) == IG_OK) go_back(&remote, cli, &err);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
