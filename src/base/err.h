/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_ERR_H
#define IG_BASE_ERR_H

/* Error codes and the caller-owned error record.
 *
 * A function that can fail returns enum ig_code and takes `struct ig_err *err` last. The first
 * error set wins: a later ig_fail() on a record that already holds one keeps the first and returns
 * ITS code. `err` is never NULL. Outputs are written only on success. Thread rule: a record belongs
 * to one thread. */

#include <stdbool.h>
#include <stdint.h>

enum ig_code {
#define IG_ERROR(name, http, grpc, mlflow, doc) IG_##name,
#include "base/errors.def"
#undef IG_ERROR
    IG_CODES_COUNT
};

struct ig_err {
    enum ig_code code; /* IG_OK while empty */
    int64_t at_byte;   /* offset into parsed input, -1 where it has no meaning */
    const char *file;  /* source position that set it; for logs, never shown to clients */
    int line;
    char message[512]; /* names the field, the value and what was expected */
};

#define IG_ERR_INIT ((struct ig_err){.at_byte = -1})

/* Sets the error unless one is set; evaluates to err->code, which is not IG_OK. */
#define ig_fail(err, code, ...)                                                                    \
    (ig_err_set((err), (code), -1, __FILE__, __LINE__, __VA_ARGS__), ig_err_code(err))
/* The same with a byte position of the parsed input. */
#define ig_fail_at(err, code, at, ...)                                                             \
    (ig_err_set((err), (code), (int64_t)(at), __FILE__, __LINE__, __VA_ARGS__), ig_err_code(err))

void ig_err_set(struct ig_err *err, enum ig_code code, int64_t at_byte, const char *file, int line,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
void ig_err_clear(struct ig_err *err);
/* Puts "prefix: " before the message (cut at the record's size); code and position stay. */
void ig_err_prefix(struct ig_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

const char *ig_code_name(enum ig_code code);        /* "NOT_FOUND" */
int ig_code_http_status(enum ig_code code);         /* 404 */
int ig_code_grpc_status(enum ig_code code);         /* 5 */
const char *ig_code_mlflow_word(enum ig_code code); /* "RESOURCE_DOES_NOT_EXIST" */

/* A broken invariant: prints the condition and aborts, in release as well. Never for bad input. */
#define IG_ASSERT(condition)                                                                       \
    (__builtin_expect(!!(condition), 1) ? (void)0                                                  \
                                        : ig_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void ig_assert_failed(const char *condition, const char *file, int line);

/* The code of a record that holds an error. */
static inline enum ig_code ig_err_code(const struct ig_err *err)
{
    IG_ASSERT(err->code != IG_OK);
    return err->code;
}

#endif
