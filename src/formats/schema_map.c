/* SPDX-License-Identifier: Apache-2.0 */
/* Copies schemas and tells how two of them fit together. Owns nothing; all is in the caller's
 * arena. Thread rule: pure. */
#include "formats/schema_map.h"

#include <string.h>

static struct ig_str *dup_texts(const struct ig_str *texts, uint32_t count, struct ig_arena *arena)
{
    if (!texts) return NULL;
    struct ig_str *out = ig_arena_array(arena, count + (size_t)1, sizeof *out);
    for (uint32_t i = 0; out && i < count; i++) out[i] = ig_arena_dup(arena, texts[i]);
    return out;
}

enum ig_code ig_schema_dup(struct ig_schema *out, const struct ig_schema *schema,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct ig_schema copy = {.features_count = schema->features_count,
                             .task = schema->task,
                             .classes_count = schema->classes_count};
    copy.features =
        ig_arena_array(arena, schema->features_count + (size_t)1, sizeof *copy.features);
    for (uint32_t i = 0; copy.features && i < schema->features_count; i++) {
        const struct ig_feature *from = &schema->features[i];
        copy.features[i] = (struct ig_feature){
            .name = ig_arena_dup(arena, from->name),
            .type = from->type,
            .categories = dup_texts(from->categories, from->categories_count, arena),
            .categories_count = from->categories_count,
            .hashed = from->hashed,
            .hash_coded = from->hash_coded,
            .required = from->required,
            .named = from->named};
    }
    copy.target = ig_arena_dup(arena, schema->target);
    copy.classes = dup_texts(schema->classes, schema->classes_count, arena);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "schema");
    *out = copy;
    return ig_schema_index(out, err);
}

static bool same_texts(const struct ig_str *a, const struct ig_str *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!ig_str_eq(a[i], b[i])) return false;
    return true;
}

/* Two classes are a binary task, or one of many classes that happen to be two, by how many numbers
 * a file says of them. */
static bool same_task(const struct ig_schema *a, const struct ig_schema *b)
{
    if (a->task == b->task) return true;
    bool classify = (a->task == IG_TASK_BINARY && b->task == IG_TASK_MULTICLASS) ||
                    (a->task == IG_TASK_MULTICLASS && b->task == IG_TASK_BINARY);
    return classify && a->classes_count == 2 && b->classes_count == 2;
}

static enum ig_code check_outcome(const struct ig_schema *model, const struct ig_schema *rows,
                                  struct ig_err *err)
{
    if (!same_task(model, rows))
        return ig_fail(err, IG_INVALID, "its task is %s, expected %s", ig_task_name(model->task),
                       ig_task_name(rows->task));
    bool named = model->classes && rows->classes;
    if (named && (model->classes_count != rows->classes_count ||
                  !same_texts(model->classes, rows->classes, rows->classes_count)))
        return ig_fail(err, IG_INVALID, "its classes are not the same, or in another order");
    return IG_OK;
}

static bool same_categories(const struct ig_feature *a, const struct ig_feature *b)
{
    return a->hashed == b->hashed && a->hash_coded == b->hash_coded &&
           a->categories_count == b->categories_count &&
           same_texts(a->categories, b->categories, a->categories_count);
}

/* A code by what the rows know of a category: its text or its hash in decimal. */
static int32_t code_of(const struct ig_feature *model, const struct ig_feature *rows,
                       struct ig_str category)
{
    uint64_t hash;
    if (!rows->hashed) return ig_feature_category_code(model, category);
    if (model->hash_coded) return ig_str_to_u64(category, &hash) ? (int32_t)(uint32_t)hash : -1;
    return (int32_t)(uintptr_t)ig_map_get(&model->code_by_category, category) - 1;
}

/* The model's code of each code of the rows. */
static int32_t *map_codes(const struct ig_feature *model, const struct ig_feature *rows,
                          struct ig_arena *arena)
{
    int32_t *codes = ig_arena_array(arena, rows->categories_count + (size_t)1, sizeof *codes);
    for (uint32_t i = 0; codes && i < rows->categories_count; i++)
        codes[i] = code_of(model, rows, rows->categories[i]);
    return codes;
}

struct mapping {
    const struct ig_schema *model, *rows;
    struct ig_arena *arena;
    uint32_t *source_of;
    const int32_t **codes;
    uint32_t *codes_counts;
};

static enum ig_code map_feature(struct mapping *map, uint32_t index, struct ig_err *err)
{
    const struct ig_feature *own = &map->model->features[index];
    int32_t found = ig_schema_feature_index(map->rows, own->name);
    if (found < 0)
        return ig_fail(err, IG_INVALID, "it has a feature '%.*s', which the others lack",
                       IG_STR_ARGS(own->name));
    const struct ig_feature *other = &map->rows->features[found];
    bool categorical = own->type == IG_FEATURE_CATEGORICAL;
    if (categorical != (other->type == IG_FEATURE_CATEGORICAL))
        return ig_fail(err, IG_INVALID, "its feature '%.*s' is %s, expected %s",
                       IG_STR_ARGS(own->name), ig_feature_type_name(own->type),
                       ig_feature_type_name(other->type));
    map->source_of[index] = (uint32_t)found;
    if (!categorical || same_categories(own, other)) return IG_OK;
    if (ig_feature_takes_text(own) != ig_feature_takes_text(other))
        return ig_fail(err, IG_INVALID, "its feature '%.*s' has %s, unlike the others'",
                       IG_STR_ARGS(own->name),
                       ig_feature_takes_text(own) ? "words as categories" : "numbered categories");
    if (other->hash_coded && !own->hash_coded)
        return ig_fail(
            err, IG_INVALID,
            "its feature '%.*s' tells some categories apart, the others take any by hash",
            IG_STR_ARGS(own->name));
    if (other->hashed && !own->hashed)
        return ig_fail(err, IG_INVALID,
                       "its feature '%.*s' has words as categories, the others' hashes of them",
                       IG_STR_ARGS(own->name));
    map->codes[index] = map_codes(own, other, map->arena);
    map->codes_counts[index] = other->categories_count;
    return IG_OK;
}

enum ig_code ig_schema_map(struct ig_feature_map *out, const struct ig_schema *model,
                           const struct ig_schema *rows, struct ig_arena *arena, struct ig_err *err)
{
    uint32_t count = model->features_count;
    bool ordered = true, coded = false;
    struct mapping map = {.model = model, .rows = rows, .arena = arena};
    if (check_outcome(model, rows, err) != IG_OK) return err->code;
    map.source_of = ig_arena_array(arena, count + (size_t)1, sizeof *map.source_of);
    map.codes = ig_arena_array(arena, count + (size_t)1, sizeof *map.codes);
    map.codes_counts = ig_arena_array(arena, count + (size_t)1, sizeof *map.codes_counts);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "map of %u features", count);
    for (uint32_t i = 0; i < count; i++) {
        if (map_feature(&map, i, err) != IG_OK) return err->code;
        ordered = ordered && map.source_of[i] == i;
        coded = coded || map.codes[i];
    }
    for (uint32_t i = 0; i < rows->features_count; i++)
        if (ig_schema_feature_index(model, rows->features[i].name) < 0)
            return ig_fail(err, IG_INVALID, "it lacks the feature '%.*s' of the others",
                           IG_STR_ARGS(rows->features[i].name));
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "map of %u features", count);
    *out = (struct ig_feature_map){.features_count = count,
                                   .source_of = ordered ? NULL : map.source_of,
                                   .codes = coded ? map.codes : NULL,
                                   .codes_counts = map.codes_counts};
    return IG_OK;
}
