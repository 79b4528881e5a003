/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_ARTIFACTS_H
#define IG_SERVICES_TRACKING_ARTIFACTS_H

/* Files of runs: a tree of paths whose leaves are objects of the blob store. A path is what stands
 * behind "mlflow-artifacts:/", as "0/RUN/artifacts/model/MLmodel". It is a key of a table and
 * nothing else: no path is ever opened on disk. Directories are not stored, they are what paths
 * have in common. Deleting forgets paths; objects stay in the blob store until garbage
 * collection. Thread-safe; worker threads only. */

#include "base/arena.h"
#include "base/hash.h"
#include "services/audit/audit.h"

enum {
    IG_ARTIFACT_PATH_MAX = 1024, /* bytes */
    IG_ARTIFACT_NAME_MAX = 255,  /* bytes of a segment */
    IG_ARTIFACT_DEPTH_MAX = 32,  /* segments */
    IG_ARTIFACT_LIST_MAX = 100000,
};

/* INVALID unless the path (decoded) has between 1 and DEPTH_MAX segments of 1 to NAME_MAX bytes
 * between single slashes, is UTF-8, and holds no segment "." or "..", no control byte, backslash,
 * '#' or drive letter, and no percent escape that would stand for one of these, a slash or another
 * escape if somebody decoded it again. */
enum ig_code ig_artifacts_check_path(struct ig_str path, struct ig_err *err);

struct ig_artifact {
    char digest[IG_SHA256_HEX];
    int64_t size_bytes;
    int64_t created_ms;
};
/* Creates or replaces the file. The object must be in the blob store by now. CONFLICT: the path is
 * a directory, or a directory of it is a file. */
enum ig_code ig_artifacts_put(struct ig_db *db, const struct ig_principal *who, struct ig_str path,
                              const struct ig_artifact *artifact, struct ig_err *err);
/* NOT_FOUND for a directory too. */
enum ig_code ig_artifacts_get(struct ig_artifact *out, struct ig_db *db, struct ig_str path,
                              struct ig_err *err);

struct ig_artifact_entry {
    struct ig_str name; /* a segment */
    bool is_dir;
    int64_t size_bytes; /* of a file */
};
struct ig_artifact_list {
    const struct ig_artifact_entry *items; /* by name, bytewise */
    size_t count;
};
/* What lies in a directory, one level; empty path: at the top. A directory that is not there is
 * empty, and so is a file. TOO_LARGE beyond LIST_MAX entries. */
enum ig_code ig_artifacts_list(struct ig_artifact_list *out, struct ig_db *db,
                               struct ig_str directory, struct ig_arena *arena, struct ig_err *err);
/* Deletes a file, or a directory with all it holds; nothing there is no error. */
enum ig_code ig_artifacts_delete(struct ig_db *db, const struct ig_principal *who,
                                 struct ig_str path, struct ig_err *err);

/* What stands behind "mlflow-artifacts:/" in a URI, without its query. INVALID names the field when
 * the URI is of another store. */
enum ig_code ig_artifacts_directory(struct ig_str *out, struct ig_str uri, const char *field,
                                    struct ig_err *err);
/* Where a run's artifacts lie: its URI, and the directory that stands behind "mlflow-artifacts:/"
 * in it. NOT_FOUND; INVALID when the run keeps its artifacts in another store. */
enum ig_code ig_artifacts_of_run(struct ig_str *uri, struct ig_str *directory, struct ig_db *db,
                                 struct ig_str run, struct ig_arena *arena, struct ig_err *err);

/* For garbage collection, inside its own write: forgets some of the files of a directory, about a
 * thousand; *dropped 0: there is none left. */
enum ig_code ig_artifacts_drop(int64_t *dropped, struct ig_db_tx *tx, struct ig_str directory,
                               struct ig_err *err);
/* Adds the number of files in a directory. */
enum ig_code ig_artifacts_count(int64_t *sum, struct ig_db_tx *tx, struct ig_str directory,
                                struct ig_err *err);

#endif
