/* SPDX-License-Identifier: Apache-2.0 */
/* Loads libpq. A server on SQLite never gets here, so it neither starts slower nor grows. A failure
 * is not kept. Thread rule: a mutex guards the loading; the table is constant afterwards. */
#include "stores/db_postgres_priv.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static const char LIBRARY[] = "libpq.so.5";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;
static struct pg_api api;

static enum ig_code load(struct ig_err *err)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return ig_fail(err, IG_UNSUPPORTED,
                       "database: PostgreSQL needs its client library %s (package libpq5), which "
                       "cannot be loaded: %.200s",
                       LIBRARY, dlerror());
#define PG_FUNCTION(name)                                                                          \
    {                                                                                              \
        void *symbol = dlsym(handle, #name);                                                       \
        if (!symbol)                                                                               \
            return ig_fail(err, IG_UNSUPPORTED, "database: %s has no %s: it is too old", LIBRARY,  \
                           #name);                                                                 \
        memcpy(&api.name, &symbol, sizeof symbol);                                                 \
    }
    PG_FUNCTIONS(PG_FUNCTION)
#undef PG_FUNCTION
    loaded = true;
    return IG_OK;
}

enum ig_code pg_library_get(const struct pg_api **out, struct ig_err *err)
{
    pthread_mutex_lock(&lock);
    enum ig_code code = loaded ? IG_OK : load(err);
    pthread_mutex_unlock(&lock);
    if (code == IG_OK) *out = &api;
    return code;
}
