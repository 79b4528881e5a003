/* SPDX-License-Identifier: Apache-2.0 */
/* Files beneath a directory descriptor; see the header. Thread-safe. */
#include "base/file.h"

#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum ig_code fail_errno(struct ig_err *err, const char *what, const char *name)
{
    int saved = errno;
    enum ig_code code = saved == ENOENT || saved == ENOTDIR ? IG_NOT_FOUND
                        : saved == EEXIST                   ? IG_EXISTS
                        : saved == EACCES || saved == EPERM || saved == EXDEV || saved == ELOOP
                            ? IG_DENIED
                            : IG_IO;
    return ig_fail(err, code, "%s '%s': %s", what, name, strerror(saved));
}

static int open_beneath(int dirfd, const char *name, int flags, mode_t mode)
{
    if (dirfd == IG_FILE_CWD) return openat(AT_FDCWD, name, flags | O_CLOEXEC, mode);
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd;
    do fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return fd;
}

static enum ig_code open_into(int *out, int dirfd, const char *name, int flags, struct ig_err *err)
{
    int fd = open_beneath(dirfd, name, flags, 0600);
    if (fd < 0) return fail_errno(err, "cannot open", name);
    *out = fd;
    return IG_OK;
}

enum ig_code ig_dir_open(int *out, int dirfd, const char *name, struct ig_err *err)
{
    return open_into(out, dirfd, name, O_RDONLY | O_DIRECTORY, err);
}

/* Makes one level; a directory that is there already is fine. */
static bool make_level(int dirfd, const char *name)
{
    char copy[4096];
    size_t length = strlen(name);
    if (length >= sizeof copy) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(copy, name, length + 1);
    char *slash = strrchr(copy, '/');
    int parent = dirfd == IG_FILE_CWD ? AT_FDCWD : dirfd;
    const char *last = copy;
    bool opened = false;
    if (slash && slash != copy) {
        *slash = '\0';
        last = slash + 1;
        parent = open_beneath(dirfd, copy, O_RDONLY | O_DIRECTORY, 0);
        if (parent < 0) return false;
        opened = true;
    }
    bool made = mkdirat(parent, last, 0700) == 0;
    int saved = errno;
    if (made) fsync(parent); /* only then: each costs milliseconds of every start */
    if (opened) close(parent);
    errno = saved;
    return made || errno == EEXIST;
}

enum ig_code ig_dir_make(int *out, int dirfd, const char *name, struct ig_err *err)
{
    char path[4096];
    size_t length = strlen(name);
    bool leaves = dirfd != IG_FILE_CWD && (name[0] == '/' || strstr(name, ".."));
    if (length == 0 || length >= sizeof path || leaves)
        return ig_fail(err, IG_INVALID, "cannot make directory '%s': bad name", name);
    for (size_t i = 1; i <= length; i++) {
        if (name[i] != '/' && name[i] != '\0') continue;
        if (name[i - 1] == '/') continue;
        memcpy(path, name, i);
        path[i] = '\0';
        if (strcmp(path, ".") == 0 || strcmp(path, "..") == 0) continue;
        if (!make_level(dirfd, path)) return fail_errno(err, "cannot make directory", path);
    }
    return ig_dir_open(out, dirfd, name, err);
}

enum ig_code ig_file_open_read(int *out, int dirfd, const char *name, struct ig_err *err)
{
    return open_into(out, dirfd, name, O_RDONLY | O_NOCTTY, err);
}

enum ig_code ig_file_open_append(int *out, int dirfd, const char *name, struct ig_err *err)
{
    return open_into(out, dirfd, name, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, err);
}

enum ig_code ig_file_size(uint64_t *out, int fd, struct ig_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return ig_fail(err, IG_IO, "cannot stat: %s", strerror(errno));
    *out = (uint64_t)info.st_size;
    return IG_OK;
}

enum ig_code ig_file_read(struct ig_buf *buf, int dirfd, const char *name, struct ig_err *err)
{
    int fd = -1;
    if (ig_file_open_read(&fd, dirfd, name, err) != IG_OK) return err->code;
    ig_buf_reset(buf);
    enum { STEP = 1 << 16 };
    struct stat info;
    size_t step = STEP;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        fail_errno(err, "cannot read", name);
        goto out;
    }
    if (S_ISREG(info.st_mode) && info.st_size > STEP && (uint64_t)info.st_size < buf->max_bytes)
        step = (size_t)info.st_size + 1;
    for (;;) {
        size_t room = buf->max_bytes - buf->len;
        if (room > step) room = step;
        if (room == 0) room = 1; /* one byte more than allowed tells "too large" from "just fits" */
        char probe;
        bool full = buf->len == buf->max_bytes;
        if (!full && !ig_buf_reserve(buf, room)) {
            ig_fail(err, IG_NO_MEMORY, "cannot read '%s': out of memory", name);
            break;
        }
        ssize_t got = read(fd, full ? &probe : buf->ptr + buf->len, full ? 1 : room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_errno(err, "cannot read", name);
        if (got > 0 && full)
            ig_fail(err, IG_TOO_LARGE, "'%s' is larger than %zu bytes", name, buf->max_bytes);
        if (got <= 0 || full) break;
        buf->len += (size_t)got;
        buf->ptr[buf->len] = '\0';
    }
out:
    close(fd);
    return err->code;
}

enum ig_code ig_file_write_all(int fd, const void *bytes, size_t size_bytes, struct ig_err *err)
{
    const char *at = bytes;
    while (size_bytes) {
        ssize_t wrote = write(fd, at, size_bytes);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return ig_fail(err, IG_IO, "cannot write: %s", strerror(errno));
        at += wrote;
        size_bytes -= (size_t)wrote;
    }
    return IG_OK;
}

void ig_file_sync(int fd)
{
    if (fsync(fd) == 0) return;
    fprintf(stderr, "ingot: fsync failed: %s; stopping, since unsynced data may be lost\n",
            strerror(errno));
    abort();
}

void ig_file_close(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Opens the directory that holds `name` and gives the last component, which the callers use without
 * resolving, so it must be a plain name. */
static enum ig_code open_parent(int *out, const char **last, int dirfd, const char *name,
                                struct ig_err *err)
{
    const char *slash = strrchr(name, '/');
    *last = slash ? slash + 1 : name;
    if (!**last || strcmp(*last, ".") == 0 || strcmp(*last, "..") == 0)
        return ig_fail(err, IG_INVALID, "'%s' does not end in a file's name", name);
    char parent[4096];
    size_t length = slash ? (size_t)(slash - name) : 0;
    if (length >= sizeof parent) return ig_fail(err, IG_INVALID, "name too long: '%.80s...'", name);
    memcpy(parent, name, length);
    parent[length] = '\0';
    if (!slash)
        memcpy(parent, ".", 2);
    else if (!length)
        memcpy(parent, "/", 2);
    return ig_dir_open(out, dirfd, parent, err);
}

enum ig_code ig_file_replace(int dirfd, const char *name, struct ig_str bytes, struct ig_err *err)
{
    int dir = -1, fd = -1;
    const char *last;
    if (open_parent(&dir, &last, dirfd, name, err) != IG_OK) return err->code;
    char id[IG_ID_SIZE], temporary[64];
    ig_id_new(id);
    snprintf(temporary, sizeof temporary, ".tmp-%s", id);
    fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail_errno(err, "cannot create beside", name);
        goto out;
    }
    if (ig_file_write_all(fd, bytes.ptr, bytes.len, err) != IG_OK) goto out;
    ig_file_sync(fd);
    if (renameat(dir, temporary, dir, last) != 0) {
        fail_errno(err, "cannot replace", name);
        goto out;
    }
    ig_file_sync(dir);
out:
    if (err->code != IG_OK && fd >= 0) unlinkat(dir, temporary, 0);
    ig_file_close(&fd);
    ig_file_close(&dir);
    return err->code;
}

enum ig_code ig_file_remove(int dirfd, const char *name, struct ig_err *err)
{
    int dir = -1;
    const char *last;
    if (open_parent(&dir, &last, dirfd, name, err) != IG_OK) return err->code;
    if (unlinkat(dir, last, 0) != 0 && errno != ENOENT) fail_errno(err, "cannot remove", name);
    ig_file_close(&dir);
    return err->code;
}

enum { TREE_DEPTH_MAX = 64 };

/* Empties an open directory, one level a stack entry; names are relative to each level's own
 * descriptor. */
static bool empty_tree(DIR *top)
{
    DIR *stack[TREE_DEPTH_MAX];
    char names[TREE_DEPTH_MAX][256];
    int depth = 0;
    stack[0] = top;
    while (depth >= 0) {
        struct dirent *entry = readdir(stack[depth]);
        if (!entry) {
            if (depth == 0) return true;
            closedir(stack[depth--]);
            if (unlinkat(dirfd(stack[depth]), names[depth], AT_REMOVEDIR) != 0) break;
            continue;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(stack[depth]), entry->d_name, 0) == 0) continue;
        if (errno != EISDIR || depth + 1 == TREE_DEPTH_MAX) break;
        int fd = openat(dirfd(stack[depth]), entry->d_name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *below = fd < 0 ? NULL : fdopendir(fd);
        if (!below) break;
        snprintf(names[depth], sizeof names[depth], "%s", entry->d_name);
        stack[++depth] = below;
    }
    int saved = errno;
    while (depth > 0) closedir(stack[depth--]);
    errno = saved;
    return false;
}

enum ig_code ig_dir_remove_tree(int dirfd, const char *name, struct ig_err *err)
{
    int parent = -1;
    const char *last;
    if (open_parent(&parent, &last, dirfd, name, err) != IG_OK) return err->code;
    int fd = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *top = fd < 0 ? NULL : fdopendir(fd);
    if (!top) {
        if (errno != ENOENT) fail_errno(err, "cannot open directory", name);
        goto out;
    }
    bool emptied = empty_tree(top);
    int saved = errno;
    closedir(top);
    errno = saved;
    if (!emptied || unlinkat(parent, last, AT_REMOVEDIR) != 0)
        fail_errno(err, "cannot remove directory", name);
out:
    ig_file_close(&parent);
    return err->code;
}
