/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_TFLITE_TFLITE_TESTING_H
#define IG_FORMATS_TFLITE_TFLITE_TESTING_H

/* The corpus of the fuzz target as samples for tests. */

#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

/* Bytes of tests/corpus/tflite/NAME, freed by the caller; ptr NULL when there is no such file. */
static inline struct ig_str tflite_sample(const char *name)
{
    enum { SAMPLE_BYTES_MAX = 1 << 16 };
    char path[512];
    const char *source = getenv("INGOT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/corpus/tflite/%s", source ? source : ".", name);
    FILE *file = fopen(path, "rb");
    if (!file) return (struct ig_str){0};
    char *bytes = ig_alloc(SAMPLE_BYTES_MAX);
    size_t size = bytes ? fread(bytes, 1, SAMPLE_BYTES_MAX, file) : 0;
    fclose(file);
    return (struct ig_str){bytes, size};
}

static inline void tflite_sample_free(struct ig_str sample)
{
    ig_free((void *)(uintptr_t)sample.ptr);
}

#endif
