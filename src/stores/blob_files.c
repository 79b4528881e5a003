/* SPDX-License-Identifier: Apache-2.0 */
/* The blob driver on files:
 *
 *   blobs/ab/ab12...   objects, read-only, in folders by their first two digits
 *   blobs/incoming/ID  uploads in progress; what a kill left there is removed at open
 *
 * 1. An object appears by link(2) of a complete, synced file, and its folder is synced before the
 *    commit returns: a name that exists has all its bytes.
 * 2. Folders are made (and their parent synced) before the link.
 * 3. Names are 64 hex digits or ids of ours; no client word reaches a path.
 *
 * Thread rule: thread-safe; an upload belongs to one thread. */
#include "base/file.h"
#include "base/mem.h"
#include "stores/blob_incoming.h"
#include "stores/blob_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct files {
    int root;
    int incoming;
};

struct upload {
    struct files *files;
    struct ig_blob_incoming incoming;
};

enum { OBJECT_NAME_SIZE = 3 + 64 + 1 };

static void object_name(char name[OBJECT_NAME_SIZE], const char *digest)
{
    snprintf(name, OBJECT_NAME_SIZE, "%.2s/%.64s", digest, digest);
}

static void files_close(void *store)
{
    struct files *files = store;
    ig_file_close(&files->incoming);
    ig_file_close(&files->root);
    ig_free(files);
}

static enum ig_code files_open(void **out, const struct ig_blob_options *options, int dirfd,
                               bool reads, struct ig_err *err)
{
    (void)options;
    struct files *files = ig_zalloc(sizeof *files);
    if (!files) return ig_fail(err, IG_NO_MEMORY, "blob store");
    files->root = files->incoming = -1;
    enum ig_code code = ig_dir_make(&files->root, dirfd, "blobs", err);
    if (code == IG_OK && !reads) code = ig_blob_incoming_open(&files->incoming, files->root, err);
    if (code != IG_OK) {
        files_close(files);
        return code;
    }
    *out = files;
    return IG_OK;
}

static enum ig_code files_begin(void **out, void *store, struct ig_err *err)
{
    struct upload *upload = ig_zalloc(sizeof *upload);
    if (!upload) return ig_fail(err, IG_NO_MEMORY, "blob upload");
    upload->files = store;
    if (ig_blob_incoming_begin(&upload->incoming, upload->files->incoming, err) != IG_OK) {
        ig_free(upload);
        return err->code;
    }
    *out = upload;
    return IG_OK;
}

static enum ig_code files_append(void *upload, const void *bytes, size_t size_bytes,
                                 struct ig_err *err)
{
    return ig_file_write_all(((struct upload *)upload)->incoming.fd, bytes, size_bytes, err);
}

static void files_abort(void *context)
{
    struct upload *upload = context;
    ig_blob_incoming_end(&upload->incoming);
    ig_free(upload);
}

/* The object's folder, synced into its parent when it is new. */
static enum ig_code open_folder(int *out, struct files *files, const char *digest,
                                struct ig_err *err)
{
    char name[3] = {digest[0], digest[1], 0};
    if (mkdirat(files->root, name, 0700) == 0)
        ig_file_sync(files->root);
    else if (errno != EEXIST)
        return ig_fail(err, IG_IO, "blobs/%s: %s", name, strerror(errno));
    return ig_dir_open(out, files->root, name, err);
}

static enum ig_code files_commit(void *context, const char *digest, struct ig_err *err)
{
    struct upload *upload = context;
    int folder = -1;
    enum ig_code code = open_folder(&folder, upload->files, digest, err);
    if (code != IG_OK) goto out;
    ig_file_sync(upload->incoming.fd);
    if (linkat(upload->incoming.dir, upload->incoming.name, folder, digest, 0) != 0 &&
        errno != EEXIST) {
        code = ig_fail(err, IG_IO, "blob %s: %s", digest, strerror(errno));
        goto out;
    }
    ig_file_sync(folder); /* also when it was there: its maker may not have come so far */
out:
    ig_file_close(&folder);
    files_abort(upload);
    return code;
}

static enum ig_code files_get(int *fd, void *store, const char *digest, struct ig_err *err)
{
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    return ig_file_open_read(fd, ((struct files *)store)->root, name, err);
}

static enum ig_code files_remove(void *store, const char *digest, struct ig_err *err)
{
    char name[OBJECT_NAME_SIZE];
    struct ig_err local = IG_ERR_INIT;
    object_name(name, digest);
    enum ig_code code = ig_file_remove(((struct files *)store)->root, name, &local);
    if (code == IG_OK || code == IG_NOT_FOUND) return IG_OK; /* the folder may be absent, too */
    return ig_fail(err, code, "%s", local.message);
}

static bool is_object(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static bool each_in_folder(struct files *files, const char *folder,
                           bool (*each)(void *context, const char *digest), void *context)
{
    bool more = true;
    int fd = openat(files->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return true;
    }
    for (struct dirent *entry; more && (entry = readdir(dir));) {
        if (is_object(entry->d_name)) more = each(context, entry->d_name);
    }
    closedir(dir);
    return more;
}

static enum ig_code files_each(void *store, bool (*each)(void *context, const char *digest),
                               void *context, struct ig_err *err)
{
    struct files *files = store;
    bool more = true;
    (void)err;
    for (unsigned i = 0; i < 256 && more; i++) {
        char folder[12];
        snprintf(folder, sizeof folder, "%02x", i);
        more = each_in_folder(files, folder, each, context);
    }
    return IG_OK;
}

const struct ig_blob_driver ig_blob_files = {
    .name = "files",
    .open = files_open,
    .close = files_close,
    .begin = files_begin,
    .append = files_append,
    .commit = files_commit,
    .abort = files_abort,
    .get = files_get,
    .remove = files_remove,
    .each = files_each,
};
