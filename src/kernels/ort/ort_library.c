/* SPDX-License-Identifier: Apache-2.0 */
/* Finds ONNX Runtime and takes what is used of its table. One library a process, never unloaded;
 * a failure is not kept, so a library that is installed later is found. Thread rule: a mutex guards
 * the choice and the loading.
 *
 * Source: onnxruntime_c_api.h, by whose contract entries keep their places. */
#include "kernels/ort/ort.h"
#include "kernels/ort/ort_priv.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEVERITY_FATAL = 4, ALLOCATOR_DEVICE = 0, MEMORY_DEFAULT = 0 };

static const char ABSENT[] =
    "ONNX Runtime would run it, but is not installed (libonnxruntime.so.1, or a path in "
    "INGOT_ONNXRUNTIME_LIBRARY, the setting onnxruntime_library)";

static struct {
    pthread_mutex_t lock;
    bool chosen; /* by ig_ort_setup */
    enum ig_ort_use use;
    char path[PATH_MAX]; /* empty: the usual names */
    bool loaded;
    struct ort_library library;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool ort_good(const struct ort_library *library, struct ort_status *status, const char *what,
              struct ig_err *err)
{
    if (!status) return true;
    ig_fail(err, IG_UNSUPPORTED, "ONNX Runtime %s: %s: %.400s", library->version, what,
            library->api.GetErrorMessage(status));
    library->api.ReleaseStatus(status);
    return false;
}

/* ---- loading ---- */

static enum ig_code take_entries(struct ort_library *library, void *const *table,
                                 struct ig_err *err)
{
#define IG_ORT_ENTRY(index, result, name, parameters, doc)                                         \
    if (!table[index])                                                                             \
        return ig_fail(err, IG_UNSUPPORTED, "ONNX Runtime %s: its table has no %s",                \
                       library->version, #name);                                                   \
    memcpy(&library->api.name, &table[index], sizeof(void *));
#include "kernels/ort/ort_entries.def"
#undef IG_ORT_ENTRY
    return IG_OK;
}

static enum ig_code take_table(struct ort_library *library, void *symbol, struct ig_err *err)
{
    const struct ort_base *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof symbol);
    const struct ort_base *base = get_base();
    if (!base || !base->GetApi || !base->GetVersionString)
        return ig_fail(err, IG_UNSUPPORTED, "it gives no table of functions");
    snprintf(library->version, sizeof library->version, "%s", base->GetVersionString());
    void *const *table = base->GetApi(ORT_API_VERSION);
    if (!table)
        return ig_fail(err, IG_UNSUPPORTED, "ONNX Runtime %s is too old, 1.%d or later is needed",
                       library->version, ORT_API_VERSION);
    return take_entries(library, table, err);
}

static enum ig_code make_environment(struct ort_library *library, struct ig_err *err)
{
    const struct ort_api *api = &library->api;
    if (ort_good(library, api->CreateEnv(SEVERITY_FATAL, "ingot", &library->env), "environment",
                 err) &&
        ort_good(library, api->DisableTelemetryEvents(library->env), "telemetry", err) &&
        ort_good(library,
                 api->CreateCpuMemoryInfo(ALLOCATOR_DEVICE, MEMORY_DEFAULT, &library->memory),
                 "memory", err) &&
        ort_good(library, api->GetAllocatorWithDefaultOptions(&library->allocator), "allocator",
                 err))
        return IG_OK;
    return ig_err_code(err);
}

enum ig_code ort_library_open(struct ort_library *out, const char *path, struct ig_err *err)
{
    struct ort_library library = {.env = NULL};
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return ig_fail(err, IG_UNSUPPORTED, "%.400s", dlerror());
    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol) {
        ig_fail(err, IG_UNSUPPORTED, "%.300s has no OrtGetApiBase: this is not ONNX Runtime", path);
        dlclose(handle);
        return ig_err_code(err);
    }
    if (take_table(&library, symbol, err) != IG_OK || make_environment(&library, err) != IG_OK) {
        ig_err_prefix(err, "%.300s", path);
        return ig_err_code(err);
    }
    *out = library;
    return IG_OK;
}

/* ---- the process's own ---- */

static bool parse_use(enum ig_ort_use *out, const char *text)
{
    static const char *const names[] = {"auto", "ingot", "onnxruntime"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (enum ig_ort_use)i;
        return true;
    }
    return false;
}

/* `names` of the two settings, for the messages; under the lock. */
static enum ig_code choose(const char *use, const char *library, const char *const names[2],
                           struct ig_err *err)
{
    if (!parse_use(&process.use, use))
        return ig_fail(err, IG_INVALID, "%s: '%.80s' is not auto, ingot or onnxruntime", names[0],
                       use);
    if (library[0] && library[0] != '/')
        return ig_fail(err, IG_INVALID, "%s: '%.80s' is not an absolute path", names[1], library);
    if (strlen(library) >= sizeof process.path)
        return ig_fail(err, IG_INVALID, "%s: a path of more than %d bytes", names[1], PATH_MAX);
    snprintf(process.path, sizeof process.path, "%s", library);
    return IG_OK;
}

enum ig_code ig_ort_setup(const char *use, const char *library, struct ig_err *err)
{
    static const char *const names[] = {"onnx_engine", "onnxruntime_library"};
    pthread_mutex_lock(&process.lock);
    enum ig_code code = choose(use, library, names, err);
    process.chosen = code == IG_OK;
    pthread_mutex_unlock(&process.lock);
    return code;
}

static enum ig_code ask_environment(struct ig_err *err)
{
    static const char *const names[] = {"INGOT_ONNX_ENGINE", "INGOT_ONNXRUNTIME_LIBRARY"};
    const char *use = getenv(names[0]), *library = getenv(names[1]);
    if (process.chosen) return IG_OK;
    return choose(use && *use ? use : "auto", library ? library : "", names, err);
}

enum ig_code ig_ort_use(enum ig_ort_use *out, struct ig_err *err)
{
    pthread_mutex_lock(&process.lock);
    enum ig_code code = ask_environment(err);
    if (code == IG_OK) *out = process.use;
    pthread_mutex_unlock(&process.lock);
    return code;
}

static enum ig_code load(struct ig_err *err)
{
    static const char *const usual[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
    if (process.use == IG_ORT_NEVER)
        return ig_fail(err, IG_UNSUPPORTED, "onnx_engine keeps ONNX Runtime out");
    if (process.path[0]) return ort_library_open(&process.library, process.path, err);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        void *there = dlopen(usual[i], RTLD_NOW | RTLD_LOCAL);
        if (!there) continue;
        enum ig_code code = ort_library_open(&process.library, usual[i], err);
        dlclose(there);
        return code;
    }
    return ig_fail(err, IG_UNSUPPORTED, "%s", ABSENT);
}

enum ig_code ort_library_get(const struct ort_library **out, struct ig_err *err)
{
    pthread_mutex_lock(&process.lock);
    if (!process.loaded && ask_environment(err) == IG_OK) process.loaded = load(err) == IG_OK;
    if (process.loaded) *out = &process.library;
    pthread_mutex_unlock(&process.lock);
    return err->code;
}
