/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_REGIONS_H
#define IG_SERVICES_DEPLOY_REGIONS_H

/* Regions of POSIX shared memory that clients on this machine registered, to pass tensors without
 * sending them. A region belongs to the principal who registered it: nobody else sees or names it.
 *
 * Nothing is mapped: bytes are copied by pread and pwrite on the descriptor, so that an object that
 * shrinks meanwhile is an error and no SIGBUS, and what was read cannot change any more. A name
 * leads to nothing but a regular object of /dev/shm that is this process' user's own.
 *
 * Thread-safe; waits at most for another's few microseconds. Objects in memory do not make a copy
 * wait for a disk: small ones are for an event loop, too. */

#include "base/arena.h"
#include "base/err.h"

enum {
    IG_REGIONS_MAX = 256, /* over all principals: each holds a descriptor */
    IG_REGION_NAME_MAX = 128,
    IG_REGION_KEY_MAX = 250,
    IG_REGION_BYTES_MAX = 1 << 30,
};

struct ig_regions;

struct ig_region {
    struct ig_str name; /* that requests call it by */
    struct ig_str key;  /* of shm_open: "/name", or without the slash */
    uint64_t offset, size_bytes;
};
/* Bytes of a region. */
struct ig_region_part {
    struct ig_str region;
    uint64_t offset, size_bytes;
};

enum ig_code ig_regions_new(struct ig_regions **out, struct ig_err *err);
void ig_regions_free(struct ig_regions *regions); /* NULL is allowed */
/* `owner`: the principal's id, here and below. EXISTS when the name is taken; INVALID, DENIED or
 * NOT_FOUND for a key that is none, not ours, not there; INVALID for bytes that the object has
 * not. */
enum ig_code ig_regions_add(struct ig_regions *regions, struct ig_str owner,
                            const struct ig_region *region, struct ig_err *err);
/* An empty name removes all of the owner's; one that is not there is no error. Copies that are
 * under way go on, and let the object go when they end. */
void ig_regions_remove(struct ig_regions *regions, struct ig_str owner, struct ig_str name);
/* Of the owner, in no order; NOT_FOUND when a name is given and not there. All in the arena. */
struct ig_regions_list {
    struct ig_region *items;
    size_t count;
};
enum ig_code ig_regions_list(struct ig_regions_list *out, struct ig_regions *regions,
                             struct ig_str owner, struct ig_str name, struct ig_arena *arena,
                             struct ig_err *err);

/* NOT_FOUND, or INVALID when the region, or by now the object, does not have those bytes. */
enum ig_code ig_regions_read(void *out, struct ig_regions *regions, struct ig_str owner,
                             const struct ig_region_part *part, struct ig_err *err);
enum ig_code ig_regions_write(struct ig_regions *regions, struct ig_str owner,
                              const struct ig_region_part *part, const void *bytes,
                              struct ig_err *err);

#endif
