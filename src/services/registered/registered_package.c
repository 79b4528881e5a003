/* SPDX-License-Identifier: Apache-2.0 */
/* What can be served of a new version: among the server's artifacts, the native model file that the
 * MLmodel there names becomes a package with the signature's schema. Nothing else in the directory
 * is read.
 *
 * Thread rule: stateless over the stores. */
#include "services/registered/registered_priv.h"

#include "formats/mlmodel.h"
#include "services/tracking/artifacts.h"

#include <stdio.h>
#include <string.h>

static const size_t FILE_MAX_BYTES = (size_t)1 << 30, ARENA_MAX_BYTES = (size_t)256 << 20;

struct resolve_call {
    const struct ig_registered_by *by;
    const struct ig_registered_version_spec *spec;
    struct ig_registered_source source;
};

static enum ig_code resolve(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct resolve_call *call = context;
    return ig_registered_source_resolve(&call->source, tx, call->spec, call->by->arena, err);
}

/* The artifact DIRECTORY/NAME, at most buf->max_bytes of it. */
static enum ig_code read_file(struct ig_buf *buf, const struct ig_registered_by *by,
                              struct ig_str directory, struct ig_str name, struct ig_err *err)
{
    struct ig_artifact artifact;
    const char *path =
        ig_arena_printf(by->arena, "%.*s/%.*s", IG_STR_ARGS(directory), IG_STR_ARGS(name));
    if (!path) return ig_fail(err, IG_NO_MEMORY, "path of an artifact");
    if (ig_artifacts_check_path(name, err) != IG_OK ||
        ig_artifacts_get(&artifact, by->db, ig_str_view(path), err) != IG_OK)
        return err->code;
    if ((uint64_t)artifact.size_bytes > buf->max_bytes)
        return ig_fail(err, IG_TOO_LARGE, "'%.*s' has %lld bytes, at most %zu are read",
                       IG_STR_ARGS(name), (long long)artifact.size_bytes, buf->max_bytes);
    return ig_blob_read(buf, by->blobs, ig_str_view(artifact.digest), err);
}

static enum ig_code store(struct ig_registered_package *out, const struct ig_registered_by *by,
                          const struct ig_buf *zip, struct ig_err *err)
{
    struct ig_package *package = NULL;
    struct ig_version_facts facts = {.size_bytes = zip->len};
    const struct ig_package_limits limits = {.skip_golden = true};
    char digest[IG_SHA256_HEX];
    if (ig_package_open_bytes(&package, ig_buf_view(zip), &limits, err) == IG_OK &&
        ig_blob_put(digest, by->blobs, ig_buf_view(zip), err) == IG_OK) {
        memcpy(facts.model_digest, package->model_digest, sizeof facts.model_digest);
        snprintf(facts.format, sizeof facts.format, "%s", package->format->name);
        out->facts = facts;
        memcpy(out->digest, digest, sizeof digest);
    }
    ig_package_free(package);
    return err->code;
}

struct directory {
    const struct ig_registered_by *by;
    struct ig_str path;
    struct ig_buf bytes;
};

static enum ig_code read_of(struct ig_str *out, void *context, struct ig_str name,
                            struct ig_err *err)
{
    struct directory *directory = context;
    if (read_file(&directory->bytes, directory->by, directory->path, name, err) == IG_OK)
        *out = ig_buf_view(&directory->bytes);
    return err->code;
}

static enum ig_code make(struct ig_registered_package *out, const struct ig_registered_by *by,
                         const struct ig_registered_version_spec *spec, struct ig_str directory,
                         struct ig_str yaml, struct ig_err *err)
{
    struct ig_mlmodel mlmodel;
    struct ig_buf zip;
    struct directory files = {.by = by, .path = directory};
    const struct ig_mlmodel_files source = {read_of, &files};
    ig_buf_init(&files.bytes, FILE_MAX_BYTES);
    ig_buf_init(&zip, FILE_MAX_BYTES + (64 << 20));
    if (ig_name_check(spec->name, "model", err) == IG_OK &&
        ig_mlmodel_read(&mlmodel, yaml, by->arena, err) == IG_OK &&
        ig_mlmodel_package(&zip, &mlmodel, &source, spec->name, by->arena, err) == IG_OK)
        store(out, by, &zip, err);
    ig_buf_deinit(&files.bytes);
    ig_buf_deinit(&zip);
    return err->code;
}

void ig_registered_package_make(struct ig_registered_package *out,
                                const struct ig_registered_by *by,
                                const struct ig_registered_version_spec *spec)
{
    struct ig_arena arena; /* what the files ask for is not the caller's */
    struct ig_registered_by own = *by;
    struct resolve_call call = {.by = &own, .spec = spec};
    struct ig_err err = IG_ERR_INIT;
    struct ig_str directory;
    struct ig_buf yaml;
    *out = (struct ig_registered_package){.location = IG_STR(""), .why = IG_STR("")};
    if (!by->blobs || ig_registered_is_prompt(spec->tags)) return;
    ig_arena_init(&arena, 64 << 10, ARENA_MAX_BYTES);
    ig_buf_init(&yaml, IG_MLMODEL_BYTES_MAX);
    own.arena = &arena;
    if (ig_db_read(by->db, resolve, &call, &err) == IG_OK &&
        ig_artifacts_directory(&directory, call.source.location, "source", &err) == IG_OK &&
        read_file(&yaml, &own, directory, IG_STR("MLmodel"), &err) == IG_OK) {
        out->location = ig_arena_dup(by->arena, call.source.location);
        if (make(out, &own, spec, directory, ig_buf_view(&yaml), &err) != IG_OK)
            out->why = ig_arena_dup(by->arena, ig_str_view(err.message));
    }
    ig_buf_deinit(&yaml);
    ig_arena_deinit(&arena);
}
