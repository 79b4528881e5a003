/* SPDX-License-Identifier: Apache-2.0 */
/* OpenBLAS by dlopen: two functions. Thread rule: loading is guarded by a mutex; products may run
 * on any thread after it. Source: cblas.h. */
#include "kernels/train/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* OpenBLAS takes a buffer of 128 MB at its first product, and asks for it for ever where it does
 * not get it. */
static const size_t BUFFER_BYTES = (size_t)132 << 20;

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 }; /* enum CBLAS_ORDER, CBLAS_TRANSPOSE */

static struct {
    pthread_mutex_t lock;
    bool loaded;
    void (*set_num_threads)(int count);
    void (*sgemm)(int order, int transpose_a, int transpose_b, int rows, int columns, int inner,
                  float alpha, const float *a, int stride_a, const float *b, int stride_b,
                  float beta, float *out, int stride_out);
} blas = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum ig_code take_buffer(struct ig_err *err)
{
    float one = 1, out = 0;
    void *room =
        mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return ig_fail(err, IG_NO_MEMORY, "training networks: OpenBLAS needs %zu MB of memory",
                       BUFFER_BYTES >> 20);
    munmap(room, BUFFER_BYTES);
    blas.sgemm(ROW_MAJOR, PLAIN, PLAIN, 1, 1, 1, 1.0F, &one, 1, &one, 1, 0.0F, &out, 1);
    return IG_OK;
}

static enum ig_code load(struct ig_err *err)
{
    static const char *const names[] = {"libopenblas.so.0", "libopenblas.so"};
    void *library = NULL;
    /* Read when it is loaded: threads that are never asked for would be started. */
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return ig_fail(err, IG_UNSUPPORTED,
                       "training networks needs OpenBLAS (Debian package libopenblas0-pthread): %s",
                       dlerror());
    void *sgemm = dlsym(library, "cblas_sgemm");
    void *set_num_threads = dlsym(library, "openblas_set_num_threads");
    if (!sgemm || !set_num_threads)
        return ig_fail(err, IG_UNSUPPORTED, "this OpenBLAS has no %s",
                       sgemm ? "openblas_set_num_threads" : "cblas_sgemm");
    memcpy(&blas.sgemm, &sgemm, sizeof sgemm);
    memcpy(&blas.set_num_threads, &set_num_threads, sizeof set_num_threads);
    blas.set_num_threads(1);
    blas.loaded = take_buffer(err) == IG_OK;
    return err->code;
}

enum ig_code ig_blas_load(struct ig_err *err)
{
    pthread_mutex_lock(&blas.lock);
    enum ig_code code = blas.loaded ? IG_OK : load(err);
    pthread_mutex_unlock(&blas.lock);
    return code;
}

void ig_blas_multiply(const struct ig_blas_product *product)
{
    const struct ig_blas_matrix *a = &product->a, *b = &product->b;
    blas.sgemm(ROW_MAJOR, a->transposed ? TRANSPOSED : PLAIN, b->transposed ? TRANSPOSED : PLAIN,
               (int)product->rows, (int)product->columns, (int)product->inner, 1.0F, a->values,
               (int)a->stride, b->values, (int)b->stride, product->keep, product->out,
               (int)product->columns);
}
