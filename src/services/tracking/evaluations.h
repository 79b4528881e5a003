/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_EVALUATIONS_H
#define IG_SERVICES_TRACKING_EVALUATIONS_H

/* MLflow's evaluation datasets: records of inputs with what is expected of the answers, tags, and
 * the experiments that use them. A record is known by its inputs: told again, it takes what is new.
 * Errors have MLflow's words.
 *
 * Deleting removes and is audited. Thread-safe; worker threads only. What is read lives in the
 * caller's arena. */

#include "services/tracking/tracking.h"

enum {
    IG_EVALUATION_NAME_MAX = 255, /* characters; of keys of tags and of users too */
    IG_EVALUATION_TAG_MAX = 5000,
    IG_EVALUATION_EXPERIMENTS_MAX = 1000, /* of one call */
    IG_EVALUATION_RECORDS_MAX = 10000,    /* of one call */
    IG_EVALUATION_RECORD_MAX = 4 << 20,   /* bytes of each of a record's texts */
    IG_EVALUATION_FIELDS_MAX = 10000, /* that a schema names, of inputs, outputs, expectations */
};

struct ig_evaluation {
    struct ig_str id, name;
    struct ig_str digest; /* of the name and the last change of records */
    struct ig_str schema; /* JSON: which fields the records have; ptr NULL: there were none yet */
    int64_t records, created_ms, updated_ms;
    struct ig_str created_by, updated_by; /* of the tag mlflow.user; ptr NULL: not told */
    struct ig_tracking_pairs tags;
};
struct ig_evaluation_spec {
    struct ig_str name;
    struct ig_tracking_pairs tags;
    const int64_t *experiments;
    size_t experiments_count;
};
enum ig_code ig_evaluation_create(struct ig_evaluation *out, struct ig_db *db,
                                  const struct ig_evaluation_spec *spec, struct ig_arena *arena,
                                  struct ig_err *err);
enum ig_code ig_evaluation_get(struct ig_evaluation *out, struct ig_db *db, struct ig_str id,
                               struct ig_arena *arena, struct ig_err *err);
/* With its records; one that is not there is no error, as with its tags. */
enum ig_code ig_evaluation_delete(struct ig_db *db, const struct ig_principal *who,
                                  struct ig_str id, struct ig_err *err);
enum ig_code ig_evaluation_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs tags,
                               struct ig_err *err);
enum ig_code ig_evaluation_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                                 struct ig_err *err);

/* The experiments of it, by id; none of one that is not there. */
struct ig_evaluation_experiments {
    const int64_t *items;
    size_t count;
};
enum ig_code ig_evaluation_experiments(struct ig_evaluation_experiments *out, struct ig_db *db,
                                       struct ig_str id, struct ig_arena *arena,
                                       struct ig_err *err);
/* Adds experiments, or takes them away; those that are there, or are not, stay so. */
struct ig_evaluation_link {
    struct ig_str id;
    const int64_t *experiments;
    size_t experiments_count;
    bool remove;
};
enum ig_code ig_evaluation_link(struct ig_evaluation *out, struct ig_db *db,
                                const struct ig_evaluation_link *link, struct ig_arena *arena,
                                struct ig_err *err);

struct ig_evaluation_record {
    struct ig_str id;                             /* of one that was read, as the times and users */
    struct ig_str inputs;                         /* JSON: an object */
    struct ig_str outputs;                        /* any JSON; ptr NULL: none, or not told */
    struct ig_str expectations, tags;             /* objects; ptr NULL likewise */
    struct ig_str source, source_type, source_id; /* an object and of it; ptr NULL: none */
    struct ig_str user;                           /* of the tag mlflow.user; ptr NULL: not told */
    bool outputs_told; /* of one that is written: outputs, also when none */
    int64_t seq, created_ms, updated_ms;
    struct ig_str created_by, updated_by;
};
struct ig_evaluation_records {
    const struct ig_evaluation_record *items;
    size_t count;
    bool more; /* follow behind the last */
};
struct ig_evaluation_counts {
    size_t inserted, updated;
};
/* All or nothing. Of a record that is there outputs are set when told; expectations and tags are
 * taken key by key. */
enum ig_code ig_evaluation_upsert(struct ig_evaluation_counts *out, struct ig_db *db,
                                  struct ig_str id, struct ig_evaluation_records records,
                                  struct ig_arena *arena, struct ig_err *err);
/* In the order in which they came first, at most `max` behind `after` (0: from the start) and about
 * `bytes_max` of them, at least one. Of a dataset that is not there none. */
struct ig_evaluation_page {
    struct ig_str id;
    int64_t after;
    size_t max, bytes_max;
};
enum ig_code ig_evaluation_list(struct ig_evaluation_records *out, struct ig_db *db,
                                const struct ig_evaluation_page *page, struct ig_arena *arena,
                                struct ig_err *err);
enum ig_code ig_evaluation_remove(int64_t *removed, struct ig_db *db, struct ig_str id,
                                  const struct ig_str *records, size_t records_count,
                                  struct ig_err *err);

#endif
