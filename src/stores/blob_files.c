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
 * 4. An object's modification time is when it was last committed or kept. `lock` is held where it
 *    is set and where an object goes because of it.
 *
 * Thread rule: thread-safe; an upload belongs to one thread. */
#include "base/file.h"
#include "base/mem.h"
#include "stores/blob_incoming.h"
#include "stores/blob_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct files {
    int root;
    int incoming;
    pthread_mutex_t lock;
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
    pthread_mutex_destroy(&files->lock);
    ig_free(files);
}

static enum ig_code files_open(void **out, const struct ig_blob_options *options, int dirfd,
                               bool reads, struct ig_err *err)
{
    (void)options;
    struct files *files = ig_zalloc(sizeof *files);
    if (!files) return ig_fail(err, IG_NO_MEMORY, "blob store");
    files->root = files->incoming = -1;
    pthread_mutex_init(&files->lock, NULL);
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

/* Gives the file its name; one that has it is as good, and as young from now on. */
static enum ig_code give_name(const struct upload *upload, int folder, const char *digest,
                              struct ig_err *err)
{
    const struct ig_blob_incoming *incoming = &upload->incoming;
    pthread_mutex_lock(&upload->files->lock);
    bool named = futimens(incoming->fd, NULL) == 0;
    if (named && linkat(incoming->dir, incoming->name, folder, digest, 0) != 0)
        named = errno == EEXIST && utimensat(folder, digest, NULL, AT_SYMLINK_NOFOLLOW) == 0;
    if (!named) ig_fail(err, IG_IO, "blob %s: %s", digest, strerror(errno));
    pthread_mutex_unlock(&upload->files->lock);
    return err->code;
}

static enum ig_code files_commit(void *context, const char *digest, struct ig_err *err)
{
    struct upload *upload = context;
    int folder = -1;
    enum ig_code code = open_folder(&folder, upload->files, digest, err);
    if (code != IG_OK) goto out;
    ig_file_sync(upload->incoming.fd);
    code = give_name(upload, folder, digest, err);
    if (code != IG_OK) goto out;
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

static int64_t changed_ms(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000;
}

static enum ig_code files_keep(void *store, const char *digest, struct ig_err *err)
{
    struct files *files = store;
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    pthread_mutex_lock(&files->lock);
    if (utimensat(files->root, name, NULL, AT_SYMLINK_NOFOLLOW) != 0)
        ig_fail(err, errno == ENOENT ? IG_NOT_FOUND : IG_IO, "%s", strerror(errno));
    pthread_mutex_unlock(&files->lock);
    return err->code;
}

static enum ig_code files_collect(bool *removed, void *store, const char *digest, int64_t before_ms,
                                  struct ig_err *err)
{
    struct files *files = store;
    struct stat info;
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    pthread_mutex_lock(&files->lock);
    *removed = fstatat(files->root, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
               changed_ms(&info) < before_ms;
    if (*removed && unlinkat(files->root, name, 0) != 0) {
        *removed = false;
        if (errno != ENOENT) ig_fail(err, IG_IO, "blob %s: %s", digest, strerror(errno));
    }
    pthread_mutex_unlock(&files->lock);
    return err->code;
}

static bool each_in_folder(struct files *files, const char *folder, ig_blob_visit *each,
                           void *context)
{
    struct stat info;
    bool more = true;
    int fd = openat(files->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return true;
    }
    for (struct dirent *entry; more && (entry = readdir(dir));) {
        if (is_object(entry->d_name) &&
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
            more = each(context, entry->d_name, changed_ms(&info));
    }
    closedir(dir);
    return more;
}

static enum ig_code files_each(void *store, const char *start, ig_blob_visit *each, void *context,
                               struct ig_err *err)
{
    struct files *files = store;
    bool more = true;
    (void)err;
    for (unsigned i = 0; i < 256 && more; i++) {
        char folder[12];
        snprintf(folder, sizeof folder, "%02x", i);
        if (strncmp(folder, start, strlen(start)) != 0) continue;
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
    .keep = files_keep,
    .collect = files_collect,
};
