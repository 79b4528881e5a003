/* SPDX-License-Identifier: Apache-2.0 */
/* A package's files: beneath a directory descriptor, or entries of a zip in memory (libzip).
 * Nothing is ever unpacked to disk, so an entry's name cannot lead anywhere.
 *
 * A zip entry is read to its claimed size at most, in steps, so that memory follows the bytes that
 * are really there; a claim that deflate cannot reach (about 1032 to 1) is refused at once. */
#include "base/file.h"
#include "formats/package_priv.h"

#include <string.h>
#include <zip.h>

enum { STEP_BYTES = 64 * 1024, RATIO_MAX = 1040 };

enum ig_code pkg_files_open_zip(struct pkg_files *files, struct ig_str bytes, struct ig_err *err)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.ptr, bytes.len, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip) {
        ig_fail(err, IG_PARSE, "zip: %s", zip_error_strerror(&error));
        zip_source_free(source);
    }
    zip_error_fini(&error);
    *files = (struct pkg_files){.dirfd = -1, .zip = zip};
    return zip ? IG_OK : err->code;
}

void pkg_files_close(struct pkg_files *files)
{
    if (files->zip) zip_discard(files->zip);
    ig_file_close(&files->dirfd);
    files->zip = NULL;
}

static enum ig_code check_claim(const zip_stat_t *info, const struct ig_buf *buf,
                                struct ig_err *err)
{
    const uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_ENCRYPTION_METHOD;
    if ((info->valid & needed) != needed)
        return ig_fail(err, IG_PARSE, "%s: the zip does not tell its size", info->name);
    if (info->encryption_method != ZIP_EM_NONE)
        return ig_fail(err, IG_UNSUPPORTED, "%s: encrypted zip entries are not read", info->name);
    if (info->size > buf->max_bytes)
        return ig_fail(err, IG_TOO_LARGE, "%s: %llu bytes unpacked, at most %zu", info->name,
                       (unsigned long long)info->size, buf->max_bytes);
    if (info->size / RATIO_MAX > info->comp_size)
        return ig_fail(err, IG_CORRUPT,
                       "%s: claims %llu bytes from %llu packed ones, a ratio of %llu", info->name,
                       (unsigned long long)info->size, (unsigned long long)info->comp_size,
                       (unsigned long long)(info->size / (info->comp_size + 1)));
    return IG_OK;
}

static enum ig_code read_entry(zip_file_t *file, const zip_stat_t *info, struct ig_buf *buf,
                               struct ig_err *err)
{
    char step[STEP_BYTES];
    for (;;) {
        zip_int64_t got = zip_fread(file, step, sizeof step);
        if (got < 0)
            return ig_fail(err, IG_CORRUPT, "%s: %s", info->name,
                           zip_error_strerror(zip_file_get_error(file)));
        if (got == 0) break;
        if ((uint64_t)got > info->size - buf->len)
            return ig_fail(err, IG_CORRUPT, "%s: more than the %llu bytes it claims", info->name,
                           (unsigned long long)info->size);
        ig_buf_add(buf, step, (size_t)got);
        if (buf->overflowed) return ig_fail(err, IG_NO_MEMORY, "%s: out of memory", info->name);
    }
    if (buf->len != info->size)
        return ig_fail(err, IG_CORRUPT, "%s: %zu bytes of %llu", info->name, buf->len,
                       (unsigned long long)info->size);
    return IG_OK;
}

static enum ig_code read_zip(zip_t *zip, struct ig_buf *buf, const char *name, struct ig_err *err)
{
    zip_stat_t info;
    zip_stat_init(&info);
    zip_int64_t index = zip_name_locate(zip, name, 0);
    if (index < 0 || zip_stat_index(zip, (zip_uint64_t)index, 0, &info) != 0)
        return ig_fail(err, IG_NOT_FOUND, "%s: not in the zip", name);
    if (check_claim(&info, buf, err) != IG_OK) return err->code;
    zip_file_t *file = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (!file)
        return ig_fail(err, IG_CORRUPT, "%s: %s", name, zip_error_strerror(zip_get_error(zip)));
    enum ig_code code = read_entry(file, &info, buf, err);
    zip_fclose(file);
    return code;
}

enum ig_code pkg_files_read(const struct pkg_files *files, struct ig_buf *buf, const char *name,
                            struct ig_err *err)
{
    ig_buf_reset(buf);
    return files->zip ? read_zip(files->zip, buf, name, err)
                      : ig_file_read(buf, files->dirfd, name, err);
}

static enum ig_code add_entry(zip_t *zip, const struct pkg_entry *entry, struct ig_err *err)
{
    static const char nothing[1];
    const void *bytes = entry->bytes.len ? entry->bytes.ptr : nothing;
    zip_source_t *source = zip_source_buffer(zip, bytes, entry->bytes.len, 0);
    zip_int64_t index = source ? zip_file_add(zip, entry->name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) zip_source_free(source);
    /* 1980-01-01 00:00, the format's origin, whatever the time zone. */
    if (index < 0 || zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0) != 0 ||
        zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 6) != 0)
        return ig_fail(err, IG_NO_MEMORY, "%s: %s", entry->name,
                       zip_error_strerror(zip_get_error(zip)));
    return IG_OK;
}

/* What libzip wrote into its memory source. */
static enum ig_code take_source(struct ig_buf *out, zip_source_t *source, struct ig_err *err)
{
    char step[STEP_BYTES];
    zip_int64_t got = -1;
    ig_buf_reset(out);
    if (zip_source_open(source) == 0) {
        while ((got = zip_source_read(source, step, sizeof step)) > 0)
            ig_buf_add(out, step, (size_t)got);
        zip_source_close(source);
    }
    if (got < 0) return ig_fail(err, IG_INTERNAL, "zip: the archive cannot be read back");
    if (out->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "zip: more than %zu bytes", out->max_bytes);
    return IG_OK;
}

static enum ig_code fill_zip(zip_t *zip, const struct pkg_entry *entries, size_t count,
                             struct ig_err *err)
{
    for (size_t i = 0; i < count; i++)
        if (add_entry(zip, &entries[i], err) != IG_OK) return err->code;
    if (zip_close(zip) == 0) return IG_OK;
    return ig_fail(err, IG_INTERNAL, "zip: %s", zip_error_strerror(zip_get_error(zip)));
}

enum ig_code pkg_zip_write(struct ig_buf *zip, const struct pkg_entry *entries, size_t count,
                           struct ig_err *err)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_t *archive = source ? zip_open_from_source(source, ZIP_TRUNCATE, &error) : NULL;
    if (!archive) {
        ig_fail(err, IG_NO_MEMORY, "zip: %s", zip_error_strerror(&error));
        zip_source_free(source);
        zip_error_fini(&error);
        return err->code;
    }
    zip_error_fini(&error);
    zip_source_keep(source);
    if (fill_zip(archive, entries, count, err) != IG_OK)
        zip_discard(archive);
    else
        take_source(zip, source, err);
    zip_source_free(source);
    return err->code;
}
