/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_FILE_H
#define IG_BASE_FILE_H

/* Files beneath a directory descriptor. Names are resolved with openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_MAGICLINKS), so no name can leave the directory. Descriptors are close-on-exec. A
 * failed fsync is fatal to the process (see the design): it is never retried. Errors: NOT_FOUND,
 * EXISTS, DENIED, TOO_LARGE, IO; the message names the file. Thread-safe. */

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

enum {
    IG_FILE_CWD = -100
}; /* as dirfd: a path of the user's own choice, resolved as usual (AT_FDCWD) */

enum ig_code ig_dir_open(int *out, int dirfd, const char *name, struct ig_err *err);
/* Makes it (and its parents) when absent, mode 0700, then opens it. */
enum ig_code ig_dir_make(int *out, int dirfd, const char *name, struct ig_err *err);
enum ig_code ig_file_open_read(int *out, int dirfd, const char *name, struct ig_err *err);
enum ig_code ig_file_open_append(int *out, int dirfd, const char *name, struct ig_err *err);
enum ig_code ig_file_size(uint64_t *out, int fd, struct ig_err *err);
/* Whole file into buf (reset first); TOO_LARGE above buf->max_bytes. */
enum ig_code ig_file_read(struct ig_buf *buf, int dirfd, const char *name, struct ig_err *err);
enum ig_code ig_file_write_all(int fd, const void *bytes, size_t size_bytes, struct ig_err *err);
/* Atomic and durable: temporary file in the same directory, write, fsync, rename, fsync directory.
 */
enum ig_code ig_file_replace(int dirfd, const char *name, struct ig_str bytes, struct ig_err *err);
void ig_file_sync(int fd);   /* fsync; aborts the process on failure */
void ig_file_close(int *fd); /* closes unless -1, then sets -1 */
enum ig_code ig_file_remove(int dirfd, const char *name,
                            struct ig_err *err); /* absent is no error */
/* Removes a directory and all beneath it, without following links. Absent is no error. */
enum ig_code ig_dir_remove_tree(int dirfd, const char *name, struct ig_err *err);

#endif
