/* SPDX-License-Identifier: Apache-2.0 */
/* From a document to the plan of one of its operations. A level's fields are found by a walk with a
 * stack in the arena, levels one after the other by a queue, so nothing recurses; the limits, which
 * are checked first and count fragments wherever they are spread, bound both. */
#include "api/graphql_plan_priv.h"

static enum ig_code no_memory(const struct ig_graphql_planner *planner)
{
    return ig_fail(planner->err, IG_NO_MEMORY, "no memory for the query");
}

static enum ig_code too_many(const struct ig_graphql_planner *planner)
{
    return ig_fail(planner->err, IG_INVALID, "Query exceeds maximum total selections of %d",
                   IG_GRAPHQL_FIELDS_MAX);
}

/* ---- the fields of a level ---- */

/* Whether @skip and @include let it be. */
static bool is_wanted(const struct ig_graphql_planner *planner,
                      const struct ig_graphql_selection *selection)
{
    bool wanted = true;
    const struct ig_graphql_directive *directive = selection->directives;
    for (; directive; directive = directive->next) {
        const struct ig_graphql_value *value = NULL, *condition;
        bool include = ig_str_is(directive->name, "include");
        if (!include && !ig_str_is(directive->name, "skip")) {
            ig_fail(planner->err, IG_INVALID, "Unknown directive '@%.*s'.",
                    IG_STR_ARGS(ig_graphql_shown(directive->name)));
            return false;
        }
        condition = ig_graphql_value_named(directive->arguments, IG_STR("if"));
        if (condition && ig_graphql_resolve(&value, planner, condition) != IG_OK) return false;
        if (!value || value->kind != IG_GRAPHQL_BOOL) {
            ig_fail(planner->err, IG_INVALID,
                    "Directive '@%.*s' argument 'if' of type 'Boolean!' is required.",
                    IG_STR_ARGS(directive->name));
            return false;
        }
        wanted = wanted && ig_str_is(value->text, "true") == include;
    }
    return wanted;
}

static enum ig_code check_condition(const struct ig_graphql_planner *planner,
                                    struct ig_str condition, const char *type)
{
    if (!condition.len || ig_str_is(condition, type)) return IG_OK;
    if (!ig_graphql_is_type(condition))
        return ig_fail(planner->err, IG_INVALID, "Unknown type '%.*s'.",
                       IG_STR_ARGS(ig_graphql_shown(condition)));
    return ig_fail(planner->err, IG_INVALID,
                   "Fragment cannot be spread here as objects of type '%s' can never be of type "
                   "'%.*s'.",
                   type, IG_STR_ARGS(condition));
}

/* What stands in a fragment; NULL when there is none, or it was met already. */
static const struct ig_graphql_selection *
enter(struct ig_graphql_planner *planner, const struct ig_graphql_selection *at, const char *type)
{
    if (at->kind == IG_GRAPHQL_INLINE) {
        if (type && check_condition(planner, at->name, type) != IG_OK) return NULL;
        return at->first;
    }
    struct ig_graphql_definition *fragment = ig_graphql_fragment(planner->document, at->name);
    if (!fragment) {
        if (type)
            ig_fail(planner->err, IG_INVALID, "Unknown fragment '%.*s'.",
                    IG_STR_ARGS(ig_graphql_shown(at->name)));
        return NULL;
    }
    if (fragment->seen == planner->mark) return NULL;
    fragment->seen = planner->mark;
    if (type && check_condition(planner, fragment->type, type) != IG_OK) return NULL;
    return fragment->first;
}

enum ig_code ig_graphql_expand(struct ig_graphql_fields *out, struct ig_graphql_planner *planner,
                               const struct ig_graphql_selection *first, const char *type,
                               bool again)
{
    const struct ig_graphql_selection **behind = NULL, *at = first;
    size_t height = 0, cap = 0;
    if (!again) planner->mark++;
    while (planner->err->code == IG_OK && (at || height)) {
        if (!at) {
            at = behind[--height];
            continue;
        }
        const struct ig_graphql_selection *inside = NULL, *after = at->next;
        bool wanted = !type || is_wanted(planner, at);
        if (++planner->steps > IG_GRAPHQL_STEPS_MAX) return too_many(planner);
        if (wanted && at->kind == IG_GRAPHQL_FIELD) {
            out->items = ig_arena_grow(planner->arena, (void *)out->items, out->count, &out->cap,
                                       sizeof(void *));
            if (!out->items) return no_memory(planner);
            out->items[out->count++] = at;
        } else if (wanted) {
            inside = enter(planner, at, type);
        }
        if (inside && after) {
            behind = ig_arena_grow(planner->arena, (void *)behind, height, &cap, sizeof(void *));
            if (!behind) return no_memory(planner);
            behind[height++] = after;
        }
        at = inside ? inside : after;
    }
    return planner->err->code;
}

/* ---- limits ---- */

struct level { /* still to be counted */
    const struct ig_graphql_selection *first;
    size_t depth;
    struct level *next;
};

struct counts {
    size_t roots, aliases, fields;
    struct level *levels;
};

static enum ig_code add_level(const struct ig_graphql_planner *planner, struct counts *counts,
                              const struct ig_graphql_selection *first, size_t depth)
{
    struct level *level = ig_arena_alloc(planner->arena, sizeof *level);
    if (!level) return no_memory(planner);
    *level = (struct level){first, depth, counts->levels};
    counts->levels = level;
    return IG_OK;
}

static enum ig_code count_level(struct ig_graphql_planner *planner, struct counts *counts)
{
    struct ig_graphql_fields fields = {0};
    struct level level = *counts->levels;
    size_t aliases = 0;
    counts->levels = level.next;
    if (level.depth > IG_GRAPHQL_DEPTH_MAX)
        return ig_fail(planner->err, IG_INVALID, "Query exceeds maximum depth of %d",
                       IG_GRAPHQL_DEPTH_MAX);
    if (ig_graphql_expand(&fields, planner, level.first, NULL, false) != IG_OK)
        return planner->err->code;
    if (level.depth == 1) counts->roots += fields.count;
    counts->fields += fields.count;
    if (counts->fields > IG_GRAPHQL_FIELDS_MAX) return too_many(planner);
    for (size_t i = 0; i < fields.count; i++) {
        aliases += fields.items[i]->aliased;
        if (fields.items[i]->first &&
            add_level(planner, counts, fields.items[i]->first, level.depth + 1) != IG_OK)
            return planner->err->code;
    }
    if (aliases > counts->aliases) counts->aliases = aliases;
    return IG_OK;
}

enum ig_code ig_graphql_check_limits(struct ig_graphql_planner *planner)
{
    struct counts counts = {0};
    const struct ig_graphql_definition *definition = planner->document;
    for (; definition; definition = definition->next) {
        if (definition->kind == IG_GRAPHQL_FRAGMENT) continue;
        if (add_level(planner, &counts, definition->first, 1) != IG_OK) return planner->err->code;
        while (counts.levels)
            if (count_level(planner, &counts) != IG_OK) return planner->err->code;
    }
    bool roots = counts.roots > IG_GRAPHQL_ROOTS_MAX;
    if (!roots && counts.aliases <= IG_GRAPHQL_ALIASES_MAX) return IG_OK;
    const char *what = roots ? "root fields" : "aliases";
    return ig_fail(planner->err, IG_INVALID,
                   "GraphQL queries should have at most %d %s, got %zu %s.",
                   roots ? IG_GRAPHQL_ROOTS_MAX : IG_GRAPHQL_ALIASES_MAX, what,
                   roots ? counts.roots : counts.aliases, what);
}

/* ---- the plan ---- */

static enum ig_code check_leaf(const struct ig_graphql_planner *planner,
                               const struct ig_graphql_node *node, bool selects)
{
    if (node->root || node->field) {
        const char *name = node->root ? node->root->name : node->field->name;
        if (node->type && !selects)
            return ig_fail(planner->err, IG_INVALID,
                           "Field '%s' of type '%s' must have a selection of subfields.", name,
                           node->type);
        if (node->type || !selects) return IG_OK;
        return ig_fail(planner->err, IG_INVALID,
                       "Field '%s' must not have a selection since it has no subfields.", name);
    }
    if (!selects) return IG_OK;
    return ig_fail(planner->err, IG_INVALID,
                   "Field '__typename' must not have a selection since type 'String!' has no "
                   "subfields.");
}

/* Of all fields but roots only some of introspection's have an argument, and nothing is deprecated
 * that it could leave out. */
static const struct ig_graphql_value *unknown_argument(const struct ig_graphql_field *field,
                                                       const struct ig_graphql_selection *selection)
{
    const struct ig_graphql_value *argument = selection->arguments;
    if (!field || field->kind != IG_GRAPHQL_IS_PARTS) return argument;
    while (argument && ig_str_is(argument->name, "includeDeprecated")) argument = argument->next;
    return argument;
}

/* What the selection is of this type. */
static enum ig_code identify(struct ig_graphql_node *out, const struct ig_graphql_planner *planner,
                             const struct ig_graphql_selection *selection, const char *type)
{
    *out = (struct ig_graphql_node){.key = selection->key};
    bool name = ig_str_is(selection->name, "__typename");
    if (!name) out->root = ig_graphql_root_find(type, selection->name);
    if (!name && !out->root) out->field = ig_graphql_field_find(type, selection->name);
    if (!name && !out->root && !out->field)
        return ig_fail(planner->err, IG_INVALID, "Cannot query field '%.*s' on type '%s'.",
                       IG_STR_ARGS(ig_graphql_shown(selection->name)), type);
    if (out->root) {
        out->type = out->root->type;
        if (ig_graphql_body(&out->body, planner, out->root, selection->arguments) != IG_OK)
            return planner->err->code;
    } else if (unknown_argument(out->field, selection)) {
        const struct ig_graphql_value *argument = unknown_argument(out->field, selection);
        return ig_fail(planner->err, IG_INVALID, "Unknown argument '%.*s' on field '%s.%.*s'.",
                       IG_STR_ARGS(ig_graphql_shown(argument->name)), type,
                       IG_STR_ARGS(selection->name));
    }
    if (out->field && out->field->kind >= IG_GRAPHQL_IS_OBJECT) out->type = out->field->of;
    if (check_leaf(planner, out, selection->first != NULL) != IG_OK) return planner->err->code;
    if (name) out->type = type;
    return IG_OK;
}

/* Fields of one key are one, and have to be the same. */
static enum ig_code merge(const struct ig_graphql_planner *planner,
                          const struct ig_graphql_node *there, const struct ig_graphql_node *node)
{
    if (there->root == node->root && there->field == node->field &&
        ig_str_eq(there->body, node->body))
        return IG_OK;
    return ig_fail(planner->err, IG_INVALID,
                   "Fields '%.*s' conflict because they are different fields or have differing "
                   "arguments. Use different aliases on the fields to fetch both if this was "
                   "intentional.",
                   IG_STR_ARGS(ig_graphql_shown(node->key)));
}

/* A query of introspection grows by the lists that stand in each other. */
static bool is_list_of_type(const struct ig_graphql_field *field)
{
    return field && strcmp(field->type, "__Type") == 0 &&
           (field->kind == IG_GRAPHQL_IS_TYPES ||
            (field->kind == IG_GRAPHQL_IS_PARTS && strcmp(field->name, "enumValues") != 0));
}

/* Adds what a selection asks for to the children of `of`. */
static enum ig_code add_node(const struct ig_graphql_planner *planner, struct ig_graphql_node *of,
                             const struct ig_graphql_selection *selection)
{
    struct ig_graphql_node made, **at = &of->first;
    if (identify(&made, planner, selection, of->type) != IG_OK) return planner->err->code;
    made.lists = of->lists + is_list_of_type(made.field);
    if (made.lists > IG_GRAPHQL_LISTS_MAX)
        return ig_fail(planner->err, IG_INVALID, "Maximum introspection depth exceeded");
    while (*at && !ig_str_eq((*at)->key, made.key)) at = &(*at)->next;
    if (*at && merge(planner, *at, &made) != IG_OK) return planner->err->code;
    if (!*at) {
        *at = ig_arena_alloc(planner->arena, sizeof made);
        if (!*at) return no_memory(planner);
        **at = made;
    }
    if (!selection->first) return IG_OK;
    struct ig_graphql_source *source = ig_arena_alloc(planner->arena, sizeof *source);
    struct ig_graphql_source **tail = &(*at)->sources;
    if (!source) return no_memory(planner);
    *source = (struct ig_graphql_source){selection->first, NULL};
    while (*tail) tail = &(*tail)->next;
    *tail = source;
    return IG_OK;
}

static enum ig_code add_children(struct ig_graphql_planner *planner, struct ig_graphql_node *of)
{
    struct ig_graphql_fields fields = {0};
    for (const struct ig_graphql_source *source = of->sources; source; source = source->next)
        if (ig_graphql_expand(&fields, planner, source->first, of->type, source != of->sources) !=
            IG_OK)
            return planner->err->code;
    for (size_t i = 0; i < fields.count; i++)
        if (add_node(planner, of, fields.items[i]) != IG_OK) return planner->err->code;
    return IG_OK;
}

static enum ig_code plan_fields(struct ig_graphql_node **out, struct ig_graphql_planner *planner)
{
    struct ig_graphql_source source = {planner->operation->first, NULL};
    struct ig_graphql_node top = {
        .type = planner->operation->kind == IG_GRAPHQL_MUTATION ? "Mutation" : "Query",
        .sources = &source};
    struct ig_graphql_node *pending = &top, *last = &top;
    for (; pending; pending = pending->pending) {
        if (add_children(planner, pending) != IG_OK) return planner->err->code;
        for (struct ig_graphql_node *node = pending->first; node; node = node->next)
            if (node->sources) last = last->pending = node;
    }
    *out = top.first;
    return IG_OK;
}

/* ---- the operation ---- */

static enum ig_code choose(struct ig_graphql_planner *planner, struct ig_str name)
{
    const struct ig_graphql_definition *definition = planner->document, *found = NULL;
    size_t count = 0;
    bool unnamed = false;
    for (; definition; definition = definition->next) {
        if (definition->kind == IG_GRAPHQL_FRAGMENT) continue;
        count++;
        unnamed = unnamed || !definition->name.len;
        if (!found && (!name.len || ig_str_eq(name, definition->name))) found = definition;
    }
    planner->operation = found;
    if (unnamed && count > 1)
        return ig_fail(planner->err, IG_INVALID,
                       "This anonymous operation must be the only defined operation.");
    if (!count) return ig_fail(planner->err, IG_INVALID, "Must provide an operation.");
    if (!found)
        return ig_fail(planner->err, IG_INVALID, "Unknown operation named '%.*s'.",
                       IG_STR_ARGS(ig_graphql_shown(name)));
    if (!name.len && count > 1)
        return ig_fail(planner->err, IG_INVALID,
                       "Must provide operation name if query contains multiple operations.");
    if (found->kind == IG_GRAPHQL_SUBSCRIPTION)
        return ig_fail(planner->err, IG_INVALID,
                       "Schema is not configured to execute subscription operation.");
    for (const struct ig_graphql_directive *at = found->directives; at; at = at->next)
        if (!ig_str_is(at->name, "component"))
            return ig_fail(planner->err, IG_INVALID, "Unknown directive '@%.*s'.",
                           IG_STR_ARGS(ig_graphql_shown(at->name)));
    return IG_OK;
}

enum ig_code ig_graphql_plan(struct ig_graphql_node **out, struct ig_str *wrong,
                             const struct ig_graphql_query *query, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct ig_err inner = IG_ERR_INIT;
    struct ig_graphql_planner planner = {.arena = arena, .err = &inner};
    *wrong = (struct ig_str){NULL, 0};
    if (ig_graphql_parse(&planner.document, query->text, arena, err) != IG_OK) return err->code;
    if (ig_graphql_check_limits(&planner) == IG_OK && choose(&planner, query->operation) == IG_OK &&
        ig_graphql_declare(&planner, query->variables) == IG_OK)
        plan_fields(out, &planner);
    if (inner.code == IG_OK) return IG_OK;
    if (inner.code != IG_INVALID) {
        *err = inner;
        return err->code;
    }
    *wrong = ig_arena_dup(arena, ig_str_view(inner.message));
    return wrong->ptr ? IG_OK : ig_fail(err, IG_NO_MEMORY, "no memory for the query");
}
