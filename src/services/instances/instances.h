/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_INSTANCES_INSTANCES_H
#define IG_SERVICES_INSTANCES_INSTANCES_H

/* Named amounts of CPU and memory, the same for deployments and for training jobs. */

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

struct ig_instance {
    const char *name;
    uint32_t cpu_thousandths; /* of a core */
    uint32_t memory_mb;
    const char *doc;
};

size_t ig_instances_count(void);
const struct ig_instance *ig_instance_at(size_t index);
/* INVALID names those there are; `what` is the field in the message. */
enum ig_code ig_instance_find(const struct ig_instance **out, struct ig_str name, const char *what,
                              struct ig_err *err);

#endif
