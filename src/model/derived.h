/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_DERIVED_H
#define IG_MODEL_DERIVED_H

/* Trees over columns that are computed from a row before they are walked: what CatBoost makes of
 * combinations of features. A category of a row is its hash, as a signed 32-bit number. The columns
 * of the trees are the row's own, a category's being the rank of its hash, and then the statistics
 * below. Immutable after ig_derived_check; arrays are the owning model's. */

#include "model/model.h"

enum ig_derived_ask { IG_DERIVED_CATEGORY, IG_DERIVED_ABOVE, IG_DERIVED_EQUAL };

struct ig_derived_part {
    enum ig_derived_ask ask;
    uint32_t feature;
    float border;       /* ABOVE: compared with the value rounded to float */
    bool missing_above; /* ABOVE */
    int32_t hash;       /* EQUAL */
};

/* A hash of what a row has of some features: CatBoost's, part by part. */
struct ig_derived_key {
    const struct ig_derived_part *parts;
    uint32_t parts_count;
};

/* The keys that training has seen. */
struct ig_derived_table {
    const uint64_t *hashes; /* ascending */
    uint32_t count;
    uint32_t key;
};

struct ig_derived_column {
    const float *values; /* by place in the table */
    float unseen;
    uint32_t table;
};

/* Hashes of the categories that the trees tell apart themselves, ascending as unsigned numbers. */
struct ig_derived_ranks {
    bool categorical; /* false: a number, which is left as it is */
    const uint32_t *hashes;
    uint32_t count;
};

/* Columns of the trees that are taken to rest on the same features are one player of a SHAP game,
 * whose share is divided equally among those. */
struct ig_derived_player {
    const uint32_t *features;
    uint32_t count;
};

struct ig_derived {
    struct ig_model *trees;               /* owned; features: the model's, then columns */
    const struct ig_derived_ranks *ranks; /* of the model's features_count */
    const struct ig_derived_key *keys;
    const struct ig_derived_table *tables;
    const struct ig_derived_column *columns;
    const struct ig_derived_player *players;
    const uint32_t *player_of; /* of each column of the trees */
    uint32_t keys_count, tables_count, columns_count, players_count;
};

/* Every index, and that the trees give what the model says. The trees are checked already. */
enum ig_code ig_derived_check(const struct ig_derived *derived, const struct ig_model *model,
                              struct ig_err *err);

#endif
