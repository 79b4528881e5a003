/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_EXPLAIN_PRINT_H
#define IG_APP_EXPLAIN_PRINT_H

/* How `ingot explain` prints a row: CSV, JSON lines or text, for each form of explanation. */

#include "waterfall.h"

#include "api/answer.h"

#include <stdio.h>

enum { IG_EXPLAIN_TEXT_TOP = 10, IG_EXPLAIN_VALUE_SIZE = 32 };

struct ig_explain_print {
    FILE *out;
    const struct ig_answer *answer; /* of the row at hand */
    uint64_t row;                   /* its number, from 1 */
    bool raw;                       /* no prediction */
    struct ig_waterfall_bar *bars;  /* scratch: a player each */
    char (*values)[IG_EXPLAIN_VALUE_SIZE];
    struct ig_buf buf; /* scratch */
};

struct ig_explain_format {
    void (*header)(struct ig_explain_print *print); /* or NULL */
    void (*row)(struct ig_explain_print *print);
};

/* "csv", "json" or "text". */
const struct ig_explain_format *ig_explain_format(const char *name, enum ig_explain_form form);

#endif
