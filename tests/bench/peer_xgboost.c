/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost through its C API (1.7 and later). A booster keeps the predictions of each DMatrix that
 * it has seen, so every timed prediction gets matrices that it has not. */
#include "peer.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_SIZE = 256 };

static const char MARGIN[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,"
                             "\"iteration_end\":0,\"strict_shape\":true}";
static const char CONTRIBUTIONS[] = "{\"type\":2,\"training\":false,\"iteration_begin\":0,"
                                    "\"iteration_end\":0,\"strict_shape\":true}";
static const char IN_PLACE[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,"
                               "\"iteration_end\":0,\"strict_shape\":true,\"missing\":NaN,"
                               "\"cache_id\":0}";

struct xgboost {
    void *library;
    void *booster;
    float *values;
    uint32_t rows;
    uint32_t features;
    void **matrices; /* one a row */
    uint32_t matrices_count;
    void *matrix; /* of all rows */
    const char *(*last_error)(void);
    void (*version)(int *, int *, int *);
    int (*matrix_new)(const float *, uint64_t, uint64_t, float, void **);
    int (*matrix_free)(void *);
    int (*matrix_set)(void *, const char *, const float *, uint64_t);
    int (*booster_new)(void *const *, uint64_t, void **);
    int (*booster_free)(void *);
    int (*booster_set)(void *, const char *, const char *);
    int (*booster_update)(void *, int, void *);
    int (*booster_save)(void *, const char *);
    int (*booster_load)(void *, const char *);
    int (*predict)(void *, void *, const char *, const uint64_t **, uint64_t *, const float **);
    int (*predict_dense)(void *, const char *, const char *, void *, const uint64_t **, uint64_t *,
                         const float **);
};

static struct xgboost xgboost;

static void check(int result, const char *what)
{
    if (result != 0) peer_fail(what, xgboost.last_error());
}

#define BIND(field, symbol)                                                                        \
    (*(void **)&xgboost.field = peer_symbol(xgboost.library, symbol)) /* POSIX's own form */

static void open_library(struct peer *peer, const char *path)
{
    xgboost.library = peer_library(path);
    BIND(last_error, "XGBGetLastError");
    BIND(version, "XGBoostVersion");
    BIND(matrix_new, "XGDMatrixCreateFromMat");
    BIND(matrix_free, "XGDMatrixFree");
    BIND(matrix_set, "XGDMatrixSetFloatInfo");
    BIND(booster_new, "XGBoosterCreate");
    BIND(booster_free, "XGBoosterFree");
    BIND(booster_set, "XGBoosterSetParam");
    BIND(booster_update, "XGBoosterUpdateOneIter");
    BIND(booster_save, "XGBoosterSaveModel");
    BIND(booster_load, "XGBoosterLoadModel");
    BIND(predict, "XGBoosterPredictFromDMatrix");
    BIND(predict_dense, "XGBoosterPredictFromDense");
    int major = 0, minor = 0, patch = 0;
    xgboost.version(&major, &minor, &patch);
    snprintf(peer->version, sizeof peer->version, "%d.%d.%d", major, minor, patch);
}

static float *as_floats(const struct peer_table *table)
{
    size_t count = (size_t)table->rows * table->features;
    float *values = ig_alloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++) values[i] = (float)table->values[i];
    return values;
}

static void set_number(const char *name, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "%" PRIu32, value);
    check(xgboost.booster_set(xgboost.booster, name, text), name);
}

static void train(struct peer *peer, const struct peer_table *table, struct peer_model_size size,
                  const char *path)
{
    (void)peer;
    void *matrix = NULL;
    float *values = as_floats(table);
    check(xgboost.matrix_new(values, table->rows, table->features, __builtin_nanf(""), &matrix),
          "DMatrix");
    check(xgboost.matrix_set(matrix, "label", table->labels, table->rows), "labels");
    check(xgboost.booster_new(&matrix, 1, &xgboost.booster), "Booster");
    check(xgboost.booster_set(xgboost.booster, "objective", "binary:logistic"), "objective");
    check(xgboost.booster_set(xgboost.booster, "tree_method", "hist"), "tree_method");
    check(xgboost.booster_set(xgboost.booster, "eta", "0.1"), "eta");
    set_number("max_depth", size.depth);
    set_number("nthread", 1);
    for (uint32_t i = 0; i < size.trees; i++)
        check(xgboost.booster_update(xgboost.booster, (int)i, matrix), "training");
    check(xgboost.booster_save(xgboost.booster, path), "saving");
    check(xgboost.booster_free(xgboost.booster), "Booster");
    check(xgboost.matrix_free(matrix), "DMatrix");
    ig_free(values);
}

static void load(struct peer *peer, const char *path, const struct peer_table *rows)
{
    (void)peer;
    check(xgboost.booster_new(NULL, 0, &xgboost.booster), "Booster");
    check(xgboost.booster_load(xgboost.booster, path), "loading");
    set_number("nthread", 1);
    xgboost.values = as_floats(rows);
    xgboost.rows = rows->rows;
    xgboost.features = rows->features;
    xgboost.matrices = ig_zalloc_array(rows->rows, sizeof *xgboost.matrices);
}

static void drop_matrices(void)
{
    for (uint32_t i = 0; i < xgboost.matrices_count; i++)
        check(xgboost.matrix_free(xgboost.matrices[i]), "DMatrix");
    xgboost.matrices_count = 0;
    if (xgboost.matrix) check(xgboost.matrix_free(xgboost.matrix), "DMatrix");
    xgboost.matrix = NULL;
}

static void prepare(struct peer *peer, enum peer_call call, uint32_t count)
{
    (void)peer;
    drop_matrices();
    if (call == PEER_PREDICT_BATCH || call == PEER_EXPLAIN_BATCH) {
        check(xgboost.matrix_new(xgboost.values, count, xgboost.features, __builtin_nanf(""),
                                 &xgboost.matrix),
              "DMatrix");
        return;
    }
    if (call == PEER_PREDICT_IN_PLACE) return;
    for (uint32_t i = 0; i < count; i++)
        check(xgboost.matrix_new(xgboost.values + (size_t)i * xgboost.features, 1, xgboost.features,
                                 __builtin_nanf(""), &xgboost.matrices[i]),
              "DMatrix");
    xgboost.matrices_count = count;
}

static const float *predict_matrix(void *matrix, bool explain)
{
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    check(xgboost.predict(xgboost.booster, matrix, explain ? CONTRIBUTIONS : MARGIN, &shape,
                          &dimensions, &result),
          "predicting");
    return result;
}

static const float *predict_in_place(const float *row)
{
    char array[CONFIG_SIZE];
    snprintf(array, sizeof array,
             "{\"data\":[%" PRIuPTR ",false],\"shape\":[1,%" PRIu32
             "],\"typestr\":\"<f4\",\"version\":3}",
             (uintptr_t)row, xgboost.features);
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    check(
        xgboost.predict_dense(xgboost.booster, array, IN_PLACE, NULL, &shape, &dimensions, &result),
        "predicting in place");
    return result;
}

static void widen(double *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = (double)values[i];
}

static void run(struct peer *peer, enum peer_call call, uint32_t count, double *out)
{
    (void)peer;
    bool explain = call == PEER_EXPLAIN_ONE || call == PEER_EXPLAIN_BATCH;
    size_t width = explain ? xgboost.features + 1U : 1;
    if (call == PEER_PREDICT_BATCH || call == PEER_EXPLAIN_BATCH) {
        widen(out, predict_matrix(xgboost.matrix, explain), count * width);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const float *result = call == PEER_PREDICT_IN_PLACE
                                  ? predict_in_place(xgboost.values + (size_t)i * xgboost.features)
                                  : predict_matrix(xgboost.matrices[i], explain);
        widen(out + i * width, result, width);
    }
}

static void unload(struct peer *peer)
{
    (void)peer;
    drop_matrices();
    check(xgboost.booster_free(xgboost.booster), "Booster");
    ig_free(xgboost.values);
    ig_free(xgboost.matrices);
}

struct peer peer_xgboost = {
    .name = "xgboost",
    .model_name = "model.json",
    .calls = {true, true, true, true, true},
    .open = open_library,
    .train = train,
    .load = load,
    .prepare = prepare,
    .run = run,
    .unload = unload,
};
