/* SPDX-License-Identifier: Apache-2.0 */
/* Files of uploads in progress. Thread rule: a file belongs to one thread. */
#include "stores/blob_incoming.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum ig_code sweep(int incoming, struct ig_err *err)
{
    int fd = dup(incoming);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return ig_fail(err, IG_IO, "blobs/incoming: %s", strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') unlinkat(incoming, entry->d_name, 0);
    }
    closedir(dir);
    return IG_OK;
}

enum ig_code ig_blob_incoming_open(int *dir, int root, struct ig_err *err)
{
    if (ig_dir_make(dir, root, "incoming", err) != IG_OK) return err->code;
    return sweep(*dir, err);
}

enum ig_code ig_blob_incoming_begin(struct ig_blob_incoming *out, int dir, struct ig_err *err)
{
    out->dir = dir;
    ig_id_new(out->name);
    out->fd = openat(dir, out->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (out->fd >= 0) return IG_OK;
    return ig_fail(err, IG_IO, "blobs/incoming: %s", strerror(errno));
}

void ig_blob_incoming_end(struct ig_blob_incoming *incoming)
{
    ig_file_close(&incoming->fd);
    unlinkat(incoming->dir, incoming->name, 0);
}
