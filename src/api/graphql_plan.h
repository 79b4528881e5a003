/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GRAPHQL_PLAN_H
#define IG_API_GRAPHQL_PLAN_H

/* What a query of MLflow's GraphQL (graphql_schema.def) asks for, checked: one tree of fields in
 * the order of the reply, its fragments spread, its directives followed and fields of one name made
 * one. Limits and words are MLflow's and graphql-core's. Thread-safe; all lives in the arena. */

#include "api/call.h"
#include "api/graphql.h"

enum {
    IG_GRAPHQL_ROOTS_MAX = 10,
    IG_GRAPHQL_ALIASES_MAX = 10, /* of one level */
    IG_GRAPHQL_DEPTH_MAX = 10,
    IG_GRAPHQL_FIELDS_MAX = 1000,
    IG_GRAPHQL_LISTS_MAX = 2, /* of introspection's lists in each other */
};

enum ig_graphql_kind {
    IG_GRAPHQL_IS_STRING,
    IG_GRAPHQL_IS_INT,   /* of 32 bits; of inputs alone */
    IG_GRAPHQL_IS_LONG,  /* a whole number, as a text */
    IG_GRAPHQL_IS_FLOAT, /* null where JSON has no number for it */
    IG_GRAPHQL_IS_BOOL,
    IG_GRAPHQL_IS_ENUM,
    IG_GRAPHQL_IS_STRINGS,
    IG_GRAPHQL_IS_NAME, /* a text that has to be told; of inputs alone */
    IG_GRAPHQL_IS_SAYS, /* what JSON says, or null */
    IG_GRAPHQL_IS_OBJECT,
    IG_GRAPHQL_IS_OBJECTS,
    IG_GRAPHQL_IS_FAULTS,     /* objects, each of which may be null */
    IG_GRAPHQL_IS_PARTS,      /* objects, or null, of which some may be deprecated */
    IG_GRAPHQL_IS_TYPE,       /* a type, which JSON names: "[String!]"; or null */
    IG_GRAPHQL_IS_TYPES,      /* several, or null */
    IG_GRAPHQL_IS_NOTHING,    /* null, of an object's type */
    IG_GRAPHQL_IS_EXPERIMENT, /* of a run: its experiment, by a call of its own */
    IG_GRAPHQL_IS_VERSIONS,   /* of a run: its models' versions, likewise */
};

struct ig_graphql_field {
    const char *type, *name, *member;
    enum ig_graphql_kind kind;
    const char *of;
    const char *text; /* its type as it is written; NULL: as its kind has it */
};
struct ig_graphql_root {
    const char *operation, *name;
    enum ig_code (*handler)(struct ig_call *call);
    const char *type, *input;
};
struct ig_graphql_input {
    const char *type, *name, *member;
    enum ig_graphql_kind kind;
};

struct ig_graphql_source { /* a list of selections */
    const struct ig_graphql_selection *first;
    struct ig_graphql_source *next;
};

struct ig_graphql_node {
    struct ig_str key;                    /* in the reply */
    const struct ig_graphql_root *root;   /* of the operation's own fields, else NULL */
    const struct ig_graphql_field *field; /* of all others; both NULL: it is __typename */
    const char *type;                     /* of the objects that it is, of __typename its value */
    struct ig_str body;                   /* of a root: the body of its call */
    struct ig_graphql_node *first, *next;
    size_t lists;                      /* introspection's lists of parts around it, and it */
    struct ig_graphql_source *sources; /* while planning: what is selected of it */
    struct ig_graphql_node *pending;
    struct ig_str value; /* for whoever writes a reply: what an object has for it */
};

struct ig_graphql_query {
    struct ig_str text, operation;      /* operation empty: the only one */
    struct ig_graphql_value *variables; /* as they were given */
};

/* INVALID where the query cannot be read: with "Syntax Error" and the position. Else OK, with
 * *wrong what does not hold of it, or ptr NULL and *out the operation's fields. */
enum ig_code ig_graphql_plan(struct ig_graphql_node **out, struct ig_str *wrong,
                             const struct ig_graphql_query *query, struct ig_arena *arena,
                             struct ig_err *err);

/* Answers `test`: what it was given. */
enum ig_code ig_graphql_echo(struct ig_call *call);
/* Answer __schema and __type: types stand in them by name, "[String!]". */
enum ig_code ig_graphql_schema(struct ig_call *call);
enum ig_code ig_graphql_type(struct ig_call *call);
/* What __Type has of a type that is so named; null where there is none of the name. */
void ig_graphql_write_type(struct ig_json_out *out, struct ig_str name);

#endif
