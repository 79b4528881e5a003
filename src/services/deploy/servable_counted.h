/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_SERVABLE_COUNTED_H
#define IG_SERVICES_DEPLOY_SERVABLE_COUNTED_H

/* What stands behind a servable; of servable*.c alone. */

#include "services/deploy/servable_priv.h"

#include <stdatomic.h>

struct ig_servable_counted {
    struct ig_servable servable; /* first: what callers hold */
    struct ig_package *package;
    struct ig_composite *composite; /* of an ensemble, else NULL */
    struct ig_prepared_set *prepared;
    const struct ig_servable *lender; /* whose package the servable has; or NULL */
    atomic_uint references;
};

/* Where it runs, when not here. */
void ig_servable_counted_point(struct ig_servable_counted *counted,
                               const struct ig_servable_elsewhere *elsewhere);

/* With one reference; NULL when out of memory. */
struct ig_servable_counted *ig_servable_counted_new(void);

#endif
