/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_NETWORK_TESTING_H
#define IG_KERNELS_TRAIN_NETWORK_TESTING_H

/* For tests of networks: digits as rows, and tables of golden values. */

#include "base/file.h"
#include "base/table.h"
#include "kernels/train/backprop.h"
#include "kernels/train/fit.h"
#include "kernels/train/layers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline struct ig_table *testing_table(const char *name)
{
    struct ig_table *table = NULL;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_table_options options = {0};
    char path[512];
    const char *root = getenv("INGOT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ig_table_read_fd(&table, fd, &options, &err))
        fail_msg("%s: %s", path, err.message);
    close(fd);
    return table;
}

static inline double testing_number(const struct ig_table *table, const char *column, size_t row)
{
    const struct ig_column *found = ig_table_column(table, ig_str_view(column));
    if (!found || !found->values) fail_msg("no numbers in column %s", column);
    return found->values[row];
}

enum { DIGITS_ROWS = 900, DIGITS_TRAIN = 600, DIGITS_VALID = 150, DIGITS_CELLS = 64 };

struct digits {
    float inputs[DIGITS_ROWS * DIGITS_CELLS]; /* 0 to 1 */
    float labels[DIGITS_ROWS];
    struct ig_fit_data train, valid, test;
};

static inline void testing_digits(struct digits *digits)
{
    struct ig_table *table = testing_table("networks/digits.csv");
    assert_int_equal(table->rows_count, DIGITS_ROWS);
    for (size_t c = 0; c < DIGITS_CELLS; c++)
        for (size_t r = 0; r < DIGITS_ROWS; r++)
            digits->inputs[r * DIGITS_CELLS + c] = (float)table->columns[c].values[r] / 16;
    for (size_t r = 0; r < DIGITS_ROWS; r++)
        digits->labels[r] = (float)table->columns[DIGITS_CELLS].values[r];
    size_t held = DIGITS_TRAIN + DIGITS_VALID;
    digits->train = (struct ig_fit_data){digits->inputs, digits->labels, NULL, DIGITS_TRAIN};
    digits->valid = (struct ig_fit_data){digits->inputs + DIGITS_TRAIN * DIGITS_CELLS,
                                         digits->labels + DIGITS_TRAIN, NULL, DIGITS_VALID};
    digits->test = (struct ig_fit_data){digits->inputs + held * DIGITS_CELLS, digits->labels + held,
                                        NULL, DIGITS_ROWS - held};
    ig_table_free(table);
}

#endif
