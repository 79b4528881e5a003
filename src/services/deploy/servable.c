/* SPDX-License-Identifier: Apache-2.0 */
/* Servables: a package in memory and a count of references. Immutable but for the count; the last
 * unref, on whatever thread, frees it. */
#include "services/deploy/servable_counted.h"

#include "base/clock.h"
#include "base/mem.h"
#include "services/deploy/replica_set.h"

#include <string.h>

static const size_t PACKAGE_MAX_BYTES = (size_t)2 << 30;

struct ig_servable_counted *ig_servable_counted_new(void)
{
    struct ig_servable_counted *counted = ig_zalloc(sizeof *counted);
    if (counted) atomic_init(&counted->references, 1);
    return counted;
}

static void copy_text(char *to, size_t size, struct ig_str text)
{
    IG_ASSERT(text.len < size);
    memcpy(to, text.ptr, text.len);
    to[text.len] = 0;
}

static void describe(struct ig_servable_counted *counted, struct ig_str deployment,
                     const struct ig_registry_version *version)
{
    struct ig_servable *servable = &counted->servable;
    servable->version = version->version;
    servable->loaded_ms = ig_clock_unix_ms();
    copy_text(servable->deployment, sizeof servable->deployment, deployment);
    copy_text(servable->model, sizeof servable->model, version->model);
    copy_text(servable->digest, sizeof servable->digest, version->digest);
    copy_text(servable->model_digest, sizeof servable->model_digest, version->model_digest);
}

enum ig_code ig_servable_load(const struct ig_servable **out,
                              const struct ig_servable_source *source, struct ig_str deployment,
                              const struct ig_registry_version *version, struct ig_err *err)
{
    struct ig_buf bytes;
    struct ig_servable_counted *counted = ig_servable_counted_new();
    if (!counted) return ig_fail(err, IG_NO_MEMORY, "model version");
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    enum ig_code code = ig_blob_read(&bytes, source->blobs, version->digest, err);
    if (code == IG_OK)
        code = ig_package_open_bytes(&counted->package, ig_buf_view(&bytes), NULL, err);
    ig_buf_deinit(&bytes);
    if (code == IG_OK) code = ig_prepared_new(&counted->prepared, source->tables_max_bytes, err);
    if (code != IG_OK) {
        ig_package_free(counted->package);
        ig_err_prefix(err, "model '%.*s' version %lld", IG_STR_ARGS(version->model),
                      (long long)version->version);
        ig_free(counted);
        return code;
    }
    counted->servable.package = counted->package;
    counted->servable.prepared = counted->prepared;
    describe(counted, deployment, version);
    *out = &counted->servable;
    return IG_OK;
}

enum ig_code ig_servable_lend(const struct ig_servable **out, const struct ig_servable *lender,
                              size_t tables_max_bytes, struct ig_str deployment,
                              const struct ig_registry_version *version, struct ig_err *err)
{
    struct ig_servable_counted *counted = ig_servable_counted_new();
    if (!counted) return ig_fail(err, IG_NO_MEMORY, "model version");
    if (ig_prepared_new(&counted->prepared, tables_max_bytes, err) != IG_OK) {
        ig_free(counted);
        return err->code;
    }
    counted->lender = ig_servable_ref(lender);
    counted->servable.package = lender->package;
    counted->servable.prepared = counted->prepared;
    describe(counted, deployment, version);
    *out = &counted->servable;
    return IG_OK;
}

void ig_servable_counted_point(struct ig_servable_counted *counted,
                               const struct ig_servable_elsewhere *elsewhere)
{
    struct ig_servable *servable = &counted->servable;
    servable->replicas = ig_replicas_ref(elsewhere->replicas);
    servable->replica_node = elsewhere->node;
    servable->residency = elsewhere->residency;
    if (elsewhere->residency)
        copy_text(servable->resident_key, sizeof servable->resident_key, elsewhere->resident_key);
}

enum ig_code ig_servable_point(const struct ig_servable **out,
                               const struct ig_servable_elsewhere *elsewhere,
                               struct ig_str deployment, const struct ig_registry_version *version,
                               struct ig_err *err)
{
    struct ig_servable_counted *counted = ig_servable_counted_new();
    if (!counted) {
        ig_package_free(elsewhere->face);
        return ig_fail(err, IG_NO_MEMORY, "model version");
    }
    counted->package = elsewhere->face;
    counted->servable.package = counted->package;
    ig_servable_counted_point(counted, elsewhere);
    describe(counted, deployment, version);
    *out = &counted->servable;
    return IG_OK;
}

enum ig_code ig_servable_own(const struct ig_servable **out, struct ig_package *package,
                             struct ig_str model, int64_t version, size_t tables_max_bytes,
                             struct ig_err *err)
{
    struct ig_servable_counted *counted = ig_servable_counted_new();
    if (!counted) ig_fail(err, IG_NO_MEMORY, "model version");
    if (!counted || ig_prepared_new(&counted->prepared, tables_max_bytes, err) != IG_OK) {
        ig_package_free(package);
        ig_free(counted);
        return err->code;
    }
    struct ig_servable *servable = &counted->servable;
    counted->package = package;
    servable->package = package;
    servable->prepared = counted->prepared;
    servable->version = version;
    servable->loaded_ms = ig_clock_unix_ms();
    copy_text(servable->model, sizeof servable->model, model);
    memcpy(servable->model_digest, package->model_digest, sizeof servable->model_digest);
    *out = servable;
    return IG_OK;
}

/* The servable is a member of a counted that this file made. */
static struct ig_servable_counted *counted_of(const struct ig_servable *servable)
{
    return (struct ig_servable_counted *)(uintptr_t)servable;
}

const char *ig_servable_name(const struct ig_servable *servable)
{
    return servable->members_count ? servable->node : servable->model;
}

const struct ig_servable *ig_servable_ref(const struct ig_servable *servable)
{
    if (servable)
        atomic_fetch_add_explicit(&counted_of(servable)->references, 1, memory_order_relaxed);
    return servable;
}

bool ig_servable_is_last(const struct ig_servable *servable)
{
    return atomic_load_explicit(&counted_of(servable)->references, memory_order_acquire) == 1;
}

void ig_servable_unref(const struct ig_servable *servable)
{
    if (!servable) return;
    struct ig_servable_counted *counted = counted_of(servable);
    if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < servable->members_count; i++)
        ig_servable_unref(servable->members[i].servable);
    ig_servable_unref(servable->meta);
    ig_prepared_free(counted->prepared);
    ig_package_free(counted->package);
    ig_composite_free(counted->composite);
    ig_replicas_unref(servable->replicas);
    ig_servable_unref(counted->lender);
    ig_free(counted);
}
