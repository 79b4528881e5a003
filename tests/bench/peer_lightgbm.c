/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM through its C API (4.x). One row goes through the prepared "fast" calls. */
#include "peer.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RAW_SCORE = 1, CONTRIBUTIONS = 3, FLOAT64 = 1, FLOAT32 = 0 };

struct lightgbm {
    void *library;
    void *booster;
    void *fast;
    const struct peer_table *table;
    const char *(*last_error)(void);
    int (*dataset_new)(const void *, int, int32_t, int32_t, int, const char *, const void *,
                       void **);
    int (*dataset_set)(void *, const char *, const void *, int, int);
    int (*dataset_free)(void *);
    int (*booster_new)(const void *, const char *, void **);
    int (*booster_free)(void *);
    int (*booster_update)(void *, int *);
    int (*booster_save)(void *, int, int, int, const char *);
    int (*booster_load)(const char *, int *, void **);
    int (*predict)(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *,
                   int64_t *, double *);
    int (*fast_new)(void *, int, int, int, int, int32_t, const char *, void **);
    int (*fast_free)(void *);
    int (*fast_predict)(void *, const void *, int64_t *, double *);
};

static struct lightgbm lightgbm;

static void check(int result, const char *what)
{
    if (result != 0) peer_fail(what, lightgbm.last_error());
}

#define BIND(field, symbol)                                                                        \
    (*(void **)&lightgbm.field = peer_symbol(lightgbm.library, symbol)) /* POSIX's own form */

static void open_library(struct peer *peer, const char *path)
{
    lightgbm.library = peer_library(path);
    BIND(last_error, "LGBM_GetLastError");
    BIND(dataset_new, "LGBM_DatasetCreateFromMat");
    BIND(dataset_set, "LGBM_DatasetSetField");
    BIND(dataset_free, "LGBM_DatasetFree");
    BIND(booster_new, "LGBM_BoosterCreate");
    BIND(booster_free, "LGBM_BoosterFree");
    BIND(booster_update, "LGBM_BoosterUpdateOneIter");
    BIND(booster_save, "LGBM_BoosterSaveModel");
    BIND(booster_load, "LGBM_BoosterCreateFromModelfile");
    BIND(predict, "LGBM_BoosterPredictForMat");
    BIND(fast_new, "LGBM_BoosterPredictForMatSingleRowFastInit");
    BIND(fast_free, "LGBM_FastConfigFree");
    BIND(fast_predict, "LGBM_BoosterPredictForMatSingleRowFast");
    peer->version[0] = '\0'; /* the library does not tell; given by the caller */
}

static void train(struct peer *peer, const struct peer_table *table, struct peer_model_size size,
                  const char *path)
{
    (void)peer;
    char parameters[256];
    snprintf(parameters, sizeof parameters,
             "objective=binary num_leaves=%" PRIu32 " max_depth=%" PRIu32
             " num_threads=1 verbosity=-1 deterministic=true force_col_wise=true"
             " min_data_in_leaf=5",
             UINT32_C(1) << size.depth, size.depth);
    void *dataset = NULL;
    check(lightgbm.dataset_new(table->values, FLOAT64, (int32_t)table->rows,
                               (int32_t)table->features, 1, parameters, NULL, &dataset),
          "Dataset");
    check(lightgbm.dataset_set(dataset, "label", table->labels, (int)table->rows, FLOAT32),
          "labels");
    check(lightgbm.booster_new(dataset, parameters, &lightgbm.booster), "Booster");
    int finished = 0;
    for (uint32_t i = 0; i < size.trees && !finished; i++)
        check(lightgbm.booster_update(lightgbm.booster, &finished), "training");
    check(lightgbm.booster_save(lightgbm.booster, 0, -1, 0, path), "saving");
    check(lightgbm.booster_free(lightgbm.booster), "Booster");
    check(lightgbm.dataset_free(dataset), "Dataset");
}

static void load(struct peer *peer, const char *path, const struct peer_table *rows)
{
    (void)peer;
    int iterations = 0;
    check(lightgbm.booster_load(path, &iterations, &lightgbm.booster), "loading");
    lightgbm.table = rows;
}

static bool explains(enum peer_call call)
{
    return call == PEER_EXPLAIN_ONE || call == PEER_EXPLAIN_BATCH;
}

static void drop_fast(void)
{
    if (lightgbm.fast) check(lightgbm.fast_free(lightgbm.fast), "FastConfig");
    lightgbm.fast = NULL;
}

static void prepare(struct peer *peer, enum peer_call call, uint32_t count)
{
    (void)peer;
    (void)count;
    drop_fast();
    if (call == PEER_PREDICT_BATCH || call == PEER_EXPLAIN_BATCH) return;
    check(lightgbm.fast_new(lightgbm.booster, explains(call) ? CONTRIBUTIONS : RAW_SCORE, 0, -1,
                            FLOAT64, (int32_t)lightgbm.table->features, "num_threads=1",
                            &lightgbm.fast),
          "FastConfig");
}

static void run(struct peer *peer, enum peer_call call, uint32_t count, double *out)
{
    (void)peer;
    const struct peer_table *table = lightgbm.table;
    int64_t length = 0;
    if (call == PEER_PREDICT_BATCH || call == PEER_EXPLAIN_BATCH) {
        check(lightgbm.predict(lightgbm.booster, table->values, FLOAT64, (int32_t)count,
                               (int32_t)table->features, 1,
                               explains(call) ? CONTRIBUTIONS : RAW_SCORE, 0, -1, "num_threads=1",
                               &length, out),
              "predicting");
        return;
    }
    size_t width = explains(call) ? table->features + 1U : 1;
    for (uint32_t i = 0; i < count; i++)
        check(lightgbm.fast_predict(lightgbm.fast, table->values + (size_t)i * table->features,
                                    &length, out + i * width),
              "predicting");
}

static void unload(struct peer *peer)
{
    (void)peer;
    drop_fast();
    check(lightgbm.booster_free(lightgbm.booster), "Booster");
}

struct peer peer_lightgbm = {
    .name = "lightgbm",
    .model_name = "model.txt",
    .calls = {true, false, true, true, true},
    .open = open_library,
    .train = train,
    .load = load,
    .prepare = prepare,
    .run = run,
    .unload = unload,
};
