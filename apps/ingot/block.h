/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_BLOCK_H
#define IG_APP_BLOCK_H

/* What `predict` and `explain` share: the model, the rows, the output file and the arrays of one
 * block of rows. For `op` CONTRIBUTIONS blocks are short enough to hold those of their rows. */

#include "cli.h"

#include "formats/package.h"
#include "formats/rows.h"

#include <stdio.h>

struct ig_block {
    struct ig_package *package;
    int input; /* descriptor of the rows */
    const char **drop;
    struct ig_rows *rows;
    FILE *out;
    struct ig_arena arena;
    size_t rows_max;
    size_t rows_count; /* of the block that was read last */
    uint64_t rows_done;
    double *values;      /* rows_max x features_count */
    double *margins;     /* rows_max x outputs_count */
    double *predictions; /* predictions_count: of one row */
    void *scratch;
};

/* The same without --output, which is the caller's; `out` stays standard output. */
enum ig_code ig_block_open_input(struct ig_block *block, const struct ig_cli *cli,
                                 enum ig_engine_op op, struct ig_err *err);
enum ig_code ig_block_open(struct ig_block *block, const struct ig_cli *cli, enum ig_engine_op op,
                           struct ig_err *err);
/* Reads the next block; false at the end or on error. */
bool ig_block_next(struct ig_block *block, struct ig_err *err);
/* Also flushes the output; false (said on stderr) when it could not be written. */
bool ig_block_close(struct ig_block *block, const struct ig_cli *cli);

#endif
