/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge keygen`, `bundle`, `sign` and `verify`: signed models for devices. */
#include "cmd_edge.h"
#include "ingot_edge_bundle.h"
#include "model_source.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "formats/edge/edge_bundle.h"
#include "formats/edge/edge_header.h"
#include "formats/edge/minisign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, KEY_FILE_MAX = 65536, PATH_BYTES = 4096, DAY_S = 86400 };

static uint64_t now_s(void)
{
    return (uint64_t)ig_clock_unix_ms() / 1000;
}

/* `name` with an ending. */
static enum ig_code path_of(char out[PATH_BYTES], const char *name, const char *ending,
                            struct ig_err *err)
{
    int length = snprintf(out, PATH_BYTES, "%s%s", name, ending);
    if (length > 0 && length < PATH_BYTES) return IG_OK;
    return ig_fail(err, IG_INVALID, "'%s' is too long for a file's name", name);
}

/* A new file alone, so that no key is ever written over. */
static enum ig_code write_new(const char *path, mode_t mode, struct ig_str text, struct ig_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST) return ig_fail(err, IG_EXISTS, "'%s' is there already", path);
    if (fd < 0) return ig_fail(err, IG_IO, "cannot make '%s': %s", path, strerror(errno));
    ig_file_write_all(fd, text.ptr, text.len, err);
    ig_file_sync(fd);
    ig_file_close(&fd);
    return err->code;
}

int ig_cmd_edge_keygen(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    unsigned char seed[IG_ED25519_BYTES];
    char secret_path[PATH_BYTES], public_path[PATH_BYTES];
    struct ig_buf secret, public_text;
    ig_buf_init(&secret, KEY_FILE_MAX);
    ig_buf_init(&public_text, KEY_FILE_MAX);
    ig_random_bytes(seed, sizeof seed);
    if (path_of(secret_path, cli->operands[0], ".pem", &err) == IG_OK &&
        path_of(public_path, cli->operands[0], ".pub", &err) == IG_OK &&
        ig_ed25519_pem_write(&secret, seed, &err) == IG_OK &&
        ig_minisign_public_write(&public_text, seed, &err) == IG_OK &&
        write_new(secret_path, 0600, ig_buf_view(&secret), &err) == IG_OK &&
        write_new(public_path, 0644, ig_buf_view(&public_text), &err) == IG_OK)
        printf("%s signs, %s goes to devices\n", secret_path, public_path);
    OPENSSL_cleanse(seed, sizeof seed);
    if (secret.ptr) OPENSSL_cleanse(secret.ptr, secret.len);
    ig_buf_deinit(&secret);
    ig_buf_deinit(&public_text);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}

static enum ig_code read_seed(unsigned char seed[IG_ED25519_BYTES], const char *path,
                              struct ig_err *err)
{
    struct ig_buf pem;
    ig_buf_init(&pem, KEY_FILE_MAX);
    if (ig_file_read(&pem, IG_FILE_CWD, path, err) == IG_OK)
        ig_ed25519_pem_read(seed, ig_buf_view(&pem), err);
    if (err->code != IG_OK) ig_err_prefix(err, "--secret");
    if (pem.ptr) OPENSSL_cleanse(pem.ptr, pem.len);
    ig_buf_deinit(&pem);
    return err->code;
}

static enum ig_code make_bundle(struct ig_buf *out, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_package *package = NULL;
    struct ig_edge_choice choice;
    uint64_t days = ig_cli_count(cli, "valid-days");
    const struct ig_edge_bundle bundle = {.id = ig_str_view(ig_cli_text(cli, "id")),
                                          .target = ig_str_view(ig_cli_text(cli, "target")),
                                          .counter = ig_cli_count(cli, "counter"),
                                          .expiry = days ? now_s() + days * DAY_S : 0};
    if (days > UINT32_MAX)
        ig_fail(err, IG_INVALID, "--valid-days is %llu, at most %u", (unsigned long long)days,
                UINT32_MAX);
    else if (ig_model_source_open_uri(&package, cli, cli->operands[0], err) == IG_OK &&
             ig_cmd_edge_choice(&choice, cli, IG_EDGE_FORMAT_IGE, package, err) == IG_OK)
        ig_edge_pack_bundle(out, package, &choice, bundle, err);
    ig_package_free(package);
    return err->code;
}

/* With what minisign shows of a signature that it believes. */
static enum ig_code sign(struct ig_buf *out, const struct ig_cli *cli, struct ig_str bytes,
                         struct ig_err *err)
{
    unsigned char seed[IG_ED25519_BYTES];
    struct ig_edge_header header;
    char comment[128];
    if (ig_edge_header_read(&header, bytes, err) != IG_OK) return err->code;
    int length = snprintf(comment, sizeof comment, "%.*s, counter %llu", IG_STR_ARGS(header.id),
                          (unsigned long long)header.counter);
    if (read_seed(seed, ig_cli_text(cli, "secret"), err) == IG_OK)
        ig_minisign_sign(out, seed, bytes, (struct ig_str){comment, (size_t)length}, err);
    OPENSSL_cleanse(seed, sizeof seed);
    return err->code;
}

int ig_cmd_edge_bundle(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    const char *output = ig_cli_text(cli, "output");
    char signature_path[PATH_BYTES];
    struct ig_buf bytes, signature;
    if (!ig_cli_given(cli, "counter")) return ig_cli_usage(cli, "--counter is missing");
    if (ig_cli_given(cli, "valid-days") && !ig_cli_count(cli, "valid-days"))
        return ig_cli_usage(cli, "--valid-days is 0, expected at least 1");
    ig_buf_init(&bytes, FILE_MAX);
    ig_buf_init(&signature, KEY_FILE_MAX);
    if (path_of(signature_path, output, ".minisig", &err) == IG_OK &&
        make_bundle(&bytes, cli, &err) == IG_OK &&
        sign(&signature, cli, ig_buf_view(&bytes), &err) == IG_OK &&
        ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&bytes), &err) == IG_OK &&
        ig_file_replace(IG_FILE_CWD, signature_path, ig_buf_view(&signature), &err) == IG_OK)
        printf("%s, %zu bytes, and %s\n", output, bytes.len, signature_path);
    ig_buf_deinit(&bytes);
    ig_buf_deinit(&signature);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}

int ig_cmd_edge_sign(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    const char *file = cli->operands[0];
    char path[PATH_BYTES];
    struct ig_buf bytes, signature;
    ig_buf_init(&bytes, FILE_MAX);
    ig_buf_init(&signature, KEY_FILE_MAX);
    if (path_of(path, file, ".minisig", &err) == IG_OK &&
        ig_file_read(&bytes, IG_FILE_CWD, file, &err) == IG_OK) {
        if (sign(&signature, cli, ig_buf_view(&bytes), &err) != IG_OK)
            ig_err_prefix(&err, "%s", file);
        else if (ig_file_replace(IG_FILE_CWD, path, ig_buf_view(&signature), &err) == IG_OK)
            printf("%s\n", path);
    }
    ig_buf_deinit(&bytes);
    ig_buf_deinit(&signature);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}

/* ---- verify ---- */

struct delivery {
    struct ig_buf bytes, key_text, signature_text;
    unsigned char key[IG_MINISIGN_KEY_BYTES], signature[IG_MINISIGN_SIGNATURE_BYTES];
};

static enum ig_code read_delivery(struct delivery *delivery, const struct ig_cli *cli,
                                  struct ig_err *err)
{
    char path[PATH_BYTES];
    const char *file = cli->operands[0];
    if (path_of(path, file, ".minisig", err) == IG_OK &&
        ig_file_read(&delivery->bytes, IG_FILE_CWD, file, err) == IG_OK &&
        ig_file_read(&delivery->signature_text, IG_FILE_CWD, path, err) == IG_OK &&
        ig_minisign_signature_read(delivery->signature, ig_buf_view(&delivery->signature_text),
                                   err) != IG_OK)
        ig_err_prefix(err, "%s", path);
    if (err->code != IG_OK) return err->code;
    if (ig_file_read(&delivery->key_text, IG_FILE_CWD, ig_cli_text(cli, "public"), err) != IG_OK ||
        ig_minisign_public_read(delivery->key, ig_buf_view(&delivery->key_text), err) != IG_OK)
        ig_err_prefix(err, "--public");
    return err->code;
}

static enum ig_code verify(const struct delivery *delivery, const struct ig_cli *cli,
                           struct ig_err *err)
{
    static const char *const WORDS[] = {
        "",
        "is no bundle, or not all of one",
        "is signed by another key",
        "is not what was signed",
        "is for another kind of device",
        "has expired",
        "has a counter that is not above the device's",
        "needs more memory than there is",
        "holds a model that the runtime refuses",
        "holds a model that does not give its golden outputs",
    };
    enum { ARENA_MAX = 1 << 24 };
    struct ige_bundle bundle = {0};
    struct ige_device device = {.key = delivery->key,
                                .target = ig_cli_text(cli, "target"),
                                .counter = ig_cli_count(cli, "counter"),
                                .now = now_s(),
                                .arena_bytes = ARENA_MAX};
    if (strlen(device.target) > IG_EDGE_TARGET_MAX)
        return ig_fail(err, IG_INVALID, "--target '%s' is longer than %d bytes", device.target,
                       IG_EDGE_TARGET_MAX);
    device.arena = ig_alloc_aligned(8, ARENA_MAX);
    if (!device.arena) return ig_fail(err, IG_NO_MEMORY, "no memory for an arena");
    enum ige_bundle_status status = ige_bundle_check(
        &bundle, delivery->bytes.ptr, delivery->bytes.len, delivery->signature, &device);
    ig_free(device.arena);
    if (status != IGE_BUNDLE_OK)
        return ig_fail(err, IG_CORRUPT, "'%s' %s", cli->operands[0], WORDS[status]);
    printf("good: %.32s, counter %llu, model of %u bytes, %u bytes of arena, %u golden rows\n",
           (const char *)bundle.id, (unsigned long long)bundle.counter, bundle.model_bytes,
           bundle.arena_bytes, bundle.rows_count);
    return IG_OK;
}

int ig_cmd_edge_verify(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct delivery delivery = {0};
    ig_buf_init(&delivery.bytes, FILE_MAX);
    ig_buf_init(&delivery.key_text, KEY_FILE_MAX);
    ig_buf_init(&delivery.signature_text, KEY_FILE_MAX);
    if (read_delivery(&delivery, cli, &err) == IG_OK) verify(&delivery, cli, &err);
    ig_buf_deinit(&delivery.bytes);
    ig_buf_deinit(&delivery.key_text);
    ig_buf_deinit(&delivery.signature_text);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}
