/* SPDX-License-Identifier: Apache-2.0 */
/* Error records. Thread rule: a record belongs to one thread; the tables are constant. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct code_row {
    const char *name;
    int http_status;
    int grpc_status;
    const char *mlflow_word;
};

static const struct code_row codes[IG_CODES_COUNT] = {
#define IG_ERROR(name, http, grpc, mlflow, doc) [IG_##name] = {#name, http, grpc, mlflow},
#include "base/errors.def"
#undef IG_ERROR
};

static const struct code_row *row(enum ig_code code)
{
    IG_ASSERT((unsigned)code < IG_CODES_COUNT);
    return &codes[code];
}

void ig_err_set(struct ig_err *err, enum ig_code code, int64_t at_byte, const char *file, int line,
                const char *format, ...)
{
    IG_ASSERT(code != IG_OK);
    if (err->code != IG_OK) return;
    err->code = code;
    err->at_byte = at_byte;
    err->file = file;
    err->line = line;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
}

void ig_err_clear(struct ig_err *err)
{
    *err = IG_ERR_INIT;
}

void ig_err_prefix(struct ig_err *err, const char *format, ...)
{
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", old);
}

const char *ig_code_name(enum ig_code code)
{
    return row(code)->name;
}

int ig_code_http_status(enum ig_code code)
{
    return row(code)->http_status;
}

int ig_code_grpc_status(enum ig_code code)
{
    return row(code)->grpc_status;
}

const char *ig_code_mlflow_word(enum ig_code code)
{
    return row(code)->mlflow_word;
}

void ig_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "ingot: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}
