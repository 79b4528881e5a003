/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_SCORERS_H
#define IG_SERVICES_TRACKING_SCORERS_H

/* MLflow's scorers: of an experiment, by name, in numbered versions. What a version holds is JSON
 * that clients wrote and clients run; nothing here runs it. Errors have MLflow's words.
 *
 * Deleting removes and is audited. Thread-safe; worker threads only. What is read lives in the
 * caller's arena. */

#include "services/tracking/tracking.h"

enum {
    IG_SCORER_NAME_MAX = 256, /* characters */
    IG_SCORER_CONTENT_MAX = 1 << 20,
    IG_SCORER_CONFIGS_MAX = 1000, /* scorers of one call */
    IG_SCORER_ANY_VERSION = -1,
};

struct ig_scorer { /* a version of one */
    struct ig_str id, name, content;
    int64_t experiment, version, created_ms;
};
struct ig_scorers {
    const struct ig_scorer *items;
    size_t count;
};
/* Which one, of an experiment that is active. */
struct ig_scorer_ref {
    int64_t experiment;
    struct ig_str name;
    int64_t version; /* or IG_SCORER_ANY_VERSION: the last, to delete: all */
};

/* The next version of that name. INVALID also for content that has "call_source" anywhere: code
 * that clients would run. */
struct ig_scorer_by { /* who registers, and where */
    const struct ig_principal *who;
    int64_t experiment;
};
enum ig_code ig_scorer_register(struct ig_scorer *out, struct ig_db *db,
                                const struct ig_scorer_by *by, const struct ig_scorer *scorer,
                                struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_scorer_get(struct ig_scorer *out, struct ig_db *db, const struct ig_scorer_ref *ref,
                           struct ig_arena *arena, struct ig_err *err);
/* All versions, by number. */
enum ig_code ig_scorer_versions(struct ig_scorers *out, struct ig_db *db,
                                const struct ig_scorer_ref *ref, struct ig_arena *arena,
                                struct ig_err *err);
/* The last version of each name, by experiment and name: of these experiments, as far as they are
 * active; of all without any. `strict`: NOT_FOUND or INVALID where one is not. */
struct ig_scorer_list {
    const int64_t *experiments;
    size_t experiments_count;
    bool all, strict;
};
enum ig_code ig_scorer_last(struct ig_scorers *out, struct ig_db *db,
                            const struct ig_scorer_list *list, struct ig_arena *arena,
                            struct ig_err *err);
enum ig_code ig_scorer_delete(struct ig_db *db, const struct ig_principal *who,
                              const struct ig_scorer_ref *ref, struct ig_err *err);

/* Which share of an experiment's traces a scorer is to look at as they come; of clients that do
 * so. */
struct ig_scorer_config {
    struct ig_str id, scorer;
    int64_t experiment;
    double sample_rate;
    struct ig_str filter; /* of traces; ptr NULL: none */
};
struct ig_scorer_configs {
    const struct ig_scorer_config *items;
    size_t count;
};
/* In place of the one that is there. A rate above 0 needs a model of the gateway in the scorer's
 * last version. */
enum ig_code ig_scorer_config_put(struct ig_scorer_config *out, struct ig_db *db,
                                  const struct ig_scorer_ref *ref,
                                  const struct ig_scorer_config *config, struct ig_arena *arena,
                                  struct ig_err *err);
/* Of those that have one. */
enum ig_code ig_scorer_configs(struct ig_scorer_configs *out, struct ig_db *db,
                               const struct ig_str *scorers, size_t scorers_count,
                               struct ig_arena *arena, struct ig_err *err);

#endif
