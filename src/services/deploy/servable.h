/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_SERVABLE_H
#define IG_SERVICES_DEPLOY_SERVABLE_H

/* What answers: a loaded model version, or an ensemble of several. Immutable but for what is
 * prepared of it on demand, and its count of references; the last unref, on whatever thread, frees
 * it. */

#include "formats/package.h"
#include "kernels/composite.h"
#include "services/explain/prepared.h"
#include "services/registry/registry.h"

struct ig_replicas;
struct ig_residency;
struct ig_servable_member;

struct ig_servable {
    const struct ig_package *package; /* schema, model, engine; see `replicas` */
    struct ig_prepared_set *prepared; /* explainers of it, borrowed */
    char deployment[IG_NAME_SIZE];
    char model[IG_NAME_SIZE];         /* of an ensemble: its first member's, whose backgrounds and
                                         reason codes are its own */
    int64_t version;                  /* 0: an ensemble */
    char digest[IG_SHA256_HEX];       /* of the package; of an ensemble: of all it is made of */
    char model_digest[IG_SHA256_HEX]; /* of the model file inside; likewise */
    int64_t loaded_ms;
    /* Processes that run it as their node; NULL: this one does. Of theirs the package has no
     * engine, and of the model the shape alone. */
    struct ig_replicas *replicas;
    uint32_t replica_node;
    /* Where it is loaded when it is asked for (services/deploy/residency.h), under this key; NULL:
     * it is here for good. Its package is then such a face as well, and so are its members. */
    struct ig_residency *residency;
    char resident_key[IG_SHA256_HEX];

    char node[IG_NAME_SIZE]; /* an ensemble's name in its graph; else empty */
    enum ig_combine combine; /* of an ensemble */
    const struct ig_servable_member *members;
    size_t members_count;           /* 0: no ensemble */
    const struct ig_servable *meta; /* of a stack, else NULL */
    bool skips;                     /* members that fail are left out */
};

struct ig_servable_member {
    const struct ig_servable *servable;
    double weight;
    uint32_t timeout_ms; /* 0: none */
};

/* An ensemble's node, or a version's model. */
const char *ig_servable_name(const struct ig_servable *servable);
const struct ig_servable *ig_servable_ref(const struct ig_servable *servable);
void ig_servable_unref(const struct ig_servable *servable); /* NULL is allowed; any thread */
/* Whether the caller's is the only reference. */
bool ig_servable_is_last(const struct ig_servable *servable);

#endif
