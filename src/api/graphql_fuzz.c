/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a query and, behind a NUL, its variables: the plan keeps the limits. */
#include "api/graphql_plan.h"

/* Recursion ends where the plan's depth does. */
static size_t count(const struct ig_graphql_node *node, size_t depth)
{
    size_t nodes = 0;
    IG_ASSERT(depth <= IG_GRAPHQL_DEPTH_MAX);
    for (; node; node = node->next) {
        IG_ASSERT(node->key.len && (node->root || depth > 1 || !node->field));
        IG_ASSERT(!node->root || node->body.len >= 2);
        nodes += 1 + (node->first ? count(node->first, depth + 1) : 0);
    }
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_str rest = {(const char *)data, size}, wrong, variables;
    struct ig_graphql_query query = {.operation = IG_STR("")};
    struct ig_graphql_node *first = NULL;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    query.text = ig_str_cut(&rest, '\0');
    variables = rest.ptr ? rest : IG_STR("");
    ig_arena_init(&arena, 4096, 16 << 20);
    if (query.text.ptr &&
        ig_graphql_variables(&query.variables, variables, &arena, &err) == IG_OK &&
        ig_graphql_plan(&first, &wrong, &query, &arena, &err) == IG_OK && !wrong.ptr)
        IG_ASSERT(count(first, 1) <= IG_GRAPHQL_FIELDS_MAX);
    if (err.code != IG_OK) IG_ASSERT(err.message[0]);
    ig_arena_deinit(&arena);
    return 0;
}
