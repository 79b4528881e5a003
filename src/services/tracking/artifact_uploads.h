/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_ARTIFACT_UPLOADS_H
#define IG_SERVICES_TRACKING_ARTIFACT_UPLOADS_H

/* Artifacts that come in parts, in any order and side by side. A part is an object of the blob
 * store; whoever ends an upload puts the parts together (api), so a crash leaves an upload that can
 * be ended still. Uploads that nobody ends, and objects of parts, go by garbage collection.
 * Thread-safe; worker threads only. */

#include "services/tracking/artifacts.h"

enum {
    IG_UPLOAD_ID_SIZE = 33, /* 32 hex digits, unguessable */
    IG_UPLOAD_PARTS_MAX = 10000,
    IG_UPLOADS_MAX = 10000, /* under way: EXHAUSTED beyond */
};

/* One that is under way. */
struct ig_upload {
    struct ig_str id, path;
};

/* The path as in ig_artifacts_put; INVALID unless 1 to PARTS_MAX parts are to come. */
enum ig_code ig_upload_create(char id[IG_UPLOAD_ID_SIZE], struct ig_db *db, struct ig_str path,
                              int64_t parts, struct ig_err *err);
/* Before its bytes are read: NOT_FOUND (the upload), INVALID (no such part). */
enum ig_code ig_upload_expects(struct ig_db *db, struct ig_str id, int64_t part,
                               struct ig_err *err);
/* Takes the part; one that came before under its number is replaced. The object must be in the blob
 * store by now. */
enum ig_code ig_upload_put(struct ig_db *db, struct ig_str id, int64_t part,
                           const struct ig_artifact *object, struct ig_err *err);

struct ig_upload_part {
    int64_t number;
    struct ig_str digest; /* the object's; of one that is named, with or without quotes */
};
struct ig_upload_parts {
    const struct ig_upload_part *items;
    size_t count;
};
/* The objects that make up the artifact, in their order: the parts that `named` lists by rising
 * numbers, each with the digest that it was answered. NOT_FOUND: no upload of this id to this path;
 * INVALID: parts that did not come, or are others. */
enum ig_code ig_upload_parts(struct ig_upload_parts *out, struct ig_db *db,
                             const struct ig_upload *upload, struct ig_upload_parts named,
                             struct ig_arena *arena, struct ig_err *err);
/* Forgets it, whether the artifact is there or not. NOT_FOUND. */
enum ig_code ig_upload_end(struct ig_db *db, const struct ig_upload *upload, struct ig_err *err);
/* For garbage collection: forgets those that began earlier. */
enum ig_code ig_uploads_drop(struct ig_db *db, int64_t before_ms, struct ig_err *err);

#endif
