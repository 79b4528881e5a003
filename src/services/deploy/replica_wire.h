/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_REPLICA_WIRE_H
#define IG_SERVICES_DEPLOY_REPLICA_WIRE_H

/* What the server and a replica (a process that runs a deployment's models) say to each other over
 * a socket: frames of a head and bytes as base/pack.h packs them.
 *
 *   server: SETUP                     replica: READY, or ERROR and it ends
 *   server: CALL                      replica: RESULT or ERROR; and so on
 *
 * A replica believes the server; the server believes nothing, for a model that went wild may have
 * written anywhere in its process. */

#include "base/pack.h"
#include "services/deploy/inference.h"

enum ig_replica_message {
    IG_REPLICA_SETUP = 1,
    IG_REPLICA_READY,
    IG_REPLICA_CALL,
    IG_REPLICA_RESULT,
    IG_REPLICA_ERROR,
};

/* Both block. CANCELLED: the other end is gone; DEADLINE; CORRUPT: no such frame; TOO_LARGE: more
 * than the buffer takes. A deadline of 0 never comes. */
enum ig_code ig_replica_send(int fd, enum ig_replica_message kind, struct ig_str bytes,
                             uint64_t deadline_ns, struct ig_err *err);
enum ig_code ig_replica_receive(enum ig_replica_message *kind, struct ig_buf *bytes, int fd,
                                uint64_t deadline_ns, struct ig_err *err);

/* ---- SETUP ---- */

struct ig_replica_setup {
    struct ig_str deployment;
    struct ig_str graph;          /* JSON, every model pinned */
    const struct ig_str *digests; /* by node of the graph: of a model's package; else empty */
    size_t digests_count;
    uint64_t memory_bytes; /* that the process may have; 0: any */
    uint64_t tables_max_bytes;
    struct ig_str blobs; /* where the packages are; empty: in files of the data directory */
};
void ig_replica_setup_write(struct ig_buf *out, const struct ig_replica_setup *setup);
/* Views of `bytes` and the arena. */
enum ig_code ig_replica_setup_read(struct ig_replica_setup *out, struct ig_str bytes,
                                   struct ig_arena *arena, struct ig_err *err);

/* ---- READY: what each node that answers is ---- */

void ig_replica_face_write(struct ig_buf *out, uint32_t node, const struct ig_package *package);
/* The next one; false behind the last, or with err. The caller frees the package. */
bool ig_replica_face_read(uint32_t *node, struct ig_package **out, struct ig_unpack *in,
                          struct ig_err *err);

/* ---- CALL ---- */

struct ig_replica_call {
    uint32_t node;
    struct ig_inference_request request; /* its `ask` is the one below, or NULL */
    struct ig_explain_ask ask;
    struct ig_counterfactual_ask counterfactual;
};
void ig_replica_call_write(struct ig_buf *out, uint32_t node,
                           const struct ig_inference_request *request, uint32_t features_count);
/* Views of `bytes`; features_count is the model's of the node, found by the caller in between. */
enum ig_code ig_replica_call_node(uint32_t *node, struct ig_str bytes, struct ig_err *err);
enum ig_code ig_replica_call_read(struct ig_replica_call *out, struct ig_str bytes,
                                  uint32_t features_count, struct ig_err *err);

/* ---- RESULT ---- */

struct ig_replica_usage {
    uint64_t cpu_ns;       /* that the call took */
    uint64_t memory_bytes; /* resident */
    bool full;             /* the process is better replaced before its limit stops it */
};
struct ig_replica_result {
    struct ig_inference_result result;
    struct ig_replica_usage usage;
};
void ig_replica_result_write(struct ig_buf *out, const struct ig_replica_result *result,
                             const struct ig_model *model);
/* Of `rows_count` rows on such a model; views of `bytes` and the arena. CORRUPT when it is not. */
enum ig_code ig_replica_result_read(struct ig_replica_result *out, struct ig_str bytes,
                                    size_t rows_count, const struct ig_model *model,
                                    struct ig_arena *arena, struct ig_err *err);

/* ---- ERROR ---- */

void ig_replica_error_write(struct ig_buf *out, const struct ig_replica_usage *usage,
                            const struct ig_err *error);
/* Always fails: with the code and the message in the bytes. */
enum ig_code ig_replica_error_read(struct ig_str bytes, struct ig_replica_usage *usage,
                                   struct ig_err *err);

#endif
