/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GRAPHQL_H
#define IG_API_GRAPHQL_H

/* GraphQL's language (specification of October 2021) as far as clients send it: operations with
 * variables and directives, and fragments; no schemas. Pure; what is read lives in the arena and
 * views the text; thread-safe. */

#include "base/json.h"

enum {
    IG_GRAPHQL_BYTES_MAX = 256 << 10,
    IG_GRAPHQL_NESTED_MAX = 64, /* selections in selections, values in values */
    IG_GRAPHQL_DEFINITIONS_MAX = 100,
    IG_GRAPHQL_SELECTIONS_MAX = 10000,
    IG_GRAPHQL_VALUES_MAX = 10000, /* also of a request's variables */
};

struct ig_graphql_value { /* an argument, a field of an object, an element, a variable's value */
    enum ig_graphql_value_kind {
        IG_GRAPHQL_NULL,
        IG_GRAPHQL_BOOL,
        IG_GRAPHQL_INT,
        IG_GRAPHQL_FLOAT,
        IG_GRAPHQL_STRING,
        IG_GRAPHQL_ENUM,
        IG_GRAPHQL_VARIABLE,
        IG_GRAPHQL_LIST,
        IG_GRAPHQL_OBJECT,
    } kind;
    struct ig_str name;             /* empty: of an element */
    struct ig_str text;             /* as written, of strings what they say, "true", "false" */
    struct ig_graphql_value *first; /* of a list or object */
    struct ig_graphql_value *next;
};

struct ig_graphql_directive {
    struct ig_str name;
    struct ig_graphql_value *arguments;
    struct ig_graphql_directive *next;
};

struct ig_graphql_selection {
    enum { IG_GRAPHQL_FIELD, IG_GRAPHQL_SPREAD, IG_GRAPHQL_INLINE } kind;
    struct ig_str name; /* of the field or fragment; of INLINE its type, empty: that around it */
    struct ig_str key;  /* of a field: its alias, or the name */
    bool aliased;
    struct ig_graphql_value *arguments;
    struct ig_graphql_directive *directives;
    struct ig_graphql_selection *first; /* NULL: none are selected of it */
    struct ig_graphql_selection *next;
};

struct ig_graphql_variable {
    struct ig_str name, type;          /* "[String!]" as written */
    bool required;                     /* its type ends with '!' */
    struct ig_graphql_value *fallback; /* or NULL */
    struct ig_graphql_variable *next;
};

struct ig_graphql_definition {
    enum ig_graphql_definition_kind {
        IG_GRAPHQL_QUERY,
        IG_GRAPHQL_MUTATION,
        IG_GRAPHQL_SUBSCRIPTION,
        IG_GRAPHQL_FRAGMENT,
    } kind;
    struct ig_str name; /* empty: of an operation without one */
    struct ig_str type; /* of a fragment */
    struct ig_graphql_variable *variables;
    struct ig_graphql_directive *directives;
    struct ig_graphql_selection *first;
    struct ig_graphql_definition *next;
    size_t seen; /* for whoever walks the document */
};

/* INVALID with "Syntax Error: ..." and the byte position. */
enum ig_code ig_graphql_parse(struct ig_graphql_definition **out, struct ig_str text,
                              struct ig_arena *arena, struct ig_err *err);
/* A request's variables, a JSON object; of null and of an empty text there are none. */
enum ig_code ig_graphql_variables(struct ig_graphql_value **out, struct ig_str json_text,
                                  struct ig_arena *arena, struct ig_err *err);

/* The value of that name; NULL when there is none. */
const struct ig_graphql_value *ig_graphql_value_named(const struct ig_graphql_value *first,
                                                      struct ig_str name);
/* The fragment of that name; NULL when there is none. */
struct ig_graphql_definition *ig_graphql_fragment(struct ig_graphql_definition *first,
                                                  struct ig_str name);

#endif
