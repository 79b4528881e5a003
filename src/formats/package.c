/* SPDX-License-Identifier: Apache-2.0 */
/* Model packages: open one from a directory, a zip or a bare model file, prove it by its golden
 * rows, and write one. docs/package.md describes the files. A package owns everything it holds; it
 * is immutable once open. */
#include "formats/package.h"

#include "base/file.h"
#include "base/mem.h"
#include "formats/package_priv.h"
#include "model/foreign.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t file_max_default = (uint64_t)2 << 30;
static const char manifest_name[] = "ingot.yaml";
static const char golden_name[] = "golden.csv";

struct opening {
    struct ig_package *package;
    struct ig_package_limits limits;
    struct ig_err *err;
};

static struct opening opening_of(const struct ig_package_limits *limits, struct ig_err *err)
{
    struct opening opening = {.err = err};
    if (limits) opening.limits = *limits;
    if (opening.limits.file_max_bytes == 0) opening.limits.file_max_bytes = file_max_default;
    return opening;
}

/* `bytes_count` measures what the package's texts may take. */
static bool create(struct opening *opening, size_t bytes_count)
{
    struct ig_package *package = ig_zalloc(sizeof *package);
    if (!package) {
        ig_fail(opening->err, IG_NO_MEMORY, "package: out of memory");
        return false;
    }
    ig_arena_init(&package->arena, 16 * 1024, ((size_t)1 << 26) + bytes_count * 32);
    package->metadata_json = IG_STR("{}");
    opening->package = package;
    return true;
}

static void tell_runtime(struct ig_package *package)
{
    const struct ig_foreign *foreign = package->model->foreign;
    if (!foreign) return;
    package->runtime = foreign->runtime;
    package->runtime_version = foreign->version;
    package->runtime_reason = foreign->reason;
}

/* What the manifest says of the model, or nothing. */
struct model_part {
    struct ig_str format;
    struct ig_str encoder_json;
};

static bool load_model(struct opening *opening, struct ig_str bytes, struct model_part part)
{
    struct ig_package *package = opening->package;
    struct ig_str format = part.format;
    if (ig_format_load(&package->model, bytes, &package->format, opening->err) != IG_OK)
        return false;
    if (format.len && !ig_str_is(format, package->format->name)) {
        ig_fail(opening->err, IG_INVALID, "format: '%.*s' in the manifest, but the model is %s",
                (int)(format.len < 80 ? format.len : 80), format.ptr, package->format->name);
        return false;
    }
    ig_sha256_hex(bytes.ptr, bytes.len, package->model_digest);
    package->model_bytes = bytes.len;
    if (pkg_schema_lend_words(package->model, &package->schema, opening->err) != IG_OK)
        return false;
    if (part.encoder_json.len &&
        pkg_encoder_attach(package->model, &package->schema, part.encoder_json, &package->arena,
                           opening->err) != IG_OK)
        return false;
    tell_runtime(package);
    return ig_engine_new(&package->engine, package->model, opening->err) == IG_OK;
}

static void measure(struct ig_package *package)
{
    package->memory_bytes = sizeof *package + package->arena.held_bytes + sizeof *package->model +
                            package->model->arena.held_bytes +
                            ig_engine_memory_bytes(package->engine);
    for (uint32_t i = 0; i < package->schema.features_count; i++)
        package->memory_bytes += package->schema.features[i].code_by_category.cap * 48;
}

static bool open_bare(struct opening *opening, struct ig_str bytes)
{
    struct ig_package *package = opening->package;
    return load_model(opening, bytes, (struct model_part){0}) &&
           pkg_schema_from_model(&package->schema, package->model, &package->arena, opening->err) ==
               IG_OK &&
           ig_schema_index(&package->schema, opening->err) == IG_OK;
}

/* Reads a file of the package into buf; with `optional` an absent one leaves it empty. */
static bool read_part(struct opening *opening, const struct pkg_files *files, struct ig_buf *buf,
                      const char *name, bool optional)
{
    struct ig_err own = IG_ERR_INIT;
    if (pkg_files_read(files, buf, name, &own) == IG_OK) return true;
    if (optional && own.code == IG_NOT_FOUND) {
        ig_buf_reset(buf);
        return true;
    }
    *opening->err = own;
    return false;
}

static bool check_golden(struct opening *opening, const struct pkg_files *files, double tolerance)
{
    struct ig_buf csv;
    if (opening->limits.skip_golden) return true;
    ig_buf_init(&csv, PKG_GOLDEN_MAX_BYTES);
    bool good = read_part(opening, files, &csv, golden_name, true);
    if (good && csv.len > 0)
        good =
            pkg_golden_check(opening->package, ig_buf_view(&csv), tolerance, opening->err) == IG_OK;
    ig_buf_deinit(&csv);
    return good;
}

/* The model's bytes may go once the model stands. */
static bool load_part(struct opening *opening, const struct pkg_files *files, const char *name,
                      struct model_part part)
{
    struct ig_buf bytes;
    ig_buf_init(&bytes, (size_t)opening->limits.file_max_bytes);
    bool good = read_part(opening, files, &bytes, name, false);
    if (good) {
        good = load_model(opening, ig_buf_view(&bytes), part);
        if (!good) ig_err_prefix(opening->err, "%s", name);
    }
    ig_buf_deinit(&bytes);
    return good;
}

static void copy_name(char to[256], struct ig_str name)
{
    memcpy(to, name.ptr, name.len);
    to[name.len] = '\0';
}

static bool load_parts(struct opening *opening, const struct pkg_files *files,
                       const struct pkg_manifest *manifest)
{
    struct model_part part = {.format = manifest->format};
    struct ig_buf encoder;
    char name[256];
    ig_buf_init(&encoder, PKG_ENCODER_MAX_BYTES);
    bool good = true;
    if (manifest->encoder_file.len) {
        copy_name(name, manifest->encoder_file);
        good = read_part(opening, files, &encoder, name, false);
        part.encoder_json = ig_buf_view(&encoder);
        if (good && !encoder.len) {
            ig_fail(opening->err, IG_INVALID, "%s is empty", name);
            good = false;
        }
    }
    copy_name(name, manifest->model_file);
    good = good && load_part(opening, files, name, part);
    ig_buf_deinit(&encoder);
    return good;
}

static bool open_manifest(struct opening *opening, const struct pkg_files *files,
                          struct ig_str yaml)
{
    struct ig_package *package = opening->package;
    struct pkg_manifest manifest;
    if (pkg_manifest_read(&manifest, package, yaml, opening->err) != IG_OK ||
        ig_schema_index(&package->schema, opening->err) != IG_OK) {
        ig_err_prefix(opening->err, "%s", manifest_name);
        return false;
    }
    if (!load_parts(opening, files, &manifest)) return false;
    if (pkg_schema_check(&package->schema, package->model, &package->arena, opening->err) !=
        IG_OK) {
        ig_err_prefix(opening->err, "%s", manifest_name);
        return false;
    }
    return check_golden(opening, files, manifest.golden_tolerance);
}

/* A folder or zip without a manifest: the first model file under a usual name. */
static bool open_without_manifest(struct opening *opening, const struct pkg_files *files)
{
    struct ig_buf bytes;
    bool good = false;
    ig_buf_init(&bytes, (size_t)opening->limits.file_max_bytes);
    for (size_t i = 0; i < ig_formats_count() && bytes.len == 0; i++)
        if (!read_part(opening, files, &bytes, ig_format_at(i)->file_name, true)) goto out;
    if (bytes.len == 0)
        ig_fail(opening->err, IG_NOT_FOUND, "neither %s nor a model file is in the package",
                manifest_name);
    else
        good = open_bare(opening, ig_buf_view(&bytes));
out:
    ig_buf_deinit(&bytes);
    return good;
}

static bool open_files(struct opening *opening, const struct pkg_files *files)
{
    struct ig_buf yaml;
    ig_buf_init(&yaml, PKG_MANIFEST_MAX_BYTES);
    bool good = read_part(opening, files, &yaml, manifest_name, true) && create(opening, yaml.len);
    if (good)
        good = yaml.len > 0 ? open_manifest(opening, files, ig_buf_view(&yaml))
                            : open_without_manifest(opening, files);
    ig_buf_deinit(&yaml);
    return good;
}

static enum ig_code finish(struct ig_package **out, struct opening *opening, bool good)
{
    if (good) {
        measure(opening->package);
        *out = opening->package;
        return IG_OK;
    }
    ig_package_free(opening->package);
    return opening->err->code;
}

static bool is_zip(struct ig_str bytes)
{
    return ig_str_starts(bytes, IG_STR("PK\003\004")) || ig_str_starts(bytes, IG_STR("PK\005\006"));
}

enum ig_code ig_package_open_bytes(struct ig_package **out, struct ig_str bytes,
                                   const struct ig_package_limits *limits, struct ig_err *err)
{
    struct opening opening = opening_of(limits, err);
    struct pkg_files files = {.dirfd = -1};
    bool good = false;
    if (bytes.len > opening.limits.file_max_bytes) {
        ig_fail(err, IG_TOO_LARGE, "package: %zu bytes, at most %llu", bytes.len,
                (unsigned long long)opening.limits.file_max_bytes);
    } else if (!is_zip(bytes)) {
        good = create(&opening, bytes.len) && open_bare(&opening, bytes);
    } else if (pkg_files_open_zip(&files, bytes, err) == IG_OK) {
        good = open_files(&opening, &files);
        pkg_files_close(&files);
    }
    return finish(out, &opening, good);
}

enum ig_code ig_package_open(struct ig_package **out, int dirfd, const char *path,
                             const struct ig_package_limits *limits, struct ig_err *err)
{
    struct opening opening = opening_of(limits, err);
    struct pkg_files files = {.dirfd = -1};
    struct ig_err not_folder = IG_ERR_INIT;
    if (ig_dir_open(&files.dirfd, dirfd, path, &not_folder) == IG_OK) {
        bool good = open_files(&opening, &files);
        pkg_files_close(&files);
        return finish(out, &opening, good);
    }
    struct ig_buf bytes;
    ig_buf_init(&bytes, (size_t)opening.limits.file_max_bytes);
    enum ig_code code = ig_file_read(&bytes, dirfd, path, err);
    if (code == IG_OK) code = ig_package_open_bytes(out, ig_buf_view(&bytes), limits, err);
    ig_buf_deinit(&bytes);
    return code;
}

void ig_package_free(struct ig_package *package)
{
    if (!package) return;
    ig_engine_free(package->engine);
    ig_model_free(package->model);
    ig_schema_deinit(&package->schema);
    ig_arena_deinit(&package->arena);
    ig_free(package);
}

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct pkg_entry *)left)->name, ((const struct pkg_entry *)right)->name);
}

static enum ig_code write_parts(struct ig_buf *zip, const struct ig_package_spec *spec,
                                const struct ig_format *format, const struct ig_engine *engine,
                                struct ig_err *err)
{
    struct ig_buf yaml;
    struct ig_buf csv;
    ig_buf_init(&yaml, PKG_MANIFEST_MAX_BYTES);
    ig_buf_init(&csv, PKG_GOLDEN_MAX_BYTES);
    if (pkg_manifest_write(&yaml, spec, format, err) != IG_OK) goto out;
    if (spec->golden_count > 0 && pkg_golden_write(&csv, spec, engine, err) != IG_OK) goto out;
    struct pkg_entry entries[4] = {{manifest_name, ig_buf_view(&yaml)},
                                   {format->file_name, spec->model_bytes}};
    size_t count = 2;
    if (spec->encoder_json.len)
        entries[count++] = (struct pkg_entry){PKG_ENCODER_NAME, spec->encoder_json};
    if (spec->golden_count > 0)
        entries[count++] = (struct pkg_entry){golden_name, ig_buf_view(&csv)};
    qsort(entries, count, sizeof *entries, compare_entries);
    pkg_zip_write(zip, entries, count, err);
out:
    ig_buf_deinit(&yaml);
    ig_buf_deinit(&csv);
    return err->code;
}

static bool prepare_model(struct ig_model *model, const struct ig_package_spec *spec,
                          struct ig_arena *arena, struct ig_err *err)
{
    if (spec->encoder_json.len &&
        pkg_encoder_attach(model, spec->schema, spec->encoder_json, arena, err) != IG_OK)
        return false;
    if (spec->schema->features_count == model->features_count)
        return pkg_schema_lend_words(model, spec->schema, err) == IG_OK;
    ig_fail(err, IG_INVALID, "features: %u in the schema, %u in the model",
            spec->schema->features_count, model->features_count);
    return false;
}

enum ig_code ig_package_write(struct ig_buf *zip, const struct ig_package_spec *spec,
                              struct ig_err *err)
{
    const struct ig_format *format = NULL;
    struct ig_arena arena;
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    struct ig_package *proof = NULL;
    ig_arena_init(&arena, 16 * 1024, ((size_t)1 << 26) + spec->encoder_json.len * 4);
    if (ig_format_load(&model, spec->model_bytes, &format, err) != IG_OK ||
        !prepare_model(model, spec, &arena, err) || ig_engine_new(&engine, model, err) != IG_OK)
        goto out;
    if (write_parts(zip, spec, format, engine, err) != IG_OK) goto out;
    if (ig_package_open_bytes(&proof, ig_buf_view(zip), NULL, err) != IG_OK)
        ig_err_prefix(err, "the package that was written does not open");
out:
    ig_package_free(proof);
    ig_engine_free(engine);
    ig_model_free(model);
    ig_arena_deinit(&arena);
    return err->code;
}
