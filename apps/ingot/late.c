/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL and libzip, loaded when they are first called: their loading is a fifth of a start, which
 * needs neither. The functions of late_entries.def are defined here by their own names and call
 * those of the library, so no caller knows, and the linker finds no use for the libraries
 * themselves. They are hidden: what is loaded binds to the libraries alone. One that is missing
 * ends the process with the dynamic loader's own status. Thread rule: a mutex guards the loading;
 * the pointers are constant afterwards. */
#define OPENSSL_SUPPRESS_DEPRECATED
#define ZIP_EXTERN
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum { STATUS_NOT_LOADED = 127 };

struct library {
    const char *file;
    atomic_bool loaded;
};

static struct library in_crypto = {.file = INGOT_CRYPTO_SONAME},
                      in_ssl = {.file = INGOT_TLS_SONAME}, in_zip = {.file = INGOT_ZIP_SONAME};

#define IG_LATE(library, result, name, parameters, arguments)                                      \
    static __typeof__(&(name)) late_##name;
#define IG_LATE_VOID(library, name, parameters, arguments) static __typeof__(&(name)) late_##name;
#include "late_entries.def"
#undef IG_LATE
#undef IG_LATE_VOID

static const struct {
    const struct library *library;
    const char *name;
    void *pointer;
} entries[] = {
#define IG_LATE(library, result, name, parameters, arguments) {&in_##library, #name, &late_##name},
#define IG_LATE_VOID(library, name, parameters, arguments) {&in_##library, #name, &late_##name},
#include "late_entries.def"
#undef IG_LATE
#undef IG_LATE_VOID
};

static void *check(void *found)
{
    if (found) return found;
    fprintf(stderr, "ingot: error while loading shared libraries: %s\n", dlerror());
    _exit(STATUS_NOT_LOADED);
}

static void load(struct library *library)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&library->loaded)) {
        void *handle = check(dlopen(library->file, RTLD_NOW | RTLD_LOCAL));
        for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
            if (entries[i].library != library) continue;
            void *symbol = check(dlsym(handle, entries[i].name));
            memcpy(entries[i].pointer, &symbol, sizeof symbol);
        }
        atomic_store(&library->loaded, true);
    }
    pthread_mutex_unlock(&lock);
}

static inline void need(struct library *library)
{
    if (!atomic_load_explicit(&library->loaded, memory_order_acquire)) load(library);
}

#define IG_LATE(library, result, name, parameters, arguments)                                      \
    result name parameters                                                                         \
    {                                                                                              \
        need(&in_##library);                                                                       \
        return late_##name arguments;                                                              \
    }
#define IG_LATE_VOID(library, name, parameters, arguments)                                         \
    void name parameters                                                                           \
    {                                                                                              \
        need(&in_##library);                                                                       \
        late_##name arguments;                                                                     \
    }
#include "late_entries.def"
