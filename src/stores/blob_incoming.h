/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_BLOB_INCOMING_H
#define IG_STORES_BLOB_INCOMING_H

/* Files of uploads in progress, in blobs/incoming under ids of ours. Thread rule: a file belongs to
 * one thread. */

#include "base/err.h"
#include "base/random.h"

struct ig_blob_incoming {
    int dir; /* blobs/incoming, borrowed */
    int fd;
    char name[IG_ID_SIZE];
};

/* Makes the folder in `root` and removes what a kill left there. */
enum ig_code ig_blob_incoming_open(int *dir, int root, struct ig_err *err);
/* A new file, open for reading and writing, read-only for everyone else. */
enum ig_code ig_blob_incoming_begin(struct ig_blob_incoming *out, int dir, struct ig_err *err);
void ig_blob_incoming_end(struct ig_blob_incoming *incoming); /* closes and removes it */

#endif
