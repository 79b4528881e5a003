/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PEER_H
#define TESTS_BENCH_PEER_H

/* Another library of boosted trees, behind four calls that do the same work as ours. Everything
 * that can be prepared is prepared in `load`, outside the timed calls. A failure of the library
 * ends the program with its message. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_table {
    double *values; /* rows x features, each a float's value; NaN = missing */
    float *labels;  /* 0 or 1 */
    uint32_t rows;
    uint32_t features;
};

struct peer_model_size {
    uint32_t trees;
    uint32_t depth;
};

enum peer_call {
    PEER_PREDICT_ONE,
    PEER_PREDICT_IN_PLACE, /* one row, without the library's own matrix; not every library */
    PEER_PREDICT_BATCH,
    PEER_EXPLAIN_ONE,
    PEER_EXPLAIN_BATCH,
    PEER_CALLS_COUNT,
};

struct peer {
    const char *name;
    char version[32];
    const char *model_name; /* "model.json" */
    bool calls[PEER_CALLS_COUNT];
    void (*open)(struct peer *peer, const char *library);
    /* Trains a binary classifier and writes it. */
    void (*train)(struct peer *peer, const struct peer_table *table, struct peer_model_size size,
                  const char *path);
    void (*load)(struct peer *peer, const char *path, const struct peer_table *rows);
    /* Makes what a call on the first `count` rows consumes. */
    void (*prepare)(struct peer *peer, enum peer_call call, uint32_t count);
    /* Margins (count) or contributions (count x (features + 1)) of the first `count` rows. */
    void (*run)(struct peer *peer, enum peer_call call, uint32_t count, double *out);
    void (*unload)(struct peer *peer);
    void *state;
};

extern struct peer peer_xgboost;
extern struct peer peer_lightgbm;

void *peer_library(const char *path);
void *peer_symbol(void *library, const char *name);
_Noreturn void peer_fail(const char *what, const char *message);

#endif
