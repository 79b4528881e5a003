/* SPDX-License-Identifier: Apache-2.0 */
/* Ensembles as servables: a package made of other packages, with the first member's schema. Each
 * member's rows are mapped from that schema. */
#include "base/clock.h"
#include "base/mem.h"
#include "formats/schema_map.h"
#include "services/deploy/servable_counted.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 16 << 10, ARENA_MAX = 64 << 20 };

static struct ig_package *new_package(void)
{
    struct ig_package *package = ig_zalloc(sizeof *package);
    if (!package) return NULL;
    ig_arena_init(&package->arena, ARENA_CHUNK, ARENA_MAX);
    package->metadata_json = IG_STR("{}");
    return package;
}

/* How each member reads the rows, into the package's arena. */
static enum ig_code map_members(struct ig_composite_member *out, struct ig_package *package,
                                const struct ig_servable_combination *combination,
                                struct ig_err *err)
{
    for (size_t i = 0; i < combination->members_count; i++) {
        const struct ig_servable *servable = combination->members[i].servable;
        out[i].engine = servable->package->engine;
        out[i].name = ig_servable_name(servable);
        out[i].timeout_ms = combination->members[i].timeout_ms;
        out[i].weight = combination->members[i].weight;
        if (ig_schema_map(&out[i].map, &servable->package->schema, &package->schema,
                          &package->arena, err) == IG_OK)
            continue;
        ig_err_prefix(err, "members[%zu] does not fit members[0]", i);
        return err->code;
    }
    return IG_OK;
}

static enum ig_code build(struct ig_servable_counted *counted, struct ig_package *package,
                          const struct ig_servable_combination *combination, struct ig_err *err)
{
    struct ig_composite_member members[IG_COMPOSITE_MEMBERS_MAX];
    const struct ig_schema *first = &combination->members[0].servable->package->schema;
    bool classifies = first->task == IG_TASK_BINARY || first->task == IG_TASK_MULTICLASS;
    if (ig_schema_dup(&package->schema, first, &package->arena, err) != IG_OK ||
        map_members(members, package, combination, err) != IG_OK)
        return err->code;
    uint32_t classes = first->classes_count;
    if (classifies && classes < 2) { /* a bare model file names none */
        uint32_t outputs = combination->members[0].servable->package->model->outputs_count;
        classes = outputs > 2 ? outputs : 2;
    }
    const struct ig_composite_spec spec = {
        .combine = combination->combine,
        .members = members,
        .members_count = combination->members_count,
        .meta = combination->meta ? combination->meta->package->engine : NULL,
        .features_count = package->schema.features_count,
        .classes_count = classifies ? classes : 0,
        .skips = combination->skips,
    };
    if (ig_composite_new(&counted->composite, &spec, err) != IG_OK) return err->code;
    package->model = ig_composite_model(counted->composite, err);
    if (!package->model) return err->code;
    if (classifies && classes == 2 && package->model->transform == IG_TRANSFORM_PROBABILITY)
        package->schema.task =
            package->model->predictions_count == 1 ? IG_TASK_BINARY : IG_TASK_MULTICLASS;
    package->memory_bytes = sizeof *package + package->arena.held_bytes + sizeof *package->model +
                            package->model->arena.held_bytes +
                            ig_composite_memory_bytes(counted->composite);
    return ig_engine_new_composite(&package->engine, package->model, counted->composite, err);
}

/* Two ensembles of the same models, combined alike, are the same model. */
static void find_digests(struct ig_servable *servable,
                         const struct ig_servable_combination *combination, struct ig_err *err)
{
    struct ig_buf all, models;
    ig_buf_init(&all, 1 << 16);
    ig_buf_init(&models, 1 << 16);
    ig_buf_printf(&all, "%s", ig_combine_name(combination->combine));
    ig_buf_printf(&models, "%s", ig_combine_name(combination->combine));
    for (size_t i = 0; i < combination->members_count; i++) {
        const struct ig_servable *member = combination->members[i].servable;
        ig_buf_printf(&all, ",%s,%.17g", member->digest, combination->members[i].weight);
        ig_buf_printf(&models, ",%s,%.17g", member->model_digest, combination->members[i].weight);
    }
    if (combination->meta) {
        ig_buf_printf(&all, ",%s", combination->meta->digest);
        ig_buf_printf(&models, ",%s", combination->meta->model_digest);
    }
    if (all.overflowed || models.overflowed) ig_fail(err, IG_NO_MEMORY, "ensemble");
    ig_sha256_hex(all.ptr, all.len, servable->digest);
    ig_sha256_hex(models.ptr, models.len, servable->model_digest);
    ig_buf_deinit(&all);
    ig_buf_deinit(&models);
}

static void keep_members(struct ig_servable_counted *counted, struct ig_package *package,
                         const struct ig_servable_combination *combination)
{
    size_t count = combination->members_count;
    struct ig_servable_member *members = ig_arena_array(&package->arena, count, sizeof *members);
    if (!members) return;
    for (size_t i = 0; i < count; i++) {
        members[i] = combination->members[i];
        ig_servable_ref(members[i].servable);
    }
    counted->servable.members = members;
    counted->servable.members_count = count;
    counted->servable.meta = ig_servable_ref(combination->meta);
}

enum ig_code ig_servable_combine(const struct ig_servable **out, struct ig_str node,
                                 const struct ig_servable_combination *combination,
                                 size_t tables_max_bytes, struct ig_err *err)
{
    const struct ig_servable *first = combination->members[0].servable;
    const struct ig_servable_elsewhere *elsewhere = combination->elsewhere;
    struct ig_servable_counted *counted = ig_servable_counted_new();
    struct ig_package *package = elsewhere ? elsewhere->face : new_package();
    if (!counted || !package) {
        ig_free(counted);
        ig_package_free(package);
        return ig_fail(err, IG_NO_MEMORY, "ensemble");
    }
    struct ig_servable *servable = &counted->servable;
    counted->package = package;
    keep_members(counted, package, combination);
    if (package->arena.overflowed) ig_fail(err, IG_NO_MEMORY, "ensemble");
    if (elsewhere)
        ig_servable_counted_point(counted, elsewhere);
    else if (err->code == IG_OK)
        build(counted, package, combination, err);
    if (err->code == IG_OK) find_digests(servable, combination, err);
    if (err->code == IG_OK && !elsewhere)
        ig_prepared_new(&counted->prepared, tables_max_bytes, err);
    if (err->code != IG_OK) {
        ig_servable_unref(servable);
        return err->code;
    }
    servable->package = package;
    servable->prepared = counted->prepared;
    servable->combine = combination->combine;
    servable->skips = combination->skips;
    servable->loaded_ms = ig_clock_unix_ms();
    snprintf(servable->deployment, sizeof servable->deployment, "%s", first->deployment);
    snprintf(servable->model, sizeof servable->model, "%s", first->model);
    snprintf(servable->node, sizeof servable->node, "%.*s", IG_STR_ARGS(node));
    memcpy(package->model_digest, servable->model_digest, sizeof package->model_digest);
    *out = servable;
    return IG_OK;
}
