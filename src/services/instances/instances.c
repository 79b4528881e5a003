/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of instance types. Thread rule: constant. */
#include "services/instances/instances.h"

static const struct ig_instance INSTANCES[] = {
#define IG_INSTANCE(name, cpu, memory, doc) {name, cpu, memory, doc},
#include "services/instances/instances.def"
#undef IG_INSTANCE
};
enum { INSTANCES_COUNT = sizeof INSTANCES / sizeof *INSTANCES };

size_t ig_instances_count(void)
{
    return INSTANCES_COUNT;
}

const struct ig_instance *ig_instance_at(size_t index)
{
    return &INSTANCES[index];
}

enum ig_code ig_instance_find(const struct ig_instance **out, struct ig_str name, const char *what,
                              struct ig_err *err)
{
    struct ig_buf known;
    for (size_t i = 0; i < INSTANCES_COUNT; i++) {
        if (!ig_str_is(name, INSTANCES[i].name)) continue;
        *out = &INSTANCES[i];
        return IG_OK;
    }
    ig_buf_init(&known, 1024);
    for (size_t i = 0; i < INSTANCES_COUNT; i++)
        ig_buf_printf(&known, "%s%s", i ? ", " : "", INSTANCES[i].name);
    ig_fail(err, IG_INVALID, "%s: there is no instance type '%.*s'; known are %.*s", what,
            (int)(name.len > 64 ? 64 : name.len), name.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return err->code;
}
