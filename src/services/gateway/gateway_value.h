/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_VALUE_H
#define IG_SERVICES_GATEWAY_GATEWAY_VALUE_H

/* JSON of callers and of providers, taken apart one level at a time: a value is the slice of the
 * text that it stands in, so what is passed on as it is costs nothing and keeps its bytes. Pure. */

#include "base/arena.h"
#include "base/err.h"

struct ig_gateway_member {
    struct ig_str name, value;
};
struct ig_gateway_object {
    const struct ig_gateway_member *items;
    size_t count;
};
struct ig_gateway_array {
    const struct ig_str *items;
    size_t count;
};

/* The whole of `json` is read and checked. Errors: PARSE (not JSON, or another kind of value),
 * NO_MEMORY. */
enum ig_code ig_gateway_object_read(struct ig_gateway_object *out, struct ig_str json,
                                    struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_array_read(struct ig_gateway_array *out, struct ig_str json,
                                   struct ig_arena *arena, struct ig_err *err);
/* The last member of that name; ptr NULL: there is none, or it is null. */
struct ig_str ig_gateway_get(const struct ig_gateway_object *object, const char *name);
bool ig_gateway_is_text(struct ig_str value);
/* The characters of a string; ptr NULL: it is none. */
struct ig_str ig_gateway_text(struct ig_str value, struct ig_arena *arena);
/* That of a member. */
struct ig_str ig_gateway_get_text(const struct ig_gateway_object *object, const char *name,
                                  struct ig_arena *arena);
/* A whole number from 0 on; -1: it is none. */
int64_t ig_gateway_get_count(const struct ig_gateway_object *object, const char *name);

#endif
